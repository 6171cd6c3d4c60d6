// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Allocator;

namespace MemcgNative.Bench;

/// <summary>One line that CPUs may share on the way of a page.</summary>
/// <param name="Line">The structure and its field.</param>
/// <param name="TouchedBy">Whose CPUs meet on it.</param>
/// <param name="Touch">What one touch is.</param>
/// <param name="PerPage">Touches per page from fault to final put.</param>
/// <param name="Why">Where the number comes from.</param>
/// <param name="Contended">Several CPUs of this scenario meet on it.</param>
internal sealed record LedgerRow(string Line, string TouchedBy, string Touch, double PerPage, string Why, bool Contended)
{
    /// <summary>What it costs when every touch finds the line at another CPU; null where moves were not measured.</summary>
    public double? UpToNs(double? nsPerMove) => Contended && nsPerMove is { } ns ? PerPage * ns : null;
}

/// <summary>
/// What each shared line is asked per page, as the designs' code declares it: batches are the ones the code uses, a steady stream of faults and
/// releases by 32 is assumed. Declared, not counted: `./build.sh torture locked` counts.
/// </summary>
internal static class LineLedger
{
    /// <param name="threads">Threads at work.</param>
    /// <param name="groups">Groups at the last level.</param>
    /// <param name="depth">Levels of groups: each has a counter.</param>
    public static IReadOnlyList<LedgerRow> Of(Model model, int threads, int groups, int depth)
    {
        bool several = threads > 1, shared = several && groups < threads;
        var rows = new List<LedgerRow>();
        rows.AddRange(Counters(model, several, shared, depth));
        rows.Add(PageCgroup(model));
        rows.AddRange(Lru(model, several, shared));
        rows.Add(new("zone->lock", "every CPU of the node", "one acquisition", 0, $"the CPU's list of {PerCpuPages.DefaultHigh} takes back what the ring of "
            + $"{FaultRing.Pages} gives; a workload that outruns it pays 2 in {PerCpuPages.DefaultBatch}", false));
        return rows;
    }

    private static IEnumerable<LedgerRow> Counters(Model model, bool several, bool shared, int depth)
    {
        int batch = model[Axis.Stock] switch { "SingleSlot32" => 32, "SingleSlot64" or "SevenSlot64" => 64, _ => 1 };
        bool locked = model[Axis.Counter].StartsWith("ResCounter", StringComparison.Ordinal), gathered = !model[Axis.Uncharge].StartsWith("AtUnmap2", StringComparison.Ordinal);
        string line = locked ? "res_counter" : "page_counter.usage", touch = locked ? "lock, add, unlock" : "one locked add";
        double perPage = 1.0 / batch + (gathered ? 1.0 / Mm.Batch : 1);
        string why = $"charge: 1 in {batch}{(batch == 1 ? " (no stock)" : " (stock)")}; uncharge: 1 in {(gathered ? Mm.Batch : 1)}{(gathered ? " (gather)" : "")}";
        yield return new($"{line} of the group", "CPUs of the group", touch, perPage, why, shared);
        if (depth > 1)
            yield return new($"{line} of its {depth - 1} ancestor(s) below the root", "CPUs of every group below", touch, perPage * (depth - 1), why + "; each level", several);
    }

    private static LedgerRow PageCgroup(Model model)
    {
        string answer = model[Axis.PageCgroup];
        (string touch, double n, string why) = answer switch
        {
            _ when answer.StartsWith("BitSpinlock", StringComparison.Ordinal) => ("lock and unlock", 2, "once to publish, once to clear"),
            _ when answer.StartsWith("LocklessRcu", StringComparison.Ordinal) => ("compare-exchange", 2, "published once, marked OBSOLETE once"),
            _ when answer.StartsWith("FlagArray", StringComparison.Ordinal) => ("lock and unlock", 2, "PCG_LOCK at commit and at uncharge"),
            _ => ("plain store", 2, "written once, cleared once, by whoever owns the page alone"),
        };
        return new($"page_cgroup ({answer})", "who uses the page: one CPU in this workload", touch, n, why, false);
    }

    private static IEnumerable<LedgerRow> Lru(Model model, bool several, bool shared)
    {
        bool own = model[Axis.Lru] is "Books" or "LruvecLruBit" or "LruvecRecheck";
        string line = own ? model[Axis.Lru] == "Books" ? "book->lock" : "lruvec->lru_lock" : "zone->lru_lock";
        string who = own ? "CPUs of the group on the node" : "every CPU of the node";
        bool contended = own ? shared : several;
        yield return new($"{line}, adding", who, "one acquisition", 1.0 / Pagevec.Size, $"a pagevec of {Pagevec.Size}", contended);
        yield return new($"{line}, removing", who, "one acquisition", 1.0 / Mm.Batch, $"release_pages, {Mm.Batch} at once", contended);
    }

    /// <summary>"0.063".</summary>
    public static string Number(double perPage) => perPage.ToString("0.###", CultureInfo.InvariantCulture);
}
