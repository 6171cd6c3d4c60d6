// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

public sealed unsafe partial class NumaPolicy
{
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
    /// <exception cref="OsException">As above; on Windows also for a part and for several nodes.</exception>
    public string Apply(VirtualRegion region, nuint offset, nuint bytes)
    {
        ArgumentNullException.ThrowIfNull(region);
        if (Mode == NumaMode.Remote) throw new InvalidOperationException("remote is relative to a CPU: resolve it by On()");
        _ = region.Range(offset, bytes);
        if (Nodes.Count > 0) region.BoundNodes = Nodes;
        return OperatingSystem.IsLinux() ? ApplyLinux(region, offset, bytes)
            : OperatingSystem.IsWindows() ? ApplyWindows(region, offset, bytes)
            : throw VirtualRegion.NotHere("memory policies");
    }
}
