// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// One point of an experiment: a workload on an instance with a number of threads, and everything measured of it. All room is made
/// before the first round, so that measuring allocates nothing.
/// </summary>
internal sealed unsafe class Point : IDisposable
{
    private readonly LatencyHistogram[] ofBatch; // of the batch that runs, per thread; kept only when it was clean
    private readonly long** counts;
    private readonly long[] done, failed, elapsed;

    private ThreadUsage[] usageBefore = [];

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

    /// <summary>Whether the round's CPUs were its own.</summary>
    public bool[] Clean { get; }

    /// <summary>Whether no CPU was taken away in the round, however fast it was.</summary>
    public bool[] Whole { get; }

    /// <summary>The canary of the first thread in each round: how fast the CPU itself was.</summary>
    public float[] CanaryNs { get; }

    /// <summary>Groups of the machine that were removed and not freed after each round; points of one machine see each other's.</summary>
    public int[] Dying { get; }

    /// <summary>At most so many parts of the rounds done, the most dying groups in each; null: there never were any.</summary>
    public long[]? DyingOverTime(int parts)
    {
        parts = Math.Min(parts, Rounds);
        long[] most = [.. Enumerable.Range(0, parts).Select(i => (long)Dying[(int)((long)Rounds * i / parts)..(int)((long)Rounds * (i + 1) / parts)].Max())];
        return most.All(n => n == 0) ? null : most;
    }

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

    /// <summary>Times of clean batches, all threads together: of single operations where those are timed, of blocks elsewhere.</summary>
    public LatencyHistogram Latency { get; } = new();

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
        int dying = Lane.Instance.DyingNow; // in warm-up too, so that it is compiled there
        bool clean = IsClean(watch);
        if (!TimesSingles) TakeTimes(clean && round >= 0);
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
        Whole[round] = true;
        for (int i = 0; i < Threads; i++) Whole[round] &= Lane.States[i].Switches == 0;
        CanaryNs[round] = (float)(Lane.States[0].Canary * ClockCost.NsPerTick);
        Dying[round] = dying;
        Rounds = round + 1;
    }

    /// <summary>
    /// One sample a repetition: the median of its undisturbed rounds. Where hardly any round was, of all rounds (and the point says it is not to be trusted).
    /// </summary>
    public IEnumerable<(int Rep, double OpsPerS)> RepMedians(int roundsPerRep, int reps)
    {
        int kept = Clean.AsSpan(0, Rounds).Count(true);
        bool all = kept < Rounds / 10 || kept == 0;
        for (int rep = 0; rep < reps; rep++)
        {
            double[] rounds = [.. Enumerable.Range(rep * roundsPerRep, roundsPerRep).Where(i => i < Rounds && (all || Clean[i])).Select(i => Throughput[i])];
            if (rounds.Length > 0) yield return (rep, Estimate.PlainMedian(rounds));
        }
    }

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
        LatencyTicks = [.. Latency.NonEmpty().Select(b => (long[])[b.Value, b.Count])],
        Threads = [.. Enumerable.Range(0, Threads).Select(i => new ThreadState(done[i], failed[i], elapsed[i], i < Usage.Length ? Usage[i] : default))],
        Counters = [.. Counters.Select(c => new CountState(c.Name, c.PerOp, c.Reason))],
        Stray = Stray is { } s ? [s.Own.Value, s.Found.Value] : null,
    };

    /// <summary>See <see cref="Save"/>.</summary>
    public void Load(PointState s)
    {
        (Ops, TimesSingles, CalibratedNs) = (s.BlockOps, s.TimesSingles, s.CalibratedNs);
        foreach (long[] b in s.LatencyTicks) LatencyHistogram.Add(Latency.Counts, b[0], b[1]);
        for (int i = 0; i < Threads; i++) (done[i], failed[i], elapsed[i]) = (s.Threads[i].Done, s.Threads[i].Failed, s.Threads[i].Ticks);
        Usage = [.. s.Threads.Select(t => t.Usage)];
        Counters.AddRange(s.Counters.Select(c => (c.Name, c.PerOp, c.Reason)));
        Stray = s.Stray is { } cpus ? (new CpuId(cpus[0]), new CpuId(cpus[1])) : null;
    }

    /// <summary>One batch in which every operation is timed by itself.</summary>
    public void BatchOfSingles(long ticks, int round, CanaryWatch watch)
    {
        Lane.Batch(Threads, ticks, 1, counts);
        TakeTimes(IsClean(watch) && round >= 0);
    }

    /// <summary>Forgets what calibration and warm-up left.</summary>
    public void Reset()
    {
        for (int i = 0; i < Threads; i++) Lane.States[i].Managed = 0;
    }

    public void Dispose()
    {
        foreach (LatencyHistogram h in ofBatch) h.Dispose();
        Latency.Dispose();
        System.Runtime.InteropServices.NativeMemory.Free(counts);
    }

    /// <summary>Whether the CPUs of the last batch were its own: no canary slow, none taken away. Every canary is remembered.</summary>
    private bool IsClean(CanaryWatch watch)
    {
        bool clean = true;
        for (int i = 0; i < Threads; i++) clean &= watch.IsClean(Lane.Instance.Plan.Cpus[i], Threads, Lane.States[i].Canary) & Lane.States[i].Switches == 0;
        return clean;
    }

    private void TakeTimes(bool clean)
    {
        for (int i = 0; i < Threads; i++) Latency.Take(ofBatch[i], Lane.States[i].Elapsed, clean);
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
/// was not alone.
/// </summary>
internal sealed class CanaryWatch
{
    private readonly Dictionary<(CpuId Cpu, int Threads), long> best = [];

    /// <summary>Remembers a canary and says whether it is near its best so far.</summary>
    public bool IsClean(CpuId cpu, int threads, long ticks)
    {
        if (!best.TryGetValue((cpu, threads), out long least) || ticks < least) best[(cpu, threads)] = least = ticks;
        return ticks <= least * Canary.Tolerance;
    }
}
