// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using MemcgNative.Native;
using Spectre.Console;

namespace MemcgNative.Bench;

/// <summary>`matrix cpu|node|lines`: latency of the accounting's own lines, and whether this machine shows false sharing.</summary>
internal sealed class MatrixCommand(CommandContext context)
{
    private static readonly string[] kinds = ["cpu", "node", "lines"];

    public int Run(ParseResult parsed, string? kind)
    {
        OptionSet o = context.Options;
        kind ??= "cpu";
        if (!kinds.Contains(kind)) throw new UsageException($"matrix: '{kind}' is not a matrix{Nearest.Hint(kind, kinds)} Known: {string.Join(", ", kinds)}");
        if (kind == "lines") return new LedgerCommand(context).Run(parsed);
        if (parsed.GetValue(o.Model) is { Length: > 0 } || parsed.GetValue(o.Private))
            throw new UsageException($"matrix {kind}: -M and --private are for matrix lines; leave them out");
        string format = OptionSet.Word("--format", parsed.GetValue(o.Format), "table", "json");
        string[] lines = parsed.GetValue(o.Line) is { } given ? [OptionSet.Word("--line", given, [.. LineMatrix.Names])] : [.. LineMatrix.Names];
        Topology topology = context.Environment.Topology();
        CpuId[] cpus = [.. CpuOrder.Compact(topology, parsed.GetValue(o.Cpus) is { } list
            ? ScenarioReader.Prefixed("--cpus", () => CpuList.Parse(list, topology)) : topology.AllowedCpus.Except(topology.IsolatedCpus))];
        NodeId? home = parsed.GetValue(o.Mem) is { } mem ? Home(mem, topology, kind) : null;
        string? name = parsed.GetValue(o.Out);
        if (name == "-") format = "json";
        ResultFile? file = name is null or "-" ? null : ResultFile.Open(name);
        if (!topology.IsThisMachine) throw new UsageException($"{topology.Origin}: this is not the machine we run on and cannot be measured");

        string started = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        CancellationToken stop = context.Environment.Stop;
        var progress = new Progress(context.Error, interactive: false, parsed.GetValue(o.Quiet));
        ulong seed = parsed.GetValue(o.Seed) is { } s ? SeedText.Parse(s) : 1;
        LineProbeModel probe = FalseSharing.Measure(topology, cpus, seed, stop);
        progress.Say($"probe    {probe.Verdict}");
        MatrixModel[] matrices = [.. lines.Select(line =>
        {
            progress.Say($"matrix   {kind} {line}");
            return kind == "cpu" ? LineMatrix.Cpus(line, topology, cpus, home, stop) : LineMatrix.Nodes(line, topology, cpus, stop);
        })];
        var report = new MatrixReport(started, TopologyModel.From(topology), MachineWarnings.Of(HostSettings.Read()), matrices, probe);
        string json = JsonSerializer.Serialize(report, ResultJson.Default.MatrixReport);
        if (format == "json") context.Out.WriteLine(json);
        else Print(report, Terminal.Make(context.Out, context.Environment.OutIsTerminal, OptionSet.Word("--color", parsed.GetValue(o.Color), "auto", "always", "never"),
            context.Environment));
        file?.Write(json + "\n"); // after stdout has its result: that stays in any case
        return stop.IsCancellationRequested ? context.Environment.StopCode() : ExitCode.Done;
    }

    private static NodeId Home(string mem, Topology topology, string kind)
    {
        if (kind == "node") throw new UsageException("--mem: matrix node goes through all home nodes by itself; leave it out");
        NumaPolicy policy = ScenarioReader.Policy(mem, topology);
        return policy is { Mode: NumaMode.Bind, Nodes.Count: 1 } ? policy.Nodes[0] : throw new UsageException($"--mem {mem}: a line has one home; write bind:N");
    }

    private void Print(MatrixReport report, Terminal terminal)
    {
        foreach (MatrixModel m in report.Matrices)
        {
            context.Out.WriteLine($"{m.Line}, ns per move of the line, median ({m.What})");
            Table(m, m.Cells, terminal);
            if (m.Cold is { } cold)
            {
                context.Out.WriteLine($"{m.Line}, ns per touch of a line that lies in its home's memory");
                Table(m, cold, terminal);
            }
            if (m.Reason is { } why) context.Out.WriteLine($"note       {why}");
            foreach (string reason in m.Cells.Concat(m.Cold ?? []).Select(c => c.Reason).OfType<string>().Distinct()) context.Out.WriteLine($"n/a        {reason}");
        }
        if (report.LineProbe is not { } probe) return;
        context.Out.WriteLine($"layout     CPUs {probe.CpuA} and {probe.CpuB}: "
            + string.Join("  ", probe.Distances.Select(d => $"{d.DistanceBytes} B {Numbers.Ns(d.NsPerAdd)}")));
        context.Out.WriteLine($"layout     {probe.Verdict}");
        foreach (WarningModel w in report.Warnings) context.Out.WriteLine($"note       {w.Text}{(w.Fix is null ? "" : $"; for cleaner numbers: {w.Fix}")}");
    }

    private static void Table(MatrixModel m, IReadOnlyList<CellModel> cells, Terminal terminal)
    {
        var table = new Table { Border = TableBorder.None };
        string of = m.Kind == "cpu" ? "cpu" : "node";
        table.AddColumn(new TableColumn(m.Kind == "cpu" ? "" : "writer \\ home") { NoWrap = true });
        foreach (int c in m.Columns) table.AddColumn(new TableColumn(string.Create(CultureInfo.InvariantCulture, $"{of} {c}")) { NoWrap = true, Alignment = Justify.Right });
        var by = cells.ToDictionary(c => (c.Row, c.Column));
        foreach (int r in m.Rows)
        {
            IEnumerable<string> texts = m.Columns.Select(c => by.TryGetValue((r, c), out CellModel? cell) ? Numbers.Ns(cell.Ns) : "");
            table.AddRow([new Text(string.Create(CultureInfo.InvariantCulture, $"{of} {r}")), .. texts.Select(t => new Text(t))]);
        }
        terminal.Write(table);
    }
}
