// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using Spectre.Console;

namespace MemcgNative.Bench;

/// <summary>The result for people: one row a point, then the proof beside the numbers.</summary>
internal static class ResultTable
{
    public static void Write(Result result, Terminal terminal, TextWriter writer, bool verbose)
    {
        string pm = terminal.Unicode ? "±" : "+-";
        var table = new Table { Border = TableBorder.None };
        bool models = result.Scenario.Models.Count > 1;
        bool failures = result.Points.Any(p => Failed(p) > 0);
        foreach (string column in (string[])["workload", .. models ? (string[])["model"] : [], "mem",
            "threads", "throughput", pm, "per thread", "p50", "p99", "p99.9", .. failures ? (string[])["failed"] : [], "rounds", "trust"])
            table.AddColumn(new TableColumn(column) { NoWrap = true,
                Alignment = column is "workload" or "model" or "mem" or "trust" ? Justify.Left : Justify.Right });
        foreach (PointModel p in result.Points)
        {
            table.AddRow(((string[])[p.Workload, .. models ? (string[])[p.Model] : [], p.Mem, N(p.Threads),
                Numbers.Rate(p.ThroughputOpsPerS.Median), Numbers.Percent(p.ThroughputOpsPerS.SpreadPct),
                Numbers.Rate(p.ThroughputOpsPerS.Median / p.Threads), Latency(p, "50"), Latency(p, "99"), Latency(p, "99.9"),
                .. failures ? (string[])[Numbers.Percent(100.0 * Failed(p) / Math.Max(1, Failed(p) + p.PerThread.Sum(t => t.Ops)))] : [],
                $"{p.Noise.RoundsKept}/{p.Noise.RoundsKept + p.Noise.RoundsDropped}", p.ThroughputOpsPerS.Trust]).Select(c => (Spectre.Console.Rendering.IRenderable)new Text(c)));
        }
        terminal.Write(table);
        void Line(string name, string text) => writer.WriteLine($"{name,-11}{text}"); // a line stays a line: wrapping is the reader's

        if (result.Points.Any(p => p.LatencyNs.PercentilesOfBlocks))
        {
            PointModel first = result.Points[0];
            Line("latency", $"marked *: percentiles of blocks, per op "
                + $"({string.Join(", ", result.Points.Where(p => p.LatencyNs.PercentilesOfBlocks).Select(p => $"{p.Workload} {p.LatencyNs.Block}").Distinct())} ops a "
                    + $"block); clock {Numbers.Ns(first.LatencyNs.ClockOverheadNs)}, not subtracted");
        }
        if (result.Preset is { } preset) PresetTable.Write(preset, terminal, writer);
        else if (result.LineProbe is { LayoutsMayBeRanked: false }) Line("layout", $"no ranking: {result.LineProbe.Verdict}");
        else foreach (RatioModel r in result.Ratios) Line("ratio", Ratio(r));
        if (result.LineProbe is { LayoutsMayBeRanked: true } probe) Line("layout", probe.Verdict);
        if (result.Prefetch is { } prefetch) Line("prefetch", PrefetchProbe.Describe(prefetch));
        foreach (IGrouping<string, PointModel> mem in result.Points.GroupBy(p => p.Mem)) Line("placement", Placement(mem.First()));
        LockLines.Write(result, verbose, Line);
        Line("books", Books(result));
        foreach ((string model, DyingModel dying) in result.Points.Select(p => (p.Model, p.Books.DyingGroups)).DistinctBy(d => d.Model).Where(d => d.DyingGroups.Count > 0))
            Line("dying", $"{model}: {dying.Count} groups were removed and held when the workloads ended: {KmemTables.Pins(dying)}");
        Line("runtime", $"managed bytes {result.Runtime.ManagedBytes}, GC {result.Runtime.Collections}, methods compiled {result.Runtime.CompiledMethods}, migrations "
            + $"{result.Runtime.Migrations} while measuring; {result.Runtime.Warmup}");
        if (verbose) WriteCounters(result, Line);
        foreach (string reason in result.Points.SelectMany(p => p.ThroughputOpsPerS.TrustReasons.Select(r => $"{p.Workload} t={p.Threads}: {r}")).Take(verbose
            ? int.MaxValue : 4)) Line("trust", reason);
        foreach (WarningModel w in result.Environment.Warnings) Line("note", w.Fix is null ? w.Text : $"{w.Text}; for cleaner numbers: {w.Fix}");
        if (result.Lost is { } lost) Line("lost", lost);
        if (result.Status != "complete") Line("status", $"{result.Status}: what was measured until then is above");
    }

    private static long Failed(PointModel p) => p.PerThread.Sum(t => t.Failed);

    private static string Latency(PointModel p, string q) => Numbers.Ns(p.LatencyNs.Percentile[q]) + (p.LatencyNs.PercentilesOfBlocks ? "*" : "");

    private static string Ratio(RatioModel r)
    {
        string what = $"{r.Workload} {r.Mem} t={r.Threads}: {r.Model}";
        if (r.Ratio is not { } ratio) return $"{what} against {r.Against}: no ratio: {r.Reason}";
        string failed = r.Failed == 0 ? "" : $", {r.Failed} operations of the other side failed or were repeated";
        return string.Create(CultureInfo.InvariantCulture, $"{what} costs {ratio:0.000} x {r.Against} [{r.Ci95![0]:0.000} {r.Ci95[1]:0.000}], "
            + $"median of {r.Rounds} rounds, Hodges-Lehmann {r.HodgesLehmann:0.000}{failed}");
    }

    private static string Placement(PointModel p)
    {
        PlacementModel at = p.Placement;
        string nodes = string.Join(", ", at.Found.Select(f => $"node {f.Key}: {f.Value}/{at.Found.Values.Sum()} frames of {SizeText.Format(at.FrameBytes)}"));
        string metadata = string.Join(", ", at.MetadataBytes.Select(m => $"{m.Key} {string.Join("+", m.Value.Select(n => $"{SizeText.Format(n.Value)}@{n.Key}"))}"));
        return $"{at.Asked}: {nodes}; pages {at.Pages}; {at.Verdict}{(at.FakeNodes ? "; fake nodes: distances mean nothing" : "")}; checked {string.Join(" and ", at.When)} "
            + $"by {at.Method}; metadata {metadata}";
    }

    private static string Books(Result result)
    {
        BooksModel[] books = [.. result.Points.Select(p => p.Books).DistinctBy(b => (b.Charged, b.Uncharged))];
        return string.Join("; ", books.Select(b => b.Balanced ? $"balanced: {b.Charged} charged = {b.Uncharged} uncharged + {b.Resident} resident, LRU walk = counters, all "
            + $"frames back, all groups gone"
            : $"BROKEN: {string.Join("; ", b.Wrong.Take(5))}"));
    }

    private static void WriteCounters(Result result, Action<string, string> line)
    {
        static string One(KeyValuePair<string, CounterModel> c) =>
            c.Value.Value is { } v ? string.Create(CultureInfo.InvariantCulture, $"{c.Key} {v:0.###}") : $"{c.Key} n/a";
        foreach (PointModel p in result.Points) line("counters", $"{p.Workload} t={p.Threads} per op: {string.Join("  ", p.Counters.Select(One))}");
        foreach (var missing in result.Points.SelectMany(p => p.Counters).Where(c => c.Value.Value is null).GroupBy(c => c.Value.Reason))
            line("counters", $"{string.Join(", ", missing.Select(c => c.Key).Distinct())} not available: {missing.Key}");
    }

    private static string N(int n) => n.ToString(CultureInfo.InvariantCulture);
}
