// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using MemcgNative.Native;
using Spectre.Console;

namespace MemcgNative.Bench;

/// <summary>`compare A B`: a verdict for each point and an exit code, made for CI and for issues. One file: its models against the first.</summary>
internal sealed class VerdictCommand(CommandContext context)
{
    public int Run(ParseResult parsed, string[] files)
    {
        OptionSet o = context.Options;
        if (parsed.GetValue(o.Prove)) return Prove(parsed, files);
        string format = OptionSet.Word("--format", parsed.GetValue(o.Format), "table", "md", "json");
        double threshold = PercentText.Parse("--threshold", parsed.GetValue(o.Threshold) ?? "2%");
        string[] failOn = FailOn(parsed.GetValue(o.FailOn) ?? "slower");
        if (files.Length is 0 or > 2) throw new UsageException($"compare: {files.Length} files; give two results, or one with several models");
        Result a = ResultReader.Load(files[0]);
        ComparisonReport report = files.Length == 1 ? Within(files[0], a, threshold) : Comparison.Of(files[0], a, files[1], ResultReader.Load(files[1]), threshold);
        if (report.Points.Count == 0)
            throw new UsageException($"compare: no point is in both: {string.Join("; ", report.Unmatched.Take(2))}");
        if (format == "json") context.Out.WriteLine(JsonSerializer.Serialize(report, ResultJson.Default.ComparisonReport));
        else if (format == "md") Markdown(report);
        else Print(report, Terminal.Make(context.Out, context.Environment.OutIsTerminal, OptionSet.Word("--color", parsed.GetValue(o.Color), "auto", "always", "never"),
            context.Environment));
        bool fails = report.Points.Any(p => failOn.Contains(p.Verdict)) || (failOn.Contains("env") && report.Environment.Count > 0);
        return fails ? ExitCode.Slower : ExitCode.Done;
    }

    private static ComparisonReport Within(string file, Result a, double threshold) => a.Scenario.Models.Count > 1 ? Comparison.Within(file, a, threshold)
        : throw new UsageException($"compare: {file} has one model ({a.Scenario.Models[0].Model}); give a second file, or a result with several -M");

    private static string[] FailOn(string text)
    {
        string[] known = ["slower", "faster", "unknown", "env", "none"];
        string[] given = text.Split(',', StringSplitOptions.TrimEntries);
        foreach (string g in given) OptionSet.Word("--fail-on", g, known);
        return given;
    }

    private static readonly string[] columns = ["workload", "model", "mem", "threads", "before", "after", "change (95 % CI)", "verdict"];

    private static string[] Cells(ComparedModel p) =>
        [p.Workload, p.Model, p.Mem, p.Threads.ToString(CultureInfo.InvariantCulture), Numbers.Rate(p.Before), Numbers.Rate(p.After), Change(p), p.Text];

    private static string Change(ComparedModel p) => p.ChangePct is not { } c ? "n/a"
        : string.Create(CultureInfo.InvariantCulture, $"{c:+0.0;-0.0;0.0} %") + (p.Ci95Pct is { } ci
            ? string.Create(CultureInfo.InvariantCulture, $" [{ci[0]:+0.0;-0.0;0.0} {ci[1]:+0.0;-0.0;0.0}]") : "");

    private void Print(ComparisonReport report, Terminal terminal)
    {
        var table = new Table { Border = TableBorder.None };
        foreach (string c in columns) table.AddColumn(new TableColumn(c) { NoWrap = true, Alignment = c is "threads" or "before" or "after" ? Justify.Right : Justify.Left });
        foreach (ComparedModel p in report.Points) table.AddRow(Cells(p).Select(c => (Spectre.Console.Rendering.IRenderable)new Text(c)));
        terminal.Write(table);
        foreach (string u in report.Unmatched) context.Out.WriteLine($"{"unmatched",-11}{u}");
        if (report.Environment.Count > 0) context.Out.WriteLine("different  "
            + string.Join(", ", report.Environment.Select(d => $"{d.What} {d.Before} / {d.After}")) + ": not the same machine state");
    }

    private void Markdown(ComparisonReport report)
    {
        context.Out.WriteLine($"| {string.Join(" | ", columns)} |");
        context.Out.WriteLine($"|{string.Concat(columns.Select(_ => "---|"))}");
        foreach (ComparedModel p in report.Points) context.Out.WriteLine($"| {string.Join(" | ", Cells(p).Select(c => c.Replace("|", "\\|", StringComparison.Ordinal)))} |");
        foreach (DifferenceModel d in report.Environment) context.Out.WriteLine($"\n- {d.What}: `{d.Before}` / `{d.After}`");
        foreach (string u in report.Unmatched) context.Out.WriteLine($"\n- {u}");
    }

    private int Prove(ParseResult parsed, string[] files)
    {
        if (files.Length > 0) throw new UsageException("compare --prove: measures by itself; leave the files out");
        string format = OptionSet.Word("--format", parsed.GetValue(context.Options.Format), "table", "json");
        var progress = new Progress(context.Error, interactive: false, parsed.GetValue(context.Options.Quiet));
        Scenario scenario = new ScenarioReader(parsed, context.Options, context.Environment).Run("fault");
        double threshold = PercentText.Parse("--threshold", parsed.GetValue(context.Options.Threshold) ?? "2%");
        ProofReport report = new DifferenceProof(scenario, threshold, progress, context.Environment.Stop).Run();
        if (format == "json")
        {
            context.Out.WriteLine(JsonSerializer.Serialize(report, ResultJson.Default.ProofReport));
            return report.Shown ? ExitCode.Done : ExitCode.Untrustworthy;
        }
        string F(double v) => v.ToString("0.0", CultureInfo.InvariantCulture);
        foreach (ProofModel p in report.Comparisons.Where(_ => parsed.GetValue(context.Options.Verbose)))
            context.Out.WriteLine($"{p.Number,3}        same design {p.SameText,-34} dearer design {p.DearerText}");
        context.Out.WriteLine($"same design twice     {report.Comparisons.Count(p => p.Same is "same" or "unknown")} of {report.Comparisons.Count} without a false "
            + $"faster or slower ({report.Comparisons.Count(p => p.Same == "same")} same, {report.Comparisons.Count(p => p.Same == "unknown")} cannot tell)");
        context.Out.WriteLine($"dearer charge path    {report.Comparisons.Count(p => p.Dearer == "slower")} of {report.Comparisons.Count} found slower; "
            + $"built in: {F(report.ExtraAdds)} locked adds in 32 charges, {F(report.BuiltInPct)} % [{F(report.BuiltInCi95Pct[0])} {F(report.BuiltInCi95Pct[1])}] over all rounds");
        context.Out.WriteLine($"each comparison       {report.RoundsPerComparison} rounds of 2 ms at one thread, the three in turn; threshold {report.ThresholdPct} %; "
            + $"{report.RoundsKept} of {report.Rounds} rounds kept their CPU");
        return report.Shown ? ExitCode.Done : ExitCode.Untrustworthy;
    }
}
