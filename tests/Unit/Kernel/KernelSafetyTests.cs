// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.Versioning;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// What stands in the way of a kernel command is one line and exit 3, and what a killed one left is found by the next. In mount namespaces of
/// their own, so that nothing of the machine is changed.
/// </summary>
[Collection(nameof(OsFaultAlone))]
[SupportedOSPlatform("linux")]
public sealed class KernelSafetyTests : IDisposable
{
    private readonly string state = Directory.CreateTempSubdirectory("memcgnative").FullName;

    public void Dispose() => Directory.Delete(state, recursive: true);

    private static string Executable => Path.Combine(AppContext.BaseDirectory, "memcgnative");

    private ProcessStartInfo Info(string program, params string[] args)
    {
        var info = new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true };
        info.Environment[UndoJournal.Variable] = state;
        return info;
    }

    /// <summary>Runs a command of the program where setUp was done before, for it alone.</summary>
    private (int Code, string Error) Within(string setUp, string command)
    {
        KernelScenarioTests.SkipUnlessRoot();
        Assert.SkipUnless(File.Exists("/usr/bin/unshare"), "needs unshare");
        (int code, string text, string error) = Ended(Info("/usr/bin/unshare", "-m", "/bin/sh", "-c",
            $"{{ {setUp}; }} >&2 || exit 99; exec {command.Replace("memcgnative ", Executable + " ", StringComparison.Ordinal)}"));
        Assert.SkipWhen(code is 99 or 126 or 127, error.Trim());
        Assert.Equal("", text);
        return (code, error);
    }

    private static (int Code, string Out, string Error) Ended(ProcessStartInfo info)
    {
        using Process p = Process.Start(info)!;
        Task<string> text = p.StandardOutput.ReadToEndAsync();
        string error = p.StandardError.ReadToEnd();
        p.WaitForExit();
        return (p.ExitCode, text.Result, error);
    }

    private static void OneLine(string part, (int Code, string Error) answer)
    {
        Assert.Contains(part, answer.Error, StringComparison.Ordinal);
        Assert.Single(answer.Error.TrimEnd().Split('\n'));
        Assert.Equal(ExitCode.NotHere, answer.Code);
    }

    [Theory]
    [InlineData("conform pipes --on kernel")]
    [InlineData("record -o /dev/null -- true")]
    [InlineData("kernel probe -r 1")]
    public void A_read_only_cgroup_file_system_is_one_line_and_exit_3(string command) =>
        OneLine("The file system is mounted read-only here, as containers do", Within($"mount -o bind,remount,ro {CgroupHost.Find().Mount}", $"memcgnative {command}"));

    [Theory]
    [InlineData("conform pipes --on kernel")]
    [InlineData("record -o /dev/null -- true")]
    public void No_mounted_controller_is_one_line_and_exit_3(string command) =>
        OneLine("no mounted cgroup hierarchy has the memory controller", Within("umount -R -l /sys/fs/cgroup", $"memcgnative {command}"));

    [Fact]
    public void The_root_of_a_cgroup_namespace_is_not_taken_for_the_root_group()
    {
        KernelScenarioTests.SkipUnlessRoot();
        CgroupHost host = CgroupHost.Find();
        Assert.SkipWhen(host.V2 || host.Parent == host.Mount, "needs v1, and this process below the root group");
        OneLine("is the root of a namespace, not of the hierarchy", Within("true",
            $"unshare -C /bin/sh -c 'umount -l {host.Mount}; mount -t cgroup -o memory none {host.Mount} || exit 99; exec memcgnative kernel probe --root -r 1'"));
    }

    [Fact]
    public void No_tracefs_is_one_line_and_exit_3() =>
        OneLine("tracefs is not mounted there", Within("mount -t tmpfs none /sys/kernel/tracing", "memcgnative record -o /dev/null -- true"));

    [Theory]
    [InlineData("conform pipes --on kernel")]
    [InlineData("record -o /dev/null -- true")]
    public void Without_root_it_is_one_line_and_exit_3(string command)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/setpriv"), "needs setpriv");
        const string Nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        string home = Path.Combine(state, "nobody");
        string setUp = $"{Nobody} test -x {Executable} && chmod 711 {state} && install -d -o 65534 -m 700 {home} && export {UndoJournal.Variable}={home}";
        OneLine("Run as root, or as whom the directory was delegated to", Within(setUp, $"{Nobody} memcgnative {command}"));
    }

    [Fact]
    public void Where_the_charge_path_cannot_be_probed_it_is_one_line_and_exit_3()
    {
        (int code, string error) = Within("mount -t tracefs nodev /sys/kernel/tracing", $"memcgnative record --charges -o {state}/x.mtrace -- true");
        Assert.SkipWhen(code == ExitCode.Done, "this kernel lets fprobe events be made");
        OneLine("record --charges: ", (code, error));
    }

    [Fact]
    public void What_a_killed_command_left_is_removed_by_the_next()
    {
        KernelScenarioTests.SkipUnlessRoot();
        string scenario = Path.Combine(state, "long.memcg"), parent = CgroupHost.Find().Parent;
        File.WriteAllText(scenario, "group A\ntask t in A cpu 0\nanon t heap 10p\nwait 60s\nexpect A anon 10p\n");
        using Process p = Process.Start(Info(Executable, "conform", scenario, "--on", "kernel"))!;
        int child = 0;
        string[] Groups() => Directory.GetDirectories(parent, $"memcgnative.{child}.*");
        string[] Tasks() => [.. Groups().SelectMany(g => Directory.GetFiles(g, "cgroup.procs", SearchOption.AllDirectories)).SelectMany(File.ReadLines)];
        Until(() => (child = ChildOf(p.Id)) != 0 && Tasks().Length > 0);
        ProcessControl.Signal(p.Id, 19); // stopped, it cannot undo while its child is killed
        ProcessControl.Signal(child, 9);
        p.Kill();
        p.WaitForExit();
        Until(() => Tasks().Length == 0); // nobody tells them what to do any more
        Assert.NotEmpty(Groups());
        (int code, string text, string error) = Ended(Info(Executable, "conform", "pipes", "--on", "kernel"));
        Assert.True(code == 0, text + error);
        Assert.Contains("was killed before it could put the host back; done now", error, StringComparison.Ordinal);
        Assert.Empty(Groups());
        Assert.Empty(Directory.GetFiles(state, "*.undo"));
    }

    private static int ChildOf(int parent) => Directory.GetDirectories("/proc").Select(d => int.TryParse(Path.GetFileName(d), out int pid) ? pid : 0)
        .FirstOrDefault(pid => pid > 0 && ProcessControl.Parent(pid) == parent);

    private static void Until(Func<bool> there)
    {
        for (int turn = 0; turn < 600; turn++)
        {
            if (there()) return;
            Thread.Sleep(50);
        }
        Assert.Fail("did not happen in 30 s");
    }
}
