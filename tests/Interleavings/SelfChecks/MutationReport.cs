// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>What became of one mutant.</summary>
internal sealed record Mutant(SiteMutation Mutation, string Key, string? KilledBy, long Executions);

/// <summary>
/// Mutates every access of src that a suite of cases reaches, one at a time. A mutant is killed when a case that must be exhausted fails; it is
/// tried on the cases that reach its line, those that reach the fewest lines first, because they are about it, until its budget is spent.
/// </summary>
internal static class MutationReport
{
    /// <summary>Executions one mutant may cost.</summary>
    private const long Budget = 16_000;

    /// <summary>A weaker order shows at once, by the race check, or not at all.</summary>
    private static long BudgetOf(MutationOp op) => op is MutationOp.LoadRelaxed or MutationOp.StoreRelaxed or MutationOp.StaleReread ? Budget / 10 : Budget;

    /// <summary>A case and the lines it reaches.</summary>
    private sealed record Reach(Case Case, long Cost, HashSet<(string File, int Line)> Lines);

    /// <summary>The cases that are short enough to be run against thousands of mutants.</summary>
    public static Case[] Core => [.. Cases.All.Where(c => c.Expect == Expect.Exhausted && !c.Heavy && c.Cpus < 4 && IsCore(c.Id))];

    private static readonly string[] core =
    [
        "lock", "list", "rcu", "counter", "stock", "percpu_ref", "life", "zone", "final-put", "insert-page", "residents", "swap-in", "file-read", "file-truncate",
        "B1", "G3", "page-cache", "pages",
    ];

    private static bool IsCore(string id) => core.Contains(id) || (id[0] is 'A' or 'C' or 'S' && char.IsAsciiDigit(id[1]));

    /// <summary>Every mutant of the lines of src that wanted accepts.</summary>
    public static IReadOnlyList<Mutant> Run(IReadOnlyList<Case> suite, Func<string, bool> wanted)
    {
        Sites.ForgetOperations();
        Reach[] reaches = [.. suite.Select(Look).OrderBy(r => r.Lines.Count).ThenBy(r => r.Cost)];
        SiteMutation[] mutations = [.. Sites.Mutations().Where(m => IsSource(m.File) && wanted(m.File))];
        return [.. mutations.Select(m => Try(m, [.. reaches.Where(r => r.Lines.Contains((m.File, m.Line)))]))];
    }

    private static bool IsSource(string file) => file.StartsWith(Path.Combine(Source.Root, "src") + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private static Reach Look(Case c)
    {
        long cost = 0;
        Sites.Watch();
        foreach (MemoryModel m in Enum.GetValues<MemoryModel>())
        {
            ExploreResult r = Explorer.Explore(c, new ExploreOptions { Memory = m, MaxExecutions = Budget });
            if (r.Failed) throw new InvalidOperationException($"{c.Name} fails unmutated: {r.Message}");
            cost = Math.Max(cost, r.Executions);
        }
        return new Reach(c, cost, [.. Sites.Watched()]);
    }

    private static Mutant Try(SiteMutation m, Reach[] suite)
    {
        long executions = 0;
        foreach (MemoryModel memory in Enum.GetValues<MemoryModel>())
        {
            long left = BudgetOf(m.Op) / 2;
            foreach (Reach reach in suite)
            {
                if (left <= 0) break;
                ExploreResult r = Explorer.Explore(reach.Case, new ExploreOptions { Memory = memory, Mutation = m, MaxExecutions = Math.Min(left, 2 * reach.Cost + 60) });
                executions += r.Executions;
                left -= r.Executions;
                if (r.Failed) return new Mutant(m, SourceSites.Key(m), $"{reach.Case.Name} {memory} {r.Verdict}", executions);
            }
        }
        return new Mutant(m, SourceSites.Key(m), null, executions);
    }
}
