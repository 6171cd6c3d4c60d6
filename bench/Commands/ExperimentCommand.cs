// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`run` and `sweep`: they differ in what a scenario is, not in how it is measured and shown.</summary>
internal sealed class ExperimentCommand(CommandContext context)
{
    private const int MostThreadsShown = 16;

    public int Run(ParseResult parsed, Scenario scenario)
    {
        OptionSet o = context.Options;
        string format = OptionSet.Word("--format", parsed.GetValue(o.Format), "table", "json");
        Terminal terminal = Terminal.Make(context.Out, context.Environment.OutIsTerminal, OptionSet.Word("--color", parsed.GetValue(o.Color), "auto", "always", "never"),
            context.Environment);
        string? name = parsed.GetValue(o.Out);
        if (name == "-") format = "json";
        if (parsed.GetValue(o.DryRun)) return Plan(scenario, format);
        string? again = scenario.Unfinished is null ? null : parsed.GetValue(o.Resume);
        ResultFile? file = name == "-" ? null : name is not null ? ResultFile.Open(name) : again is not null ? ResultFile.Open(again, extension: null) : null;

        bool quiet = parsed.GetValue(o.Quiet);
        var progress = new Progress(context.Error, context.Environment.ErrorIsTerminal && context.Environment.Variable("TERM") is not (null or "" or "dumb"), quiet);
        Announce(scenario, progress);
        Result result = new Session(scenario, context.Environment, progress).Run();
        string json = JsonSerializer.Serialize(result, ResultJson.Default.Result);
        if (format == "json") context.Out.WriteLine(json);
        else ResultTable.Write(result, terminal, context.Out, parsed.GetValue(o.Verbose));
        bool lost = file is not null && !Save(file, json, "data", progress); // after stdout has its result: that stays in any case
        bool html = parsed.GetValue(o.Html) || (parsed.CommandResult.Command.Name == "sweep" && !parsed.GetValue(o.NoHtml));
        lost |= !Keep(result, json, file, html, progress);

        string[] wrong = [.. result.Points.SelectMany(p => p.Books.Wrong).Distinct()];
        if (wrong.Length > 0)
        {
            progress.Warn($"the books do not balance: {string.Join("; ", wrong.Take(5))}");
            return ExitCode.Broken;
        }
        if (lost) return ExitCode.Failed;
        if (result.Status != "complete") progress.Say($"resume   memcgnative sweep --resume {file?.Path ?? LastPath() ?? "FILE"}");
        if (context.Environment.Stop.IsCancellationRequested && result.Status != "complete") return context.Environment.StopCode();
        PointModel[] doubtful = [.. result.Points.Where(p => p.ThroughputOpsPerS.Trust == "untrustworthy")];
        if (doubtful.Length == 0 || !parsed.GetValue(o.Strict)) return ExitCode.Done;
        progress.Warn($"untrustworthy: {doubtful[0].Workload} t={doubtful[0].Threads}: {doubtful[0].ThroughputOpsPerS.TrustReasons[0]}");
        return ExitCode.Untrustworthy;
    }

    /// <summary>The report: beside the data where -o named it, else the last of its kind in the user's state directory.</summary>
    private bool Keep(Result result, string json, ResultFile? file, bool html, Progress progress)
    {
        if (file is not null)
            return !html || file.IsDevice || Save(ResultFile.Open(Path.ChangeExtension(file.Path, ".html"), extension: null), HtmlReport.Text(result), "report", progress);
        if (LastPath() is not { } last) return true;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(last)!);
            ResultFile.Open(last).Write(json + "\n");
            if (html) Save(ResultFile.Open(Path.ChangeExtension(last, ".html"), extension: null), HtmlReport.Text(result), "report", progress);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OutputException)
        {
            progress.Say($"report   not kept: {e.Message.ReplaceLineEndings(" ")}"); // nobody asked for it by name
        }
        return true;
    }

    private string? LastPath()
    {
        string? state = context.Environment.Variable("XDG_STATE_HOME") is { Length: > 0 } xdg ? xdg
            : context.Environment.Variable("HOME") is { Length: > 0 } home ? Path.Combine(home, ".local", "state") : null;
        return state is null ? null : Path.Combine(state, "memcgnative", "last.json");
    }

    private static bool Save(ResultFile file, string text, string what, Progress progress)
    {
        try
        {
            file.Write(text.EndsWith('\n') ? text : text + "\n");
            progress.Say($"{what,-8} {file.Path}");
            return true;
        }
        catch (OutputException e)
        {
            progress.Warn(e.Message);
            return false;
        }
    }

    private static void Announce(Scenario scenario, Progress progress)
    {
        Topology t = scenario.Topology;
        progress.Say($"machine  {t.Packages.Length} package(s), {t.Nodes.Length} node(s), {t.Cpus.Length} CPUs, Linux {SystemFacts.KernelRelease}, .NET {Environment.Version}");
        progress.Say($"plan     {scenario.PointCount} points x {scenario.Schedule.Reps} reps x {DurationText.Format(scenario.Schedule.Duration)}, about "
            + $"{DurationText.Format(scenario.Estimate)}; "
            + $"{scenario.Threads.Max()} threads on CPUs {CpuList.Format(scenario.Cpus.Take(scenario.Threads.Max()))} | {SizeText.Format(scenario.FootprintBytes)} in "
                + $"{scenario.PagesText} pages | {scenario.Shape.Depth} level(s) of groups, "
            + $"{scenario.Shape.LeavesFor(scenario.Threads.Max())} at the last | {string.Join(" against ", scenario.Models)} | seed {SeedText.Format(scenario.Schedule.Seed)}");
        NodeId[] nodes = [.. t.Nodes.Where(n => n.HasMemory && n.IsAllowed).Select(n => n.Id)];
        if (nodes.Length == 1) progress.Say($"memory   this machine has one memory node ({nodes[0]}): only local memory is measured");
    }

    private int Plan(Scenario scenario, string format)
    {
        PlanModel plan = scenario.ToPlan();
        if (format == "json")
        {
            context.Out.WriteLine(JsonSerializer.Serialize(plan, ResultJson.Default.PlanModel));
            return ExitCode.Done;
        }
        TextWriter w = context.Out;
        if (plan.Synthetic) w.WriteLine($"machine  {scenario.Topology.Origin}");
        w.WriteLine($"plan     {plan.Points} points x {plan.Scenario.Reps} reps x {DurationText.Format(scenario.Schedule.Duration)} in batches of "
            + $"{DurationText.Format(Schedule.Batch)}, order shuffled by seed {plan.Seed}; about {DurationText.Format(scenario.Estimate)}");
        w.WriteLine($"points   {string.Join(", ", plan.Scenario.Workloads)} x threads {string.Join(",", plan.Scenario.Threads)} x mem {string.Join(", ", plan.Scenario.Mem)}");
        foreach (DesignsModel m in plan.Scenario.Models) w.WriteLine($"model    {m.Model}: {m.Designs}");
        w.WriteLine($"groups   {plan.Scenario.Memcg.Depth} level(s), {plan.Scenario.Memcg.Groups} at the last{(plan.Scenario.Memcg.Private ? " (one per thread)" : "")}, "
            + $"limit {(plan.Scenario.Memcg.LimitBytes is { } l ? SizeText.Format(l) : "none")}; metadata {plan.Scenario.Place}");
        foreach (PlannedThread t in plan.Threads.Take(MostThreadsShown)) w.WriteLine($"thread   {t.Thread} -> cpu {t.Cpu} -> node {t.Node}");
        if (plan.Threads.Count > MostThreadsShown) w.WriteLine($"thread   ... {plan.Threads.Count - MostThreadsShown} more (--format json has all)");
        foreach (PlannedNode n in plan.Nodes) w.WriteLine($"memory   {n.Mem}: node {n.Node}{(n.Node == n.OnNode ? "" : $" (fake, on {n.OnNode})")}: {n.Frames} frames, "
            + $"{SizeText.Format(n.Bytes)} in {plan.Scenario.Pages} pages, mem_map {SizeText.Format(n.MemMapBytes)}");
        return ExitCode.Done;
    }
}
