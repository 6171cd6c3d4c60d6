// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A scenario from set-up to result. After a stop the result holds what was measured until then.</summary>
internal sealed class Session(Scenario scenario, CliEnvironment environment, Progress progress)
{
    private static readonly TimeSpan probeFor = TimeSpan.FromMilliseconds(20);
    private readonly Dictionary<Instance, Proof> after = [];
    private readonly Dictionary<(string Mem, string Model), Books> books = [];

    /// <summary>Builds, proves, measures, balances the books.</summary>
    /// <exception cref="OsException">The machine refuses.</exception>
    public Result Run()
    {
        string started = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        string compiler = scenario.Twin ? Twins.Load(scenario.Workloads[0].Name, environment.Variable) : "";
        if (scenario.Rcu == RcuFlavour.Membarrier && MembarrierProbe.Run(probeFor) is { Usable: false } no)
        {
            progress.Warn(no.Reason);
            scenario = scenario with { Rcu = RcuFlavour.Qsbr };
        }
        HostSettings before = HostSettings.Read();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        double clockNs = ClockCost.MeasureNs();
        var points = new List<Point>();
        Instance[] instances = [];
        try
        {
            Runner? runner = null;
            for (int machine = 0; machine < scenario.Schedule.Machines; machine++)
            {
                foreach (Instance old in instances) old.Dispose();
                instances = []; // should the next one not be made, nobody disposes of these again
                instances = Build(points, machine);
                runner ??= new Runner(points, scenario.Schedule, clockNs, environment.Stop);
                runner.Run(rep => RepDone(rep, points, clock.Elapsed), machine);
                if (machine == 0) progress.Say(runner.WarmupEnded);
                foreach (Instance instance in instances) Close(instance);
                if (runner.Enough || environment.Stop.IsCancellationRequested) break;
            }
            if (runner!.Enough && runner.RepsDone < scenario.Schedule.Reps)
                progress.Say($"enough   after {runner.RepsDone} of {scenario.Schedule.Reps} repetitions (--until, --max-time)");
            var result = new ResultBuilder(scenario, before, HostSettings.Read(), clock.Elapsed, clockNs, runner!);
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

    /// <summary>A machine for each placement and model, built in an order of its own so that none always gets the memory that was freed last.</summary>
    private Instance[] Build(List<Point> points, int machine)
    {
        (NumaPolicy Mem, Model Model)[] all = [.. scenario.Mem.SelectMany(mem => scenario.Models.Select(model => (mem, model)))];
        int[] order = [.. Enumerable.Range(0, all.Length)];
        new SeededRandom(scenario.Schedule.Seed + (ulong)machine).Shuffle(order);
        var instances = new Instance[all.Length];
        var built = new List<Instance>();
        try
        {
            foreach (int i in order)
            {
                built.Add(instances[i] = Matrix.Bind(all[i].Model, new InstanceMaker(scenario.InstanceFor(all[i].Mem, all[i].Model))));
                instances[i].Start();
                if (machine == 0) progress.Placed(instances[i], all[i].Mem);
            }
            int at = 0;
            for (int i = 0; i < all.Length; i++)
                foreach (WorkloadInfo workload in scenario.Workloads)
                    foreach (string name in (string[])[workload.Name, .. scenario.Twin ? [Twins.Of(workload.Name)!] : Array.Empty<string>()])
                    {
                        Lane lane = instances[i].Open(name);
                        foreach (int threads in scenario.Threads)
                        {
                            if (at == points.Count) points.Add(new Point(lane, threads, scenario.Schedule.Rounds, all[i].Mem.Text));
                            points[at++].Lane = lane;
                        }
                    }
            return instances;
        }
        catch
        {
            foreach (Instance instance in built) instance.Dispose();
            throw;
        }
    }

    /// <summary>True when the points are as steady as asked, or the time is over.</summary>
    private bool RepDone(int done, List<Point> points, TimeSpan since)
    {
        Schedule s = scenario.Schedule;
        progress.Rep(done, s.Reps, points);
        if (s.MaxTime is { } most && since >= most) return true;
        return s.Until is { } until && done >= Schedule.LeastReps
            && points.All(p => Estimate.Of([.. p.RepMedians(s.RoundsPerRep, done).Select(m => m.OpsPerS)]).SpreadPercent <= until * 100);
    }

    private void Close(Instance instance)
    {
        Placement found = instance.Memory.ProveFrames(out PlacementVerdict verdict, out string? reason);
        after[instance] = new Proof(found, verdict, reason);
        if (after[instance].Differs is { } differs) progress.Warn(differs);
        (string, string) key = (instance.Plan.Mem.Text, instance.Plan.Model.ToString());
        IReadOnlyList<LruLockTotals> locks = instance.LocksSince();
        Books closed = instance.Close() with { Locks = locks };
        books[key] = books.TryGetValue(key, out Books? earlier) ? earlier + closed : closed;
    }
}
