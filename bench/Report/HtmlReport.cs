// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Net;
using System.Reflection;
using System.Text;
using System.Text.Json;

namespace MemcgNative.Bench;

/// <summary>
/// A result as one HTML file that needs nothing else: tables that read without script, charts drawn from the data it holds, and the data itself,
/// from which `run --from` repeats it and `report --extract` gives it back.
/// </summary>
internal sealed class HtmlReport(Result r)
{
    private const int MostLocks = 16;
    private readonly StringBuilder html = new();
    private bool IsMadeUp => r.Synthetic == true || r.Environment.Host.Synthetic;

    public static string Text(Result r) => new HtmlReport(r).Build();

    private string Build()
    {
        string title = $"{string.Join(", ", r.Scenario.Workloads)} on {r.Environment.Host.Cpus.Length} CPUs, {r.Environment.Host.Nodes.Length} node(s)";
        html.Append($"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.Append($"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n");
        html.Append($"<title>memcgnative: {E(title)}</title>\n<style>\n{Part("report.css")}</style>\n</head>\n<body{(IsMadeUp ? " class=\"made-up\"" : "")}>\n<header>\n");
        html.Append($"<h1>{E(title)}</h1>\n<p class=\"soft\">{E(Machine())}</p>\n");
        if (IsMadeUp) html.Append("<p class=\"synthetic\">Synthetic: nobody measured this. Made up to show what a report looks like.</p>\n");
        html.Append($"<p>{Sentence()}</p>\n<nav aria-label=\"Sections\">");
        foreach ((string id, string name) in sections) html.Append($"<a href=\"#{id}\">{name}</a> ");
        html.Append("</nav>\n</header>\n<main>\n");
        Results();
        Scaling();
        Latency();
        Fairness();
        Lines();
        Placement();
        MachineSection();
        Proof();
        Again();
        html.Append("</main>\n<noscript><p>Charts need script; the numbers of every chart stand in the tables.</p></noscript>\n");
        html.Append(ResultReader.Embed(JsonSerializer.Serialize(r with { Resume = null }, ResultJson.Default.Result))).Append('\n');
        html.Append($"<!-- Observable Plot and what it is made of:\n{Part("plot.LICENSES.txt").Replace("--", "- -", StringComparison.Ordinal)}-->\n");
        html.Append($"<script>\n{Part("plot.js")}\n</script>\n<script>\n{Part("report.js")}</script>\n</body>\n</html>\n");
        return html.ToString();
    }

    private static readonly (string Id, string Name)[] sections = [("results", "Results"), ("scaling", "Scaling"), ("latency", "Latency"), ("fairness", "Fairness"),
        ("lines", "Lines"), ("placement", "Placement"), ("machine", "Machine"), ("proof", "Proof"), ("again", "Again")];

    private void Section(string id, string about) => html.Append($"<section id=\"{id}\">\n<h2>{sections.First(s => s.Id == id).Name}</h2>\n<p class=\"soft\">{E(about)}</p>\n");

    private void End() => html.Append("</section>\n");

    private void Chart(string name, string caption) => html.Append($"<figure data-chart=\"{name}\"><figcaption>{E(caption)}</figcaption></figure>\n");

    private string Machine() => $"{r.Environment.Host.Packages.Length} package(s), {r.Environment.Host.Nodes.Length} node(s), {r.Environment.Host.Cpus.Length} CPUs, "
        + $"kernel {Setting("kernel")}, {r.Tool.Runtime}; memcgnative {r.Tool.Version}; {r.Started}; seed {r.Seed}; {r.Status}";

    private string Setting(string key) => r.Environment.Settings.TryGetValue(key, out SettingModel? s) ? s.Value ?? "n/a" : "n/a";

    private string Sentence()
    {
        ILookup<string, PointModel> trust = r.Points.ToLookup(p => p.ThroughputOpsPerS.Trust);
        bool balanced = r.Points.All(p => p.Books.Balanced);
        return $"{r.Points.Count} points: <span class=\"ok\">{trust["ok"].Count()} ok</span>, <span class=\"noisy\">{trust["noisy"].Count()} noisy</span>, "
            + $"<span class=\"untrustworthy\">{trust["untrustworthy"].Count()} untrustworthy</span>. "
            + $"Books: {(balanced ? "<span class=\"ok\">balanced</span>" : "<span class=\"broken\">BROKEN</span>")}.";
    }

    private void Results()
    {
        Section("results", "Median of the repetitions with its 95 % interval; operations that were refused do not count. Hollow dots in the charts are not to be trusted fully.");
        Table("Throughput", ["workload", "model", "memory", "#threads", "#op/s", "#95 %", "#per thread", "#refused", "#rounds kept", "trust"], r.Points.Select(p => (string[])
            [E(p.Workload), E(p.Model), E(p.Mem), N(p.Threads), Numbers.Rate(p.ThroughputOpsPerS.Median), Interval(p), Numbers.Rate(p.ThroughputOpsPerS.Median / p.Threads),
                N(p.PerThread.Sum(t => t.Failed)), $"{p.Noise.RoundsKept}/{p.Noise.RoundsKept + p.Noise.RoundsDropped}", TrustCell(p)]));
        if (r.Ratios.Count > 0)
        {
            Chart("ratios", "Cost of an operation against the first model (or the C twin), taken round by round; the bar is the 95 % interval.");
            Table("Ratios of the same rounds", ["workload", "memory", "#threads", "model", "against", "#costs", "#95 %", "#rounds"], r.Ratios.Select(x => (string[])
                [E(x.Workload), E(x.Mem), N(x.Threads), E(x.Model), E(x.Against), F(x.Ratio, "0.000", " x"),
                    x.Ci95 is { } ci ? $"{F(ci[0], "0.000")} .. {F(ci[1], "0.000")}" : E(x.Reason ?? "n/a"), N(x.Rounds)]));
        }
        End();
    }

    private static string Interval(PointModel p) => p.ThroughputOpsPerS.Ci95 is { } ci ? $"{Numbers.Rate(ci[0])} .. {Numbers.Rate(ci[1])}" : E(p.ThroughputOpsPerS.Reason ?? "n/a");

    private static string TrustCell(PointModel p) => $"<span class=\"{p.ThroughputOpsPerS.Trust}\">{p.ThroughputOpsPerS.Trust}</span>"
        + (p.ThroughputOpsPerS.TrustReasons.Count > 0 ? $" <span class=\"soft\">{E(string.Join("; ", p.ThroughputOpsPerS.TrustReasons))}</span>" : "");

    private void Scaling()
    {
        Section("scaling", "Throughput by number of threads, one thread per CPU; the band is the 95 % interval, the dashed line the fitted Universal Scalability Law.");
        Chart("scaling", "Operations per second over threads.");
        Table("Universal Scalability Law: sigma is what waits, kappa is what CPUs tell each other", ["workload", "model", "memory", "#sigma", "#kappa", "#R2", "#knee", "says"],
            (r.Fits ?? []).Select(f => (string[])[E(f.Workload), E(f.Model), E(f.Mem), F(f.Sigma, "0.00000"), F(f.Kappa, "0.0000000"), F(f.R2, "0.000"),
                f.Knee is { } k ? $"{F(k.Threads, "0")} ± {F(k.Error, "0")}" : f.Reason is null ? "none" : "n/a", E(Scalability.Sentence(f))]));
        End();
    }

    private void Latency()
    {
        LatencyModel? first = r.Points.Count > 0 ? r.Points[0].LatencyNs : null;
        Section("latency", $"Time per operation. Reading the clock costs {Numbers.Ns(first?.ClockOverheadNs)} and is not subtracted; where an operation is cheaper than "
            + "ten clock reads, percentiles are of blocks and hide what happens inside one.");
        Chart("latency", "Percentile curves at one thread and at the most.");
        string[] q = ["50", "90", "99", "99.9", "99.99", "100"];
        Table("Percentiles", ["workload", "model", "memory", "#threads", .. q.Select(x => x == "100" ? "#max" : "#p" + x), "#block"], r.Points.Select(p => (string[])
            [E(p.Workload), E(p.Model), E(p.Mem), N(p.Threads), .. q.Select(x => Numbers.Ns(p.LatencyNs.Percentile.GetValueOrDefault(x))),
                p.LatencyNs.Block == 1 ? "single" : N(p.LatencyNs.Block)]));
        End();
    }

    private void Fairness()
    {
        Section("fairness", "How evenly the CPUs got on: a lock that lets one CPU run away looks fast in the sum.");
        Chart("fairness", "Each CPU's speed against the mean of its point.");
        Table("Fairness", ["workload", "model", "memory", "#threads", "#Jain's index", "slowest", "fastest"], r.Points.Where(p => p.Fairness is not null).Select(p => (string[])
            [E(p.Workload), E(p.Model), E(p.Mem), N(p.Threads), F(p.Fairness!.Jain, "0.000"), $"CPU {p.Fairness.SlowestCpu}: {F(p.Fairness.SlowestPct, "+0.0;-0.0;0.0")} %",
                $"CPU {p.Fairness.FastestCpu}: {F(p.Fairness.FastestPct, "+0.0;-0.0;0.0")} %"]), "one thread: nothing to compare");
        End();
    }

    private void Lines()
    {
        Section("lines", "What each line that CPUs share is asked from fault to final put, on two CPUs of one node that take turns page by page. Counted from every access to "
            + "shared memory in the shipped code, played by one thread (torture ledger), not measured here; with more CPUs a line moves no less. Where matrix measured what a move "
            + "costs on this machine, the last column has it.");
        MatrixModel? moves = r.Matrices?.FirstOrDefault(m => m.Kind == "cpu" && m.Line == "page_counter");
        double? ns = moves is null ? null : Finite.OrNull(Estimate.PlainMedian([.. moves.Cells.Where(c => c.Ns is not null).Select(c => c.Ns!.Value)])) is > 0 and var m ? m : null;
        bool shared = !r.Scenario.Memcg.Private && r.Scenario.Memcg.Groups < Math.Max(2, r.Scenario.Threads.Max());
        foreach (DesignsModel design in r.Scenario.Models) Ledger(design.Model, shared, ns);
        Chart("locks", "Waiting for the list locks, ns per acquisition, of all points on one placement together.");
        Table("List locks, the busiest first", ["model", "memory", "lock", "#acquired", "#contended", "#waited", "#held", "#pages a hold"],
            r.Points.DistinctBy(p => (p.Model, p.Mem)).SelectMany(p => p.Locks.Take(MostLocks).Select(l => (string[])[E(p.Model), E(p.Mem), E(l.Name), N(l.Acquired),
                F(100.0 * l.Contended / Math.Max(1, l.Acquired), "0.##", " %"), Numbers.Ns(l.WaitNs / Math.Max(1, l.Acquired)),
                l.HeldNs is { } held ? Numbers.Ns(held / Math.Max(1, l.Acquired)) : "n/a", F((double)l.Pages / Math.Max(1, l.Acquired), "0.0")])));
        Chart("zombies", "Groups that were removed and are still held, over the time measured on the first machine; none where no group was removed.");
        Table("Dying groups at the end of the workloads", ["model", "memory", "#groups", "held first by"],
            r.Points.DistinctBy(p => (p.Model, p.Mem)).Where(p => p.Books.DyingGroups.Count > 0).Select(p => (string[])
                [E(p.Model), E(p.Mem), N(p.Books.DyingGroups.Count), E(KmemTables.Pins(p.Books.DyingGroups))]));
        foreach (MatrixModel matrix in r.Matrices ?? [])
            html.Append($"<p class=\"soft\">{E(matrix.Line)}: {E(matrix.What)}{(matrix.Reason is { } why ? $"; {E(why)}" : "")}.</p>\n");
        Chart("matrices", "Latency of the accounting's own lines on this machine.");
        MatrixTables();
        if (r.LineProbe is { } probe)
        {
            html.Append($"<h3>False sharing</h3>\n<p>{E(probe.Verdict)}.</p>\n");
            Chart("probe", "Two CPUs' adds to words a distance apart.");
            Table("Adds by distance", ["#bytes apart", "#ns per add", "#rounds"], probe.Distances.Select(d => (string[])[N(d.DistanceBytes), F(d.NsPerAdd, "0.0"), N(d.Rounds)]));
        }
        End();
    }

    private void Ledger(string name, bool shared, double? nsPerMove)
    {
        Accounting.Model model;
        try
        {
            model = Accounting.Model.Parse(name);
        }
        catch (Native.UsageException)
        {
            return; // of another version of the program
        }
        IReadOnlyList<LedgerRow>? rows = LineLedger.Of(model, shared);
        if (rows is null)
        {
            html.Append($"<p>{E(LineLedger.NotCounted(model))}</p>\n");
            return;
        }
        string[] hot = [.. rows.Where(x => x.Contended).Select(x => x.Line)];
        string who = $"{name}, two CPUs in {(shared ? "one group" : "a group each")}";
        Table($"{who}, per page: {(hot.Length == 0 ? "no line is contended" : $"contended: {string.Join("; ", hot)}")}",
            ["line", "#reads", "#writes", "#locked", "#moves", "contended", "#costs"], rows.Select(x => (string[])[E(x.Line), LedgerRow.Numbers(x.Reads),
                LedgerRow.Numbers(x.Writes), LedgerRow.Numbers(x.Locks), LedgerRow.Number(x.Moves), x.Contended ? "<strong>yes</strong>" : "no",
                nsPerMove is null ? "" : Numbers.Ns(x.Ns(nsPerMove))]), $"{who}: they share no line that one of them writes");
    }

    /// <summary>Latencies as text, up to a size a person reads; the rest is in the data.</summary>
    private void MatrixTables()
    {
        foreach (MatrixModel m in (r.Matrices ?? []).Where(m => m.Rows.Count <= 16))
            foreach ((string what, IReadOnlyList<CellModel> cells) in new[] { ("per move", m.Cells), ("per touch in memory", m.Cold ?? []) })
            {
                if (cells.Count == 0) continue;
                string of = m.Kind == "cpu" ? "CPU" : "node";
                Table($"{m.Line} by {of}, ns {what}", [m.Kind == "cpu" ? "CPU" : "writer \\ home", .. m.Columns.Select(c => $"#{of} {c}")], m.Rows.Select(row =>
                    (string[])[$"{of} {row}",
                    .. m.Columns.Select(c => cells.FirstOrDefault(x => x.Row == row && x.Column == c) is { } cell
                        ? cell.Ns is { } ns ? F(ns, "0") : E(cell.Reason ?? "n/a") : "")]));
            }
    }

    private void Placement()
    {
        Section("placement", "Where the frames were found before and after, and what was asked.");
        Chart("placement", "Share of the frames found on each node, percent.");
        Table("Frames", ["memory", "asked", "found", "found after", "pages", "verdict", "checked"], r.Points.DistinctBy(p => p.Mem).Select(p => (string[])
            [E(p.Mem), E(p.Placement.Asked), E(Nodes(p.Placement.Found)), E(p.Placement.FoundAfter is { } a ? Nodes(a) : "n/a"), E(p.Placement.Pages),
                E(p.Placement.Verdict.Replace('_', ' ') + (p.Placement.Reason is { } why ? $": {why}" : "")
                    + (p.Placement.FakeNodes ? "; fake nodes: distances mean nothing" : "")),
                E($"{string.Join(" and ", p.Placement.When)} by {p.Placement.Method}")]));
        Table("Metadata", ["memory", "what", "bytes at node"], r.Points.DistinctBy(p => p.Mem).SelectMany(p => p.Placement.MetadataBytes.Select(m => (string[])
            [E(p.Mem), E(m.Key), E(string.Join(", ", m.Value.Select(n => $"{SizeText.Format(n.Value)} at {n.Key}")))])));
        End();
    }

    private static string Nodes(IReadOnlyDictionary<string, long> found) => string.Join(", ", found.Select(f => $"node {f.Key}: {f.Value}"));

    private void MachineSection()
    {
        Section("machine", r.Environment.Host.Origin);
        html.Append(TopologyPicture.Html(r.Environment.Host));
        Table("Settings", ["setting", "value"], r.Environment.Settings.Select(s => (string[])[E(s.Key), E(s.Value.Value ?? $"n/a: {s.Value.Reason}")]));
        Table("What bends figures here", ["finding", "mended by"], r.Environment.Warnings.Select(w => (string[])[E(w.Text), E(w.Fix ?? "")]), "nothing was found");
        End();
    }

    private void Proof()
    {
        Section("proof", "Every run ends with its books: what was charged is uncharged or resident, lists are as long as they say, every group and frame is back.");
        Table("Books", ["workload", "model", "memory", "#charged", "#uncharged", "#resident", "says"], r.Points.DistinctBy(p => (p.Model, p.Mem)).Select(p => (string[])
            [E(p.Workload), E(p.Model), E(p.Mem), N(p.Books.Charged), N(p.Books.Uncharged), N(p.Books.Resident),
                p.Books.Balanced ? "<span class=\"ok\">balanced</span>" : $"<span class=\"broken\">{E(string.Join("; ", p.Books.Wrong))}</span>"]));
        html.Append($"<p>While measuring: {r.Runtime.ManagedBytes} managed bytes, {r.Runtime.Collections} collections, {r.Runtime.CompiledMethods} methods compiled, "
            + $"{r.Runtime.Migrations} migrations; {E(r.Runtime.Warmup)}.</p>\n");
        End();
    }

    private void Again()
    {
        Section("again", "This file holds its data. Save it, and any of these gives it back or measures it again.");
        html.Append($"<pre>memcgnative run --from THIS.html\nmemcgnative report --extract THIS.html > result.json\n{E(ScenarioText.Command(r.Scenario, r.Seed))}</pre>\n");
        string designs = string.Concat(r.Scenario.Models.Select(m => $"<li><code>{E(m.Model)}</code>: {E(m.Designs)}</li>"));
        html.Append($"<details><summary>Designs</summary>\n<ul>{designs}</ul></details>\n");
        End();
    }

    /// <summary>A table; columns that begin with # hold numbers. Cells are HTML. Without rows: the line, or nothing.</summary>
    private void Table(string caption, string[] columns, IEnumerable<string[]> rows, string? empty = null)
    {
        string[][] all = [.. rows];
        if (all.Length == 0)
        {
            if (empty is not null) html.Append($"<p>{E(empty)}</p>\n");
            return;
        }
        html.Append($"<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{E(caption)}\"><table>\n<caption>{E(caption)}</caption>\n<thead><tr>");
        foreach (string c in columns) html.Append($"<th scope=\"col\"{(c.StartsWith('#') ? " class=\"n\"" : "")}>{E(c.TrimStart('#'))}</th>");
        html.Append("</tr></thead>\n<tbody>\n");
        foreach (string[] row in all)
        {
            html.Append("<tr>");
            for (int i = 0; i < row.Length; i++) html.Append($"<td{(columns[i].StartsWith('#') ? " class=\"n\"" : "")}>{row[i]}</td>");
            html.Append("</tr>\n");
        }
        html.Append("</tbody></table></div>\n");
    }

    private static string E(string text) => WebUtility.HtmlEncode(text);

    private static string N(long n) => n.ToString(CultureInfo.InvariantCulture);

    private static string F(double? v, string format, string unit = "") => v is { } d && double.IsFinite(d) ? d.ToString(format, CultureInfo.InvariantCulture) + unit : "n/a";

    /// <summary>An embedded part of the page.</summary>
    internal static string Part(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name) ?? throw new InvalidOperationException($"{name} is not embedded");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
