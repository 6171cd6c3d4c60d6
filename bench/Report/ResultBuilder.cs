// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Reflection;
using System.Runtime;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>From what was measured to what is written.</summary>
internal sealed class ResultBuilder(Scenario scenario, HostSettings before, HostSettings after, TimeSpan between, double clockNs, Runner runner,
    long migrations, string? lost)
{
    private static readonly (string Name, double Q)[] quantiles = [("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999), ("99.99", 0.9999), ("100", 1)];

    public Result Build(IReadOnlyList<Point> points, IReadOnlyDictionary<Instance, Proof> placedAfter,
                        IReadOnlyDictionary<(string Mem, string Model), Books> books, string started, string compiler,
                        LineProbeModel? lineProbe, PrefetchModel? prefetch, ResumeModel? resume)
    {
        TopologyModel host = TopologyModel.From(scenario.Topology);
        bool ownSpeed = Bench.Point.AtOwnSpeed(points);
        PointModel[] measured = [.. points.Where(p => !Twins.IsTwin(p.Lane.Workload)).Select(p =>
            Point(p, placedAfter[p.Lane.Instance], books[(p.Lane.Instance.Plan.Mem.Text, p.Lane.Instance.Plan.Model.ToString())], ownSpeed))];
        var result = new Result
        {
            Tool = Tool(),
            Started = started,
            Status = resume is null ? "complete" : "interrupted",
            Order = OrderOf(runner),
            Lost = lost,
            Seed = SeedText.Format(scenario.Schedule.Seed),
            Scenario = scenario.ToModel(),
            Environment = new EnvironmentModel(host, before.All.ToDictionary(s => s.Key, s => new SettingModel(s.Value.Value, s.Value.Reason)), MachineWarnings.Of(before)),
            Points = measured,
            Ratios = [.. Ratios(points, compiler)],
            Runtime = new RuntimeModel(runner.Delta.ManagedBytes, runner.Delta.Collections, runner.Delta.CompiledMethods, migrations, runner.WarmupEnded),
            Preset = scenario.Preset?.Report((row, first) => Ratio(PointOf(points, row), PointOf(points, first), first.Label), lineProbe),
            LineProbe = lineProbe,
            Prefetch = prefetch,
            Fits = [.. Fits(measured)],
            Resume = resume,
        };
        return resume is null ? result : result.Sealed();
    }

    /// <summary>See <see cref="Result.Order"/>.</summary>
    public static string OrderOf(Runner runner) => runner.OrderHash.ToString("x16", CultureInfo.InvariantCulture);

    /// <summary>"0.1.0+abc123".</summary>
    public static string Version => typeof(ResultBuilder).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0";

    /// <summary>This program.</summary>
    public static ToolModel Tool() => new(Version, RuntimeInformation.FrameworkDescription, AppContext.TryGetSwitch("System.Runtime.TieredCompilation", out bool tiered) && tiered,
        GCSettings.IsServerGC ? "server" : "workstation");

    private PointModel Point(Point p, Proof placedAfter, Books books, bool ownSpeed)
    {
        WorkloadInfo info = WorkloadList.Find(p.Lane.Workload);
        int[] counted = [.. Enumerable.Range(0, p.Rounds).Where(i => p.Counts(i, ownSpeed))];
        int kept = counted.Length;
        int reps = Math.Max(1, runner.RepsDone); // the first counts also when it was cut short: there is nothing else
        (int Rep, double OpsPerS)[] medians = [.. p.RepMedians(scenario.Schedule.RoundsPerRep, reps, ownSpeed)];
        double[] samples = [.. medians.Select(m => m.OpsPerS)];
        Estimate estimate = Estimate.Of(samples);
        double[] speeds = [.. counted.Select(i => p.Throughput[i]).Where(v => v > 0)];
        double? canary = Finite.OrNull(Estimate.PlainMedian([.. counted.Select(i => (double)p.CanaryNs[i])]));
        var noise = new NoiseModel(Number(before.CpuPressureSomeAvg10), before.CpuPressureSomeAvg10.Reason, Steal(), kept, p.Rounds - kept, Finite.OrNull(estimate.SpreadPercent))
        {
            Modes = SampleShape.Modes(speeds),
            PsiCpuSomePct = Waited(),
            CanaryNs = canary,
            CpuSpeed = canary is { } ns ? Finite.OrNull(runner.BestCanaryNs(p.Threads) / ns) : null,
            BesideNeighbour = !ownSpeed,
            RepsFor1Pct = SampleShape.RepeatsFor(1, Finite.OrNull(estimate.SpreadPercent), samples.Length),
        };
        (string trust, List<string> reasons) = Trust.Judge(noise, runner.Delta, p, placedAfter, SampleShape.Changes(speeds), lost);
        LatencyHistogram latency = p.Latency(ownSpeed);
        long block = p.TimesSingles ? 1 : p.Ops;
        ThreadModel[] threads = [.. Enumerable.Range(0, p.Threads).Select(i => Thread(p, i))];
        return new PointModel
        {
            Workload = info.Name,
            Operation = info.Operation,
            Model = p.Lane.Instance.Plan.Model.ToString(),
            Mem = p.Mem,
            Threads = p.Threads,
            ThroughputOpsPerS = new ThroughputModel(samples, Finite.OrNull(estimate.Median), estimate.Low is { } low && estimate.High is { } high ? [low, high] : null,
                Finite.OrNull(estimate.SpreadPercent), samples.Length == 0 ? "no repetition was finished"
                    : runner.RepsDone == 0 ? "stopped within the first repetition" : estimate.Low is null ? "fewer than 3 repetitions" : null, trust,
                    reasons) { Machines = [.. medians.Select(m => scenario.Schedule.MachineOf(m.Rep))] },
            LatencyNs = new LatencyModel(clockNs, block, block > 1, latency.Total,
                quantiles.ToDictionary(q => q.Name, q => Finite.OrNull(latency.Quantile(q.Q) * ClockCost.NsPerTick / block)),
                new HistogramModel(7, [.. latency.NonEmpty().Select(b => (long[])[(long)(b.Value * ClockCost.NsPerTick), b.Count])])),
            PerThread = threads,
            Fairness = Fairness.Of(threads),
            Counters = p.Counters.ToDictionary(c => c.Name, c => new CounterModel(Finite.OrNull(c.PerOp), "op", c.Reason)),
            Placement = PlacementOf(p.Lane.Instance, placedAfter),
            Books = new BooksModel(books.Balanced, books.Before.Charged, books.Before.Uncharged, books.Before.Resident, books.Before.Stocked, books.Before.OnLists,
                books.DyingGroups, books.Wrong),
            Locks = [.. books.Locks.Select(l => new LockModel(l.Name, l.Acquired, l.Contended, l.WaitNs, l.HeldNs == 0 ? null : l.HeldNs, l.Pages, l.Retries))],
            Noise = noise,
            DyingOverTime = Dying(p),
        };
    }

    /// <summary>At most 200 rounds of the first machine; each machine begins without groups that die.</summary>
    private long[][]? Dying(Point p)
    {
        const int Most = 200;
        Schedule s = scenario.Schedule;
        int rounds = Math.Min(p.Rounds, s.FirstRepOf(1) * s.RoundsPerRep), step = (rounds + Most - 1) / Most;
        return p.Dying.AsSpan(0, rounds).IndexOfAnyExcept(0) < 0 ? null
            : [.. Enumerable.Range(0, rounds / step).Select(i => (long[])[(i + 1) * step * (long)Schedule.Batch.TotalMilliseconds, p.Dying[(i + 1) * step - 1]])];
    }

    private static IEnumerable<FitModel> Fits(PointModel[] points) =>
        from g in points.GroupBy(p => (p.Workload, p.Model, p.Mem))
        select Scalability.Fit(g.Key.Workload, g.Key.Model, g.Key.Mem, [.. g.Select(p => (p.Threads, p.ThroughputOpsPerS.Median ?? 0))]);

    private static ThreadModel Thread(Point p, int i)
    {
        CpuId cpu = p.Lane.Instance.Plan.Cpus[i];
        ThreadUsage usage = i < p.Usage.Length ? p.Usage[i] : default;
        (long done, long failed, long ticks) = p.Totals(i);
        return new ThreadModel(cpu.Value, p.Lane.Instance.Plan.Topology.Cpu(cpu).Node.Value, done, failed,
            ticks == 0 ? null : Finite.OrNull(done / (ticks * ClockCost.NsPerTick) * 1e9), usage.Migrations, usage.InvoluntarySwitches,
            usage.Migrations is null ? OperatingSystem.IsWindows() ? ThreadUsage.NothingOnWindows : ThreadUsage.NoMigrations : null);
    }

    /// <summary>The worse of the two verdicts: memory may move while a run goes on.</summary>
    private static PlacementModel PlacementOf(Instance instance, Proof after) =>
        Placed(instance.Before, after.Found, instance.Plan.Mem.Text, after.Verdict == PlacementVerdict.AsAsked ? instance.Verdict : after.Verdict,
            after.Verdict == PlacementVerdict.AsAsked ? instance.Reason : after.Differs ?? after.Reason, instance.Allocator.HasFakeNodes,
            after.Metadata.ToDictionary(u => PlaceMap.NameOf(u.Key), u =>
                (IReadOnlyDictionary<string, long>)u.Value.ToDictionary(n => Text(n.Key), n => n.Value)));

    /// <summary>A proof as results have it.</summary>
    public static PlacementModel Placed(Placement found, Placement? later, string asked, PlacementVerdict verdict, string? reason, bool fake, IReadOnlyDictionary<string,
        IReadOnlyDictionary<string, long>> metadata) => new()
    {
        Method = found.Method,
        Asked = asked,
        Found = found.Found.ToDictionary(f => Text(f.Key.Value), f => f.Value),
        FoundAfter = later?.Found.ToDictionary(f => Text(f.Key.Value), f => f.Value),
        FrameBytes = (long)found.FrameBytes,
        Pages = found.Pages.Name,
        When = later is null ? ["before"] : ["before", "after"],
        Verdict = verdict switch { PlacementVerdict.AsAsked => "as_asked", PlacementVerdict.Differs => "differs", _ => "unverified" },
        Reason = reason,
        FakeNodes = fake,
        MetadataBytes = metadata,
    };

    /// <summary>Each twin's workload against the twin, and each model after the first against the first.</summary>
    private IEnumerable<RatioModel> Ratios(IReadOnlyList<Point> points, string compiler)
    {
        foreach (Point p in points.Where(p => !Twins.IsTwin(p.Lane.Workload)))
        {
            if (points.FirstOrDefault(t => t.Lane.Workload == Twins.Of(p.Lane.Workload) && t.Threads == p.Threads && t.Lane.Instance == p.Lane.Instance) is { } twin)
                yield return Ratio(p, twin, compiler);
            Point first = points.First(f => f.Lane.Workload == p.Lane.Workload && f.Threads == p.Threads && f.Mem == p.Mem);
            if (first != p) yield return Ratio(p, first, first.Lane.Instance.Plan.Model.ToString());
        }
    }

    /// <summary>A row of a preset's table at the most threads.</summary>
    private Point PointOf(IReadOnlyList<Point> points, PresetRow row) => points.First(p => p.Lane.Workload == row.Workload && p.Threads == scenario.Threads.Max()
        && p.Lane.Instance.Plan.Model.ToString() == Accounting.Model.Parse(row.Model).ToString());

    /// <summary>
    /// What an operation costs on one side over what it costs on the other, round by round, where neither lost a CPU and both found it equally fast: a
    /// ratio does not ask how fast, so rounds beside a busy sibling count as well.
    /// </summary>
    private RatioModel Ratio(Point ours, Point twin, string against)
    {
        int[] both = [.. Enumerable.Range(0, Math.Min(ours.Rounds, twin.Rounds)).Where(i => ours.IsAlike(twin, i) && ours.Throughput[i] > 0 && twin.Throughput[i] > 0)];
        Schedule s = scenario.Schedule;
        RatioEstimate? ratio = RatioEstimate.OfMachines([.. both.GroupBy(i => s.MachineOf(i / s.RoundsPerRep)).Select(g =>
            (g.Select(i => 1 / ours.Throughput[i]).ToArray(), g.Select(i => 1 / twin.Throughput[i]).ToArray()))], s.Seed);
        return new RatioModel(ours.Lane.Workload, ours.Lane.Instance.Plan.Model.ToString(), ours.Mem, ours.Threads, against, ratio?.Median,
            ratio is null ? null : [ratio.Low, ratio.High], ratio?.HodgesLehmann, both.Length, twin.Failed,
            ratio is null ? $"only in {both.Length} rounds both sides kept their CPUs and found them equally fast" : null);
    }

    private double? Steal() => Number(before.StealTicks) is { } a && Number(after.StealTicks) is { } b
        ? Finite.OrNull(HostSettings.StealPercent((long)a, (long)b, between.TotalSeconds, scenario.Topology.Cpus.Length)) : null;

    private double? Waited() => Number(before.CpuPressureSomeTotal) is { } a && Number(after.CpuPressureSomeTotal) is { } b
        ? Finite.OrNull((b - a) / between.TotalMicroseconds * 100) : null;

    private static double? Number(Setting setting) => double.TryParse(setting.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double v) ? Finite.OrNull(v) : null;

    private static string Text(int n) => n.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Whether a point may be believed, and why not.</summary>
internal static class Trust
{
    public static (string Trust, List<string> Reasons) Judge(NoiseModel noise, RuntimeDelta delta, Point p, Proof placedAfter,
        IReadOnlyList<(int Round, double Factor)> changes, string? lost)
    {
        List<string> bad = [], poor = [];
        if (placedAfter.Differs is { } moved) bad.Add(moved);
        if (p.Stray is { } stray) bad.Add($"CPU {stray.Own} was lost: its thread was found on CPU {stray.Found}; was it taken offline or out of the cpuset?");
        if (lost is not null) bad.Add(lost);
        if (p.Failed > 0) (p.FailedShare > 0.01 ? bad : poor).Add(Failures(p.Failed, p.FailedShare));
        double kept = p.Rounds == 0 ? 0 : (double)noise.RoundsKept / p.Rounds;
        string state = noise.BesideNeighbour ? "kept their CPUs beside a busy neighbour, as most rounds of this run did" : "had their CPUs to themselves";
        if (kept < 0.1) bad.Add($"only {kept:P0} of the rounds {state}");
        else if (kept < 0.5) poor.Add($"only {kept:P0} of the rounds {state}");
        if (noise.BesideNeighbour && noise.CpuSpeed is { } speed) poor.Add($"a neighbour shared the cores: in the rounds that count the CPUs ran at {speed:P0} of their best");
        if (noise.SpreadPct is > 25 and var wide) bad.Add(string.Create(CultureInfo.InvariantCulture, $"repetitions spread {wide:0} %"));
        else if (noise.SpreadPct is > 5 and var some) poor.Add(string.Create(CultureInfo.InvariantCulture, $"repetitions spread {some:0.#} %"));
        if (noise.PsiCpuSomePct is > 50 and var psi) bad.Add(string.Create(CultureInfo.InvariantCulture, $"CPU pressure {psi:0} %: other processes waited for CPUs"));
        if (delta.ManagedBytes != 0) bad.Add($"{delta.ManagedBytes} managed bytes were allocated while measuring");
        if (delta.Collections != 0) bad.Add($"{delta.Collections} garbage collections ran while measuring");
        if (delta.CompiledMethods != 0) poor.Add($"{delta.CompiledMethods} methods were compiled while measuring");
        if (p.Usage.Take(p.Threads).Sum(u => u.Migrations ?? 0) is > 0 and var migrations) poor.Add($"{migrations} migrations of pinned threads");
        poor.AddRange(SampleShape.Doubts(noise.Modes ?? [], changes));
        if (noise.RepsFor1Pct is { } needed && bad.Count + poor.Count > 0) poor.Add($"about {needed} repetitions would bring it within 1 %");
        return (bad.Count > 0 ? "untrustworthy" : poor.Count > 0 ? "noisy" : "ok", [.. bad, .. poor]);
    }

    private static string Failures(long failed, double share) =>
        string.Create(CultureInfo.InvariantCulture, $"{failed} operations ({share * 100:0.###} %) were refused and do not count");
}
