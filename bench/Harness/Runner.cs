// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>How long, how often, in which order.</summary>
/// <param name="Duration">Measured time of one repetition of one point.</param>
/// <param name="Reps">Repetitions; each gives one sample, the median of its rounds.</param>
/// <param name="Warmup">Fixed warm-up, or null for until steady.</param>
/// <param name="Seed">Of the order of points within a round.</param>
/// <param name="Machines">
/// Fresh machines the repetitions are spread over. Where memory and stacks happen to lie makes a design faster or slower for as long as they lie
/// there (seen: 0.87 to 1.22 between two of one design on a busy machine), so one machine alone cannot tell a design from its luck.
/// </param>
/// <param name="Until">End early when every point's interval is within this fraction of its median; null: all repetitions.</param>
/// <param name="MaxTime">End early after this time.</param>
internal sealed record Schedule(TimeSpan Duration, int Reps, TimeSpan? Warmup, ulong Seed, int Machines = 1, double? Until = null, TimeSpan? MaxTime = null)
{
    /// <summary>Machines made when nothing is asked.</summary>
    public const int DefaultMachines = 5;

    /// <summary>Repetitions before <see cref="Until"/> may end a run.</summary>
    public const int LeastReps = 5;

    /// <summary>One batch: short enough that most lie between two disturbances.</summary>
    public static readonly TimeSpan Batch = TimeSpan.FromMilliseconds(2);

    /// <summary>Longest warm-up of all points together when it never becomes steady.</summary>
    public static readonly TimeSpan LongestWarmup = TimeSpan.FromSeconds(3);

    /// <summary>Batches of one repetition.</summary>
    public int RoundsPerRep => Math.Max(1, (int)Math.Round(Duration / Batch));

    /// <summary>Batches of one point.</summary>
    public int Rounds => RoundsPerRep * Reps;

    /// <summary>First repetition of a machine; that of the machine after the last is Reps.</summary>
    public int FirstRepOf(int machine) => (int)((long)Reps * machine / Machines);

    /// <summary>The machine a repetition was measured on.</summary>
    public int MachineOf(int rep) => Enumerable.Range(0, Machines).Last(m => FirstRepOf(m) <= rep);
}

/// <summary>What the runtime did while measuring: all of it must be 0.</summary>
internal sealed record RuntimeDelta(long ManagedBytes, int Collections, int CompiledMethods);

/// <summary>
/// Measures all points in rounds: each round is one short batch of every point, in an order shuffled by the seed, so that whatever the
/// machine does meets all of them alike and ratios can be taken round by round.
/// </summary>
internal sealed class Runner(IReadOnlyList<Point> points, Schedule schedule, double clockNs, CancellationToken stop)
{
    private const int SinglesEvery = 8;
    private const ulong WarmupSeed = 0x5851f42d4c957f2d;
    private static readonly long batchTicks = (long)(Schedule.Batch.TotalSeconds * Stopwatch.Frequency);

    private readonly CanaryWatch watch = new();
    private SeededRandom random = new(schedule.Seed ^ WarmupSeed);
    private readonly int[] order = [.. Enumerable.Range(0, points.Count)];

    /// <summary>FNV-1a of 64 bits.</summary>
    public const ulong HashBegin = 0xcbf29ce484222325, HashPrime = 0x100000001b3;

    /// <summary>Repetitions finished.</summary>
    public int RepsDone { get; private set; }

    /// <summary>FNV-1a over the points in the order in which their rounds were measured: one seed gives one order, however often a run was interrupted.</summary>
    public ulong OrderHash { get; private set; } = HashBegin;

    /// <summary>What a run left off with.</summary>
    public void Continue(int reps, string warmupEnded, RuntimeDelta delta, ulong orderHash) =>
        (RepsDone, WarmupEnded, Delta, OrderHash) = (reps, warmupEnded, delta, orderHash);

    /// <summary>The least a canary took with so many threads, on the CPU where that was most.</summary>
    public double BestCanaryNs(int threads) => watch.Slowest(threads) * ClockCost.NsPerTick;

    /// <summary>How warm-up ended, for the user.</summary>
    public string WarmupEnded { get; private set; } = "";

    /// <summary>What the runtime did in the measured rounds.</summary>
    public RuntimeDelta Delta { get; private set; } = new(0, 0, 0);

    /// <summary>Repetitions were ended early because the points were as steady as asked, or the time was over.</summary>
    public bool Enough { get; private set; }

    /// <summary>Measures the repetitions of one machine, whose lanes the points have by now; after a stop what was measured stays.</summary>
    /// <param name="repDone">Called between repetitions with the number done; true = enough.</param>
    /// <param name="machine">From 0. The order of points depends on the seed and on this, so a continued run goes on as it would have.</param>
    public void Run(Func<int, bool> repDone, int machine = 0)
    {
        if (points.All(p => p.CalibratedNs == 0)) Calibrate();
        WarmUp();
        random = new SeededRandom(schedule.Seed + (ulong)machine * 0x9e3779b97f4a7c15); // however many rounds warmed up
        for (int i = 0; i < order.Length; i++) order[i] = i;
        foreach (Point p in points)
        {
            p.Reset();
            BestCanaryNs(p.Threads); // compiled here, not at the first correction
        }
        foreach (Instance i in points.Select(p => p.Lane.Instance).Distinct()) i.MarkLocks();
        ReadUsage(ended: false);
        GC.Collect();
        GC.WaitForPendingFinalizers(); // what they compile and allocate must not fall into the measured region
        int collections = GC.CollectionCount(0), last = schedule.FirstRepOf(machine + 1);
        int compiled = (int)JitInfo.GetCompiledMethodCount();
        long managed = Delta.ManagedBytes;
        for (int rep = schedule.FirstRepOf(machine); rep < last && !Enough && !stop.IsCancellationRequested; rep++)
        {
            for (int i = 0; i < schedule.RoundsPerRep && !stop.IsCancellationRequested; i++) Round(rep * schedule.RoundsPerRep + i);
            int now = (int)JitInfo.GetCompiledMethodCount(), gcs = GC.CollectionCount(0);
            Delta = new RuntimeDelta(managed + Managed(), Delta.Collections + gcs - collections, Delta.CompiledMethods + now - compiled);
            foreach (Point p in points) p.Correct(watch);
            if (stop.IsCancellationRequested && !IsWhole(rep)) break;
            Enough = repDone(RepsDone = rep + 1);
            collections = GC.CollectionCount(0); // the report between repetitions is not the measured region
            compiled = (int)JitInfo.GetCompiledMethodCount();
        }
        ReadUsage(ended: true);
        if (!stop.IsCancellationRequested && points.All(p => p.Counters.Count == 0)) Count();
    }

    private bool IsWhole(int rep) => points.All(p => p.Rounds == (rep + 1) * schedule.RoundsPerRep);

    /// <summary>One batch of every point; round under 0 does not count.</summary>
    private void Round(int round)
    {
        random.Shuffle(order);
        foreach (int i in order)
        {
            if (round >= 0) OrderHash = (OrderHash ^ (ulong)i) * HashPrime;
            points[i].Batch(batchTicks, round, watch);
            if (points[i].TimesSingles && round % SinglesEvery == 0) points[i].BatchOfSingles(batchTicks, round, watch);
        }
    }

    /// <summary>Blocks so long that the clock is under 2 %.</summary>
    private void Calibrate()
    {
        foreach (Point p in points)
        {
            int unit = p.Lane.Code.Unit;
            p.Ops = unit;
            for (int i = 0; i < 5; i++) p.Batch(batchTicks / 4, -1, watch);
            double perOp = Math.Max(p.CalibratedNs, 0.1);
            p.TimesSingles = unit == 1 && perOp >= 10 * clockNs;
            p.Ops = Math.Max(1, (long)Math.Ceiling(50 * clockNs / perOp / unit)) * unit;
        }
        // Variants that are set against each other poll and read the clock equally often.
        foreach (IGrouping<(string, int), Point> alike in points.GroupBy(p => (p.Lane.Workload, p.Threads)))
            foreach (Point p in alike) p.Ops = alike.Max(a => a.Ops);
    }

    /// <summary>Until no method is compiled any more and ten rounds say what the ten before said; or for the time asked.</summary>
    private void WarmUp()
    {
        var clock = Stopwatch.StartNew();
        double[] before = [];
        for (int turn = 0; !stop.IsCancellationRequested; turn++)
        {
            int compiled = (int)JitInfo.GetCompiledMethodCount();
            double[] now = TenRounds();
            bool quiet = JitInfo.GetCompiledMethodCount() == compiled;
            bool steady = before.Length > 0 && now.Zip(before, (a, b) => Math.Abs(a / b - 1)).All(change => change < 0.05);
            before = now;
            TimeSpan limit = schedule.Warmup ?? Schedule.LongestWarmup;
            bool over = clock.Elapsed >= limit;
            if (!over && (schedule.Warmup is not null || !quiet || !steady)) continue;
            if (WarmupEnded.Length > 0) return; // of the first machine: the code is warm on the others
            WarmupEnded = $"warm-up ended after {DurationText.Format(clock.Elapsed)} ({(schedule.Warmup is not null ? "as asked" : steady && quiet ? "steady" : "not steady")})";
            return;
        }
    }

    /// <summary>Ten rounds that do not count; the median cost of an operation of each point.</summary>
    private double[] TenRounds()
    {
        const int Ten = 10;
        double[][] ns = [.. points.Select(_ => new double[Ten])];
        for (int i = 0; i < Ten; i++)
        {
            Round(-1 - i);
            for (int p = 0; p < ns.Length; p++) ns[p][i] = points[p].CalibratedNs;
        }
        return [.. ns.Select(costs => Estimate.PlainMedian(costs))];
    }

    private unsafe long Managed()
    {
        long bytes = 0;
        foreach (Lane lane in points.Select(p => p.Lane).Distinct())
            for (int i = 0; i < lane.Instance.Cpus.Count; i++) bytes += lane.States[i].Managed;
        return bytes;
    }

    /// <summary>Switches and migrations of the workers over the measured rounds; of the whole instance, its points share the threads.</summary>
    private void ReadUsage(bool ended)
    {
        foreach (IGrouping<Instance, Point> group in points.GroupBy(p => p.Lane.Instance))
        {
            ThreadUsage[] now = new ThreadUsage[group.Key.Cpus.Count];
            group.Key.Gang.Do((in ThisCpu cpu) => now[cpu.Index] = ThreadUsage.Now());
            foreach (Point p in group) p.TakeUsage(now, ended);
        }
    }

    /// <summary>One more batch of each point under perf events; not part of any throughput.</summary>
    private unsafe void Count()
    {
        foreach (Point p in points)
        {
            var read = new IReadOnlyList<PerfCount>[p.Threads];
            long done = 0;
            var events = new PerfEvents[p.Threads];
            CpuGang gang = p.Lane.Instance.Gang;
            gang.Do((in ThisCpu cpu) => (events[cpu.Index] = PerfEvents.OpenForThisThread()).Start(), p.Threads);
            p.Lane.Batch(p.Threads, 10 * batchTicks, p.Ops, null);
            gang.Do((in ThisCpu cpu) =>
            {
                events[cpu.Index].Stop();
                read[cpu.Index] = events[cpu.Index].Read();
                events[cpu.Index].Dispose();
            }, p.Threads);
            for (int i = 0; i < p.Threads; i++) done += p.Lane.States[i].Done;
            p.Counters.Clear();
            for (int e = 0; e < read[0].Count; e++)
            {
                PerfCount first = read[0][e];
                p.Counters.Add(read.All(r => r[e].Value is not null) ? (first.Name, read.Sum(r => (double)r[e].Value!) / done, null) : (first.Name, null, first.Reason));
            }
        }
    }
}
