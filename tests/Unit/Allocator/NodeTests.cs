// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Face = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class NodeTests
{
    private static NodeSpec[] Nodes(params int[] numbers) => [.. numbers.Select(n => new NodeSpec(new(n), new(n), 4 << 20))];

    private static long Exhaust(AllocatorBox box, Gfp gfp, int node, List<int> order)
    {
        ThisCpu cpu = box.Cpu();
        long pages = 0;
        for (Page* page; (page = Face.AllocOnNode(in cpu, box.Memory.Node(new(node)), gfp)) != null; pages++)
            if (order.Count == 0 || order[^1] != PageOps.NodeIndex(page)) order.Add(PageOps.NodeIndex(page));
        return pages;
    }

    [Fact]
    public void The_zonelist_goes_by_distance_then_by_number_with_the_node_itself_first()
    {
        // Two boards of two sockets with sparse numbers: 21 to the other socket, 31 to the other board; a local distance that lies.
        NodeSpec[] nodes = Nodes(8, 2, 4, 1);
        static int Distance(NodeId a, NodeId b) => a == b ? 40 : (a.Value, b.Value) is (8, 4) or (4, 8) or (1, 2) or (2, 1) ? 21 : 31;
        Assert.Equal([0, 2, 3, 1], Zonelist.For(0, nodes, Distance));
        Assert.Equal([1, 3, 2, 0], Zonelist.For(1, nodes, Distance));
    }

    [Fact]
    public void An_exhausted_node_is_followed_by_the_nearest_and_so_on()
    {
        MemoryPlan plan = new(Nodes(0, 1, 2)) { Watermarks = Watermarks.None, Distance = static (a, b) => 10 + 10 * Math.Abs(a.Value - b.Value) };
        using AllocatorBox box = new(plan);
        List<int> order = [];
        Assert.Equal(3 * 1024, Exhaust(box, Gfp.Kernel, 2, order));
        Assert.Equal([2, 1, 0], order);
        AllocatorStat stat = AllocatorStat.Of(box.Memory);
        Assert.Equal((1024, 2048), (stat.TakenHit, stat.TakenMiss));
    }

    [Fact]
    public void This_node_means_this_node()
    {
        using AllocatorBox box = new(new(Nodes(0, 1)) { Watermarks = Watermarks.None });
        List<int> order = [];
        Assert.Equal(1024, Exhaust(box, Gfp.ThisNode, 1, order));
        Assert.Equal([1], order);
        Assert.Equal(1024, box.Free(0));
    }

    [Fact]
    public void Low_sends_to_the_next_zone_and_min_stops_all_but_atomic_which_stops_at_half_of_it()
    {
        using AllocatorBox box = new(new(Nodes(0, 1)) { Watermarks = Watermarks.FromMin(100), Batch = 7, High = 14 });
        ThisCpu cpu = box.Cpu();
        for (int i = 0; i < 1024 - 125; i++) Assert.Equal(0, PageOps.NodeIndex(Face.Alloc(in cpu, Gfp.Kernel)));
        Assert.Equal(1, PageOps.NodeIndex(Face.Alloc(in cpu, Gfp.Kernel)));
        Assert.Equal(125, box.Free(0));
        Exhaust(box, Gfp.Kernel, 0, []);
        Assert.Equal((100, 100), (box.Free(0), box.Free(1)));
        Assert.True(Face.Alloc(in cpu, Gfp.Kernel, 2) == null);
        Exhaust(box, Gfp.Atomic, 0, []);
        Assert.Equal((50, 50), (box.Free(0), box.Free(1)));
        Assert.Empty(AllocatorCheck.Run(box.Memory));
    }

    [Fact]
    public void The_default_watermarks_are_those_of_Linux()
    {
        // 8 GiB: min_free_kbytes is 11585, as /proc/sys/vm shows on such a machine without THP.
        Assert.Equal(11585 / 4, Watermarks.ForZone(2097152, 2097152).MinPages);
        Watermarks half = Watermarks.ForZone(1048576, 2097152);
        Assert.Equal((1448, 1448 + 362, 1448 + 724), (half.MinPages, half.LowPages, half.HighPages));
    }

    [Fact]
    public void Fake_nodes_split_a_node_and_take_its_cpus_in_turn()
    {
        NodeSpec[] fake = NodeSpec.Fake([new(new(0), new(0), 20 << 20)], 3);
        Assert.Equal([8L << 20, 8L << 20, 4L << 20], fake.Select(n => n.Bytes));
        Assert.All(fake, n => Assert.Equal(new NodeId(0), n.Physical));
        using AllocatorBox box = new(new(fake) { Watermarks = Watermarks.None }, cpus: 4);
        Assert.True(box.Memory.HasFakeNodes);
        for (int c = 0; c < 4; c++)
        {
            ThisCpu cpu = box.Cpu(c);
            Assert.Equal(c % 3, PageOps.NodeIndex(Face.Alloc(in cpu, Gfp.Kernel)));
        }
        Assert.False(new AllocatorBox(AllocatorBox.OneNode(4)).Memory.HasFakeNodes);
    }

    [Fact]
    public void Too_many_fake_nodes_are_refused_with_the_sizes()
        => Assert.Contains("16 MiB cannot be split into 5", Assert.Throws<ArgumentException>(() => NodeSpec.Fake([new(new(0), new(0), 16 << 20)], 5)).Message);

    [Fact]
    public void A_cpu_of_a_node_without_memory_gets_the_nearest()
    {
        MemoryPlan plan = new(Nodes(0, 3)) { Watermarks = Watermarks.None, Distance = static (a, b) => 10 + Math.Abs(a.Value - b.Value) };
        using AllocatorBox box = new(plan, nodeOfCpu: _ => 2);
        ThisCpu cpu = box.Cpu();
        Assert.Equal(1, PageOps.NodeIndex(Face.Alloc(in cpu, Gfp.Kernel)));
    }

    [Fact]
    public void A_page_goes_back_to_its_own_node_from_any_cpu()
    {
        using AllocatorBox box = new(new(Nodes(0, 1)) { Watermarks = Watermarks.None }, cpus: 2, nodeOfCpu: c => c);
        ThisCpu zero = box.Cpu(0), one = box.Cpu(1);
        Page* page = Face.Alloc(in zero, Gfp.Kernel);
        AllocatorBox.PutAndFree(in one, page);
        Assert.False(Face.Alloc(in one, Gfp.Kernel) == page);
        Assert.True(Face.AllocOnNode(in one, box.Memory.Node(new(0)), Gfp.ThisNode) == page);
    }

    [Fact]
    public void A_drain_request_is_queued_once_and_served_by_its_owner()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4), cpus: 2);
        ThisCpu one = box.Cpu(1);
        AllocatorBox.PutAndFree(in one, Face.Alloc(in one, Gfp.Kernel));
        PageAllocator.RequestDrain(one.Area);
        PageAllocator.RequestDrain(one.Area);
        Poll.Run(in one);
        Assert.Empty(AllocatorCheck.AllBack(box.Memory));
        AllocatorBox.PutAndFree(in one, Face.Alloc(in one, Gfp.Kernel));
        PageAllocator.RequestDrain(one.Area);
        Assert.NotEmpty(AllocatorCheck.AllBack(box.Memory));
        Poll.Run(in one);
        Assert.Empty(AllocatorCheck.AllBack(box.Memory));
    }

    [Theory, InlineData(0, 31, 186), InlineData(5 << 20, 31, 186), InlineData(4 << 20, 0, 186), InlineData(4 << 20, 31, 30), InlineData(4 << 20, 31, 249)]
    public void Senseless_plans_are_refused(long bytes, int batch, int high)
        => Assert.Throws<ArgumentException>(() => new PhysicalMemory(new([new(new(0), new(0), bytes)]) { Batch = batch, High = high }, new PlainMemory()));
}
