// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;

namespace MemcgNative.Bench;

/// <summary>List locks for people: a line per model and placement, with --verbose one per lock as well.</summary>
internal static class LockLines
{
    private const int MostLocks = 16;

    public static void Write(Result result, bool verbose, Action<string, string> line)
    {
        if (!verbose && !result.Points.Any(p => WorkloadList.IsListWork(p.Workload))) return;
        bool placements = result.Scenario.Mem.Count > 1;
        foreach (PointModel p in result.Points.DistinctBy(p => (p.Model, p.Mem)).Where(p => p.Locks.Count > 0))
        {
            string who = placements ? $"{p.Model} {p.Mem}" : p.Model;
            line("locks", $"{who}: {(p.Locks.Count == 1 ? "1 lock" : $"{p.Locks.Count} locks")}, {Describe(Sum(p.Locks))}");
            if (Unseen(result, p) is { } unseen) line("locks", $"{who}: {unseen}");
            if (!verbose) continue;
            foreach (LockModel l in p.Locks.Take(MostLocks)) line("locks", $"{who}: {l.Name}: {Describe(l)}");
            if (p.Locks.Count > MostLocks) line("locks", $"{who}: ... {p.Locks.Count - MostLocks} more (--format json has all)");
        }
    }

    /// <summary>Slices beyond the CPUs that could want them: their locks are free whatever they are worth elsewhere.</summary>
    private static string? Unseen(Result result, PointModel p)
    {
        string? slice = p.Model.Split(',').LastOrDefault(part => part.StartsWith("lru.slice=", StringComparison.Ordinal));
        if (slice is null) return null;
        int books = SlicePlan.Parse(slice["lru.slice=".Length..]).Books;
        int threads = result.Points.Where(q => q.Model == p.Model && q.Mem == p.Mem).Max(q => q.Threads);
        return books <= threads ? null
            : $"{books} books for {(threads == 1 ? "1 thread" : $"{threads} threads")}: what more than {threads} are worth is not visible on this machine";
    }

    private static LockModel Sum(IReadOnlyList<LockModel> locks) => new("", locks.Sum(l => l.Acquired), locks.Sum(l => l.Contended), locks.Sum(l => l.WaitNs),
        locks.Any(l => l.HeldNs is not null) ? locks.Sum(l => l.HeldNs ?? 0) : null, locks.Sum(l => l.Pages),
        [.. Enumerable.Range(0, locks[0].Retries.Count).Select(i => locks.Sum(l => l.Retries[i]))]);

    private static string Describe(LockModel l)
    {
        string waited = l.Contended == 0 ? "none waited"
            : string.Create(CultureInfo.InvariantCulture, $"{100.0 * l.Contended / l.Acquired:0.##} % waited {Numbers.Ns(l.WaitNs / l.Contended)}");
        string held = l.HeldNs is { } h ? $"; held {Numbers.Ns(h / l.Acquired)}" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{l.Acquired} holds of {(double)l.Pages / l.Acquired:0.0} pages; {waited}{held}; {Retries(l.Retries)}");
    }

    /// <summary>The histogram of rechecks that failed: "1: 12, 2-3: 1".</summary>
    private static string Retries(IReadOnlyList<long> buckets)
    {
        if (buckets.All(n => n == 0)) return "no recheck failed";
        IEnumerable<string> lines = buckets.Select((n, i) => (n, i)).Where(b => b.n != 0)
            .Select(b => $"{(b.i == 0 ? "1" : b.i == buckets.Count - 1 ? $"{1 << b.i} or more" : $"{1 << b.i}-{(2 << b.i) - 1}")}: {b.n}");
        return $"rechecks failed {string.Join(", ", lines)}";
    }
}
