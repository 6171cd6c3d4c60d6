// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Text.Json;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The real program as a process, because it changes the host under a supervisor; skipped where a group cannot be made.</summary>
public sealed class KernelScenarioTests
{
    internal static (int Code, string Out, string Error) Program(params string[] args)
    {
        var info = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "memcgnative")) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string arg in args) info.ArgumentList.Add(arg);
        using Process process = Process.Start(info)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, text, error.Result);
    }

    internal static void SkipUnlessRoot()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess, "needs root and a writable cgroup hierarchy");
        (int code, string _, string error) = Program("conform", "pipes", "--on", "kernel");
        Assert.SkipWhen(code == ExitCode.NotHere, error.Trim());
    }

    [Fact]
    public void Kernel_and_port_agree_on_random_scenarios_within_derived_tolerances()
    {
        SkipUnlessRoot();
        (int code, string text, string error) = Program("conform", "--random", "10", "--seed", "1", "--on", "port,kernel");
        Assert.True(code == 0, text + error);
        Assert.Contains("10 random scenarios from seed 0x1 on port 6.18 and kernel", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Kernel_and_port_agree_on_a_scenario_of_tasks_limits_and_a_kill()
    {
        SkipUnlessRoot();
        (int code, string text, string error) = Program("conform", "memcontrol-oom-events", "lower-limit", "--on", "port,kernel");
        Assert.True(code == 0, text + error);
    }

    [Fact]
    public void A_probe_has_every_place_the_root_group_first_and_leaves_nobody_there()
    {
        SkipUnlessRoot();
        (int code, string text, string error) = Program("kernel", "probe", "--root", "-r", "1", "-d", "2ms", "-t", "1", "--format", "json");
        Assert.SkipWhen(code == ExitCode.NotHere, error.Trim());
        Assert.True(code == 0, error);
        ProbeResult probe = JsonSerializer.Deserialize(text, ProbeJson.Default.ProbeResult)!;
        Assert.Equal(["root", "here", "depth 1", "depth 3", "depth 5"], probe.Series.Select(s => s.Place).Distinct());
        Assert.Equal(3 * 5, probe.Series.DistinctBy(s => (s.Loop, s.Place)).Count());
        Assert.All(probe.Series, s => Assert.True(s.MedianOpsPerS > 0));
        string[] inRoot = File.ReadAllLines(Path.Combine(CgroupHost.Find().Mount, "cgroup.procs"));
        Assert.DoesNotContain(inRoot, pid => CommandOf(pid) is var line && line.Contains(AppContext.BaseDirectory, StringComparison.Ordinal)
            && line.Contains(KernelTaskCommand.Name, StringComparison.Ordinal));
    }

    private static string CommandOf(string pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline");
        }
        catch (IOException)
        {
            return ""; // it ended
        }
    }

    [Fact]
    public void A_wrong_expectation_is_found_on_the_kernel_too()
    {
        SkipUnlessRoot();
        string file = Path.Combine(Path.GetTempPath(), $"wrong-{Guid.NewGuid():N}.memcg");
        File.WriteAllText(file, "group A\ntask t in A cpu 0\nanon t heap 1000p\nexpect A usage 10p\nexpect A usage 1000p\n");
        try
        {
            (int code, string text, string _) = Program("conform", file, "--on", "kernel");
            Assert.Equal(ExitCode.Broken, code);
            Assert.Contains("not ok 1 line 4", text, StringComparison.Ordinal);
            Assert.Contains("    ok 2 line 5", text, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("v1", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n", "4:memory:/a/b\n", false, "/sys/fs/cgroup/memory/a/b")]
    [InlineData("v1, other namespace", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n", "4:memory:/gone\n", false, "/sys/fs/cgroup/memory")]
    [InlineData("v2", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "0::/user\n", true, "/sys/fs/cgroup")]
    public void The_hierarchy_is_found_by_itself(string _, string mounts, string own, bool v2, string parent)
    {
        using var root = new FakeRoot();
        root.Write("proc/self/mounts", mounts);
        root.Write("proc/self/cgroup", own);
        root.Write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        root.Write("sys/fs/cgroup/cgroup.subtree_control", "memory\n");
        root.Write("sys/fs/cgroup/user/cgroup.subtree_control", "\n");
        root.Write("sys/fs/cgroup/memory/a/b/tasks", "");
        CgroupHost host = CgroupHost.Find(root.Path);
        Assert.Equal((v2, parent), (host.V2, host.Parent));
    }

    [Theory]
    [InlineData(false, "release_agent", true)]
    [InlineData(false, "notify_on_release", false)]
    [InlineData(true, "cgroup.procs", true)]
    [InlineData(true, "cgroup.type", false)]
    public void The_root_of_a_namespace_is_not_the_root_of_the_hierarchy(bool v2, string file, bool root)
    {
        using var mount = new FakeRoot();
        mount.Write(file, "");
        Assert.Equal(root, new CgroupHost(v2, mount.Path, mount.Path).ShowsRoot);
    }

    [Fact]
    public void A_missing_controller_is_one_line_and_exit_3()
    {
        using var root = new FakeRoot();
        root.Write("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
        root.Write("proc/self/cgroup", "0::/\n");
        root.Write("sys/fs/cgroup/cgroup.controllers", "cpu\n");
        var e = Assert.Throws<UsageException>(() => CgroupHost.Find(root.Path));
        Assert.True(e.OfThisMachine);
        Assert.StartsWith("kernel: no mounted cgroup hierarchy has the memory controller", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_controller_that_is_not_handed_down_names_the_command_that_mends_it()
    {
        using var root = new FakeRoot();
        root.Write("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
        root.Write("proc/self/cgroup", "0::/\n");
        root.Write("sys/fs/cgroup/cgroup.controllers", "memory\n");
        root.Write("sys/fs/cgroup/cgroup.subtree_control", "\n");
        Assert.Contains("echo +memory > /sys/fs/cgroup/cgroup.subtree_control", Assert.Throws<UsageException>(() => CgroupHost.Find(root.Path)).Message, StringComparison.Ordinal);
    }
}
