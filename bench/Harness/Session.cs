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
    private long migrations;
    private string? lost;

    /// <summary>Builds, proves, measures, balances the books.</summary>
    /// <exception cref="OsException">The machine refuses.</exception>
    public Result Run()
    {
        Result? from = scenario.Unfinished;
        string started = from?.Started ?? DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);
        Checkpoint begin = from is null ? Checkpoint.Nothing : new Checkpoint(from.Resume!);
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
            Checkpoint whole = begin;
            for (int machine = begin.Machines; machine < scenario.Schedule.Machines; machine++)
            {
                foreach (Instance old in instances) old.Dispose();
                instances = []; // should the next one not be made, nobody disposes of these again
                if (runner is not null) whole = Checkpoint.Of(machine, points, runner, books, migrations, begin.Elapsed + clock.Elapsed);
                if (Next(points, machine, first: runner is null) is not { } made) break;
                instances = made;
                if (runner is null)
                {
                    runner = new Runner(points, scenario.Schedule, clockNs, environment.Stop);
                    migrations = begin.Restore(points, runner, books, scenario.Schedule.FirstRepOf(machine));
                }
                runner.Run(rep => RepDone(rep, points, begin.Elapsed + clock.Elapsed), machine);
                if (machine == begin.Machines) progress.Say(runner.WarmupEnded);
                foreach (Instance instance in instances) Close(instance, points);
                if (runner.Enough || environment.Stop.IsCancellationRequested) break;
            }
            if (runner!.Enough && runner.RepsDone < scenario.Schedule.Reps)
                progress.Say($"enough   after {runner.RepsDone} of {scenario.Schedule.Reps} repetitions (--until, --max-time)");
            var result = new ResultBuilder(scenario, before, HostSettings.Read(), clock.Elapsed, clockNs, runner!, migrations, lost);
            LineProbeModel? lines = scenario.ProbesLines ? FalseSharing.Measure(scenario.Topology, scenario.Cpus, scenario.Schedule.Seed, environment.Stop) : null;
            PrefetchModel? prefetch = scenario.ProbesPrefetch ? PrefetchProbe.Measure(scenario.Topology, scenario.Cpus, scenario.Schedule.Seed, environment.Stop) : null;
            bool cut = lost is not null || environment.Stop.IsCancellationRequested;
            return result.Build(points, after, books, started, compiler, lines, prefetch, cut ? whole.Save(points, scenario) : null);
        }
        finally
        {
            foreach (Instance instance in instances) instance.Dispose();
            foreach (Point p in points.Where(p => p.Lane.Instance.Gang is not { Stuck: > 0 })) p.Dispose();
        }
    }

    /// <summary>The next machine; null when something it needs was taken away since the one before: what that one measured is kept.</summary>
    private Instance[]? Next(List<Point> points, int machine, bool first)
    {
        try
        {
            return Build(points, machine);
        }
        catch (OsException e) when (!first)
        {
            lost = $"machine {machine + 1} of {scenario.Schedule.Machines} could not be made: {e.Message.ReplaceLineEndings(" ")}";
            progress.Warn($"{lost}; what was measured before is kept");
            return null;
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
                if (after.Count == 0) progress.Placed(instances[i], all[i].Mem);
            }
            var lanes = new List<(Lane Lane, int Threads, string Mem)>();
            for (int i = 0; i < all.Length; i++)
                foreach (WorkloadInfo workload in scenario.Workloads)
                    foreach (string name in (string[])[workload.Name, .. scenario.Twin ? [Twins.Of(workload.Name)!] : Array.Empty<string>()])
                    {
                        Lane lane = instances[i].Open(name);
                        foreach (int threads in scenario.Threads) lanes.Add((lane, threads, all[i].Mem.Text));
                    }
            for (int at = 0; at < lanes.Count; at++) // only now: without all of them the points keep the machine they have
            {
                (Lane lane, int threads, string mem) = lanes[at];
                if (at == points.Count) points.Add(new Point(lane, threads, scenario.Schedule.Rounds, mem));
                points[at].Lane = lane;
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
        bool own = Point.AtOwnSpeed(points);
        return s.Until is { } until && done >= Schedule.LeastReps
            && points.All(p => Estimate.Of([.. p.RepMedians(s.RoundsPerRep, done, own).Select(m => m.OpsPerS)]).SpreadPercent <= until * 100);
    }

    private void Close(Instance instance, List<Point> points)
    {
        Placement found = instance.Memory.ProveFrames(out PlacementVerdict verdict, out string? reason);
        after[instance] = new Proof(found, verdict, reason, instance.Memory.WhereMetadataIs());
        migrations += instance.Gang.Migrations;
        foreach (Point p in points.Where(p => p.Lane.Instance == instance)) p.Stray ??= instance.Gang.Stray;
        if (after[instance].Differs is { } differs) progress.Warn(differs);
        (string, string) key = (instance.Plan.Mem.Text, instance.Plan.Model.ToString());
        IReadOnlyList<LruLockTotals> locks = instance.LocksSince();
        Books closed = instance.Close() with { Locks = locks };
        books[key] = books.TryGetValue(key, out Books? earlier) ? earlier + closed : closed;
    }
}
