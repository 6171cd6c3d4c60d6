// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;

namespace MemcgNative.Native;

public sealed unsafe partial class NumaPolicy
{
    [SupportedOSPlatform("linux")]
    private string ApplyLinux(VirtualRegion region, nuint offset, nuint bytes)
    {
        byte* start = region.Base + offset;
        switch (Mode)
        {
            case NumaMode.Local or NumaMode.FirstTouch when Nodes.Count == 0 || HugePages.MemoryNodes().Count == 1 && Nodes[0] == HugePages.MemoryNodes()[0]:
                if (HugePages.MemoryNodes().Count == 1) return "one memory node: nothing to choose";
                Mbind(start, bytes, Libc.MPOL_LOCAL, []);
                return "MPOL_LOCAL by the kernel";
            case NumaMode.Local or NumaMode.Preferred:
                Mbind(start, bytes, Libc.MPOL_PREFERRED, Nodes);
                return "MPOL_PREFERRED by the kernel";
            case NumaMode.Bind:
                Mbind(start, bytes, Libc.MPOL_BIND, Nodes);
                if (!region.Pages.IsHugeTlb && NoRoom(bytes) is { } full) throw full;
                return "MPOL_BIND by the kernel";
            case NumaMode.Interleave:
                Mbind(start, bytes, Libc.MPOL_INTERLEAVE, Nodes);
                return "MPOL_INTERLEAVE by the kernel";
            case NumaMode.PreferredMany:
                Mbind(start, bytes, Libc.MPOL_PREFERRED_MANY, Nodes);
                return "MPOL_PREFERRED_MANY by the kernel";
            default:
                return ApplyWeighted(start, bytes, region.Pages);
        }
    }

    /// <summary>A strict policy whose nodes are full ends in the OOM killer and not in an error of the fault: so ask before.</summary>
    internal OsException? NoRoom(nuint bytes, string root = "/")
    {
        long room = 0;
        foreach (NodeId node in Nodes)
        {
            if (NodeMemory.AvailableBytes(node, root) is not { } has) return null;
            room += has;
        }
        return (long)bytes <= room / 64 * 63 ? null : new OsException("mbind", Errno.ENOMEM,
            $"--mem {Text}: {VirtualRegion.Size(bytes)} wanted, node{(Nodes.Count == 1 ? "" : "s")} {string.Join(',', Nodes)} can give {VirtualRegion.Size((nuint)room)}",
            "Ask for less, or for more nodes");
    }

    /// <summary>The kernel's weights are one table for the whole machine, which is not ours to write: it is used where it already says what was asked.</summary>
    [SupportedOSPlatform("linux")]
    private string ApplyWeighted(byte* start, nuint bytes, PageKind pages)
    {
        IReadOnlyList<NodeWeight>? kernel = SystemFacts.KernelAtLeast(6, 9) ? KernelWeights() : null;
        if (Weights.Count == 0)
        {
            if (kernel is null)
                throw new OsException("mbind", 0,
                    $"--mem weighted-interleave: needs Linux 6.9 (this is {SystemFacts.KernelRelease}); --mem weighted-interleave:user splits by frame instead");
            Mbind(start, bytes, Libc.MPOL_WEIGHTED_INTERLEAVE, [.. kernel.Select(w => w.Node)]);
            return $"MPOL_WEIGHTED_INTERLEAVE by the kernel ({SystemFacts.KernelRelease}), weights {Say(kernel)} (read back)";
        }
        if (!UserWeights && kernel is not null && Proportional(kernel))
        {
            Mbind(start, bytes, Libc.MPOL_WEIGHTED_INTERLEAVE, Nodes);
            return $"MPOL_WEIGHTED_INTERLEAVE by the kernel ({SystemFacts.KernelRelease}), weights {Say(kernel)} (read back)";
        }
        nuint block = BlockFor(bytes, pages.Bytes);
        foreach ((nuint at, nuint run, NodeId node) in Deal(Weights, bytes, block)) Mbind(start + at, run, Libc.MPOL_BIND, [node]);
        string why = UserWeights ? "as asked" : kernel is null ? "this kernel has no weighted interleave" : $"the kernel's weights are {Say(kernel)} and not ours to change";
        return $"by this program in blocks of {VirtualRegion.Size(block)}, weights {Say(Weights)} ({why})";
    }

    private bool Proportional(IReadOnlyList<NodeWeight> kernel)
    {
        foreach (NodeWeight w in Weights)
        {
            int k = kernel.FirstOrDefault(x => x.Node == w.Node).Weight;
            int k0 = kernel.FirstOrDefault(x => x.Node == Weights[0].Node).Weight;
            if (k == 0 || k * Weights[0].Weight != k0 * w.Weight) return false;
        }
        return true;
    }

    private static string Say(IReadOnlyList<NodeWeight> weights) => string.Join(' ', weights.Select(w => $"node{w.Node}={w.Weight}"));

    [SupportedOSPlatform("linux")]
    private void Mbind(byte* start, nuint bytes, int mode, IReadOnlyList<NodeId> nodes)
    {
        (ulong[] words, nuint maxNode) = Mask(nodes);
        int r;
        fixed (ulong* mask = words) r = OsCalls.Mbind(start, bytes, mode, mask, maxNode, Libc.MPOL_MF_STRICT);
        if (r < 0) throw Refused(nodes, -r);
    }

    /// <summary>The bit mask of a node set and mbind's maxnode, which is one more than its bits; (empty, 0) for no nodes.</summary>
    internal static (ulong[] Words, nuint MaxNode) Mask(IReadOnlyList<NodeId> nodes)
    {
        if (nodes.Count == 0) return ([], 0);
        int bits = nodes.Max().Value + 1;
        var words = new ulong[(bits + 63) / 64];
        foreach (NodeId n in nodes) words[n.Value / 64] |= 1ul << n.Value % 64;
        return (words, (nuint)bits + 1);
    }

    /// <summary>mbind's errno in words, looking at what the kernel says of the nodes.</summary>
    internal OsException Refused(IReadOnlyList<NodeId> nodes, int errno, string root = "/")
    {
        string what = $"--mem {Text}";
        switch (errno)
        {
            case Errno.EINVAL:
                List<NodeId> memory = HugePages.MemoryNodes(root);
                foreach (NodeId n in nodes)
                {
                    if (memory.Contains(n)) continue;
                    return new OsException("mbind", errno,
                        $"{what}: node {n} has no memory here (nodes with memory: {string.Join(',', memory)})", "Topology: memcgnative topology");
                }
                if (HostSettings.MemsAllowed(root) is { } allowed)
                    foreach (NodeId n in nodes)
                        if (!allowed.Contains(n.Value))
                            return new OsException("mbind", errno, $"{what}: node {n} has memory but this cpuset forbids it (Mems_allowed: {string.Join(',', allowed)})");
                return new OsException("mbind", errno, Mode == NumaMode.PreferredMany && !SystemFacts.KernelAtLeast(5, 15)
                    ? $"{what}: needs Linux 5.15 (this is {SystemFacts.KernelRelease})" : $"{what}: the kernel does not take this policy (mbind: EINVAL)");
            case Errno.EPERM:
                return new OsException("mbind", errno, $"{what}: a seccomp filter of this container forbids mbind (mbind: EPERM)", "Start it with --cap-add SYS_NICE");
            case Errno.EIO:
                return new OsException("mbind", errno, $"{what}: pages of the range are already on other nodes (mbind: EIO)", "Set the policy before the first touch");
            case Errno.ENOSYS:
                return new OsException("mbind", errno, $"{what}: this kernel is built without NUMA policies (mbind: ENOSYS)", "Say --mem local");
            default:
                return new OsException("mbind", errno, $"{what}: the kernel refused (mbind: {Errno.Name(errno)})");
        }
    }
}
