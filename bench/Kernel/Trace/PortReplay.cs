// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What the port's counters said where the kernel's had been read; Moving: pages that came or went about then; KernelPages: whole pages of kernel memory alive.</summary>
internal sealed record ReplayCheckpoint(long TimeNs, long Group, CounterValues Kernel, CounterValues Port, long Moving, long KernelPages);

/// <summary>A recording that was replayed on one model.</summary>
/// <param name="Model">Which.</param>
/// <param name="Checkpoints">In order of time.</param>
/// <param name="Events">Events driven.</param>
/// <param name="Refused">Of them, charges that the port refused.</param>
/// <param name="Wrong">What does not balance at the end.</param>
/// <param name="Took">Wall clock of the replay.</param>
internal sealed record ReplayResult(Model Model, IReadOnlyList<ReplayCheckpoint> Checkpoints, long Events, long Refused, IReadOnlyList<string> Wrong, TimeSpan Took);

/// <summary>
/// Drives a recording through the port: each event on the CPU it happened on (of N: CPU modulo N), in order of time, as fast as possible. One
/// thread plays all CPUs, so a replay gives the same end state each time.
/// </summary>
internal sealed unsafe class PortReplay<TC> : IDisposable where TC : struct, IMemoryController
{
    /// <summary>A checkpoint is read while the machine goes on: what moved within this time of it may be on either side.</summary>
    private const long WindowNs = 3_000_000;
    private const int PollEvery = 16;
    private const long MostPages = 1 << 22;
    private const int MostCaches = 200;

    private readonly TraceFile trace;
    private readonly Model model;
    private readonly int cpus;
    private readonly PortCore<TC> core;
    private readonly Dictionary<long, Payer> payers = [];
    private readonly List<nint> pieces = []; // of each object's pages: slot, or pointer of kernel memory; -1 when refused or freed
    private readonly List<(TraceKind Kind, Payer Payer, int First)> objects = [];
    private readonly Dictionary<int, nint> caches = []; // by bytes of an object
    private readonly int[] sincePoll;
    private readonly bool kmem;
    private long refused, kernelPages;

    private sealed class Payer(Memcg* memcg, MmStruct* space, FileSpace* file)
    {
        public Memcg* Memcg { get; } = memcg;
        public MmStruct* Space { get; } = space;
        public FileSpace* File { get; } = file;
        public Stack<long> SpareEntries { get; } = new();
        public Stack<long> SparePlaces { get; } = new();
        public long Entries, Places;
    }

    public PortReplay(TraceFile trace, Model model, int cpus)
    {
        (this.trace, this.model, this.cpus) = (trace, model, cpus);
        sincePoll = new int[cpus];
        kmem = model[Axis.Kmem] != NoKmem.Name;
        (long all, anonPeak) = Peak(trace.Events);
        if (all > MostPages) throw new UsageException($"replay: the recording holds {all} pages at once; the port takes up to {MostPages}", ofThisMachine: true);
        times = [.. trace.Events.Select(e => e.TimeNs)];
        moved = new long[trace.Events.Count + 1];
        for (int i = 0; i < trace.Events.Count; i++) moved[i + 1] = moved[i] + Pages(trace.Events[i]);
        int groups = trace.Events.Count(e => e.Kind == TraceKind.Group);
        core = new PortCore<TC>(cpus, 1, all + all / 4 + 4096, new AccountingPlan(MaxGroups: Math.Min(60_000, groups + 2), PageCacheBuckets: 1 << 14), kmem);
    }

    private readonly long anonPeak;
    private readonly long[] times, moved; // of each event; pages that came or went before each

    /// <summary>Most pages alive at once, and most anonymous ones.</summary>
    private static (long All, long Anon) Peak(IReadOnlyList<TraceEvent> events)
    {
        long all = 0, allPeak = 0, anon = 0, anonPeak = 0;
        var kinds = new List<(TraceKind Kind, long Pages)>();
        foreach (TraceEvent e in events)
        {
            if (e.Makes)
            {
                long pages = e.Kind == TraceKind.Slab ? 1 + e.Amount / 4096 : e.Amount;
                kinds.Add((e.Kind, pages));
                allPeak = Math.Max(allPeak, all += pages);
                if (e.Kind == TraceKind.Anon) anonPeak = Math.Max(anonPeak, anon += pages);
            }
            else if (e.Kind == TraceKind.Free)
            {
                (TraceKind kind, long pages) = kinds[(int)e.Object];
                long gone = kind == TraceKind.Slab ? pages : e.Amount;
                all -= gone;
                if (kind == TraceKind.Anon) anon -= gone;
            }
        }
        return (allPeak, anonPeak);
    }

    public ReplayResult Run(CancellationToken stop)
    {
        long started = Stopwatch.GetTimestamp();
        var checkpoints = new List<ReplayCheckpoint>();
        for (int i = 0; i < trace.Events.Count; i++)
        {
            if ((i & 0xfff) == 0) stop.ThrowIfCancellationRequested();
            TraceEvent e = trace.Events[i];
            if (e.Kind == TraceKind.Checkpoint) checkpoints.Add(Compare(e));
            else Drive(e);
            int cpu = e.Cpu % cpus;
            if (++sincePoll[cpu] < PollEvery) continue;
            sincePoll[cpu] = 0;
            Poll.Run(core.Cpu(cpu));
        }
        TimeSpan took = Stopwatch.GetElapsedTime(started);
        return new ReplayResult(model, checkpoints, trace.Events.Count, refused, core.Books(), took);
    }

    private void Drive(in TraceEvent e)
    {
        int cpu = e.Cpu % cpus;
        switch (e.Kind)
        {
            case TraceKind.Group:
                MakeGroup(e);
                break;
            case TraceKind.Remove:
                MemcgLife.Detach(core.Cpu(cpu), payers[e.Group].Space);
                core.Remove(cpu, payers[e.Group].Memcg);
                break;
            case TraceKind.Free:
                Free(e, cpu);
                break;
            case TraceKind.Anon or TraceKind.File or TraceKind.Kernel or TraceKind.Slab:
                Make(e, cpu);
                break;
            default:
                break; // charges of full fidelity are ChargeReplay's
        }
    }

    private void MakeGroup(in TraceEvent e)
    {
        Memcg* memcg = MemcgLife.Create<TC>(core.Cpu(0), e.Object == 0 ? core.Accounting.Root : payers[e.Object].Memcg);
        if (memcg == null) Bug.Fail("replay: the table of groups is full");
        MmStruct* space = core.Space(anonPeak + 1);
        var file = (FileSpace*)core.Map(FileSpace.Bytes);
        FileSpace.Init(file);
        if (!MemcgLife.Attach(core.Cpu(0), space, memcg)) Bug.Fail("replay: a new group takes no task");
        payers[e.Group] = new Payer(memcg, space, file);
    }

    private void Make(in TraceEvent e, int cpu)
    {
        Payer payer = payers[e.Group];
        objects.Add((e.Kind, payer, pieces.Count));
        if (e.Kind == TraceKind.Slab)
        {
            pieces.Add(kmem ? Object((int)e.Amount, payer, cpu) : 0);
            return;
        }
        if (e.Kind == TraceKind.Kernel) kernelPages += e.Amount;
        for (long i = 0; i < e.Amount; i++) pieces.Add(Page(e.Kind, payer, cpu));
    }

    /// <summary>An object of a cache of its size, as the kernel has one for each kind; kmalloc's classes would charge up to four times its bytes.</summary>
    private nint Object(int bytes, Payer payer, int cpu)
    {
        if (!caches.TryGetValue(bytes, out nint cache) && bytes <= KmemCache.MaxObjectBytes && caches.Count < MostCaches)
        {
            cache = (nint)SlabCaches.Create<TC>(core.Cpu(0), core.Slab!.Name($"replay-{bytes}"), bytes, accounted: true);
            if (cache != 0) caches[bytes] = cache;
        }
        return cache != 0 ? (nint)KmemObjects.Alloc<TC>(core.Cpu(cpu), (SlabCache*)cache, payer.Memcg)
            : (nint)KmemObjects.Kmalloc<TC>(core.Cpu(cpu), bytes, payer.Memcg, Gfp.Kernel | Gfp.Account);
    }

    private nint Page(TraceKind kind, Payer payer, int cpu)
    {
        switch (kind)
        {
            case TraceKind.Anon:
                long entry = payer.SpareEntries.TryPop(out long spare) ? spare : payer.Entries++;
                if (Mm.Fault<TC>(core.Cpu(cpu), payer.Space, entry, write: true) == FaultResult.Mapped) return (nint)entry;
                payer.SpareEntries.Push(entry);
                break;
            case TraceKind.File:
                long place = payer.SparePlaces.TryPop(out spare) ? spare : payer.Places++;
                if (MmFile.Read<TC>(core.Cpu(cpu), payer.Space, payer.File, place, write: false, out Page* page) == FaultResult.Mapped)
                {
                    Mm.Put<TC>(core.Cpu(cpu), page);
                    return (nint)place;
                }
                payer.SparePlaces.Push(place);
                break;
            default:
                if (!kmem) return 0;
                nint block = (nint)KmemObjects.AllocPages<TC>(core.Cpu(cpu), default, payer.Memcg);
                if (block != 0) return block;
                break;
        }
        refused++;
        return -1;
    }

    private void Free(in TraceEvent e, int cpu)
    {
        (TraceKind kind, Payer payer, int first) = objects[(int)e.Object];
        if (kind == TraceKind.Kernel) kernelPages -= e.Amount;
        for (long i = 0; i < e.Amount; i++)
        {
            int at = first + (int)(e.Second + i);
            nint piece = pieces[at];
            pieces[at] = -1;
            if (piece == -1 || (piece == 0 && kind is TraceKind.Kernel or TraceKind.Slab && !kmem)) continue;
            switch (kind)
            {
                case TraceKind.Anon:
                    Mm.Unmap<TC>(core.Cpu(cpu), payer.Space, piece, 1);
                    payer.SpareEntries.Push(piece);
                    break;
                case TraceKind.File:
                    MmFile.Truncate<TC>(core.Cpu(cpu), payer.File, piece, 1);
                    payer.SparePlaces.Push(piece);
                    break;
                case TraceKind.Kernel:
                    KmemObjects.FreePages<TC>(core.Cpu(cpu), (Page*)piece, default);
                    break;
                default:
                    if (piece != 0) KmemObjects.Free<TC>(core.Cpu(cpu), (void*)piece);
                    break;
            }
        }
    }

    private ReplayCheckpoint Compare(in TraceEvent e)
    {
        Memcg* memcg = payers[e.Group].Memcg;
        var port = new CounterValues(TC.Usage(memcg, CounterKind.Memory), TC.Peak(memcg, CounterKind.Memory), kmem ? TC.Usage(memcg, CounterKind.Kmem) : -1,
            MemcgStat.Read(memcg, MemcgStatItem.Rss), MemcgStat.Read(memcg, MemcgStatItem.Cache));
        return new ReplayCheckpoint(e.TimeNs, e.Group, e.Values, port, Moving(e.TimeNs), kernelPages);
    }

    /// <summary>Pages that came or went within the window of a checkpoint.</summary>
    private long Moving(long time) => moved[First(time + WindowNs)] - moved[First(time - WindowNs + 1)];

    /// <summary>The first event at or after a time.</summary>
    private int First(long time)
    {
        int low = 0;
        for (int high = times.Length; low < high;)
        {
            int middle = (low + high) / 2;
            if (times[middle] < time) low = middle + 1;
            else high = middle;
        }
        return low;
    }

    private static long Pages(in TraceEvent e) => e.Kind is TraceKind.Anon or TraceKind.File or TraceKind.Kernel or TraceKind.Free ? e.Amount : 0;

    /// <inheritdoc/>
    public void Dispose() => core.Dispose();
}
