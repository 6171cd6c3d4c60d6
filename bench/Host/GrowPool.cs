// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`--grow-pool`: the hugetlb pools of the nodes are raised to what the frames need, and put back.</summary>
internal static class GrowPool
{
    /// <summary>Runs the command, under a supervisor with raised pools when the option was given.</summary>
    /// <param name="context">The command's.</param>
    /// <param name="parsed">The arguments.</param>
    /// <param name="wish">Kinds of page in the order wished; the first hugetlb kind is meant.</param>
    /// <param name="needs">Bytes on each node; a node may come several times.</param>
    /// <param name="command">Maps, measures, unmaps.</param>
    public static int Around(CommandContext context, ParseResult parsed, IReadOnlyList<PageKind> wish, IEnumerable<(NodeId Node, long Bytes)> needs, Func<int> command)
    {
        if (!parsed.GetValue(context.Options.GrowPool)) return command();
        PageKind kind = wish.FirstOrDefault(k => k.IsHugeTlb) ?? throw new UsageException("--grow-pool: goes with --pages 2M or 1G; other kinds have no pool");
        return Supervised.Run(context, host =>
        {
            if (!OperatingSystem.IsLinux()) return ExitCode.NotHere; // Supervised has refused
            foreach (IGrouping<NodeId, (NodeId Node, long Bytes)> node in needs.GroupBy(n => n.Node))
            {
                HugePagePool pool = HugePages.Pools(kind).FirstOrDefault(p => p.Node == node.Key);
                if (pool.Kind is null) throw new UsageException($"--grow-pool: node {node.Key} has no pool of {kind} pages", ofThisMachine: true);
                host.RaisePool(pool, node.Sum(n => (n.Bytes + (long)kind.Bytes - 1) / (long)kind.Bytes));
            }
            return command();
        });
    }
}
