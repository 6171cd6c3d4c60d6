// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class NumaPolicy
{
    /// <summary>Windows knows a preferred node per reservation and nothing else.</summary>
    [SupportedOSPlatform("windows")]
    private string ApplyWindows(VirtualRegion region, nuint offset, nuint bytes)
    {
        if (Mode is NumaMode.FirstTouch || Mode == NumaMode.Local && Nodes.Count == 0) return "first touch by Windows";
        if (Nodes.Count != 1)
            throw new OsException("VirtualAlloc2", 0, $"--mem {Text}: Windows takes one preferred node per region", "Say --mem preferred:0, or interleave by regions");
        if (offset != 0 || bytes != region.Bytes) throw new OsException("VirtualAlloc2", 0, $"--mem {Text}: Windows takes a node for a whole region only");
        if (OsCalls.GetNumaHighestNodeNumber(out uint highest) && (uint)Nodes[0].Value > highest)
            throw new OsException("VirtualAlloc2", 0, $"--mem {Text}: node {Nodes[0]} does not exist here (highest: {highest})", "Topology: memcgnative topology");
        region.RebindWindows(Nodes[0]);
        return $"preferred node {Nodes[0]} by Windows (there is no strict bind)";
    }
}
