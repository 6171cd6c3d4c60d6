// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class NumaPolicy
{
    /// <summary>Windows knows a preferred node per reservation and nothing else: a range of several nodes is several reservations, side by side.</summary>
    [SupportedOSPlatform("windows")]
    private string ApplyWindows(VirtualRegion region, nuint offset, nuint bytes)
    {
        if (Mode is NumaMode.FirstTouch || Mode == NumaMode.Local && Nodes.Count == 0) return "first touch by Windows";
        IReadOnlyList<NodeWeight> weights = Mode == NumaMode.Interleave ? [.. Nodes.Select(n => new NodeWeight(n, 1))] : Weights;
        if (Mode == NumaMode.WeightedInterleave && weights.Count == 0)
            throw new OsException("VirtualAlloc2", 0, $"--mem {Text}: Windows has no weights of its own", "Name them: --mem weighted-interleave:0=3,1=1");
        if (weights.Count == 0 && Nodes.Count != 1)
            throw new OsException("VirtualAlloc2", 0, $"--mem {Text}: Windows takes one preferred node per region", "Say --mem preferred:0, or interleave:0,1");
        foreach (NodeId node in Nodes)
        {
            if (OsCalls.GetNumaHighestNodeNumber(out uint highest) && (uint)node.Value > highest)
                throw new OsException("VirtualAlloc2", 0, $"--mem {Text}: node {node} does not exist here (highest: {highest})", "Topology: memcgnative topology");
        }
        if (weights.Count == 0)
        {
            region.RebindWindows(offset, bytes, Nodes[0]);
            return $"preferred node {Nodes[0]} by Windows (there is no strict bind)";
        }
        if (region.Pages.IsHugeTlb)
            throw new OsException("VirtualAlloc2", 0, $"--mem {Text} --pages {region.Pages}: Windows commits large pages with the reservation, they are not dealt out",
                "Say --pages 4K");
        nuint block = BlockFor(bytes, nuint.Max(region.Pages.Bytes, VirtualRegion.WindowsGranule));
        foreach ((nuint at, nuint run, NodeId node) in Deal(weights, bytes, block)) region.RebindWindows(offset + at, run, node);
        return $"by this program in blocks of {VirtualRegion.Size(block)}, one preferred node each by Windows";
    }
}
