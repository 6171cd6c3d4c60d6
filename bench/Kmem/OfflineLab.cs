// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What one removal takes, in its three parts.</summary>
/// <param name="Model">The design.</param>
/// <param name="Varied">caches, objects or inherited.</param>
/// <param name="N">How many.</param>
/// <param name="OfflineNs">The offline callback: what depends on the design; every sample.</param>
/// <param name="GraceNs">From rmdir to the callback: a grace period.</param>
/// <param name="FreedNs">From the callback to the group's recycling, where nothing pins it; null: a zombie.</param>
internal sealed record OfflineReport(string Model, string Varied, long N, IReadOnlyList<double> OfflineNs, IReadOnlyList<double> GraceNs, IReadOnlyList<double>? FreedNs);

/// <summary>What a group has when it is removed.</summary>
/// <param name="Varied">Which of the three is varied.</param>
/// <param name="N">For the report.</param>
/// <param name="Caches">Caches it has objects of.</param>
/// <param name="Objects">Live objects, spread over the caches.</param>
/// <param name="Inherited">Removed children that left an object each.</param>
internal sealed record OfflineShape(string Varied, long N, int Caches, int Objects, int Inherited);

/// <summary>`offline`: the cost of one offline as a function of what the group has.</summary>
internal sealed unsafe class OfflineLab(InstancePlan plan, IReadOnlyList<OfflineShape> shapes, int reps) : KmemLab<IReadOnlyList<OfflineReport>>(plan)
{
    private const int ObjectBytes = 32;
    private static long began, ended;

    protected override IReadOnlyList<OfflineReport> Experiment<TC>(KmemBench<TC> bench)
    {
        int most = shapes.Max(s => s.Caches);
        nint[] caches = new nint[most];
        bench.Do((in ThisCpu cpu) =>
        {
            for (int i = 0; i < most; i++) caches[i] = (nint)bench.Cache(in cpu, $"cache{i}", ObjectBytes);
        });
        var samples = shapes.ToDictionary(s => s, _ => new List<(double Offline, double Grace, double Freed)>());
        for (int round = -1; round < reps; round++) // all shapes in turn, so that a disturbance meets each of them; the first round compiles
            foreach (OfflineShape shape in shapes)
            {
                (double, double, double) sample = One(bench, caches, shape);
                if (round >= 0) samples[shape].Add(sample);
            }
        bench.Destroy(caches);
        return [.. shapes.Select(s => new OfflineReport(Plan.Model.ToString(), s.Varied, s.N, [.. samples[s].Select(x => x.Offline)], [.. samples[s].Select(x => x.Grace)],
            samples[s].Any(x => double.IsNaN(x.Freed)) ? null : [.. samples[s].Select(x => x.Freed)]))];
    }

    private static (double Offline, double Grace, double Freed) One<TC>(KmemBench<TC> bench, nint[] caches, OfflineShape shape) where TC : struct, IMemoryController
    {
        var held = new List<nint>(shape.Objects + shape.Inherited);
        (double, double, double) sample = default;
        bench.Do((in ThisCpu cpu) =>
        {
            Memcg* memcg = KmemBench<TC>.Group(in cpu, bench.Parent);
            Fill<TC>(in cpu, memcg, caches, shape, held);
            KmemBench<TC>.Remove(in cpu, KmemBench<TC>.Group(in cpu, bench.Parent)); // filling has cleared the CPU's caches: the way there is warm again
            Rcu.Barrier(in cpu); // and nothing it left behind is measured
            // The callback the tree would call, between two readings of the clock.
            Guarded<nint>.Set(&memcg->Css.OfflineFunction, (nint)(delegate*<in ThisCpu, Memcg*, void>)&Timed<TC>);
            long before = AtomicLong.Load(&bench.Tree->Dying);
            ended = 0;
            long start = Stopwatch.GetTimestamp();
            KmemBench<TC>.Remove(in cpu, memcg);
            while (ended == 0) Poll.Run(in cpu); // by a grace period, found at this CPU's poll points
            long freed = 0;
            for (int turn = 0; turn < 4096 && freed == 0; turn++)
            {
                Poll.Run(in cpu);
                if (AtomicLong.Load(&bench.Tree->Dying) == before) freed = Stopwatch.GetTimestamp();
            }
            sample = (Ns(ended - began), Ns(began - start), freed == 0 ? double.NaN : Ns(freed - ended));
        });
        bench.Free(held);
        bench.Settle();
        return sample;
    }

    private static void Fill<TC>(in ThisCpu cpu, Memcg* memcg, nint[] caches, OfflineShape shape, List<nint> held) where TC : struct, IMemoryController
    {
        for (int i = 0; i < shape.Inherited; i++)
        {
            Memcg* child = KmemBench<TC>.Group(in cpu, memcg);
            KmemBench<TC>.Warm(in cpu, (SlabCache*)caches[0], child);
            held.Add((nint)KmemBench<TC>.Object(in cpu, (SlabCache*)caches[0], child));
            KmemBench<TC>.Remove(in cpu, child);
            Rcu.Barrier(in cpu);
        }
        for (int i = 0; i < shape.Caches; i++) KmemBench<TC>.Warm(in cpu, (SlabCache*)caches[i], memcg);
        for (int i = 0; i < shape.Objects; i++) held.Add((nint)KmemBench<TC>.Object(in cpu, (SlabCache*)caches[i % shape.Caches], memcg));
    }

    private static void Timed<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        began = Stopwatch.GetTimestamp();
        TC.OnOffline(in cpu, memcg);
        ended = Stopwatch.GetTimestamp();
    }

    private static double Ns(long ticks) => ticks * ClockCost.NsPerTick;
}
