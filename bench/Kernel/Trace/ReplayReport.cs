// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;

namespace MemcgNative.Bench;

/// <summary>One counter at one checkpoint, beside the kernel's.</summary>
/// <param name="Owned">Enough of the recording's events had an owner for a checkpoint to count.</param>
/// <param name="Named">Pages that this era does not count for a reason known, and the kernel does.</param>
/// <param name="Mechanism">That reason; null when there is none.</param>
internal sealed record ReplayRow(double Seconds, string Counter, long Kernel, long Port, long Tolerance, string Why, bool Owned, long Named, string? Mechanism)
{
    public bool Ok => Owned && Math.Abs(Kernel - Port - Named) <= Tolerance;
}

/// <summary>What a replay came to, in rows, with the derived tolerance of each.</summary>
internal static class ReplayReport
{
    /// <summary>Share of events that may have no owner (a recording by tracepoints).</summary>
    public const double MostUnattributed = 0.05;

    private const string SlabsAlone = "the 2014 series charges slab pages alone (its patches 8 to 10)";

    /// <summary>A row for each counter that both sides have.</summary>
    public static IReadOnlyList<ReplayRow> Rows(TraceFile trace, ReplayResult result)
    {
        StockSize port = StockSize.Of(result.Model), kernel = StockSize.Of(StockSize.ReleaseOf(trace.Header.Kernel));
        int groups = Math.Max(1, trace.Events.Count(e => e.Kind == TraceKind.Group));
        // A cache with a copy for each group is charged by the slab: one that is filling for each size on each CPU.
        long partFilled = result.Model[Axis.Kmem] is "PerCachePin" or "ReparentCaches" or "ReparentCachesRef" or "ReparentPointerByPage"
            ? trace.Events.Where(e => e.Kind == TraceKind.Slab).Select(e => e.Amount).Distinct().LongCount() * trace.Header.Cpus * groups : 0;
        var rows = new List<ReplayRow>();
        foreach (ReplayCheckpoint c in result.Checkpoints)
        {
            long stocks = port.Slack(trace.Header.Cpus, groups) + kernel.Slack(trace.Header.Cpus, groups);
            long vectors = (long)(port.Vector + kernel.Vector) * trace.Header.Cpus;
            long lag = 64L * trace.Header.Cpus;
            long late = trace.Header.Cgroup == "v2" ? lag : 0; // there kernel memory is a statistic, on v1 a counter
            late += partFilled;
            string lateWords = late == partFilled ? "" : $", lag {late}";
            void Row(string counter, long theirs, long ours, long tolerance, string why, long named = 0)
            {
                if (theirs < 0 || ours < 0) return;
                long share = (long)(theirs * MostUnattributed);
                rows.Add(new ReplayRow(c.TimeNs / 1e9, counter, theirs, ours, tolerance + c.Moving + share, $"{why}, moving {c.Moving}, unattributed 5 % = {share}",
                    trace.Header.Ownerless <= MostUnattributed, named, named == 0 ? null : $"{named} pages are nobody's: {SlabsAlone}"));
            }
            string slabWords = partFilled > 0 ? $", part-filled slabs {partFilled}" : "";
            lateWords += slabWords;
            long nobodys = result.Model[Axis.Kmem] == "ReparentCaches" ? c.KernelPages : 0;
            // An era without kernel memory has user pages alone in its counter.
            bool kmem = c.Port.Kmem >= 0 || c.Kernel.Kmem < 0;
            Row(kmem ? "usage" : "usage-kmem", kmem ? c.Kernel.Usage : Math.Max(0, c.Kernel.Usage - c.Kernel.Kmem), c.Port.Usage,
                stocks + vectors + (kmem ? partFilled : late), $"stocks {stocks}, page vectors {vectors}{(kmem ? slabWords : lateWords)}", nobodys);
            Row("kmem", c.Kernel.Kmem, c.Port.Kmem, stocks + late, $"stocks {stocks}{lateWords}", nobodys);
            Row("anon", c.Kernel.Anon, c.Port.Anon, lag + vectors, $"lag {lag}, page vectors {vectors}");
            Row("file", c.Kernel.File, c.Port.File, lag + vectors, $"lag {lag}, page vectors {vectors}");
        }
        return rows;
    }

    /// <summary>The table.</summary>
    public static void Write(TraceFile trace, ReplayResult result, IReadOnlyList<ReplayRow> rows, TextWriter to, bool all)
    {
        CultureInfo c = CultureInfo.InvariantCulture;
        to.WriteLine(string.Create(c, $"{result.Model}: {result.Events} events in {result.Took.TotalSeconds:0.###} s, {result.Checkpoints.Count} checkpoints, "
            + $"{rows.Count(r => r.Ok)} of {rows.Count} counters agree with the kernel's, {result.Refused} charges refused, "
            + $"books {(result.Wrong.Count == 0 ? "balanced" : "do not balance")}"));
        to.WriteLine("       s  counter      kernel      port   within  because");
        foreach (ReplayRow row in all ? rows : rows.Where((r, i) => !r.Ok || Math.Abs(r.Kernel - r.Port) > r.Tolerance || i >= rows.Count - 4))
            to.WriteLine(string.Create(c, $"{row.Seconds,8:0.000}  {row.Counter,-10} {row.Kernel,8}  {row.Port,8}{(row.Ok ? ' ' : '!')} {row.Tolerance,7}  {row.Why}"
                + $"{(row.Mechanism is { } m ? "; " + m : "")}"));
        foreach (string wrong in result.Wrong.Take(5)) to.WriteLine($"  {wrong}");
    }
}
