// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using MemcgNative.Accounting;
using MemcgNative.Native;
using Spectre.Console;

namespace MemcgNative.Bench;

/// <summary>`list`: what can be named on the command line.</summary>
internal sealed class ListCommand(CommandContext context)
{
    private static readonly string[] kinds = ["eras", "axes", "workloads", "presets"];

    public int Run(ParseResult parsed, string? what)
    {
        if (what is not null && !kinds.Contains(what)) throw new UsageException($"list: '{what}' is not a list{Nearest.Hint(what, kinds)} Known: {string.Join(", ", kinds)}");
        bool Wants(string kind) => what is null || what == kind;
        var list = new ListModel(
            Wants("eras") ? [.. Eras.All.Select(e => new EraModel(e.Name, e.Author, e.Date, e.Subject, e.Fate,
                e.Answers.Select((a, i) => (a, i)).ToDictionary(x => Eras.NameOf((Axis)x.i), x => x.a),
                [.. Enum.GetValues<CounterKind>().Where(e.Declares).Select(k => k.ToString().ToLowerInvariant())]))] : null,
            Wants("axes") ? [.. Eras.Answers.Select(a =>
                new AnswerModel(Eras.NameOf(a.Axis), a.Name, a.Refused is null ? a.What : $"{a.What}; explorer only: {a.Refused}"))] : null,
            Wants("workloads") ? [.. WorkloadList.All.Select(w => new NamedModel(w.Name, w.What))] : null,
            Wants("presets") ? [.. PresetList.All.Select(p => new NamedModel(p.Name, p.Source))] : null);
        if (OptionSet.Word("--format", parsed.GetValue(context.Options.Format), "table", "json") == "json")
        {
            context.Out.WriteLine(JsonSerializer.Serialize(list, ResultJson.Default.ListModel));
            return ExitCode.Done;
        }
        Terminal terminal = Terminal.Make(context.Out, context.Environment.OutIsTerminal,
            OptionSet.Word("--color", parsed.GetValue(context.Options.Color), "auto", "always", "never"), context.Environment);
        if (list.Eras is { } eras) WriteEras(terminal, eras);
        if (list.Axes is { } axes) Table(terminal, "axis", ["answer", "what"], axes.Select(a => (string[])[a.Axis, a.Name, a.What]));
        if (list.Workloads is { } workloads) Table(terminal, "workload", ["what"], workloads.Select(w => (string[])[w.Name, w.What]));
        if (list.Presets is { } presets) Table(terminal, "preset", ["what"], presets.Select(p => (string[])[p.Name, p.What]));
        return ExitCode.Done;
    }

    /// <summary>Who made an era and what became of it; then what it is made of: its answer on every axis, and the counters it has.</summary>
    private static void WriteEras(Terminal terminal, IReadOnlyList<EraModel> eras)
    {
        Table(terminal, "era", ["date", "author", "series", "fate"], eras.Select(e => (string[])[e.Name, e.Date, e.Author, e.Subject, e.Fate]));
        string[] axes = [.. Enum.GetValues<Axis>().Where(a => a < Axis.LruSwitch).Select(Eras.NameOf)]; // those of lru=Books: `list eras --format json`
        Table(terminal, "era", [.. axes, "counters"], eras.Select(e => (string[])[e.Name, .. axes.Select(a => e.Answers[a]), string.Join(", ", e.Counters)]));
    }

    private static void Table(Terminal terminal, string first, string[] others, IEnumerable<string[]> rows)
    {
        var table = new Table { Border = TableBorder.None };
        foreach (string column in (string[])[first, .. others]) table.AddColumn(new TableColumn(column) { NoWrap = column != others[^1] });
        foreach (string[] row in rows) table.AddRow(row.Select(c => (Spectre.Console.Rendering.IRenderable)new Text(c)));
        terminal.Write(table);
        terminal.Console.WriteLine();
    }
}
