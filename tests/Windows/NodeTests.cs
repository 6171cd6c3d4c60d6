// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace MemcgNative.Tests.Windows;

/// <summary>Several groups and nodes, against <see cref="FakeWindows"/>: on Linux, on Windows and under Wine alike.</summary>
public sealed class NodeTests : IDisposable
{
    private FakeWindows machine = Use(new FakeWindows());

    /// <summary>The system again.</summary>
    public void Dispose()
    {
        OsCalls.Replace(null);
        Assert.Equal(0, machine.Left);
    }

    [Fact]
    public void The_machine_is_seen_with_its_groups_and_nodes()
    {
        string tree = Say("topology").Out;
        Assert.Contains("processor groups: 0=0-63 1=64-95", tree, StringComparison.Ordinal);
        Topology seen = Topology.Current();
        Assert.Equal(["0-31", "32-63", "64-79", "80-95"], seen.Nodes.Select(n => CpuList.Format(n.Cpus)));
        Assert.Equal((96, 48, 2, 2), (seen.Cpus.Length, seen.Cores.Length, seen.Packages.Length, seen.SmtWidth));
        Assert.Equal(1L << 30, seen.Nodes[3].FreeBytes);
    }

    [Theory]
    [InlineData("local -C node:0", "0:4096")]
    [InlineData("local -C 70", "2:4096")]
    [InlineData("local -C 95", "3:4096")]
    [InlineData("bind:0", "0:4096")]
    [InlineData("bind:1", "1:4096")]
    [InlineData("bind:2", "2:4096")]
    [InlineData("bind:3", "3:4096")]
    [InlineData("preferred:2", "2:4096")]
    [InlineData("interleave:0-3", "0:1024 1:1024 2:1024 3:1024")]
    [InlineData("interleave:1,3", "1:2048 3:2048")]
    [InlineData("weighted-interleave:0=3,2=1", "0:3072 2:1024")]
    public void Each_policy_puts_every_page_where_it_says(string policy, string frames)
    {
        (int status, string said, string error) = Say($"placement --footprint 16M --format json -m {policy}");
        Assert.Equal((0, ""), (status, error));
        JsonElement placement = JsonDocument.Parse(said).RootElement.GetProperty("placement");
        Assert.Equal(("query_working_set", "as_asked"), (placement.GetProperty("method").GetString(), placement.GetProperty("verdict").GetString()));
        Assert.Equal(frames, Spread(placement.GetProperty("found")));
    }

    [Theory]
    [InlineData("bind:4", "--mem bind:4: node 4 does not exist here (nodes: 0-3). Topology: memcgnative topology")]
    [InlineData("bind:1,2", "--mem bind:1,2: Windows takes one preferred node per region. Say --mem preferred:0, or interleave:0,1")]
    [InlineData("weighted-interleave", "--mem weighted-interleave: Windows has no weights of its own. Name them: --mem weighted-interleave:0=3,1=1")]
    [InlineData("local -p thp", "--pages thp: Windows has no transparent huge pages. Say --pages 2M or 4K")]
    [InlineData("local -p 2M", "--pages 2M: this user does not hold SeLockMemoryPrivilege (error 1300). "
        + "As administrator: secpol.msc, Local Policies, User Rights Assignment, Lock pages in memory; then log on again")]
    [InlineData("local -p 1G", "--pages 1G: large pages of this machine have 2048 KiB. Say --pages 4K")]
    public void What_Windows_cannot_do_is_said_in_one_line(string policy, string line)
    {
        (int status, _, string error) = Say($"placement --footprint 16M -m {policy}");
        Assert.Equal((3, $"memcgnative: {line}"), (status, error.Trim()));
    }

    [Theory]
    [InlineData(0, null)]
    [InlineData(1450, "cannot reserve 16 MiB in 2M pages: physical memory is too fragmented for large pages (VirtualAlloc2: error 1450). "
        + "Restart the machine, or say --pages 4K")]
    [InlineData(1455, "cannot reserve 16 MiB in 2M pages: the commit limit is reached (VirtualAlloc2: error 1455). Ask for less memory or enlarge the page file")]
    public void Large_pages_come_with_the_privilege_or_the_reason_is_named(int failure, string? line)
    {
        machine = Use(new FakeWindows { MayLock = true, LargePagesFail = failure });
        (int status, string said, string error) = Say("placement --footprint 16M --format json -m bind:2 -p 2M");
        if (line is null) Assert.Equal((0, "2:8"), (status, Spread(JsonDocument.Parse(said).RootElement.GetProperty("placement").GetProperty("found"))));
        else Assert.Equal($"memcgnative: {line}", error.Trim());
    }

    [Fact]
    public void A_node_that_is_full_spills_and_the_proof_says_so()
    {
        machine.Leave(3, 6 << 20);
        Assert.Equal("memcgnative: placement differs: 2560 of 4096 frames on node 0, 1536 on node 3 (asked: bind:3). Not measured.",
            Say("placement --footprint 16M -m bind:3").Error.Trim());
    }

    /// <summary>The busted twin of the proof: a system that takes a node and ignores it, as Wine does.</summary>
    [Fact]
    public void A_system_that_ignores_nodes_is_found_out()
    {
        machine = Use(new FakeWindows { IgnoresNodes = true });
        (int status, _, string error) = Say("placement --footprint 16M -m bind:2");
        Assert.Equal((3, "memcgnative: placement differs: 4096 of 4096 frames on node 0 (asked: bind:2). Not measured."), (status, error.Trim()));
    }

    [Fact]
    public void A_node_the_system_refuses_is_named()
    {
        using VirtualRegion region = VirtualRegion.Reserve(1 << 20, PageKind.Small);
        OsException refused = Assert.Throws<OsException>(() => region.RebindWindows(0, 1 << 20, new NodeId(7)));
        Assert.StartsWith("--mem: node 7 is no node of this machine (VirtualAlloc2: error 87)", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_thread_is_pinned_in_either_group_and_never_across()
    {
        var thread = new Thread(() =>
        {
            foreach (int cpu in new[] { 0, 63, 64, 95 })
            {
                ThreadAffinity.Pin(new CpuId(cpu));
                Assert.Equal((cpu, cpu), (ThreadAffinity.Current().Value, Assert.Single(ThreadAffinity.Allowed()).Value));
            }
            Assert.StartsWith("--cpus: CPU 96 does not exist here or is not allowed (SetThreadGroupAffinity: error 87)",
                Assert.Throws<OsException>(() => ThreadAffinity.Pin(new CpuId(96))).Message, StringComparison.Ordinal);
            Assert.StartsWith("--cpus: CPUs 63 and 64 lie in different processor groups; a Windows thread runs in one",
                Assert.Throws<OsException>(() => ThreadAffinity.Allow([new CpuId(63), new CpuId(64)])).Message, StringComparison.Ordinal);
        });
        thread.Start();
        thread.Join();
    }

    [Theory]
    [InlineData("local", "0:8192 2:8192")]
    [InlineData("interleave:0-3", "0:4096 1:4096 2:4096 3:4096")]
    [InlineData("remote", "1:16384")]
    public void A_run_reaches_over_groups_and_nodes(string policy, string frames)
    {
        string cpus = policy == "remote" ? "0,1" : "0,64";
        (int status, string said, string error) = Say($"run fault -C {cpus} -m {policy} -d 5ms -r 1 -w 5ms --format json");
        Assert.True(status == 0, error);
        JsonElement point = JsonDocument.Parse(said).RootElement.GetProperty("points")[0];
        Assert.Equal(frames, Spread(point.GetProperty("placement").GetProperty("found")));
        Assert.True(point.GetProperty("books").GetProperty("balanced").GetBoolean());
        Assert.Equal(policy == "remote" ? [0, 0] : [0, 2], point.GetProperty("per_thread").EnumerateArray().Select(t => t.GetProperty("node").GetInt32()));
    }

    private static FakeWindows Use(FakeWindows machine)
    {
        OsCalls.Replace(machine);
        return machine;
    }

    private static (int Status, string Out, string Error) Say(string command)
    {
        using var stdout = new StringWriter();
        using var stderr = new StringWriter();
        int status = Cli.Run(command.Split(' '), stdout, stderr, new CliEnvironment());
        return (status, stdout.ToString(), stderr.ToString());
    }

    private static string Spread(JsonElement byNode) => string.Join(' ', byNode.EnumerateObject().Select(n => $"{n.Name}:{n.Value.GetInt64()}"));
}
