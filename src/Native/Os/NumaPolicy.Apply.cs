// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

public sealed unsafe partial class NumaPolicy
{
    /// <summary>Most mappings a split by hand may make: a quarter of Linux' default vm.max_map_count.</summary>
    private const nuint MaxBlocks = 16384;

    /// <summary>
    /// Makes it the policy of a whole region, before its pages are faulted in. Returns how, in words for the result: by the kernel, by
    /// this program in blocks, or not at all because there is one node.
    /// </summary>
    /// <exception cref="OsException">The kernel refused; the cause names the node, the cpuset or the missing right.</exception>
    public string Apply(VirtualRegion region)
    {
        ArgumentNullException.ThrowIfNull(region);
        return Apply(region, 0, region.Bytes);
    }

    /// <summary>As above for a part; offset and bytes are whole pages.</summary>
    /// <exception cref="OsException">As above; on Windows also for a set of nodes.</exception>
    public string Apply(VirtualRegion region, nuint offset, nuint bytes)
    {
        ArgumentNullException.ThrowIfNull(region);
        if (Mode == NumaMode.Remote) throw new InvalidOperationException("remote is relative to a CPU: resolve it by On()");
        _ = region.Range(offset, bytes);
        if (Nodes.Count > 0) region.BoundNodes = Nodes;
        return OsCalls.OnWindows ? ApplyWindows(region, offset, bytes)
            : OperatingSystem.IsLinux() ? ApplyLinux(region, offset, bytes)
            : throw VirtualRegion.NotHere("memory policies");
    }

    /// <summary>Size of the blocks a range is split into by hand: least, or a multiple of it where the range is long.</summary>
    private static nuint BlockFor(nuint bytes, nuint least)
    {
        nuint block = least;
        while (bytes / block > MaxBlocks) block *= 2;
        return block;
    }

    /// <summary>Blocks dealt out in turn by weight; a node's blocks of one turn are neighbours and come as one run.</summary>
    private static IEnumerable<(nuint At, nuint Bytes, NodeId Node)> Deal(IReadOnlyList<NodeWeight> weights, nuint bytes, nuint block)
    {
        for (nuint at = 0; at < bytes;)
        {
            foreach (NodeWeight w in weights)
            {
                nuint run = nuint.Min(block * (nuint)w.Weight, bytes - at);
                if (run == 0) break;
                yield return (at, run, w.Node);
                at += run;
            }
        }
    }
}
