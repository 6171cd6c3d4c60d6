// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// In which order nodes are tried. Linux: build_zonelists, mm/page_alloc.c, which also spreads equal distances by load and penalises
/// nodes with CPUs; here equal distances go by node number, so that a run says where its pages come from.
/// </summary>
public static class Zonelist
{
    /// <summary>Indices into nodes, nearest to nodes[self] first, itself before all; then by number.</summary>
    public static int[] For(int self, IReadOnlyList<NodeSpec> nodes, Func<NodeId, NodeId, int> distance)
        => [.. Enumerable.Range(0, nodes.Count)
            .OrderBy(i => i == self ? 0 : 1)
            .ThenBy(i => distance(nodes[self].Physical, nodes[i].Physical))
            .ThenBy(i => nodes[i].Id)];
}
