// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>What guest.sh makes of its options, without booting anything.</summary>
public sealed class ScriptTests
{
    [Theory]
    [InlineData("-n 2x512,x -N", "guest: -n: 'x' is not CPUSxMIB or -; write for example 2x512,2x0,-,1x256,0x512")]
    [InlineData("-n 65 -N", "guest: -n 65: 1 to 64 nodes")]
    [InlineData("-n 0x512,2x512 -N", "guest: -n 0x512,2x512: nodes without CPUs come last")]
    [InlineData("-k 6.1 -n -,2x512 -N", "guest: -n -,2x512: the first node needs a CPU, and all together 256 MiB")]
    [InlineData("-k 6.1 -n 1x512,-,-,1x512 -N", "guest: -n 1x512,-,-,1x512: Linux 6.1 takes one hole")]
    [InlineData("-n 1x128 -N", "guest: -n 1x128: the first node needs a CPU, and all together 256 MiB")]
    public void A_machine_that_cannot_be_is_refused_in_one_line(string options, string line)
    {
        (int status, _, string error) = Run(options);
        Assert.Equal((2, line), (status, error.Trim()));
    }

    [Fact]
    public void The_machine_asked_for_is_the_one_the_emulator_is_told()
    {
        (int status, string said, _) = Run("-n 4 -c 2 -m 256 -d 12,40 -d 0-3=50 -N");
        Assert.Equal(0, status);
        foreach (string part in new[]
        {
            "-m 1024 ", "-smp 8\\,maxcpus=8\\,sockets=4\\,cores=2\\,threads=1 ", "node\\,nodeid=3\\,cpus=6-7\\,memdev=m3 ",
            "dist\\,src=0\\,dst=1\\,val=12 ", "dist\\,src=0\\,dst=2\\,val=40 ", "dist\\,src=0\\,dst=3\\,val=50 ", "tcg\\,thread=multi ",
        })
        {
            Assert.Contains(part, said, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("-s -N", "tcg\\,thread=single ", "-smp 8\\,")]
    [InlineData("-i -N", "-icount shift=0\\,sleep=off ", "-smp 1\\,")]
    [InlineData("-k 6.1 -n 1x384,-,1x384 -N", "-smp 3\\,maxcpus=3\\,", "disable_cpu_apicid=1")]
    [InlineData("-k 6.12 -n 1x384,-,1x384 -N", "-smp 1\\,maxcpus=3\\,", "max-x86_64-cpu\\,socket-id=2\\,")]
    [InlineData("-1 -a quiet=1 -N", "cgroup=1", "quiet=1")]
    public void An_option_changes_what_the_emulator_is_told(string options, string one, string other)
    {
        (int status, string said, _) = Run(options);
        Assert.Equal(0, status);
        Assert.Contains(one, said, StringComparison.Ordinal);
        Assert.Contains(other, said, StringComparison.Ordinal);
    }

    [Fact]
    public void Help_names_every_option()
    {
        (int status, string said, _) = Run("-h");
        Assert.Equal(0, status);
        foreach (char option in "k1ncmdatofjsiN") Assert.Contains($"\n  -{option} ", said, StringComparison.Ordinal);
    }

    /// <summary>A stand-in for the emulator plays a machine that is dead in one way or another; the third is only slow, the last comes up when asked again.</summary>
    [Theory]
    [InlineData("echo 'alive 1'; while :; do echo 'watchdog: BUG: soft lockup - CPU#0 stuck'; for i in $(seq 3000); do :; done; done", 125, 2)]
    [InlineData("echo 'Kernel panic - not syncing: Fatal exception in interrupt'; exit 0", 125, 2)]
    [InlineData("echo 'alive 1'; exec sleep 100", 125, 2)]
    [InlineData("for i in 1 2 3 4; do echo \"alive $i\"; for j in $(seq 60000); do :; done; sleep 0.5; done; answer", 0, 1)]
    [InlineData("if [ -e again ]; then answer; else touch again; echo 'alive 1'; while :; do :; done; fi", 0, 2)]
    public void A_machine_that_locks_up_is_started_once_more_and_one_that_is_slow_is_left_alone(string machine, int status, int boots)
    {
        if (!File.Exists("/bin/bash") || !File.Exists("/usr/bin/cpio")) Assert.Skip("needs bash and cpio");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("memcgnative-watcher");
        try
        {
            string emulator = StandIn(folder.FullName, machine);
            (int ended, _, string error) = Run($"-k {emulator} -f {folder.FullName}/tree -- nothing", folder.FullName);
            Assert.True(ended == status, $"exit {ended}: {error}");
            Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(folder.FullName, "tmp")));
            Assert.Empty(Emulators(folder.FullName));
            Assert.Equal(boots, File.ReadAllLines(Path.Combine(folder.FullName, "boots")).Length);
            Assert.Equal(boots - 1, error.Split("starting it once more").Length - 1);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Whoever started it may be killed before it ends: then it ends, and takes machine and files along.</summary>
    [Theory]
    [InlineData("kill -TERM $!; wait $!")]
    [InlineData("exit")]
    public void A_guest_whose_owner_goes_leaves_no_process_and_no_file(string end)
    {
        if (!File.Exists("/bin/bash") || !File.Exists("/usr/bin/cpio")) Assert.Skip("needs bash and cpio");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("memcgnative-orphan");
        try
        {
            string emulator = StandIn(folder.FullName, "echo 'alive 1'; touch up; exec sleep 1000.5");
            string guest = $"'{Script()}' -k {emulator} -f {folder.FullName}/tree -- nothing >/dev/null 2>&1 &";
            var start = new ProcessStartInfo("/bin/bash", ["-c", $"export MEMCGNATIVE_GUEST_OWNER=$$; {guest} until [ -e {folder.FullName}/up ]; do sleep 0.1; done; {end}"]);
            Tools(start, folder.FullName);
            using (Process child = Process.Start(start)!) child.WaitForExit();
            string tmp = Path.Combine(folder.FullName, "tmp");
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed < TimeSpan.FromSeconds(60) && (Emulators("1000.5").Length > 0 || Directory.GetFileSystemEntries(tmp).Length > 0)) Thread.Sleep(100);
            Assert.Empty(Emulators("1000.5"));
            Assert.Empty(Directory.GetFileSystemEntries(tmp));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Processes whose command line has a text in it.</summary>
    private static string[] Emulators(string text) => [.. Process.GetProcesses().Select(p =>
    {
        try
        {
            return File.ReadAllText($"/proc/{p.Id}/cmdline").Replace('\0', ' ');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }).Where(line => line.Contains(text, StringComparison.Ordinal) && !line.Contains("guest.sh", StringComparison.Ordinal))];

    /// <summary>An emulator that is none, and what else guest.sh asks for, in a folder; the path of the emulator.</summary>
    private static string StandIn(string folder, string machine)
    {
        string emulator = Path.Combine(folder, "qemu-system-x86_64");
        File.WriteAllText(emulator, $$"""
            #!/bin/bash
            cd {{folder}}
            echo >>boots
            out=$(sed 's/.*-serial file:\([^ ]*\).*/\1/' <<<"$*")
            answer() { mkdir -p o; echo 0 >o/live.status; : >o/live.out; : >o/live.err; tar czf "$out" -C o .; exit 0; }
            {{machine}}
            """);
        File.WriteAllText(Path.Combine(folder, "busybox"), "");
        foreach (string inside in new[] { "tmp", "tree" }) Directory.CreateDirectory(Path.Combine(folder, inside));
        File.WriteAllText(Path.Combine(folder, "tree", "libcoreclr.so"), "");
        foreach (string tool in new[] { "qemu-system-x86_64", "busybox" })
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(Path.Combine(folder, tool), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return emulator;
    }

    private static void Tools(ProcessStartInfo start, string folder)
    {
        start.Environment["PATH"] = $"{folder}:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["TMPDIR"] = Path.Combine(folder, "tmp");
        (start.Environment["MEMCGNATIVE_GUEST_SPINS"], start.Environment["MEMCGNATIVE_GUEST_SLEEPS"]) = ("2", "6");
    }

    private static string Script([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "guest.sh");

    private static (int Status, string Out, string Error) Run(string options, string? tools = null)
    {
        if (!File.Exists("/bin/bash")) Assert.Skip("needs bash");
        var start = new ProcessStartInfo("/bin/bash", [Script(), .. options.Split(' ')])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        if (tools is not null) Tools(start, tools);
        using Process child = Process.Start(start)!;
        string said = child.StandardOutput.ReadToEnd();
        string error = child.StandardError.ReadToEnd();
        child.WaitForExit();
        return (child.ExitCode, said, error);
    }
}
