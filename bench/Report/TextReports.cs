// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Bench;

/// <summary>A result as text that other programs and people read.</summary>
internal static class TextReports
{
    /// <summary>A table and the proof, for an issue or a mail.</summary>
    public static string Markdown(Result r)
    {
        var md = new StringBuilder();
        md.Append(I, $"### {string.Join(", ", r.Scenario.Workloads)}: {r.Environment.Host.Cpus.Length} CPUs, {r.Environment.Host.Nodes.Length} node(s)\n\n");
        if (r.Synthetic == true) md.Append("**Synthetic: nobody measured this.**\n\n");
        md.Append("| workload | model | memory | threads | op/s | +- | p50 | p99 | trust |\n|---|---|---|--:|--:|--:|--:|--:|---|\n");
        foreach (PointModel p in r.Points)
        {
            string star = p.LatencyNs.PercentilesOfBlocks ? "\\*" : "";
            md.Append(I, $"| {p.Workload} | {p.Model} | {p.Mem} | {p.Threads} | {Numbers.Rate(p.ThroughputOpsPerS.Median)} | {Numbers.Percent(p.ThroughputOpsPerS.SpreadPct)} ");
            md.Append(I, $"| {Numbers.Ns(p.LatencyNs.Percentile.GetValueOrDefault("50"))}{star} | {Numbers.Ns(p.LatencyNs.Percentile.GetValueOrDefault("99"))}{star} ");
            md.Append(I, $"| {string.Join("; ", [p.ThroughputOpsPerS.Trust, .. p.ThroughputOpsPerS.TrustReasons.Take(1)])} |\n");
        }
        if (r.Points.Any(p => p.LatencyNs.PercentilesOfBlocks)) md.Append("\n\\* of blocks of operations\n");
        foreach (RatioModel x in r.Ratios.Where(x => x.Ratio is not null))
            md.Append(I, $"\n- {x.Workload} {x.Mem} t={x.Threads}: {x.Model} costs {x.Ratio:0.000} x {x.Against} [{x.Ci95![0]:0.000} {x.Ci95[1]:0.000}]");
        foreach (FitModel f in r.Fits ?? []) md.Append(I, $"\n- {f.Workload} {f.Model} {f.Mem}: {Scalability.Sentence(f)}");
        md.Append(I, $"\n\nBooks {(r.Points.All(p => p.Books.Balanced) ? "balanced" : "BROKEN")}; ");
        md.Append(I, $"placement {string.Join(", ", r.Points.Select(p => p.Placement.Verdict).Distinct())}; ");
        md.Append(I, $"memcgnative {r.Tool.Version}, {r.Tool.Runtime}, {r.Started}\n\n    {ScenarioText.Command(r.Scenario, r.Seed)}\n");
        return md.ToString();
    }

    /// <summary>One row a point; names and units as in the JSON.</summary>
    public static string Csv(Result r)
    {
        var csv = new StringBuilder("workload,model,mem,threads,throughput_ops_per_s,ci95_low,ci95_high,spread_pct,p50_ns,p90_ns,p99_ns,p99_9_ns,percentiles_of_blocks,failed,"
            + "rounds_kept,rounds_dropped,jain,trust,synthetic\n");
        foreach (PointModel p in r.Points)
        {
            LatencyModel l = p.LatencyNs;
            csv.AppendJoin(',', Quote(p.Workload), Quote(p.Model), Quote(p.Mem), p.Threads.ToString(I), N(p.ThroughputOpsPerS.Median), N(p.ThroughputOpsPerS.Ci95?[0]),
                N(p.ThroughputOpsPerS.Ci95?[1]), N(p.ThroughputOpsPerS.SpreadPct), N(l.Percentile.GetValueOrDefault("50")), N(l.Percentile.GetValueOrDefault("90")),
                N(l.Percentile.GetValueOrDefault("99")), N(l.Percentile.GetValueOrDefault("99.9")), l.PercentilesOfBlocks ? "true" : "false",
                p.PerThread.Sum(t => t.Failed).ToString(I), p.Noise.RoundsKept.ToString(I), p.Noise.RoundsDropped.ToString(I), N(p.Fairness?.Jain),
                p.ThroughputOpsPerS.Trust, r.Synthetic == true ? "true" : "false").Append('\n');
        }
        return csv.ToString();
    }

    /// <summary>Every point's histogram, one after the other.</summary>
    public static string Histograms(Result r) => string.Join('\n', r.Points.Select(Hgrm.Text));

    /// <summary>
    /// will-it-scale's columns, one block per curve. A thread of ours is a task, threads are all we have, and idle is not measured: its
    /// columns are 0, as will-it-scale prints where it has no figure.
    /// </summary>
    public static string WillItScale(Result r)
    {
        var text = new StringBuilder();
        foreach (IGrouping<(string, string, string), PointModel> curve in r.Points.GroupBy(p => (p.Workload, p.Model, p.Mem)))
        {
            PointModel[] points = [.. curve.OrderBy(p => p.Threads)];
            double one = points[0].ThroughputOpsPerS.Median / points[0].Threads ?? 0;
            if (text.Length > 0) text.Append('\n');
            text.Append(I, $"# {curve.Key.Item1} {curve.Key.Item2} mem={curve.Key.Item3}\ntasks,processes,processes_idle,threads,threads_idle,linear\n0,0,100,0,100,0\n");
            foreach (PointModel p in points) text.Append(I, $"{p.Threads},0,0.00,{p.ThroughputOpsPerS.Median ?? 0:0},0.00,{one * p.Threads:0}\n");
        }
        return text.ToString();
    }

    /// <summary>
    /// The kernel test robot's mail: the first model on the left, each other beside it. With one model: its values alone.
    /// </summary>
    public static string Lkp(Result r)
    {
        var text = new StringBuilder();
        string first = r.Scenario.Models[0].Model;
        foreach (string model in r.Scenario.Models.Select(m => m.Model).Skip(r.Scenario.Models.Count > 1 ? 1 : 0))
        {
            text.Append(I, $"{first,16} {(model == first ? "" : model),26}\n---------------- ---------------------------\n");
            text.Append("         %stddev     %change         %stddev\n             \\          |                \\\n");
            foreach (PointModel p in r.Points.Where(p => p.Model == model))
            {
                PointModel? q = r.Points.FirstOrDefault(x => x.Workload == p.Workload && x.Mem == p.Mem && x.Threads == p.Threads && x.Model == first);
                if (q is null) continue; // nothing to set it against
                string metric = $"{p.Workload}.{p.Threads}.threads{(r.Scenario.Mem.Count > 1 ? "." + p.Mem : "")}";
                text.Append(I, $"{q.ThroughputOpsPerS.Median ?? 0,12:0} {Stddev(q)} ");
                double change = (p.ThroughputOpsPerS.Median / q.ThroughputOpsPerS.Median - 1) * 100 ?? 0;
                if (model != first) text.Append(I, $"{change,9:+0.0;-0.0;+0.0}% {p.ThroughputOpsPerS.Median ?? 0,12:0} {Stddev(p)} ");
                text.Append(I, $" {metric}\n");
            }
        }
        return text.ToString();
    }

    private static string Stddev(PointModel p)
    {
        IReadOnlyList<double> s = p.ThroughputOpsPerS.Samples;
        if (s.Count < 2) return "      ";
        double mean = s.Average(), sd = Math.Sqrt(s.Sum(x => (x - mean) * (x - mean)) / (s.Count - 1));
        int percent = (int)Math.Round(100 * sd / mean);
        return percent >= 1 ? string.Create(I, $"± {percent,2}% ") : "      ";
    }

    private static readonly CultureInfo I = CultureInfo.InvariantCulture;

    private static string N(double? v) => v is { } d ? d.ToString("0.######", I) : "";

    private static string Quote(string text) => text.AsSpan().ContainsAny(',', '"', '\n') ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
}
