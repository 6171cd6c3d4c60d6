// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>The hugetlb pool of one node and page size.</summary>
/// <param name="Node">The node.</param>
/// <param name="Kind">2M or 1G.</param>
/// <param name="TotalPages">nr_hugepages.</param>
/// <param name="FreePages">free_hugepages; some may be reserved by mappings not yet touched.</param>
public readonly record struct HugePagePool(NodeId Node, PageKind Kind, long TotalPages, long FreePages);

/// <summary>State of the hugetlb pools, read only: what is missing is said, with the command that only root may run.</summary>
public static class HugePages
{
    /// <summary>The pools of every node that has memory of this kind configured; empty where the kernel has none.</summary>
    /// <param name="kind">2M or 1G.</param>
    /// <param name="root">"/", or a recorded machine.</param>
    public static IReadOnlyList<HugePagePool> Pools(PageKind kind, string root = "/")
    {
        ArgumentNullException.ThrowIfNull(kind);
        var pools = new List<HugePagePool>();
        foreach (NodeId node in MemoryNodes(root))
        {
            string dir = Path.Combine(root, Directory(node, kind).TrimStart('/'));
            if (SysText.TryReadLong($"{dir}/nr_hugepages") is { } total && SysText.TryReadLong($"{dir}/free_hugepages") is { } free)
                pools.Add(new HugePagePool(node, kind, total, free));
        }
        return pools;
    }

    /// <summary>
    /// Null when each node can give its even share of bytes, else the refusal, which names the first node that cannot. Null too where sysfs
    /// does not say: then the mapping itself finds out.
    /// </summary>
    public static OsException? Shortage(PageKind kind, nuint bytes, IReadOnlyList<NodeId> nodes, string root = "/")
    {
        ArgumentNullException.ThrowIfNull(kind);
        ArgumentNullException.ThrowIfNull(nodes);
        IReadOnlyList<HugePagePool> pools = Pools(kind, root);
        if (pools.Count == 0 || nodes.Count == 0) return null;
        long pages = (long)((bytes + kind.Bytes - 1) / kind.Bytes);
        long share = (pages + nodes.Count - 1) / nodes.Count;
        foreach (NodeId node in nodes)
        {
            HugePagePool pool = pools.FirstOrDefault(p => p.Node == node, new HugePagePool(node, kind, 0, 0));
            if (pool.FreePages < share) return Refusal(pool, share);
        }
        return null;
    }

    /// <summary>"2048 pages needed on node 0, 512 free", and the ways out.</summary>
    public static OsException Refusal(HugePagePool pool, long neededPages)
    {
        string want = (pool.TotalPages + neededPages - pool.FreePages).ToString(CultureInfo.InvariantCulture);
        return new OsException("mmap", Errno.ENOMEM,
            $"--pages {pool.Kind}: {neededPages} pages needed on node {pool.Node}, {pool.FreePages} free",
            $"As root: echo {want} > {Directory(pool.Node, pool.Kind)}/nr_hugepages"
            + $" or let the kernel try: --pages thp, or say --pages {pool.Kind},4K to accept less");
    }

    /// <summary>Nodes with memory, as the kernel lists them; node 0 where there is no node directory (a kernel without NUMA).</summary>
    internal static List<NodeId> MemoryNodes(string root = "/")
    {
        string dir = Path.Combine(root, "sys/devices/system/node");
        string text = SysText.TryRead($"{dir}/has_memory") ?? SysText.TryRead($"{dir}/online") ?? "0";
        return SysText.ParseList(text).ConvertAll(n => new NodeId(n));
    }

    /// <summary>The file that says and sets how many pages a node's pool has.</summary>
    public static string PoolPath(NodeId node, PageKind kind)
    {
        ArgumentNullException.ThrowIfNull(kind);
        return $"{Directory(node, kind)}/nr_hugepages";
    }

    /// <summary>Memory of a node; null where sysfs does not say.</summary>
    public static long? NodeBytes(NodeId node) =>
        SysText.TryRead($"/sys/devices/system/node/node{node}/meminfo")?.Split('\n').FirstOrDefault(l => l.Contains("MemTotal:", StringComparison.Ordinal))
            ?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [.., { } kib, "kB"]
        && long.TryParse(kib, NumberStyles.None, CultureInfo.InvariantCulture, out long n) ? n << 10 : null;

    private static string Directory(NodeId node, PageKind kind) =>
        $"/sys/devices/system/node/node{node}/hugepages/hugepages-{kind.Bytes / 1024}kB";
}
