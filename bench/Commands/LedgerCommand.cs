// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using MemcgNative.Accounting;
using MemcgNative.Native;
using Spectre.Console;

namespace MemcgNative.Bench;

/// <summary>`matrix lines` as JSON.</summary>
/// <param name="Groups">one: both CPUs in the same group; own: each in its own.</param>
internal sealed record LedgerModel(string Model, string Groups, IReadOnlyList<LedgerRow> Lines);

/// <summary>`matrix lines`: what CPUs that share a line ask of it per page, from the counts that are part of the program.</summary>
internal sealed class LedgerCommand(CommandContext context)
{
    public int Run(ParseResult parsed)
    {
        OptionSet o = context.Options;
        bool json = OptionSet.Word("--format", parsed.GetValue(o.Format), "table", "json") == "json", own = parsed.GetValue(o.Private);
        Model[] models = [.. (parsed.GetValue(o.Model) is { Length: > 0 } named ? named : ["3.19"]).Select(Model.Parse)];
        LedgerModel[] all = [.. models.Select(m => new LedgerModel(m.ToString(), own ? "own" : "one",
            LineLedger.Of(m, !own) ?? throw new OsException("", 0, $"matrix lines: {LineLedger.NotCounted(m)}")))];
        if (json)
        {
            context.Out.WriteLine(JsonSerializer.Serialize(all, ResultJson.Default.LedgerModelArray));
            return ExitCode.Done;
        }
        Terminal terminal = Terminal.Make(context.Out, context.Environment.OutIsTerminal,
            OptionSet.Word("--color", parsed.GetValue(o.Color), "auto", "always", "never"), context.Environment);
        foreach (LedgerModel ledger in all) Print(ledger, terminal);
        context.Out.WriteLine("per page of each CPU, two CPUs of one node taking turns page by page; moves: the line was at the other CPU; counted from the code (torture ledger)");
        return ExitCode.Done;
    }

    private void Print(LedgerModel ledger, Terminal terminal)
    {
        context.Out.WriteLine($"{ledger.Model}, two CPUs in {(ledger.Groups == "one" ? "one group" : "a group each")}");
        if (ledger.Lines.Count == 0) context.Out.WriteLine("no line is shared that one of them writes");
        var table = new Table { Border = TableBorder.None };
        foreach (string column in (string[])["line", "reads", "writes", "locked", "moves", ""])
            table.AddColumn(new TableColumn(column) { NoWrap = true, Alignment = column is "line" or "" ? Justify.Left : Justify.Right });
        foreach (LedgerRow r in ledger.Lines)
            table.AddRow(new string[] { r.Line, LedgerRow.Numbers(r.Reads), LedgerRow.Numbers(r.Writes), LedgerRow.Numbers(r.Locks), LedgerRow.Number(r.Moves), r.Contended
                ? "contended" : "" }.Select(c => (Spectre.Console.Rendering.IRenderable)new Text(c)));
        if (ledger.Lines.Count > 0) terminal.Write(table);
    }
}
