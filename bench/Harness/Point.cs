// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// One point of an experiment: a workload on an instance with a number of threads, and everything measured of it. All room is made
/// before the first round, so that measuring allocates nothing.
/// </summary>
internal sealed unsafe class Point : IDisposable
{
    private readonly LatencyHistogram[] blocks, singles;
    private readonly long[] done, elapsed;
    private readonly long** blockCounts;
    private readonly long** singleCounts;

    public Point(Lane lane, int threads, int rounds, string mem)
    {
        Lane = lane;
        Threads = threads;
        Mem = mem;
        Throughput = new double[rounds];
        Clean = new bool[rounds];
        done = new long[threads];
        elapsed = new long[threads];
        blocks = [.. Enumerable.Range(0, threads).Select(_ => new LatencyHistogram())];
        singles = [.. Enumerable.Range(0, threads).Select(_ => new LatencyHistogram())];
        blockCounts = Table(blocks);
        singleCounts = Table(singles);
    }

    public Lane Lane { get; }
    public int Threads { get; }

    /// <summary>The memory policy, as results name it.</summary>
    public string Mem { get; }

    /// <summary>Operations per second of each round, all threads together.</summary>
    public double[] Throughput { get; }

    /// <summary>Whether the round's CPUs were its own.</summary>
    public bool[] Clean { get; }

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
    public ThreadUsage[] Usage { get; set; } = [];

    /// <summary>One batch: into the throughput of a round, or (round under 0) for nothing but warming up.</summary>
    public void Batch(long ticks, int round, CanaryWatch watch)
    {
        Lane.Batch(Threads, ticks, Ops, round < 0 || TimesSingles ? null : blockCounts);
        double perSecond = 0;
        bool clean = true;
        for (int i = 0; i < Threads; i++)
        {
            WorkerState* w = Lane.States + i;
            perSecond += w->Done / (w->Elapsed * ClockCost.NsPerTick) * 1e9;
            clean &= watch.IsClean(Lane.Instance, i, w->Canary);
        }
        if (round < 0)
        {
            CalibratedNs = Threads * 1e9 / perSecond;
            return;
        }
        for (int i = 0; i < Threads; i++)
        {
            done[i] += Lane.States[i].Done;
            elapsed[i] += Lane.States[i].Elapsed;
        }
        Throughput[round] = perSecond;
        Clean[round] = clean;
        Rounds = round + 1;
    }

    /// <summary>Operations of thread i in all rounds, and the ticks they took.</summary>
    public (long Done, long Ticks) Totals(int i) => (done[i], elapsed[i]);

    /// <summary>One batch in which every operation is timed by itself.</summary>
    public void BatchOfSingles(long ticks) => Lane.Batch(Threads, ticks, 1, singleCounts);

    /// <summary>All threads' times together: of single operations where those were timed, of blocks elsewhere. Disposed by the caller.</summary>
    public LatencyHistogram Latency()
    {
        var all = new LatencyHistogram();
        foreach (LatencyHistogram h in TimesSingles ? singles : blocks) all.Add(h);
        return all;
    }

    /// <summary>Forgets what calibration and warm-up left.</summary>
    public void Reset()
    {
        foreach (LatencyHistogram h in blocks) h.Clear();
        foreach (LatencyHistogram h in singles) h.Clear();
        for (int i = 0; i < Threads; i++) Lane.States[i].Failed = Lane.States[i].Managed = 0;
    }

    public void Dispose()
    {
        foreach (LatencyHistogram h in (LatencyHistogram[])[.. blocks, .. singles]) h.Dispose();
        System.Runtime.InteropServices.NativeMemory.Free(blockCounts);
        System.Runtime.InteropServices.NativeMemory.Free(singleCounts);
    }

    private static long** Table(LatencyHistogram[] histograms)
    {
        var table = (long**)System.Runtime.InteropServices.NativeMemory.Alloc((nuint)(histograms.Length * sizeof(long*)));
        for (int i = 0; i < histograms.Length; i++) table[i] = histograms[i].Counts;
        return table;
    }
}

/// <summary>The best canary each CPU ever showed; what is much slower was not alone.</summary>
internal sealed class CanaryWatch
{
    private readonly Dictionary<CpuId, long> best = [];

    /// <summary>Remembers a canary and says whether it is near its CPU's best so far.</summary>
    public bool IsClean(Instance instance, int index, long ticks)
    {
        CpuId cpu = instance.Plan.Cpus[index];
        if (!best.TryGetValue(cpu, out long least) || ticks < least) best[cpu] = least = ticks;
        return ticks <= least * Canary.Tolerance;
    }
}
