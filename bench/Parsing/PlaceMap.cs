// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Where the accounting's own data lives: --place mem_map=local,memcg=node0,percpu=interleave. What is not named is local: beside the
/// frames it describes, or with the CPU that owns it.
/// </summary>
internal sealed class PlaceMap
{
    private static readonly (string Name, MemoryUse[] Uses)[] known =
    [
        ("mem_map", [MemoryUse.MemMap]), ("memcg", [MemoryUse.Memcg]), ("memcg_node", [MemoryUse.MemcgNode]), ("percpu", [MemoryUse.PerCpu]),
        ("page_cgroup", [MemoryUse.PageMetadata]), ("zones", [MemoryUse.Zones]), ("slab", [MemoryUse.Slab]), ("mm", [MemoryUse.Process]),
    ];

    private readonly Dictionary<MemoryUse, NumaPolicy> policies = [];
    private readonly List<(string Name, string Where)> said = [];

    /// <summary>The names users can place.</summary>
    public static IEnumerable<string> Names => known.Select(k => k.Name);

    /// <summary>How a use is called in results.</summary>
    public static string NameOf(MemoryUse use) => Array.Find(known, k => k.Uses.Contains(use)).Name ?? "frames";

    /// <summary>The policy that was asked for, or null for local.</summary>
    public NumaPolicy? PolicyFor(MemoryUse use) => policies.GetValueOrDefault(use);

    /// <summary>As typed, in the order typed; "local" when nothing was.</summary>
    public override string ToString() => said.Count == 0 ? "local" : string.Join(',', said.Select(s => $"{s.Name}={s.Where}"));

    /// <summary>Reads NAME=WHERE,...; WHERE is local, nodeN or interleave.</summary>
    /// <exception cref="UsageException">One line.</exception>
    public static PlaceMap Parse(string? text, Topology topology)
    {
        var map = new PlaceMap();
        if (text is null) return map;
        foreach (string item in text.Split(',', StringSplitOptions.TrimEntries))
        {
            int eq = item.IndexOf('=', StringComparison.Ordinal);
            if (eq < 0) throw new UsageException($"--place: '{item}' is not NAME=WHERE; write for example mem_map=local,memcg=node0,percpu=interleave");
            string name = item[..eq], where = item[(eq + 1)..];
            MemoryUse[] uses = Array.Find(known, k => k.Name == name).Uses
                ?? throw new UsageException($"--place: '{name}' cannot be placed{Nearest.Hint(name, Names)} Known: {string.Join(", ", Names)}");
            if (map.said.Exists(s => s.Name == name)) throw new UsageException($"--place: '{name}' is there twice");
            map.said.Add((name, where));
            if (PolicyOf(where, topology) is not { } policy) continue;
            foreach (MemoryUse use in uses) map.policies[use] = policy;
        }
        return map;
    }

    private static NumaPolicy? PolicyOf(string where, Topology topology)
    {
        if (where == "local") return null;
        if (where == "interleave")
        {
            NodeId[] nodes = [.. topology.Nodes.Where(n => n.HasMemory && n.IsAllowed).Select(n => n.Id)];
            if (nodes is [var only]) throw NumaPolicy.OneNode(only);
            return NumaPolicy.Parse("interleave:" + NodeList.Format(nodes), list => NodeList.Parse(list, topology));
        }
        if (!where.StartsWith("node", StringComparison.Ordinal) || !int.TryParse(where.AsSpan(4), NumberStyles.None, CultureInfo.InvariantCulture, out int n))
            throw new UsageException($"--place: '{where}' is not a place; write local, interleave or nodeN, for example node0");
        return NodeList.Refuse(topology, new NodeId(n)) is { } why ? throw new UsageException($"--place: {why}", ofThisMachine: true) : NumaPolicy.Parse($"bind:{n}");
    }
}
