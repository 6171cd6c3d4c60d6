// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using Xunit;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Mutants of the shipped source: all killed but those of SURVIVORS.md, each of which says why it may live.</summary>
public class MutationTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_mutant_is_killed_or_explained()
    {
        var watch = Stopwatch.StartNew();
        IReadOnlyList<Mutant> mutants = MutationReport.Run(MutationReport.Core, _ => true);
        string[] survivors = [.. mutants.Where(m => m.KilledBy is null).Select(m => m.Key).Order(StringComparer.Ordinal)];
        output.WriteLine($"{mutants.Count} mutants, {mutants.Count - survivors.Length} killed, {survivors.Length} survive, worst "
            + $"{mutants.Where(m => m.KilledBy is not null).Max(m => m.Executions):N0} executions to kill, {watch.Elapsed.TotalSeconds:F1} s");
        foreach (Mutant m in mutants) output.WriteLine($"{m.Key}: {m.KilledBy ?? "SURVIVES"}");
        Assert.Equal(Explained(), survivors);
    }

    /// <summary>The keys of the checked-in list: lines "- `key`: reason".</summary>
    private static string[] Explained() =>
        [.. File.ReadAllLines(Path.Combine(Source.Root, "tests", "Interleavings", "SURVIVORS.md")).Where(l => l.StartsWith("- `", StringComparison.Ordinal))
            .Select(l => l.Split('`')[1]).Order(StringComparer.Ordinal)];
}
