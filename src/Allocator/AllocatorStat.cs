// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>One node's frames. TotalPages = free blocks + PcpPages + AllocatedPages. Linux: /proc/buddyinfo and /proc/zoneinfo.</summary>
/// <param name="Id">Number of the node.</param>
/// <param name="Physical">Hardware node its memory lies on.</param>
/// <param name="TotalPages">Frames of the node.</param>
/// <param name="FreeBlocks">Free blocks per order, 0 to 10.</param>
/// <param name="FreePages">Frames in free blocks.</param>
/// <param name="PcpPages">Frames on per-CPU lists.</param>
public sealed record NodeStat(NodeId Id, NodeId Physical, long TotalPages, IReadOnlyList<long> FreeBlocks, long FreePages, long PcpPages)
{
    /// <summary>Frames that somebody uses.</summary>
    public long AllocatedPages => TotalPages - FreePages - PcpPages;
}

/// <summary>All nodes and what the CPUs did. Exact while nobody allocates.</summary>
/// <param name="Nodes">By dense index.</param>
/// <param name="Refills">Refills of per-CPU lists.</param>
/// <param name="Drains">Batches drained because a list was full.</param>
/// <param name="TakenHit">Slow-path allocations from the node asked for (numa_hit, but list hits are not counted).</param>
/// <param name="TakenMiss">Slow-path allocations from another node.</param>
public sealed record AllocatorStat(IReadOnlyList<NodeStat> Nodes, long Refills, long Drains, long TakenHit, long TakenMiss)
{
    /// <summary>Frames that somebody uses.</summary>
    public long AllocatedPages => Nodes.Sum(n => n.AllocatedPages);

    /// <summary>Frames on per-CPU lists.</summary>
    public long PcpPages => Nodes.Sum(n => n.PcpPages);

    /// <summary>Reads the counters.</summary>
    public static unsafe AllocatorStat Of(PhysicalMemory memory)
    {
        List<NodeStat> nodes = [];
        for (int i = 0; i < memory.Plan.Nodes.Count; i++)
        {
            Node* node = AllocatorState.Node(memory.State, i);
            long[] blocks = new long[Order.Count];
            for (int order = 0; order < Order.Count; order++) blocks[order] = Guarded<long>.Get(&Zone.Area(&node->Zone, order)->NrBlocks);
            long pcp = 0;
            for (int c = 0; c < memory.CpuCount; c++) pcp += Guarded<int>.Get(&memory.List(c, i)->Count);
            nodes.Add(new(new NodeId(Guarded<int>.Get(&node->Number)), new NodeId(Guarded<int>.Get(&node->Physical)),
                Guarded<long>.Get(&node->Zone.EndPfn) - Guarded<long>.Get(&node->Zone.StartPfn), blocks, AtomicLong.Load(&node->Zone.NrFree), pcp));
        }
        long refills = 0, drains = 0, hit = 0, miss = 0;
        for (int c = 0; c < memory.CpuCount; c++)
        {
            AllocatorCpu* own = AllocatorCpu.Of(memory.Area(c));
            refills += AtomicLong.Load(&own->Refills);
            drains += AtomicLong.Load(&own->Drains);
            hit += AtomicLong.Load(&own->TakenHit);
            miss += AtomicLong.Load(&own->TakenMiss);
        }
        return new(nodes, refills, drains, hit, miss);
    }
}
