// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Bench;

/// <summary>`compare` as JSON.</summary>
internal sealed record ComparisonReport(string Before, string After, double ThresholdPct, IReadOnlyList<ComparedModel> Points, IReadOnlyList<string> Unmatched,
    IReadOnlyList<DifferenceModel> Environment);

/// <summary>One point of both sides; change in speed, percent.</summary>
internal sealed record ComparedModel(string Workload, string Model, string Mem, int Threads, double? Before, double? After, double? ChangePct, IReadOnlyList<double>? Ci95Pct,
    string Verdict, int? RepeatsNeeded, string Text);

internal sealed record DifferenceModel(string What, string Before, string After);

/// <summary>Sets two results side by side, or the models of one.</summary>
internal static class Comparison
{
    /// <summary>Settings that are no setting but the weather.</summary>
    private static readonly string[] weather = ["psi_cpu_some_avg10", "psi_cpu_some_total", "steal_ticks"];

    /// <summary>Points of B against the same points of A. Where each side has one model, those are set against each other whatever they are called.</summary>
    public static ComparisonReport Of(string nameA, Result a, string nameB, Result b, double threshold)
    {
        bool one = a.Scenario.Models.Count == 1 && b.Scenario.Models.Count == 1;
        string Key(PointModel p) => string.Create(CultureInfo.InvariantCulture, $"{p.Workload} {(one ? "" : p.Model + " ")}mem={p.Mem} t={p.Threads}");
        var before = a.Points.ToLookup(Key);
        var rows = new List<ComparedModel>();
        foreach (PointModel p in b.Points.Where(p => before.Contains(Key(p))))
        {
            PointModel q = before[Key(p)].First();
            Verdict v = Verdict.OfRuns(Machines(q.ThroughputOpsPerS), Machines(p.ThroughputOpsPerS), threshold, Drift(q, p));
            rows.Add(Trusted(Row(p, q.Model == p.Model ? p.Model : $"{q.Model} -> {p.Model}", q.ThroughputOpsPerS.Median, p.ThroughputOpsPerS.Median, v, threshold), q, p));
        }
        var after = b.Points.ToLookup(Key);
        return new(nameA, nameB, threshold * 100, rows,
            [.. a.Points.Where(p => !after.Contains(Key(p))).Select(p => $"only in {nameA}: {Key(p)}"),
                .. b.Points.Where(p => !before.Contains(Key(p))).Select(p => $"only in {nameB}: {Key(p)}")],
            [.. Differences(a, b)]);
    }

    /// <summary>Each model of one result against its first: by the ratios of the rounds they shared, which no drift of the machine touches.</summary>
    public static ComparisonReport Within(string name, Result r, double threshold)
    {
        var rows = new List<ComparedModel>();
        foreach (RatioModel ratio in r.Ratios.Where(x => r.Scenario.Models.Any(m => m.Model == x.Against)))
        {
            PointModel p = r.Points.First(x => x.Workload == ratio.Workload && x.Model == ratio.Model && x.Mem == ratio.Mem && x.Threads == ratio.Threads);
            PointModel q = r.Points.First(x => x.Workload == ratio.Workload && x.Model == ratio.Against && x.Mem == ratio.Mem && x.Threads == ratio.Threads);
            Verdict v = ratio.Ratio is { } cost && ratio.Ci95 is { Count: 2 } ci ? Verdict.OfRounds(cost, ci[0], ci[1], threshold, p.ThroughputOpsPerS.Samples.Count)
                : new(Answer4.CannotTell, null, null, null, null);
            rows.Add(Row(p, $"{ratio.Against} -> {ratio.Model}", q.ThroughputOpsPerS.Median, p.ThroughputOpsPerS.Median, v, threshold));
        }
        return new(name, name, threshold * 100, rows, [], []);
    }

    /// <summary>One sample for each fresh machine: samples of one machine share its luck and are not independent.</summary>
    private static IReadOnlyList<double> Machines(ThroughputModel t) => t.Machines is not { } of || of.Count != t.Samples.Count || of.Distinct().Count() < 4 ? t.Samples
        : [.. t.Samples.Select((s, i) => (s, of[i])).GroupBy(x => x.Item2).Select(g => Estimate.PlainMedian([.. g.Select(x => x.s)]))];

    /// <summary>By how much the CPU itself was faster in one of two runs, as its canary says; 0 where a run has none.</summary>
    private static double Drift(PointModel a, PointModel b) => a.Noise.CanaryNs is > 0 and var x && b.Noise.CanaryNs is > 0 and var y ? Math.Abs(x / y - 1) : 0;

    /// <summary>A change between runs, one of which is not to be trusted, is not called one.</summary>
    private static ComparedModel Trusted(ComparedModel row, PointModel a, PointModel b)
    {
        PointModel? doubtful = row.Verdict == "same" ? null : a.ThroughputOpsPerS.Trust == "untrustworthy" ? a : b.ThroughputOpsPerS.Trust == "untrustworthy" ? b : null;
        return doubtful is null ? row : row with
        {
            Verdict = "unknown",
            Text = $"cannot tell: {(doubtful == a ? "before" : "after")} is not trustworthy ({string.Join("; ", doubtful.ThroughputOpsPerS.TrustReasons.Take(1))})",
        };
    }

    private static ComparedModel Row(PointModel p, string model, double? before, double? after, Verdict v, double threshold) =>
        new(p.Workload, model, p.Mem, p.Threads, before, after, Finite.OrNull(v.ChangePct), v.LowPct is { } l && v.HighPct is { } h ? [l, h] : null,
            v.Answer switch { Answer4.Same => "same", Answer4.Faster => "faster", Answer4.Slower => "slower", _ => "unknown" }, v.Repeats, v.Text(threshold));

    /// <summary>What was not the same machine, program or scenario.</summary>
    private static IEnumerable<DifferenceModel> Differences(Result a, Result b)
    {
        static string Host(Result r) => $"{r.Environment.Host.Cpus.Length} CPUs, {r.Environment.Host.Nodes.Length} nodes, {r.Environment.Host.Packages.Length} packages";
        var facts = new List<(string What, string A, string B)>
        {
            ("program", a.Tool.Version, b.Tool.Version), ("runtime", a.Tool.Runtime, b.Tool.Runtime), ("host", Host(a), Host(b)),
            ("cpus", a.Scenario.Cpus, b.Scenario.Cpus), ("pages", a.Scenario.Pages, b.Scenario.Pages), ("place", a.Scenario.Place, b.Scenario.Place),
            ("rcu", a.Scenario.Rcu, b.Scenario.Rcu), ("groups", a.Scenario.Memcg.ToString(), b.Scenario.Memcg.ToString()),
            ("synthetic", $"{a.Synthetic ?? false}", $"{b.Synthetic ?? false}"),
        };
        foreach (string key in a.Environment.Settings.Keys.Union(b.Environment.Settings.Keys).Except(weather))
            facts.Add((key, Setting(a, key), Setting(b, key)));
        return facts.Where(f => f.A != f.B).Select(f => new DifferenceModel(f.What, f.A, f.B));
    }

    private static string Setting(Result r, string key) => r.Environment.Settings.TryGetValue(key, out SettingModel? s) ? s.Value ?? "n/a" : "n/a";
}
