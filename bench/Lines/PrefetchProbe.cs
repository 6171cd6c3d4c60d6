// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Patch 5 of 2008 by itself: a line that is dirty on the other CPU is prefetched while an object is filled, then changed by a locked add. What
/// the line costs without, with a read and with a write prefetch, in the same rounds; and what the call to the prefetchw stub costs, which
/// a kernel does not pay.
/// </summary>
internal static unsafe class PrefetchProbe
{
    private const int Rounds = 300, EnoughRounds = 60, LeastRounds = 10, Turns = 400, Calls = 100_000;

    /// <exception cref="OsException">The machine refuses a thread or memory.</exception>
    public static PrefetchModel Measure(Topology topology, IReadOnlyList<CpuId> cpus, ulong seed, CancellationToken stop)
    {
        double call = CallNs();
        if (FalseSharing.Pair(topology, cpus) is not var (a, b))
            return new PrefetchModel(PrefetchWriteStub.IsSupported, call, [], "not visible on this machine: no other CPU to dirty the line");
        NodeId home = topology.NearestWithMemory(topology.Cpu(a).Node) ?? topology.Cpu(a).Node;
        using var pair = new LinePair([a, b], home, 1 << 16);
        var ns = new double?[3, Rounds];
        int both = 0;
        var watch = new CanaryWatch();
        int[] order = [0, 1, 2];
        var random = new SeededRandom(seed);
        for (int round = -3; round < Rounds && both < EnoughRounds && !stop.IsCancellationRequested; round++)
        {
            random.Shuffle(order);
            foreach (int kind in order)
            {
                new Span<byte>(pair.Memory, 4 * CacheLine.Apart).Clear();
                delegate*<in ThisCpu, void*, void> body = kind switch { 0 => &Work<PrefetchNone>, 1 => &Work<PrefetchRead>, _ => &Work<PrefetchWrite> };
                double? cost = pair.Batch(body, 2, [(nint)pair.Memory, (nint)pair.Memory], Turns, 0, watch);
                if (round >= 0) ns[kind, round] = cost;
            }
            if (round >= 0 && ns[0, round] is not null && ns[1, round] is not null && ns[2, round] is not null) both++;
        }
        return new PrefetchModel(PrefetchWriteStub.IsSupported, call, [Row("read", 1, ns, seed), Row("write", 2, ns, seed)],
            both < LeastRounds ? $"not visible: only {both} rounds had both CPUs to themselves"
                : "a turn of both CPUs with the line dirty on the other, over a turn without prefetch");
    }

    private static PrefetchRowModel Row(string name, int kind, double?[,] ns, ulong seed)
    {
        int[] clean = [.. Enumerable.Range(0, Rounds).Where(r => ns[0, r] is not null && ns[kind, r] is not null)];
        RatioEstimate? ratio = clean.Length < LeastRounds ? null : RatioEstimate.Of([.. clean.Select(r => ns[kind, r]!.Value)], [.. clean.Select(r => ns[0, r]!.Value)], seed);
        return new PrefetchRowModel(name, ratio?.Median, ratio is null ? null : [ratio.Low, ratio.High], clean.Length);
    }

    /// <summary>The stub's call around nothing, least of many: what prefetchw costs here beyond one instruction.</summary>
    private static double CallNs()
    {
        double least = double.MaxValue;
        long word = 0;
        for (int round = 0; round < 20; round++)
        {
            long begin = Stopwatch.GetTimestamp();
            for (int i = 0; i < Calls; i++) PrefetchWriteStub.Nothing(&word);
            least = Math.Min(least, (Stopwatch.GetTimestamp() - begin) * ClockCost.NsPerTick / Calls);
        }
        return least;
    }

    /// <summary>CPU 0 charges: prefetch, fill an object, change the line. CPU 1 dirties the line in between. Each turn ends by the other's store.</summary>
    private static void Work<TPrefetch>(in ThisCpu cpu, void* argument) where TPrefetch : struct, IPrefetch
    {
        LineWorker* w = LinePair.Enter(in cpu, argument, out long switches, out long canary);
        var line = (AtomicLong*)w->Line;
        var turn = (AtomicLong*)(w->Line + CacheLine.Apart);
        var pageCgroup = (Guarded<long>*)(w->Line + 2 * CacheLine.Apart);
        long begin = Stopwatch.GetTimestamp();
        for (long i = 0; i < w->Turns; i++)
        {
            long mine = 2 * i + cpu.Index, seen;
            while ((seen = AtomicLong.Load(turn)) != mine) AtomicLong.AwaitNot(turn, seen);
            if (cpu.Index == 0)
            {
                TPrefetch.Line(line);
                for (int field = 0; field < 6; field++) Guarded<long>.Set(pageCgroup + field, i);
                AtomicLong.Add(line, 1);
            }
            else AtomicLong.Store(line, i);
            AtomicLong.Store(turn, mine + 1);
        }
        LinePair.Finish(w, begin, w->Turns, switches, canary);
    }

    /// <summary>For the table.</summary>
    public static string Describe(PrefetchModel model)
    {
        string stub = model.StubSupported
            ? string.Create(CultureInfo.InvariantCulture, $"prefetchw is a stub here, its call costs {model.CallNs:0.0} ns that a kernel does not pay")
            : "prefetchw cannot be had here: write does nothing";
        return $"{stub}; line dirty on the other CPU: " + (model.Rows.Any(r => r.Ratio is not null)
            ? string.Join(", ", model.Rows.Select(Describe)) : model.Verdict);
    }

    private static string Describe(PrefetchRowModel r) => r.Ratio is { } x
        ? string.Create(CultureInfo.InvariantCulture, $"{r.Kind} {x:0.000} x none [{r.Ci95![0]:0.000} {r.Ci95[1]:0.000}]") : $"{r.Kind}: no ratio";
}

/// <summary>What the prefetch of patch 5 costs and brings; ratios of a whole turn of both CPUs.</summary>
internal sealed record PrefetchModel(bool StubSupported, double CallNs, IReadOnlyList<PrefetchRowModel> Rows, string Verdict);

internal sealed record PrefetchRowModel(string Kind, double? Ratio, IReadOnlyList<double>? Ci95, int Rounds);
