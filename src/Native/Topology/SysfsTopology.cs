// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>
/// Reads a topology from any directory that looks like /. Source: Documentation/ABI/stable/sysfs-devices-node and
/// sysfs-devices-system-cpu. What a kernel or hypervisor may leave out is optional: nodes (a kernel without NUMA), caches, the topology
/// directory, huge pages. What is there must make sense, or a one-line error names the file.
/// </summary>
public static class SysfsTopology
{
    private const string CpuDir = "sys/devices/system/cpu";
    private const string NodeDir = "sys/devices/system/node";

    /// <summary>Reads the directory <paramref name="root"/>; "/" is this machine.</summary>
    /// <exception cref="TopologyException">A file is missing or contradicts another.</exception>
    public static Topology Read(string root) => Read(new RealSysRoot(root));

    /// <summary>Reads a root.</summary>
    /// <exception cref="TopologyException">A file is missing or contradicts another.</exception>
    public static Topology Read(ISysRoot root)
    {
        ArgumentNullException.ThrowIfNull(root);
        var online = List(root, $"{CpuDir}/online") ?? throw Wrong(root, $"{CpuDir}/online", "missing; is sysfs mounted on /sys?");
        if (online.Count == 0)
            throw Wrong(root, $"{CpuDir}/online", "no CPU is online");
        var nodeOf = new Dictionary<int, int>();
        var nodes = ReadNodes(root, online, nodeOf);
        var status = root.Read("proc/self/status");
        return new Topology(new TopologyFacts
        {
            Origin = root.Origin,
            IsThisMachine = root.IsThisMachine,
            IsSynthetic = root.IsSynthetic,
            Cpus = ReadCpus(root, online, nodeOf),
            Nodes = nodes,
            OfflineCpus = ReadOffline(root, online),
            IsolatedCpus = List(root, $"{CpuDir}/isolated") ?? [],
            AllowedCpus = Allowed(root, status, "Cpus_allowed_list:"),
            AllowedNodes = Allowed(root, status, "Mems_allowed_list:"),
        });
    }

    /// <summary>Present, not merely possible: "possible" and "offline" count sockets nobody has filled.</summary>
    private static SortedSet<int> ReadOffline(ISysRoot root, SortedSet<int> online)
    {
        var offline = List(root, $"{CpuDir}/present") ?? [];
        offline.ExceptWith(online);
        return offline;
    }

    private static List<CpuFact> ReadCpus(ISysRoot root, SortedSet<int> online, Dictionary<int, int> nodeOf)
    {
        var coreOf = new Dictionary<int, int>();
        var packageOf = new Dictionary<int, int>();
        var l3Of = new Dictionary<int, (int Key, long? Bytes)>();
        foreach (var cpu in online)
        {
            if (!coreOf.ContainsKey(cpu))
            {
                var dir = $"{CpuDir}/cpu{cpu}/topology";
                var package = Math.Max(0, Number(root, $"{dir}/physical_package_id") ?? 0);   // -1: the hypervisor does not say
                foreach (var sibling in Sharers(root, cpu, $"{dir}/core_cpus_list") ?? Sharers(root, cpu, $"{dir}/thread_siblings_list") ?? [cpu])
                    if (online.Contains(sibling) && coreOf.TryAdd(sibling, cpu))
                        packageOf[sibling] = package;
            }
            if (!l3Of.ContainsKey(cpu))
                ReadL3(root, cpu, l3Of);
        }
        return [.. online.Select(cpu => new CpuFact(cpu, nodeOf[cpu], packageOf[cpu], coreOf[cpu],
            l3Of.TryGetValue(cpu, out var l3) ? l3.Key : -1, l3.Bytes))];
    }

    private static void ReadL3(ISysRoot root, int cpu, Dictionary<int, (int Key, long? Bytes)> l3Of)
    {
        foreach (var index in root.List($"{CpuDir}/cpu{cpu}/cache"))
        {
            var dir = $"{CpuDir}/cpu{cpu}/cache/{index}";
            if (Number(root, $"{dir}/level") != 3 || root.Read($"{dir}/type")?.Trim() == "Instruction")
                continue;
            var bytes = SizeOf(root, $"{dir}/size");
            foreach (var sharer in Sharers(root, cpu, $"{dir}/shared_cpu_list") ?? [cpu])
                l3Of.TryAdd(sharer, (cpu, bytes));
        }
    }

    private static List<NodeFact> ReadNodes(ISysRoot root, SortedSet<int> online, Dictionary<int, int> nodeOf)
    {
        var ids = List(root, $"{NodeDir}/online") ?? Numbered(root, NodeDir, "node");
        if (ids.Count == 0)
            return [ReadWholeMachine(root, online, nodeOf)];
        var withMemory = List(root, $"{NodeDir}/has_memory");
        var nodes = new List<NodeFact>();
        foreach (var id in ids)
        {
            var dir = $"{NodeDir}/node{id}";
            foreach (var cpu in List(root, $"{dir}/cpulist") ?? throw Wrong(root, $"{dir}/cpulist", "missing, though the node is online"))
                if (online.Contains(cpu) && !nodeOf.TryAdd(cpu, id))   // not online: a container that hides CPUs
                    throw Wrong(root, $"{dir}/cpulist", $"CPU {cpu} is already in node {nodeOf[cpu]}");
            var (total, free) = Memory(root, $"{dir}/meminfo");
            var distances = Distances(root, $"{dir}/distance", ids.Count, ids.Order().ToList().IndexOf(id));
            nodes.Add(new NodeFact(id, withMemory?.Contains(id) ?? total > 0, total, free, Pools(root, $"{dir}/hugepages"), distances));
        }
        foreach (var cpu in online)
            if (!nodeOf.ContainsKey(cpu))
                throw Wrong(root, $"{CpuDir}/online", $"CPU {cpu} is online but in no node's cpulist");
        return WithWholeMemory(root, nodes);
    }

    /// <summary>The only node with memory has all of it. Under a hypervisor that hands out memory on demand the node's own figure is only what came so far.</summary>
    private static List<NodeFact> WithWholeMemory(ISysRoot root, List<NodeFact> nodes)
    {
        var only = nodes.FindIndex(n => n.HasMemory);
        if (only >= 0 && nodes.FindLastIndex(n => n.HasMemory) == only && Memory(root, "proc/meminfo") is ({ } total, { } free))
            nodes[only] = nodes[only] with { MemoryBytes = total, FreeBytes = free };
        return nodes;
    }

    /// <summary>A kernel built without NUMA: everything is node 0.</summary>
    private static NodeFact ReadWholeMachine(ISysRoot root, SortedSet<int> online, Dictionary<int, int> nodeOf)
    {
        foreach (var cpu in online)
            nodeOf[cpu] = 0;
        var (total, free) = Memory(root, "proc/meminfo");
        return new NodeFact(0, true, total, free, Pools(root, "sys/kernel/mm/hugepages"), [10]);
    }

    private static (long? TotalBytes, long? FreeBytes) Memory(ISysRoot root, string path)
    {
        long? total = null, free = null;
        foreach (var line in (root.Read(path) ?? "").Split('\n'))
        {
            if (Value(line, "MemTotal:") is { } t)
                total = Kilobytes(root, path, t);
            else if (Value(line, "MemFree:") is { } f)
                free = Kilobytes(root, path, f);
        }
        return (total, free);
    }

    private static string? Value(string line, string key) =>
        line.IndexOf(key, StringComparison.Ordinal) is var at and >= 0 ? line[(at + key.Length)..].Trim() : null;

    private static long Kilobytes(ISysRoot root, string path, string text) =>
        text.EndsWith(" kB", StringComparison.Ordinal) && long.TryParse(text[..^3], NumberStyles.None, CultureInfo.InvariantCulture, out var kb) && kb < 1L << 50
            ? kb << 10 : throw Wrong(root, path, $"'{Shown(text)}' is not a size in kB");

    private static ImmutableArray<HugePageCount> Pools(ISysRoot root, string directory)
    {
        var pools = new List<HugePageCount>();
        foreach (var name in root.List(directory))
            if (name.StartsWith("hugepages-", StringComparison.Ordinal) && name.EndsWith("kB", StringComparison.Ordinal)
                && int.TryParse(name.AsSpan()[10..^2], NumberStyles.None, CultureInfo.InvariantCulture, out var kb)
                && Number(root, $"{directory}/{name}/nr_hugepages") is { } total)
                pools.Add(new HugePageCount((long)kb << 10, total, Number(root, $"{directory}/{name}/free_hugepages") ?? 0));
        return [.. pools.OrderBy(p => p.SizeBytes)];
    }

    private static ImmutableArray<int> Distances(ISysRoot root, string path, int count, int self)
    {
        var text = root.Read(path);
        if (text is null)
            return [.. Enumerable.Range(0, count).Select(i => i == self ? 10 : 20)];
        var row = text.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries)
            .Select(t => int.TryParse(t, NumberStyles.None, CultureInfo.InvariantCulture, out var d) ? d : throw Wrong(root, path, $"'{Shown(t)}' is not a distance"))
            .ToImmutableArray();
        return row.Length == count ? row : throw Wrong(root, path, $"{row.Length} distances for {count} online nodes");
    }

    private static SortedSet<int>? Allowed(ISysRoot root, string? status, string key)
    {
        var line = status?.Split('\n').FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal));
        return line is null ? null
            : KernelList.TryParse(line[key.Length..]) ?? throw Wrong(root, "proc/self/status", $"'{Shown(line)}' holds no list");
    }

    private static SortedSet<int>? Sharers(ISysRoot root, int cpu, string path) => List(root, path) is not { } list ? null
        : list.Contains(cpu) ? list : throw Wrong(root, path, $"CPU {cpu} is not in its own list '{CpuList.Format(list)}'");

    private static SortedSet<int>? List(ISysRoot root, string path) => root.Read(path) is not { } text ? null
        : KernelList.TryParse(text) ?? throw Wrong(root, path, $"'{Shown(text)}' is not a list like 0-3,8");

    private static int? Number(ISysRoot root, string path) => root.Read(path) is not { } text ? null
        : int.TryParse(text.Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var n) ? n
        : throw Wrong(root, path, $"'{Shown(text)}' is not a number");

    private static long? SizeOf(ISysRoot root, string path) => root.Read(path)?.Trim() is not { Length: > 0 } text ? null
        : text[^1] == 'K' && int.TryParse(text.AsSpan()[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var kb) ? (long)kb << 10
        : throw Wrong(root, path, $"'{Shown(text)}' is not a size like 32768K");

    private static SortedSet<int> Numbered(ISysRoot root, string directory, string prefix) =>
        [.. root.List(directory).Where(n => n.StartsWith(prefix, StringComparison.Ordinal))
            .Select(n => int.TryParse(n.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var i) && i < KernelList.Limit ? i : -1)
            .Where(i => i >= 0)];

    private static string Shown(string text) => ListText.Shown(text.Trim());

    private static TopologyException Wrong(ISysRoot root, string path, string why) => new($"{root.FullName(path)}: {why}");
}
