// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`placement`: maps memory under a policy and asks the system where each page is. Exit 3 when it is not as asked.</summary>
internal sealed class PlacementCommand(CommandContext context)
{
    public int Run(ParseResult parsed)
    {
        OptionSet o = context.Options;
        string format = OptionSet.Word("--format", parsed.GetValue(o.Format), "table", "json");
        Topology topology = context.Environment.Topology();
        CpuId[] cpus = parsed.GetValue(o.Cpus) is { } list ? [.. ScenarioReader.Prefixed("--cpus", () => CpuList.Parse(list, topology))] : [.. topology.AllowedCpus];
        NumaPolicy asked = ScenarioReader.Policy(parsed.GetValue(o.Mem) ?? "local", topology);
        IReadOnlyList<PageKind> pages = PageKind.ParseList(parsed.GetValue(o.Pages) ?? "4K");
        long bytes = ScenarioReader.Footprint(parsed.GetValue(o.Footprint)) ?? 256L << 20;
        string? name = parsed.GetValue(o.Out);
        if (name == "-") format = "json";
        ResultFile? file = name is null or "-" ? null : ResultFile.Open(name);

        NodeId home = topology.NearestWithMemory(topology.Cpu(cpus[0]).Node)
            ?? throw new UsageException("--mem: no node here has memory this process may use", ofThisMachine: true);
        NumaPolicy policy = asked.On(home, topology.FarthestWithMemory(home));
        if (topology.MemoryBytes is { } has && bytes > has / 64 * 63)
            throw new UsageException($"--footprint: {TopologyText.Size(bytes)} are asked, this machine has {TopologyText.Size(has)}", ofThisMachine: true);
        NodeId[] on = policy.Nodes.Count > 0 ? [.. policy.Nodes] : [home];
        return GrowPool.Around(context, parsed, pages, on.Select(n => (n, bytes / on.Length + 1)), () => Prove(asked, policy, pages, bytes, format, file));
    }

    private int Prove(NumaPolicy asked, NumaPolicy policy, IReadOnlyList<PageKind> pages, long bytes, string format, ResultFile? file)
    {
        var clock = Stopwatch.StartNew();
        using VirtualRegion region = VirtualRegion.Map((nuint)bytes, pages, policy, out string applied, context.Environment.Stop.ThrowIfCancellationRequested);
        Placement found = Placement.Of(region, context.Environment.Stop.ThrowIfCancellationRequested);
        PlacementVerdict verdict = found.Judge(policy, out string? reason);
        var report = new PlacementReport(asked.Text, applied, (long)region.Bytes, region.Pages.Name, clock.Elapsed.TotalSeconds,
            ResultBuilder.Placed(found, null, asked.Text, verdict, reason, false, new Dictionary<string, IReadOnlyDictionary<string, long>>()));
        string json = JsonSerializer.Serialize(report, ResultJson.Default.PlacementReport);
        if (format == "json") context.Out.WriteLine(json);
        else Print(report, policy, found);
        file?.Write(json + "\n"); // after stdout has its result: that stays in any case
        if (verdict == PlacementVerdict.AsAsked) return ExitCode.Done;
        context.Error.WriteLine($"memcgnative: {reason}");
        return verdict == PlacementVerdict.Differs ? ExitCode.NotHere : ExitCode.Done;
    }

    private void Print(PlacementReport report, NumaPolicy policy, Placement found)
    {
        context.Out.WriteLine($"policy   {report.Policy}: {report.Applied}");
        context.Out.WriteLine($"memory   {TopologyText.Size(report.Bytes)} in {report.Pages} pages, mapped and proved in "
            + $"{DurationText.Format(TimeSpan.FromSeconds(report.MapAndProveS))}; a mem_map for it takes {TopologyText.Size(report.Bytes / 64)} (1/64)");
        IReadOnlyDictionary<NodeId, double>? shares = policy.ExpectedShares();
        foreach ((NodeId node, long frames) in found.Found)
        {
            string share = shares is not null && shares.TryGetValue(node, out double s) ? string.Create(CultureInfo.InvariantCulture, $"{s * 100,6:0.0} %") : "       -";
            context.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"node {node,-3} asked {share}   found {100.0 * frames / found.Frames,6:0.0} %   {frames} frames of {SizeText.Format((long)found.FrameBytes)}"));
        }
        if (found.BytesInKind is { } kind) context.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"size     {100.0 * kind / report.Bytes:0.0} % in {report.Pages} pages"));
        context.Out.WriteLine($"verdict  {report.Placement.Verdict.Replace('_', ' ')} (by {report.Placement.Method})");
    }
}
