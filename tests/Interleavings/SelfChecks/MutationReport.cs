// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>What became of one mutant.</summary>
internal sealed record Mutant(SiteMutation Mutation, string Key, string? KilledBy, long Executions);

/// <summary>
/// Mutates every access of src that a suite of cases reaches, one at a time. A mutant is killed when a case that must be exhausted fails;
/// one that runs past its budget without failing survives.
/// </summary>
internal static class MutationReport
{
    /// <summary>Executions one case may spend on one mutant.</summary>
    private const long Budget = 30_000;

    public static IReadOnlyList<Mutant> Run(IReadOnlyList<Case> suite)
    {
        Sites.ForgetOperations();
        foreach (Case c in suite)
            foreach (MemoryModel m in Enum.GetValues<MemoryModel>())
            {
                ExploreResult r = Explorer.Explore(c, new ExploreOptions { Memory = m, MaxExecutions = Budget });
                if (r.Failed) throw new InvalidOperationException($"{c.Name} fails unmutated: {r.Message}");
            }
        SiteMutation[] mutations = [.. Sites.Mutations().Where(m => m.File.Contains("/src/", StringComparison.Ordinal) || m.File.Contains("\\src\\", StringComparison.Ordinal))];
        return [.. mutations.Select(m => Try(m, suite))];
    }

    private static Mutant Try(SiteMutation m, IReadOnlyList<Case> suite)
    {
        long executions = 0;
        foreach (MemoryModel memory in Enum.GetValues<MemoryModel>())
        {
            foreach (Case c in suite)
            {
                ExploreResult r = Explorer.Explore(c, new ExploreOptions { Memory = memory, Mutation = m, MaxExecutions = Budget });
                executions += r.Executions;
                if (r.Failed) return new Mutant(m, SourceSites.Key(m), $"{c.Name} {memory} {r.Verdict}", executions);
            }
        }
        return new Mutant(m, SourceSites.Key(m), null, executions);
    }
}
