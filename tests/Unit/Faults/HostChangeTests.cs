// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.Versioning;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// What the program changes on the host goes again on any end: killed at random moments it leaves groups, pools and tracing as they were. As root;
/// MEMCGNATIVE_KILLS=200 kills that often.
/// </summary>
[Collection(nameof(OsFaultAlone))]
[SupportedOSPlatform("linux")]
public sealed class HostChangeTests : IDisposable
{
    private static readonly int kills = int.TryParse(Environment.GetEnvironmentVariable("MEMCGNATIVE_KILLS"), out int n) ? n : 6;
    private static readonly string program = Path.Combine(AppContext.BaseDirectory, "memcgnative");
    private const int Kill = 9, Interrupt = 2;

    private readonly string state = Directory.CreateTempSubdirectory("memcgnative").FullName;

    public void Dispose() => Directory.Delete(state, recursive: true);

    private Process Start(string line)
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess) Assert.Skip("only root may change groups and pools");
        if (!File.Exists(program)) Assert.Skip($"the program is not beside the tests: {program}");
        var info = new ProcessStartInfo(program, CliBox.Split(line)) { RedirectStandardOutput = true, RedirectStandardError = true };
        info.Environment[UndoJournal.Variable] = state;
        return Process.Start(info)!;
    }

    /// <summary>Everything the program may change, as text; other runs of it on this machine have other names.</summary>
    private static string Host(int supervisor, int child)
    {
        IEnumerable<string> groups = new[] { "/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/sys/kernel/tracing/instances" }
            .Where(Directory.Exists).SelectMany(d => Directory.GetDirectories(d, "memcgnative.*"))
            .Where(d => d.Contains($".{supervisor}.", StringComparison.Ordinal) || d.Contains($".{child}.", StringComparison.Ordinal));
        return $"pools {string.Join(',', HugePages.Pools(PageKind.Parse("2M")).Select(p => p.TotalPages))}; {string.Join(' ', groups)}";
    }

    private static int? ChildOf(int supervisor)
    {
        foreach (string directory in Directory.GetDirectories("/proc"))
            if (int.TryParse(Path.GetFileName(directory), out int pid) && ProcessControl.Parent(pid) == supervisor) return pid;
        return null;
    }

    [Fact]
    public async Task Killed_at_any_moment_the_child_leaves_nothing_because_its_supervisor_undoes()
    {
        var random = new Random(0x5eed);
        string before = Host(0, 0);
        int changed = 0;
        for (int i = 0; i < kills; i++)
        {
            using Process p = Start("cleanup --rehearse 20s");
            Task<string> error = p.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            int? child;
            while ((child = ChildOf(p.Id)) is null && !p.HasExited) Thread.Sleep(1);
            if (i % 2 == 0) WaitForJournal(p); // half of the kills after the first change, the others anywhere
            Thread.Sleep(random.Next(i % 2 == 0 ? 30 : 400));
            changed += Directory.GetFiles(state).Length;
            Assert.True(ProcessControl.Signal(child!.Value, Kill));
            Assert.True(p.WaitForExit(30_000), $"kill {i}: the supervisor does not end");
            Assert.Equal(before, Host(p.Id, child.Value));
            Assert.Equal(137, p.ExitCode);
            Assert.Empty(Directory.GetFiles(state));
            Assert.Contains("was killed", await error, StringComparison.Ordinal);
        }
        Assert.True(changed > 0, "no kill hit a moment with something to undo");
    }

    [Fact]
    public void With_the_supervisor_killed_the_child_undoes_and_with_both_killed_cleanup_does()
    {
        string before = Host(0, 0);
        using (Process p = Start("cleanup --rehearse 60s"))
        {
            WaitForJournal(p);
            int child = ChildOf(p.Id)!.Value;
            p.Kill();
            p.WaitForExit();
            Until(() => ProcessControl.StartTime(child) is null, "the child outlives its supervisor");
            Assert.Equal(before, Host(p.Id, child));
            Assert.Empty(Directory.GetFiles(state));
        }
        using (Process p = Start("cleanup --rehearse 60s"))
        {
            _ = p.StandardError.ReadLine(); // "made group"
            int child = ChildOf(p.Id)!.Value;
            using (Process dry = Start("cleanup"))
            {
                Assert.Contains("running", dry.StandardOutput.ReadToEnd(), StringComparison.Ordinal);
                dry.WaitForExit();
            }
            ProcessControl.Signal(p.Id, 19); // stopped, it cannot undo while its child is killed
            ProcessControl.Signal(child, Kill);
            p.Kill();
            p.WaitForExit();
            Until(() => ProcessControl.StartTime(child) is null, "the child lives on");
            Assert.NotEqual(before, Host(p.Id, child));
            using Process cleanup = Start("cleanup");
            Assert.Contains("undo", cleanup.StandardOutput.ReadToEnd(), StringComparison.Ordinal);
            cleanup.WaitForExit();
            Assert.Equal(0, cleanup.ExitCode);
            Assert.Equal(before, Host(p.Id, child));
            Assert.Empty(Directory.GetFiles(state));
        }
    }

    [Fact]
    public void Ctrl_C_ends_in_130_with_everything_put_back()
    {
        string before = Host(0, 0);
        using Process p = Start("cleanup --rehearse 60s");
        WaitForJournal(p);
        int child = ChildOf(p.Id)!.Value;
        Assert.True(ProcessControl.Signal(p.Id, Interrupt));
        Assert.True(p.WaitForExit(30_000));
        Assert.Equal(130, p.ExitCode);
        Assert.Equal(before, Host(p.Id, child));
        Assert.Empty(Directory.GetFiles(state));
    }

    [Theory, InlineData(31), InlineData(24)] // SIGSYS, SIGXCPU: what the runtime has no handler for ends a process at once, as its own crash does
    public void A_child_that_dies_of_a_signal_is_cleaned_up_after(int signal)
    {
        string before = Host(0, 0);
        using Process p = Start("cleanup --rehearse 60s");
        WaitForJournal(p);
        int child = ChildOf(p.Id)!.Value;
        Assert.True(ProcessControl.Signal(child, signal));
        Assert.True(p.WaitForExit(30_000));
        Assert.Equal(128 + signal, p.ExitCode);
        Assert.Equal(before, Host(p.Id, child));
        Assert.Empty(Directory.GetFiles(state));
    }

    [Fact]
    public void Killed_by_the_kernel_for_its_memory_a_run_leaves_no_file()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess || !File.Exists("/sys/fs/cgroup/memory/cgroup.procs")) Assert.Skip("needs root and cgroup v1 memory");
        string group = $"/sys/fs/cgroup/memory/test.{Environment.ProcessId}";
        Directory.CreateDirectory(group);
        try
        {
            File.WriteAllText(group + "/memory.limit_in_bytes", "200M");
            string line = $"echo $$ > {group}/cgroup.procs && exec {program} placement --footprint 512M -o {state}/r.json";
            using Process p = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", line]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            Assert.True(p.WaitForExit(60_000));
            Assert.Equal(137, p.ExitCode);
            Assert.Empty(Directory.GetFiles(state));
        }
        finally
        {
            Until(() => TryRemove(group), "the test's own group stays busy");
        }
    }

    private static bool TryRemove(string group)
    {
        try
        {
            Directory.Delete(group);
            return true;
        }
        catch (IOException)
        {
            return false; // the killed process is not yet gone
        }
    }

    [Fact]
    public void Where_cgroupfs_is_read_only_the_line_says_so()
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess || !File.Exists("/usr/bin/unshare") || !Directory.Exists("/sys/fs/cgroup/memory"))
            Assert.Skip("needs root, unshare and cgroup v1");
        var info = new ProcessStartInfo("/usr/bin/unshare", ["-m", "/bin/sh", "-c",
            $"mount -o bind,remount,ro /sys/fs/cgroup/memory && exec {program} cleanup --rehearse 1ms"]) { RedirectStandardError = true, RedirectStandardOutput = true };
        info.Environment[UndoJournal.Variable] = state;
        using Process p = Process.Start(info)!;
        string error = p.StandardError.ReadToEnd();
        p.WaitForExit();
        if (error.StartsWith("mount", StringComparison.Ordinal) || error.StartsWith("unshare", StringComparison.Ordinal)) Assert.Skip(error.Trim());
        Assert.Contains("not here group: cannot make /sys/fs/cgroup/memory/memcgnative.", error, StringComparison.Ordinal);
        Assert.Contains("(mkdirat: EROFS). The file system is mounted read-only here, as containers do", error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_raised_pool_serves_the_run_and_goes_back()
    {
        string before = Host(0, 0);
        using Process p = Start("placement -p 2M --footprint 8M --grow-pool");
        string output = p.StandardOutput.ReadToEnd(), error = p.StandardError.ReadToEnd();
        p.WaitForExit();
        Assert.True(p.ExitCode == 0, error);
        Assert.Contains("8 MiB in 2M pages", output, StringComparison.Ordinal);
        Assert.Equal(before, Host(p.Id, 0));
    }

    private void WaitForJournal(Process p) => Until(() => Directory.GetFiles(state).Length > 0 || p.HasExited, "nothing was changed");

    private static void Until(Func<bool> done, string what)
    {
        long end = Environment.TickCount64 + 30_000;
        while (!done())
        {
            Assert.True(Environment.TickCount64 < end, what);
            Thread.Sleep(1);
        }
    }
}
