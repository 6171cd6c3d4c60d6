// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// What two CPUs pay for atomic adds to words a distance apart (8 to 256 bytes). Where the nearest distance is not dear against the farthest,
/// this machine does not show false sharing, and no conclusion about a layout may be drawn on it: two virtual CPUs may be siblings of one core.
/// </summary>
internal static unsafe class FalseSharing
{
    /// <summary>Nearest over farthest from which on layouts may be ranked.</summary>
    public const double RankingFrom = 3;

    /// <summary>Bytes between the two words.</summary>
    public static IReadOnlyList<int> Distances { get; } = [8, 16, 32, 64, 128, 256];

    private const int Rounds = 600, EnoughRounds = 60, LeastRounds = 10, AddsPerClock = 256;
    private static readonly long batchTicks = Stopwatch.Frequency / 2000; // half a millisecond: most batches lie between two disturbances

    /// <summary>The two CPUs a verdict on this machine should stand on: the first two of a ladder that are of different cores.</summary>
    public static (CpuId A, CpuId B)? Pair(Topology topology, IReadOnlyList<CpuId> cpus)
    {
        if (cpus.Count < 2) return null;
        int other = Enumerable.Range(1, cpus.Count - 1).FirstOrDefault(i => topology.Cpu(cpus[i]).Core != topology.Cpu(cpus[0]).Core, 1);
        return (cpus[0], cpus[other]);
    }

    /// <summary>Probes on these CPUs; a verdict in any case.</summary>
    /// <exception cref="OsException">The machine refuses a thread or memory.</exception>
    public static LineProbeModel Measure(Topology topology, IReadOnlyList<CpuId> cpus, ulong seed, CancellationToken stop)
    {
        if (Pair(topology, cpus) is not var (a, b)) return new LineProbeModel(null, null, [], null, null, false, "not visible on this machine: it takes two CPUs to share a line");
        NodeId home = topology.NearestWithMemory(topology.Cpu(a).Node) ?? topology.Cpu(a).Node;
        using var pair = new LinePair([a, b], home, 1 << 16);
        double?[][] ns = [.. Distances.Select(_ => new double?[Rounds])];
        int[] order = [.. Enumerable.Range(0, Distances.Count)];
        var random = new SeededRandom(seed);
        var watch = new CanaryWatch();
        int both = 0;
        for (int round = -3; round < Rounds && both < EnoughRounds && !stop.IsCancellationRequested; round++)
        {
            random.Shuffle(order);
            foreach (int d in order)
            {
                double? cost = pair.Batch(&Hammer, 2, [(nint)pair.Memory, (nint)(pair.Memory + Distances[d])], 0, batchTicks, watch);
                if (round >= 0) ns[d][round] = cost;
            }
            if (round >= 0 && ns[0][round] is not null && ns[^1][round] is not null) both++;
        }
        return Judge(a, b, ns, seed);
    }

    /// <summary>The verdict on costs by distance and round; null costs are rounds in which a CPU was not its own.</summary>
    internal static LineProbeModel Judge(CpuId a, CpuId b, double?[][] ns, ulong seed)
    {
        DistanceModel[] rows = [.. Distances.Select((d, i) => Row(d, [.. ns[i].OfType<double>()]))];
        int[] both = [.. Enumerable.Range(0, ns[0].Length).Where(r => ns[0][r] is not null && ns[^1][r] is not null)];
        RatioEstimate? ratio = both.Length < LeastRounds ? null : RatioEstimate.Of([.. both.Select(r => ns[0][r]!.Value)], [.. both.Select(r => ns[^1][r]!.Value)], seed);
        bool ranks = ratio?.Low >= RankingFrom;
        string verdict = ratio is null ? $"not visible: only {both.Length} of {ns[0].Length} rounds had both CPUs to themselves, at least {LeastRounds} are needed"
            : string.Create(CultureInfo.InvariantCulture, $"adds {Distances[0]} bytes apart cost {ratio.Median:0.0} x adds {Distances[^1]} bytes apart ")
                + string.Create(CultureInfo.InvariantCulture, $"[{ratio.Low:0.0} {ratio.High:0.0}]: ")
                + (ranks ? "layouts may be compared here" : $"under {RankingFrom:0} : 1, so no layout is ranked here: not visible on this machine");
        return new LineProbeModel(a.Value, b.Value, rows, ratio?.Median, ratio is null ? null : [ratio.Low, ratio.High], ranks, verdict);
    }

    private static DistanceModel Row(int distance, double[] ns) =>
        ns.Length == 0 ? new(distance, null, null, 0) : new(distance, Estimate.PlainMedian(ns), Estimate.Of(ns) is { Low: { } l, High: { } h } ? [l, h] : null, ns.Length);

    private static void Hammer(in ThisCpu cpu, void* argument)
    {
        LineWorker* w = LinePair.Enter(in cpu, argument, out long switches, out long canary);
        var word = (AtomicLong*)w->Line;
        long done = 0, begin = Stopwatch.GetTimestamp(), end = begin + w->Ticks;
        do
        {
            for (int i = 0; i < AddsPerClock; i++) AtomicLong.Add(word, 1);
            done += AddsPerClock;
        }
        while (Stopwatch.GetTimestamp() < end);
        LinePair.Finish(w, begin, done, switches, canary);
    }
}
