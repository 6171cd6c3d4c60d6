// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A scenario from set-up to result. After a stop the result holds what was measured until then.</summary>
internal sealed class Session(Scenario scenario, CliEnvironment environment, Progress progress)
{
    private readonly Dictionary<Instance, Proof> after = [];
    private readonly Dictionary<Instance, Books> books = [];

    /// <summary>Builds, proves, measures, balances the books.</summary>
    /// <exception cref="OsException">The machine refuses.</exception>
    public Result Run()
    {
        string started = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        string compiler = scenario.Twin ? Twins.Load(scenario.Workloads[0].Name, environment.Variable) : "";
        HostSettings before = HostSettings.Read();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        double clockNs = ClockCost.MeasureNs();
        var instances = new List<Instance>();
        var points = new List<Point>();
        try
        {
            foreach ((NumaPolicy mem, Model model) in scenario.Mem.SelectMany(mem => scenario.Models.Select(model => (mem, model))))
            {
                Instance instance = Matrix.Bind(model, new InstanceMaker(scenario.InstanceFor(mem, model)));
                instances.Add(instance);
                instance.Start();
                progress.Placed(instance, mem);
                foreach (WorkloadInfo workload in scenario.Workloads)
                    foreach (string lane in (string[])[workload.Name, .. scenario.Twin ? [Twins.Of(workload.Name)!] : Array.Empty<string>()])
                        AddPoints(points, instance.Open(lane), mem);
            }
            var runner = new Runner(points, scenario.Schedule, clockNs, environment.Stop);
            runner.Run(rep => progress.Rep(rep, scenario.Schedule.Reps, points));
            progress.Say(runner.WarmupEnded);
            var result = new ResultBuilder(scenario, before, HostSettings.Read(), clock.Elapsed, clockNs, runner);
            foreach (Instance instance in instances) Close(instance);
            LineProbeModel? lines = scenario.ProbesLines ? FalseSharing.Measure(scenario.Topology, scenario.Cpus, scenario.Schedule.Seed, environment.Stop) : null;
            PrefetchModel? prefetch = scenario.ProbesPrefetch ? PrefetchProbe.Measure(scenario.Topology, scenario.Cpus, scenario.Schedule.Seed, environment.Stop) : null;
            return result.Build(points, instances, after, books, started, environment.Stop.IsCancellationRequested, compiler, lines, prefetch);
        }
        finally
        {
            foreach (Instance instance in instances) instance.Dispose();
            foreach (Point p in points.Where(p => p.Lane.Instance.Gang is not { Stuck: > 0 })) p.Dispose();
        }
    }

    private void AddPoints(List<Point> points, Lane lane, NumaPolicy mem)
    {
        foreach (int threads in scenario.Threads) points.Add(new Point(lane, threads, scenario.Schedule.Rounds, mem.Text));
    }

    private void Close(Instance instance)
    {
        Placement found = instance.Memory.ProveFrames(out PlacementVerdict verdict, out string? reason);
        after[instance] = new Proof(found, verdict, reason);
        if (after[instance].Differs is { } differs) progress.Warn(differs);
        IReadOnlyList<LruLockTotals> locks = instance.LocksSince();
        books[instance] = instance.Close() with { Locks = locks };
    }
}
