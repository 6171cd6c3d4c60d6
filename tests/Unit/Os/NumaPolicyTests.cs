// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class NumaPolicyTests
{
    private const nuint MiB = 1 << 20;

    [Theory]
    [InlineData("local", NumaMode.Local, "")]
    [InlineData("bind:0", NumaMode.Bind, "0")]
    [InlineData("bind:4-6,9", NumaMode.Bind, "4 5 6 9")]
    [InlineData("interleave:0,0-1", NumaMode.Interleave, "0 1")]
    [InlineData("preferred:3", NumaMode.Preferred, "3")]
    [InlineData("preferred-many:1,2", NumaMode.PreferredMany, "1 2")]
    [InlineData("weighted-interleave", NumaMode.WeightedInterleave, "")]
    [InlineData("weighted-interleave:0=3,64=1", NumaMode.WeightedInterleave, "0 64")]
    [InlineData("weighted-interleave:user:0=3,1=1", NumaMode.WeightedInterleave, "0 1")]
    [InlineData("remote", NumaMode.Remote, "")]
    [InlineData("first-touch", NumaMode.FirstTouch, "")]
    public void A_policy_is_read_as_typed(string text, NumaMode mode, string nodes)
    {
        NumaPolicy p = NumaPolicy.Parse(text);
        Assert.Equal(mode, p.Mode);
        Assert.Equal(nodes, string.Join(' ', p.Nodes));
        Assert.Equal(text, p.ToString());
        Assert.Equal(text.Contains(":user", StringComparison.Ordinal), p.UserWeights);
    }

    [Theory]
    [InlineData("", "--mem : '' is no policy; write local, bind:L, interleave:L, preferred:N, preferred-many:L, weighted-interleave:N=W,..., remote or first-touch")]
    [InlineData("Bind:0",
        "--mem Bind:0: 'Bind' is no policy; write local, bind:L, interleave:L, preferred:N, preferred-many:L, weighted-interleave:N=W,..., remote or first-touch")]
    [InlineData("bind", "--mem bind: which nodes? Write for example bind:0 or bind:0-1")]
    [InlineData("bind: ", "--mem bind: : which nodes? Write for example bind:0 or bind:0-1")]
    [InlineData("preferred:", "--mem preferred:: which nodes? Write for example preferred:0")]
    [InlineData("local:0", "--mem local:0: local takes no nodes; write --mem local")]
    [InlineData("remote:1", "--mem remote:1: remote takes no nodes; write --mem remote")]
    [InlineData("preferred:0-1", "--mem preferred:0-1: preferred takes one node; for several write preferred-many:0-1")]
    [InlineData("bind:x", "--mem bind:x: 'x' is not a node number or range; write for example 0-3,8")]
    [InlineData("bind:3-1", "--mem bind:3-1: '3-1' is not a node number or range; write for example 0-3,8")]
    [InlineData("bind:0,,1", "--mem bind:0,,1: '' is not a node number or range; write for example 0-3,8")]
    [InlineData("bind:0-99999999", "--mem bind:0-99999999: '0-99999999' is not a node number or range; write for example 0-3,8")]
    [InlineData("weighted-interleave:0", "--mem weighted-interleave:0: '0' is not NODE=WEIGHT; write for example weighted-interleave:0=3,1=1")]
    [InlineData("weighted-interleave:0=0", "--mem weighted-interleave:0=0: weight 0 of node 0 is outside of 1 to 255")]
    [InlineData("weighted-interleave:0=256", "--mem weighted-interleave:0=256: weight 256 of node 0 is outside of 1 to 255")]
    [InlineData("weighted-interleave:0=1,0=2", "--mem weighted-interleave:0=1,0=2: node 0 is there twice")]
    [InlineData("weighted-interleave:user", "--mem weighted-interleave:user: which weights? Write for example weighted-interleave:user:0=3,1=1")]
    public void A_policy_that_cannot_be_meant_is_refused_by_name(string text, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => NumaPolicy.Parse(text)).Message);

    [Fact]
    public void The_caller_may_bring_its_own_list_grammar() =>
        Assert.Equal([new NodeId(7)], NumaPolicy.Parse("bind:!all", list => list == "!all" ? [new NodeId(7)] : []).Nodes);

    [Theory]
    [InlineData(new[] { 0 }, 2, new[] { 1ul })]
    [InlineData(new[] { 3 }, 5, new[] { 8ul })]
    [InlineData(new[] { 4, 7 }, 9, new[] { 0x90ul })]
    [InlineData(new[] { 63 }, 65, new[] { 1ul << 63 })]
    [InlineData(new[] { 64 }, 66, new[] { 0ul, 1ul })]
    public void Maxnode_is_one_more_than_the_bits_of_the_mask(int[] nodes, int maxNode, ulong[] words)
    {
        (ulong[] Words, nuint MaxNode) mask = NumaPolicy.Mask(Array.ConvertAll(nodes, n => new NodeId(n)));
        Assert.Equal((nuint)maxNode, mask.MaxNode);
        Assert.Equal(words, mask.Words);
    }

    [Fact]
    public void The_kernel_holds_the_policy_that_was_applied()
    {
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        NodeId node = HugePages.MemoryNodes()[0];
        Assert.Equal("MPOL_BIND by the kernel", NumaPolicy.Parse($"bind:{node}").Apply(region));
        Assert.Equal((2, 1ul << node.Value), PolicyAt(region));
        Assert.Equal("MPOL_INTERLEAVE by the kernel", NumaPolicy.Parse($"interleave:{node}").Apply(region));
        Assert.Equal((3, 1ul << node.Value), PolicyAt(region));
    }

    [Theory]
    [InlineData("bind:N")]
    [InlineData("preferred:N")]
    [InlineData("interleave:N")]
    [InlineData("local")]
    [InlineData("first-touch")]
    [InlineData("weighted-interleave:user:N=3")]
    public void Pages_are_proved_to_be_where_each_policy_says(string text)
    {
        NodeId node = HugePages.MemoryNodes()[0];
        NumaPolicy policy = NumaPolicy.Parse(text.Replace("N", node.ToString(), StringComparison.Ordinal)).On(node, null);
        using VirtualRegion region = VirtualRegion.Reserve(16 * MiB, PageKind.Small);
        _ = policy.Apply(region);
        region.Commit();
        Assert.Equal(PlacementVerdict.AsAsked, Placement.Of(region).Judge(policy, out string? reason));
        Assert.Null(reason);
    }

    [Fact]
    public void Weights_the_kernel_does_not_have_are_split_in_blocks_and_the_result_says_so()
    {
        if (HugePages.MemoryNodes() is not [{ Value: 0 }]) Assert.Skip("written for one memory node, 0");
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        Assert.Equal("by this program in blocks of 4 KiB, weights node0=3 (as asked)", NumaPolicy.Parse("weighted-interleave:user:0=3").Apply(region));
        string kernel = NumaPolicy.Parse("weighted-interleave:0=3").Apply(region);
        if (NumaPolicy.KernelWeights() is null) Assert.Contains("this kernel has no weighted interleave", kernel, StringComparison.Ordinal);
        else Assert.StartsWith("MPOL_WEIGHTED_INTERLEAVE by the kernel", kernel, StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_is_not_there_is_named()
    {
        if (HugePages.MemoryNodes() is not [{ Value: 0 }]) Assert.Skip("written for one memory node, 0");
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        var e = Assert.Throws<OsException>(() => NumaPolicy.Parse("bind:1").Apply(region));
        Assert.Equal(Errno.EINVAL, e.ErrorNumber);
        Assert.Equal("--mem bind:1: node 1 has no memory here (nodes with memory: 0). Topology: memcgnative topology", e.Message);
    }

    [Fact]
    public void A_node_outside_of_the_cpuset_is_told_from_one_that_is_not_there()
    {
        using var root = new FakeRoot();
        root.Write("sys/devices/system/node/has_memory", "0-1\n");
        root.Write("proc/self/status", "Name:\tx\nMems_allowed_list:\t0\n");
        OsException e = NumaPolicy.Parse("bind:1").Refused([new NodeId(1)], Errno.EINVAL, root.Path);
        Assert.Equal("--mem bind:1: node 1 has memory but this cpuset forbids it (Mems_allowed: 0)", e.Message);
    }

    [Fact]
    public void Remote_is_the_farthest_node_and_nothing_on_a_machine_with_one()
    {
        Assert.Equal([new NodeId(4)], NumaPolicy.Parse("remote").On(new NodeId(0), new NodeId(4)).Nodes);
        var e = Assert.Throws<OsException>(() => NumaPolicy.Parse("remote").On(new NodeId(0), null));
        Assert.Equal("this machine has one memory node (0): local, remote and interleave are the same; nothing to compare", e.Message);
    }

    public static TheoryData<string, int[], string?> Spreads => new()
    {
        { "bind:0", [2048, 0], null },
        { "bind:0", [2047, 1], "placement differs: 2047 of 2048 frames on node 0, 1 on node 1 (asked: bind:0). Not measured." },
        { "bind:0", [1536, 512], "placement differs: 1536 of 2048 frames on node 0, 512 on node 1 (asked: bind:0). Not measured." },
        { "bind:0-1", [1536, 512], null },
        { "bind:1-2", [1, 2047], "placement differs: 1 of 2048 frames on node 0, 2047 on node 1 (asked: bind:1-2). Not measured." },
        { "preferred-many:0,1", [2000, 48], null },
        { "preferred:1", [0, 2048], null },
        { "interleave:0-1", [1030, 1018], null },
        { "interleave:0-1", [1100, 948], "placement differs: 1100 of 2048 frames on node 0, 948 on node 1 (asked: interleave:0-1). Not measured." },
        { "interleave:0-1", [2048, 0], "placement differs: 2048 of 2048 frames on node 0 (asked: interleave:0-1). Not measured." },
        { "weighted-interleave:0=3,1=1", [1540, 508], null },
        { "weighted-interleave:0=3,1=1", [1024, 1024], "placement differs: 1024 of 2048 frames on node 0, 1024 on node 1 (asked: weighted-interleave:0=3,1=1). Not measured." },
        { "first-touch", [7, 2041], null },
    };

    [Theory]
    [MemberData(nameof(Spreads))]
    public void A_spread_is_judged_by_its_policy(string policy, int[] frames, string? expected)
    {
        var placement = new Placement
        {
            Method = "synthetic",
            Found = [.. frames.Select((f, n) => KeyValuePair.Create(new NodeId(n), (long)f)).Where(f => f.Value > 0)],
            AbsentFrames = 0, Untold = (0, 0), FrameBytes = 4096, BytesInKind = 8 << 20, RegionBytes = 8 * MiB, Pages = PageKind.Small,
        };
        PlacementVerdict verdict = placement.Judge(NumaPolicy.Parse(policy), out string? reason);
        Assert.Equal(expected, reason);
        Assert.Equal(expected is null ? PlacementVerdict.AsAsked : PlacementVerdict.Differs, verdict);
    }

    [Theory]
    [InlineData(1024, 512, PlacementVerdict.AsAsked)]
    [InlineData(1536, 0, PlacementVerdict.Differs)]
    [InlineData(0, 1536, PlacementVerdict.Differs)]
    public void A_huge_page_lands_whole_so_three_of_them_may_lie_two_to_one(long zero, long one, PlacementVerdict expected)
    {
        var placement = new Placement
        {
            Method = "synthetic",
            Found = [KeyValuePair.Create(new NodeId(0), zero), KeyValuePair.Create(new NodeId(1), one)],
            AbsentFrames = 0, Untold = (0, 0), FrameBytes = 4096, BytesInKind = 6 << 20, RegionBytes = 6 * MiB, Pages = PageKind.Thp,
        };
        Assert.Equal(expected, placement.Judge(NumaPolicy.Parse("interleave:0-1"), out _));
    }

    [Fact]
    public void More_than_the_nodes_of_a_strict_policy_can_give_is_refused_before_the_OOM_killer_answers()
    {
        using var root = new FakeRoot();
        root.Write("sys/devices/system/node/has_memory", "0-1\n");
        foreach (int n in new[] { 0, 1 })
            root.Write($"sys/devices/system/node/node{n}/meminfo", $"Node {n} MemTotal: 524288 kB\nNode {n} MemFree: 100000 kB\nNode {n} FilePages: 300000 kB\n"
                + $"Node {n} Active(file): 1000 kB\nNode {n} Inactive(file): 1000 kB\nNode {n} SReclaimable: 400 kB\n");
        NumaPolicy one = NumaPolicy.Parse("bind:1");
        Assert.Equal("--mem bind:1: 120 MiB wanted, node 1 can give 100 MiB. Ask for less, or for more nodes", one.NoRoom(120 * MiB, root.Path)?.Message);
        Assert.Equal("--mem bind:0-1: 200 MiB wanted, nodes 0,1 can give 200 MiB. Ask for less, or for more nodes",
            NumaPolicy.Parse("bind:0-1").NoRoom(200 * MiB, root.Path)?.Message);
        Assert.Null(one.NoRoom(98 * MiB, root.Path));
    }

    [Fact]
    public void The_only_memory_node_can_give_what_the_machine_can()
    {
        using var root = new FakeRoot();
        root.Write("sys/devices/system/node/has_memory", "0\n");
        root.Write("sys/devices/system/node/node0/meminfo", "Node 0 MemFree: 10 kB\n");
        root.Write("proc/meminfo", "MemTotal: 1048576 kB\nMemAvailable: 524288 kB\n");
        Assert.Equal(512L << 20, NodeMemory.AvailableBytes(new NodeId(0), root.Path));
        Assert.Null(NodeMemory.AvailableBytes(new NodeId(0), root.Path + "/nothing-here"));
    }

    [Theory]
    [InlineData("4K", "4K")]
    [InlineData("2M,4K", "2M 4K")]
    [InlineData("1g, 2m ,thp", "1G 2M thp")]
    [InlineData("nothp", "nothp")]
    public void A_wish_list_of_pages_keeps_its_order(string text, string kinds) => Assert.Equal(kinds, string.Join(' ', PageKind.ParseList(text)));

    [Theory]
    [InlineData("", "--pages : '' is not a page size; write 4K, 2M, 1G, thp, nothp or a wish list such as 2M,4K")]
    [InlineData("3M", "--pages 3M: '3M' is not a page size; write 4K, 2M, 1G, thp, nothp or a wish list such as 2M,4K")]
    [InlineData("2M,", "--pages 2M,: '' is not a page size; write 4K, 2M, 1G, thp, nothp or a wish list such as 2M,4K")]
    [InlineData("2M,4K,2M", "--pages 2M,4K,2M: '2M' is there twice")]
    public void A_page_size_that_does_not_exist_is_refused(string text, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => PageKind.ParseList(text)).Message);

    private static unsafe (int Mode, ulong Nodes) PolicyAt(VirtualRegion region)
    {
        if (!OperatingSystem.IsLinux()) throw new PlatformNotSupportedException();
        int mode;
        ulong* mask = stackalloc ulong[16];
        Assert.Equal(0, OsCalls.GetMempolicy(&mode, mask, 1024, region.Base, Libc.MPOL_F_ADDR));
        return (mode, mask[0]);
    }
}
