// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`doctor` as JSON.</summary>
internal sealed record DoctorReport(IReadOnlyList<WarningModel> Findings, LineProbeModel? LineProbe, NoiseFloorModel? NoiseFloor);

/// <summary>How far two runs of the same design are apart here: what is smaller cannot be seen with one machine each.</summary>
/// <param name="SameMachinePct">Twice on one machine's memory, round by round.</param>
/// <param name="FreshMachinesPct">Two fresh machines: 95 % of such pairs are nearer than this.</param>
internal sealed record NoiseFloorModel(double? SameMachinePct, double? FreshMachinesPct, int Machines, string? Reason);

/// <summary>`doctor`: is it quiet enough, and what would make it quieter? Reads and measures; changes nothing.</summary>
internal sealed class DoctorCommand(CommandContext context)
{
    private const int Machines = 6, Rounds = 60;

    public int Run(ParseResult parsed)
    {
        string format = OptionSet.Word("--format", parsed.GetValue(context.Options.Format), "table", "json");
        Topology topology = context.Environment.Topology();
        WarningModel[] findings = [.. MachineWarnings.Of(HostSettings.Read()), .. OfTopology(topology)];
        LineProbeModel? probe = null;
        NoiseFloorModel? floor = null;
        if (!parsed.GetValue(context.Options.DryRun) && topology.IsThisMachine)
        {
            Scenario scenario = new ScenarioReader(parsed, context.Options, context.Environment).Run("charge-uncharge");
            probe = FalseSharing.Measure(topology, scenario.Cpus, 1, context.Environment.Stop);
            floor = Floor(scenario);
        }
        var report = new DoctorReport(findings, probe, floor);
        if (format == "json") context.Out.WriteLine(JsonSerializer.Serialize(report, ResultJson.Default.DoctorReport));
        else Print(report);
        return ExitCode.Done;
    }

    private void Print(DoctorReport report)
    {
        foreach (WarningModel w in report.Findings) context.Out.WriteLine($"{"finding",-11}{w.Text}{(w.Fix is null ? "" : $"; mended by: {w.Fix}")}");
        if (report.Findings.Count == 0) context.Out.WriteLine("finding    nothing that would bend figures");
        if (report.LineProbe is { } probe) context.Out.WriteLine($"layout     {probe.Verdict}");
        if (report.NoiseFloor is not { } floor) return;
        context.Out.WriteLine(floor.Reason is { } why ? $"noise      not measured: {why}"
            : string.Create(CultureInfo.InvariantCulture,
                $"noise      one design twice in the same rounds: {floor.SameMachinePct:0.0} % apart; on {floor.Machines} fresh machines: ")
                + string.Create(CultureInfo.InvariantCulture, $"up to {floor.FreshMachinesPct:0.0} % apart, by where memory lies; ")
                + "smaller differences between single machines are invisible here");
    }

    private static IEnumerable<WarningModel> OfTopology(Topology t)
    {
        if (t.Nodes.Count(n => n.HasMemory && n.IsAllowed) == 1) yield return new("one_node", "one memory node: nothing here can be said about remote memory", null);
        if (t.SmtWidth > 1 && t.AllowedCpus.Length > t.Cores.Count(c => c.Cpus.Any(t.AllowedCpus.Contains)))
            yield return new("smt", "hardware threads share cores; for cores alone name one CPU of each", $"--cpus {CpuList.Format(t.Cores.Select(c => c.Cpus[0]))}");
        if (t.AllowedCpus.Length < t.Cpus.Length) yield return new("cpuset",
            $"this process may use CPUs {CpuList.Format(t.AllowedCpus)} of {CpuList.Format(t.Cpus.Select(c => c.Id))}", null);
        if (t.IsolatedCpus.IsEmpty && t.Cpus.Length > 2)
            yield return new("isolation", "no CPU is isolated: the scheduler puts others' work on measured ones", "boot with isolcpus=LIST, then --cpus LIST");
    }

    /// <summary>The same design on several fresh machines, two lanes of which take turns on each.</summary>
    private NoiseFloorModel Floor(Scenario scenario)
    {
        double clockNs = ClockCost.MeasureNs();
        var speeds = new List<double>();
        var same = new List<double>();
        for (int m = 0; m < Machines && !context.Environment.Stop.IsCancellationRequested; m++)
        {
            using Instance instance = Matrix.Bind(Model.Parse("3.19"), new InstanceMaker(scenario.InstanceFor(scenario.Mem[0], Model.Parse("3.19"))));
            instance.Start();
            Lane lane = instance.Open("charge-uncharge");
            using Point a = new(lane, 1, Rounds, "local"), b = new(lane, 1, Rounds, "local");
            new Runner([a, b], new Schedule(Rounds * Schedule.Batch, 1, TimeSpan.FromMilliseconds(50), 1), clockNs, context.Environment.Stop).Run(static _ => false);
            instance.Close();
            int[] whole = [.. Enumerable.Range(0, Math.Min(a.Rounds, b.Rounds)).Where(i => a.Whole[i] && b.Whole[i])];
            if (whole.Length < 10) continue;
            speeds.Add(Estimate.PlainMedian([.. whole.Select(i => a.Throughput[i] * a.CanaryNs[i])])); // in operations per canary: the CPU's own speed taken out
            same.Add(Math.Abs(Estimate.PlainMedian([.. whole.Select(i => a.Throughput[i] / b.Throughput[i])]) - 1));
        }
        if (speeds.Count < 3) return new NoiseFloorModel(null, null, speeds.Count, $"only {speeds.Count} of {Machines} machines kept their CPU long enough; this one is too busy");
        double mean = speeds.Average(), sd = Math.Sqrt(speeds.Sum(s => (s / mean - 1) * (s / mean - 1)) / (speeds.Count - 1));
        return new NoiseFloorModel(Estimate.PlainMedian([.. same]) * 100, 1.96 * Math.Sqrt(2) * sd * 100, speeds.Count, null);
    }
}
