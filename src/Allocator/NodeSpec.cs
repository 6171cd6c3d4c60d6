// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>A node to be: its number, the hardware node its memory lies on, its size in bytes (a multiple of <see cref="Granule"/>).</summary>
public readonly record struct NodeSpec(NodeId Id, NodeId Physical, long Bytes)
{
    /// <summary>Nodes come in blocks of the largest order: 4 MiB.</summary>
    public const long Granule = Order.MaxPages << MemMap.FrameShift;

    /// <summary>True when the hardware knows no such node.</summary>
    public bool IsFake => Id != Physical;

    /// <summary>
    /// numa=fake=N: splits the memory of every node into parts equal ones, numbered from 0. Linux: split_nodes_interleave,
    /// arch/x86/mm/numa_emulation.c, which splits all memory into N; distances stay those of the hardware nodes, 10 within one.
    /// </summary>
    /// <exception cref="ArgumentException">A part would be smaller than one granule.</exception>
    public static NodeSpec[] Fake(IReadOnlyList<NodeSpec> nodes, int parts, long granule = Granule)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(parts, 1);
        List<NodeSpec> fake = [];
        foreach (NodeSpec node in nodes)
        {
            long blocks = node.Bytes / granule;
            if (blocks < parts)
                throw new ArgumentException($"node {node.Id}: {node.Bytes >> 20} MiB cannot be split into {parts} fake nodes of at least "
                    + $"{granule >> 20} MiB; give more memory or ask for fewer", nameof(parts));
            for (int i = 0; i < parts; i++)
                fake.Add(new(new NodeId(fake.Count), node.Physical, (blocks / parts + (i < blocks % parts ? 1 : 0)) * granule));
        }
        return [.. fake];
    }
}
