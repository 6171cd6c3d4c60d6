// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// One point of an experiment: a workload on an instance with a number of threads, and everything measured of it. All room is made
/// before the first round, so that measuring allocates nothing.
/// </summary>
internal sealed unsafe class Point : IDisposable
{
    private readonly LatencyHistogram[] ofBatch; // of the batch that runs, per thread; kept unless it lost its CPU
    private readonly LatencyHistogram own = new(), beside = new(); // of clean batches, and of those that were whole but slow
    private readonly long** counts;
    private readonly long[] done, failed, elapsed;

    private ThreadUsage[] usageBefore = [];
    private int corrections; // of the watch, that this point followed

    public Point(Lane lane, int threads, int rounds, string mem)
    {
        Lane = lane;
        Threads = threads;
        Mem = mem;
        Throughput = new double[rounds];
        Clean = new bool[rounds];
        Whole = new bool[rounds];
        CanaryNs = new float[rounds];
        Dying = new int[rounds];
        done = new long[threads];
        failed = new long[threads];
        elapsed = new long[threads];
        ofBatch = [.. Enumerable.Range(0, threads).Select(_ => new LatencyHistogram())];
        counts = Table(ofBatch);
    }

    /// <summary>Where it is measured now: another lane for each fresh machine.</summary>
    public Lane Lane { get; set; }
    public int Threads { get; }

    /// <summary>Called before each batch; allocates nothing.</summary>
    public Action? BeforeBatch { get; init; }

    /// <summary>The memory policy, as results name it.</summary>
    public string Mem { get; }

    /// <summary>Operations per second of each round, all threads together; refused ones do not count.</summary>
    public double[] Throughput { get; }

    /// <summary>Whether the round's CPUs were its own: it kept them, and they ran at their own speed.</summary>
    public bool[] Clean { get; }

    /// <summary>Whether no CPU was taken away in the round, however fast it was.</summary>
    public bool[] Whole { get; }

    /// <summary>The slowest thread's canary in each round: how fast the CPUs themselves were.</summary>
    public float[] CanaryNs { get; }

    /// <summary>Groups that were removed and not freed at the end of each round.</summary>
    public int[] Dying { get; }

    /// <summary>Rounds done.</summary>
    public int Rounds { get; set; }

    /// <summary>Operations per timed block.</summary>
    public long Ops { get; set; } = 1;

    /// <summary>Cost of one operation found in calibration.</summary>
    public double CalibratedNs { get; set; }

    /// <summary>True when one operation is dear enough to be timed alone (ten clock reads).</summary>
    public bool TimesSingles { get; set; }

    /// <summary>Software and hardware counts of one extra batch, per operation.</summary>
    public List<(string Name, double? PerOp, string? Reason)> Counters { get; } = [];

    /// <summary>What the threads went through while measured, in order of CPU.</summary>
    public ThreadUsage[] Usage { get; private set; } = [];

    /// <summary>The first thread that was found on another CPU than its own, on any of the machines: that one was taken offline, or out of the cpuset.</summary>
    public (CpuId Own, CpuId Found)? Stray { get; set; }

    /// <summary>A reading before (ended: false) or after the rounds of one machine.</summary>
    public void TakeUsage(ThreadUsage[] now, bool ended)
    {
        if (ended) Usage = [.. now.Select((n, i) => Usage.Length > i ? Sum(Usage[i], n - usageBefore[i]) : n - usageBefore[i])];
        else usageBefore = now;
    }

    private static ThreadUsage Sum(ThreadUsage a, ThreadUsage b) => new(a.VoluntarySwitches + b.VoluntarySwitches, a.InvoluntarySwitches + b.InvoluntarySwitches,
        a.Migrations + b.Migrations, a.MinorFaults + b.MinorFaults, a.MajorFaults + b.MajorFaults);

    /// <summary>Times of batches that count, all threads together: of single operations where those are timed, of blocks elsewhere.</summary>
    public LatencyHistogram Latency(bool ownSpeed) => ownSpeed ? own : beside;

    /// <summary>
    /// Of the two states a machine is in, alone on its cores or beside a busy sibling, the one whose rounds count, for all points of a run alike:
    /// the first if a quarter of the rounds found it. A neighbour that never pauses makes a slower machine, not a worse one.
    /// </summary>
    public static bool AtOwnSpeed(IReadOnlyCollection<Point> points) =>
        4 * points.Sum(p => p.Clean.AsSpan(0, p.Rounds).Count(true)) >= points.Sum(p => p.Whole.AsSpan(0, p.Rounds).Count(true));

    /// <summary>Whether a round counts; see <see cref="AtOwnSpeed"/>.</summary>
    public bool Counts(int round, bool ownSpeed) => ownSpeed ? Clean[round] : Whole[round] && !Clean[round];

    /// <summary>One batch: into the throughput of a round, or (round under 0) for nothing but warming up.</summary>
    public void Batch(long ticks, int round, CanaryWatch watch)
    {
        BeforeBatch?.Invoke();
        Lane.Batch(Threads, ticks, Ops, TimesSingles ? null : counts);
        double perSecond = 0, tried = 0;
        for (int i = 0; i < Threads; i++)
        {
            WorkerState* w = Lane.States + i;
            perSecond += (w->Done - w->Refused) / (w->Elapsed * ClockCost.NsPerTick) * 1e9;
            tried += w->Done / (w->Elapsed * ClockCost.NsPerTick) * 1e9;
        }
        (bool clean, bool whole) = Found(watch);
        Correct(watch);
        int dying = (int)Lane.Instance.DyingNow; // also while warming up: compiled later, it would be compiled while measuring
        if (!TimesSingles) TakeTimes(clean, whole && round >= 0);
        if (round < 0)
        {
            CalibratedNs = Threads * 1e9 / tried;
            return;
        }
        for (int i = 0; i < Threads; i++)
        {
            done[i] += Lane.States[i].Done - Lane.States[i].Refused;
            failed[i] += Lane.States[i].Refused;
            elapsed[i] += Lane.States[i].Elapsed;
        }
        Throughput[round] = perSecond;
        Clean[round] = clean;
        Whole[round] = whole;
        long slowest = 0;
        for (int i = 0; i < Threads; i++) slowest = Math.Max(slowest, Lane.States[i].Canary);
        CanaryNs[round] = (float)(slowest * ClockCost.NsPerTick);
        Dying[round] = dying;
        Rounds = round + 1;
    }

    /// <summary>
    /// One sample a repetition: the median of its rounds that count. Where hardly any does, of all rounds (and the point says it is not to be trusted).
    /// </summary>
    public IEnumerable<(int Rep, double OpsPerS)> RepMedians(int roundsPerRep, int reps, bool ownSpeed)
    {
        int kept = Enumerable.Range(0, Rounds).Count(i => Counts(i, ownSpeed));
        bool all = kept < Rounds / 10 || kept == 0;
        for (int rep = 0; rep < reps; rep++)
        {
            double[] rounds = [.. Enumerable.Range(rep * roundsPerRep, roundsPerRep).Where(i => i < Rounds && (all || Counts(i, ownSpeed))).Select(i => Throughput[i])];
            if (rounds.Length > 0) yield return (rep, Estimate.PlainMedian(rounds));
        }
    }

    /// <summary>Whether it may be set against another in a round: neither lost a CPU, and both found it equally fast, however fast that was.</summary>
    public bool IsAlike(Point other, int round) => Whole[round] && other.Whole[round] && Math.Abs(CanaryNs[round] / other.CanaryNs[round] - 1) < 0.05;

    /// <summary>Of thread i in all rounds: operations that were done, those that were refused, and the ticks they took.</summary>
    public (long Done, long Failed, long Ticks) Totals(int i) => (done[i], failed[i], elapsed[i]);

    /// <summary>Operations that were refused, in all rounds.</summary>
    public long Failed => failed.Sum();

    /// <summary>Their part of all that were tried; 0 to 1.</summary>
    public double FailedShare => Failed == 0 ? 0 : (double)Failed / (Failed + done.Sum());

    /// <summary>All but the rounds.</summary>
    public PointState Save() => new()
    {
        Workload = Lane.Workload,
        BlockOps = Ops,
        TimesSingles = TimesSingles,
        CalibratedNs = CalibratedNs,
        Rounds = [],
        LatencyTicks = [.. own.NonEmpty().Select(b => (long[])[b.Value, b.Count])],
        LatencyBesideTicks = [.. beside.NonEmpty().Select(b => (long[])[b.Value, b.Count])],
        Threads = [.. Enumerable.Range(0, Threads).Select(i => new ThreadState(done[i], failed[i], elapsed[i], i < Usage.Length ? Usage[i] : default))],
        Counters = [.. Counters.Select(c => new CountState(c.Name, c.PerOp, c.Reason))],
        Stray = Stray is { } s ? [s.Own.Value, s.Found.Value] : null,
    };

    /// <summary>See <see cref="Save"/>.</summary>
    public void Load(PointState s)
    {
        (Ops, TimesSingles, CalibratedNs) = (s.BlockOps, s.TimesSingles, s.CalibratedNs);
        foreach (long[] b in s.LatencyTicks) LatencyHistogram.Add(own.Counts, b[0], b[1]);
        foreach (long[] b in s.LatencyBesideTicks) LatencyHistogram.Add(beside.Counts, b[0], b[1]);
        for (int i = 0; i < Threads; i++) (done[i], failed[i], elapsed[i]) = (s.Threads[i].Done, s.Threads[i].Failed, s.Threads[i].Ticks);
        Usage = [.. s.Threads.Select(t => t.Usage)];
        Counters.AddRange(s.Counters.Select(c => (c.Name, c.PerOp, c.Reason)));
        Stray = s.Stray is { } cpus ? (new CpuId(cpus[0]), new CpuId(cpus[1])) : null;
    }

    /// <summary>One batch in which every operation is timed by itself.</summary>
    public void BatchOfSingles(long ticks, int round, CanaryWatch watch)
    {
        Lane.Batch(Threads, ticks, 1, counts);
        (bool clean, bool whole) = Found(watch);
        TakeTimes(clean, whole && round >= 0);
    }

    /// <summary>Forgets what calibration and warm-up left.</summary>
    public void Reset()
    {
        for (int i = 0; i < Threads; i++) Lane.States[i].Managed = 0;
    }

    public void Dispose()
    {
        foreach (LatencyHistogram h in ofBatch) h.Dispose();
        own.Dispose();
        beside.Dispose();
        System.Runtime.InteropServices.NativeMemory.Free(counts);
    }

    /// <summary>What became of the CPUs in the last batch: whole, none was taken away; clean, and no canary was slow. Every canary is remembered.</summary>
    private (bool Clean, bool Whole) Found(CanaryWatch watch)
    {
        bool own = true, whole = true;
        for (int i = 0; i < Threads; i++)
        {
            own &= watch.IsClean(Lane.Instance.Plan.Cpus[i], Threads, Lane.States[i].Canary);
            whole &= Lane.States[i].Switches == 0;
        }
        return (own & whole, whole);
    }

    /// <summary>Takes back what was called clean before the CPUs showed how fast they are alone. Allocates nothing.</summary>
    public void Correct(CanaryWatch watch)
    {
        int now = watch.Corrections(Threads);
        if (now == corrections) return;
        corrections = now;
        double limit = watch.Slowest(Threads) * Canary.Tolerance * ClockCost.NsPerTick;
        bool some = false;
        for (int i = 0; i < Rounds; i++) some |= Clean[i] &= CanaryNs[i] <= limit;
        if (!some) beside.Take(own, long.MaxValue, kept: true);
    }

    private void TakeTimes(bool clean, bool kept)
    {
        for (int i = 0; i < Threads; i++) (clean ? own : beside).Take(ofBatch[i], Lane.States[i].Elapsed, kept);
    }

    private static long** Table(LatencyHistogram[] histograms)
    {
        var table = (long**)System.Runtime.InteropServices.NativeMemory.Alloc((nuint)(histograms.Length * sizeof(long*)));
        for (int i = 0; i < histograms.Length; i++) table[i] = histograms[i].Counts;
        return table;
    }
}

/// <summary>
/// The best canary each CPU ever showed with so many threads at work (siblings and turbo make it slower with more); what is much slower
/// was not alone. A best that makes the one before it slow is a correction: until then no CPU had been alone.
/// </summary>
internal sealed class CanaryWatch
{
    private readonly Dictionary<(CpuId Cpu, int Threads), (long Best, long Believed)> seen = [];
    private readonly Dictionary<int, int> corrections = [];

    /// <summary>How often what was clean with so many threads turned out not to be.</summary>
    public int Corrections(int threads) => corrections.GetValueOrDefault(threads);

    /// <summary>Remembers a canary and says whether it is near its best so far.</summary>
    public bool IsClean(CpuId cpu, int threads, long ticks)
    {
        (long best, long believed) = seen.GetValueOrDefault((cpu, threads), (ticks, ticks));
        best = Math.Min(best, ticks);
        corrections.TryAdd(threads, 0);
        if (believed > best * Canary.Tolerance)
        {
            corrections[threads]++;
            believed = best;
        }
        seen[(cpu, threads)] = (best, believed);
        return ticks <= best * Canary.Tolerance;
    }

    /// <summary>The best of the CPU whose best is the slowest, in ticks.</summary>
    public long Slowest(int threads)
    {
        long slowest = 0;
        foreach (((CpuId _, int Threads) key, (long Best, long _) of) in seen)
            if (key.Threads == threads) slowest = Math.Max(slowest, of.Best);
        return slowest;
    }
}
