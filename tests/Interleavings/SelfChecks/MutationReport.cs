// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text.RegularExpressions;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What became of one mutant.</summary>
internal sealed record Mutant(SiteMutation Mutation, string Key, string? KilledBy, long Executions);

/// <summary>
/// Mutates every access of src that a suite of cases reaches, one at a time. A mutant is killed when a case that must be exhausted fails;
/// one that runs past its budget without failing survives.
/// </summary>
internal static partial class MutationReport
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
                if (r.Failed) return new Mutant(m, Key(m), $"{c.Name} {memory} {r.Verdict}", executions);
            }
        }
        return new Mutant(m, Key(m), null, executions);
    }

    /// <summary>A name that survives edits elsewhere in the file: type, member, ordinal of the line among the member's accesses, operator.</summary>
    private static string Key(SiteMutation m)
    {
        string[] lines = File.ReadAllLines(m.File);
        int at = m.Line - 1, start = at;
        while (start > 0 && !MemberStart().IsMatch(lines[start])) start--;
        int type = start;
        while (type > 0 && !TypeStart().IsMatch(lines[type])) type--;
        string member = MemberStart().Match(lines[start]).Groups[1].Value;
        int ordinal = lines[start..at].Count(l => Access().IsMatch(l)) + 1;
        return string.Create(CultureInfo.InvariantCulture, $"{TypeStart().Match(lines[type]).Groups[1].Value}.{member}#{ordinal} {m.Op}");
    }

    [GeneratedRegex(@"^    (?:public|internal|private|protected)[^=;(]*?\b(\w+)(?:<[^>]*>)?\(")]
    private static partial Regex MemberStart();

    [GeneratedRegex(@"^(?:public|internal)[^=;(]*?\b(?:class|struct)\s+(\w+)")]
    private static partial Regex TypeStart();

    [GeneratedRegex(@"\b(?:Atomic|Guarded|Machine|LockModel)\w*(?:<[^>]*>)?\.\w+\(")]
    private static partial Regex Access();
}
