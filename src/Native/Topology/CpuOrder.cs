// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;

namespace MemcgNative.Native;

/// <summary>Orders in which a growing number of threads takes CPUs: thread i runs on the i-th. Every order is a permutation of what it is given.</summary>
public static class CpuOrder
{
    /// <summary>One core of each L3 (of each node where no L3 is known), then all cores, then SMT siblings; each along the tree. The default.</summary>
    public static ImmutableArray<CpuId> CoresFirst(Topology topology, IEnumerable<CpuId> cpus)
    {
        var tree = Tree(topology, cpus);
        var rank = SmtRanks(tree);
        var seen = new HashSet<(int, NodeId)>();
        var first = tree.Where(c => rank[c.Id] == 0 && seen.Add(c.L3 >= 0 ? (c.L3, default) : (-1, c.Node))).Select(c => c.Id).ToHashSet();
        return [.. tree.OrderBy(c => first.Contains(c.Id) ? 0 : 1 + rank[c.Id]).Select(c => c.Id)];
    }

    /// <summary>Along the tree: fill a core, its L3, its node, its package, then the next.</summary>
    public static ImmutableArray<CpuId> Compact(Topology topology, IEnumerable<CpuId> cpus) => [.. Tree(topology, cpus).Select(c => c.Id)];

    /// <summary>As far apart as possible: packages in turn, in each its nodes, L3 domains and cores in turn; SMT siblings last.</summary>
    public static ImmutableArray<CpuId> Scatter(Topology topology, IEnumerable<CpuId> cpus)
    {
        var tree = Tree(topology, cpus);
        var rank = SmtRanks(tree);
        Func<CpuInfo, int>[] levels = [c => c.Package, c => c.Node.Value, c => c.L3, c => c.Core];
        return [.. InTurn(tree, levels).OrderBy(c => rank[c.Id]).Select(c => c.Id)];
    }

    /// <summary>By number.</summary>
    public static ImmutableArray<CpuId> Linear(IEnumerable<CpuId> cpus) => [.. cpus.Distinct().Order()];

    private static List<CpuInfo> Tree(Topology topology, IEnumerable<CpuId> cpus)
    {
        ArgumentNullException.ThrowIfNull(topology);
        return [.. cpus.Distinct().Select(topology.Cpu).OrderBy(c => c.Package).ThenBy(c => c.Node).ThenBy(c => c.L3).ThenBy(c => c.Core).ThenBy(c => c.Smt)];
    }

    /// <summary>Place among those of its core that were chosen: alone on its core, a second thread ranks 0.</summary>
    private static Dictionary<CpuId, int> SmtRanks(List<CpuInfo> tree) =>
        tree.GroupBy(c => c.Core).SelectMany(g => g.OrderBy(c => c.Smt).Select((c, i) => (c.Id, i))).ToDictionary(x => x.Id, x => x.i);

    private static List<CpuInfo> InTurn(List<CpuInfo> cpus, ReadOnlySpan<Func<CpuInfo, int>> levels)
    {
        if (levels.IsEmpty)
            return cpus;
        var branches = new List<List<CpuInfo>>();
        foreach (var branch in cpus.GroupBy(levels[0]))
            branches.Add(InTurn([.. branch], levels[1..]));
        return [.. branches.SelectMany(b => b.Select((cpu, turn) => (cpu, turn))).OrderBy(x => x.turn).Select(x => x.cpu)];
    }
}
