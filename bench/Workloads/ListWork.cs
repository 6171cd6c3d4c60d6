// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.CompilerServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Everything that takes the lock of a page's list, in the shares of the worker's deck (<see cref="ListShares"/>), on a ring of 256 pages per
/// worker. lru-churn is all of it together; lru-add to lru-groups have decks of one kind.
/// </summary>
internal readonly unsafe struct ListWork<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    private const int Ring = 256, WalkFrames = 64;

    /// <inheritdoc/>
    public static int Unit => 1;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w)
    {
        (w->Cursor, w->Card) = (0, 0);
        for (long i = 0; i < Ring; i++)
            if (Mm.Fault<TC>(in cpu, w->Mm, i, write: false) != FaultResult.Mapped) w->Failed++;
        Mm.LruAddDrain<TC>(in cpu);
        if (Does(w, ListWorkKind.Group) || Moves(w)) NextGroup(in cpu, w);
        if (Moves(w)) AtomicInt.Add(&w->Memcg->Moving, 1); // mem_cgroup_start_move: statistics of its pages take the move lock; ended by Finish
    }

    private static bool Moves(WorkerState* w) => Does(w, ListWorkKind.Move);

    private static bool Does(WorkerState* w, ListWorkKind kind) => new ReadOnlySpan<byte>(w->Deck, WorkerState.DeckCards).Contains((byte)kind);

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops--)
            switch ((ListWorkKind)w->Deck[w->Card++ & (WorkerState.DeckCards - 1)])
            {
                case ListWorkKind.Add: Add(in cpu, w); break;
                case ListWorkKind.Isolate: Isolate(in cpu, w, LruList.InactiveAnon); break;
                case ListWorkKind.Walk: Walk(in cpu, w); break;
                case ListWorkKind.Rotate: WriteBack(in cpu, w); break;
                case ListWorkKind.Activate: Activate(in cpu, w); break;
                case ListWorkKind.Move: Move(in cpu, w); break;
                case ListWorkKind.Group: NextGroup(in cpu, w); break;
            }
    }

    /// <summary>Where in its ring the worker looks now: another place each time, neighbours far apart.</summary>
    private static long Place(WorkerState* w) => w->Card * 37 & (Ring - 1);

    private static int Node(in ThisCpu cpu, WorkerState* w) => (int)(w->Card % Guarded<int>.Get(&AccountingCpu.Of(cpu)->NodeCount));

    private static void Add(in ThisCpu cpu, WorkerState* w)
    {
        long at = w->Cursor++ & (Ring - 1);
        if ((at & (Mm.Batch - 1)) == 0)
        {
            Writeback.CompleteOwn<TC>(in cpu); // outside the swap cache nothing would keep the charge of a page under writeback that is unmapped
            Mm.Unmap<TC>(in cpu, w->Mm, at, Mm.Batch);
        }
        if (Mm.Fault<TC>(in cpu, w->Mm, at, write: false) != FaultResult.Mapped) w->Failed++;
    }

    /// <summary>shrink_inactive_list without what lies between; from the active list it is shrink_active_list, and the pages come back inactive.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Isolate(in ThisCpu cpu, WorkerState* w, LruList from)
    {
        Page** pages = stackalloc Page*[Reclaim.Batch];
        int n = TC.LruIsolateTail(in cpu, w->Memcg, Node(in cpu, w), from, pages, Reclaim.Batch);
        if (from == LruList.ActiveAnon)
            for (int i = 0; i < n; i++) PageOps.Clear(pages[i], PageFlags.Active);
        TC.LruPutback(in cpu, pages, n);
        Mm.ReleasePages<TC>(in cpu, pages, n);
    }

    /// <summary>isolate_lru_pages of lumpy reclaim: the frames around a page, whosever they are.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Walk(in ThisCpu cpu, WorkerState* w)
    {
        Page** caught = stackalloc Page*[Reclaim.Batch];
        Page* centre = Mm.Lookup(in cpu, w->Mm, Place(w));
        if (centre == null) return;
        int n = PfnWalk<TC>.Catch(in cpu, centre, WalkFrames, caught);
        TC.LruPutback(in cpu, caught, n);
        Mm.ReleasePages<TC>(in cpu, caught, n);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WriteBack(in ThisCpu cpu, WorkerState* w)
    {
        Page** pages = stackalloc Page*[Pagevec.Size];
        int n = Own(in cpu, w, pages);
        for (int i = 0; i < n; i++)
        {
            if (!PageOps.TryLock(pages[i])) continue;
            if (!PageOps.Test(pages[i], PageFlags.Writeback))
            {
                PageOps.Set(pages[i], PageFlags.Dirty);
                Writeback.Start<TC>(in cpu, pages[i]); // comes back, rotated, at the next poll point
            }
            PageOps.Unlock(pages[i]);
        }
        Mm.ReleasePages<TC>(in cpu, pages, n);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Activate(in ThisCpu cpu, WorkerState* w)
    {
        int node = Node(in cpu, w);
        // Half of the group's, or of a ring where others' inactive pages fill the group: a worker alone or in company finds pages to activate.
        if (TC.LruCount(w->Memcg, node, LruList.ActiveAnon) > Math.Min(TC.LruCount(w->Memcg, node, LruList.InactiveAnon), Ring / 2)) Isolate(in cpu, w, LruList.ActiveAnon);
        Page** pages = stackalloc Page*[Pagevec.Size];
        int n = Own(in cpu, w, pages);
        TC.LruActivate(in cpu, pages, n);
        Mm.ReleasePages<TC>(in cpu, pages, n);
    }

    /// <summary>Up to 14 of the worker's pages, each with a reference.</summary>
    private static int Own(in ThisCpu cpu, WorkerState* w, Page** pages)
    {
        int n = 0;
        for (long i = Place(w), end = i + Pagevec.Size; i < end; i++)
            if ((pages[n] = Mm.Follow(in cpu, w->Mm, i & (Ring - 1))) != null) n++;
        return n;
    }

    /// <summary>Only its own worker moves a page, so the owner that is found stays, and the page's charge keeps it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Move(in ThisCpu cpu, WorkerState* w)
    {
        Page* page = Mm.Follow(in cpu, w->Mm, Place(w));
        if (page == null) return;
        Memcg* from = TC.OwnerOf(in cpu, page, out bool used);
        Memcg* to = from == w->Memcg ? w->Child : w->Memcg;
        if (used && to != null) MoveAccount.TryMove<TC>(in cpu, page, from, to); // busy when somebody has isolated it: that is the workload
        Mm.Put<TC>(in cpu, page);
    }

    /// <summary>A new child, then the end of the old one with whatever pages it has.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void NextGroup(in ThisCpu cpu, WorkerState* w)
    {
        Memcg* fresh = NewGroup<TC>.Below(in cpu, w);
        if (fresh == null) return;
        AtomicInt.Add(&fresh->Moving, 1); // until it is recycled
        if (w->Child != null) MemcgLife.Remove(in cpu, w->Child);
        w->Child = fresh;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w)
    {
        Writeback.CompleteOwn<TC>(in cpu);
        Mm.Unmap<TC>(in cpu, w->Mm, 0, Ring);
        if (Moves(w)) AtomicInt.Add(&w->Memcg->Moving, -1);
        if (w->Child != null) MemcgLife.Remove(in cpu, w->Child);
        w->Child = null;
    }
}

/// <summary>Groups of workloads that make them faster than they die.</summary>
internal static unsafe class NewGroup<TC> where TC : struct, IMemoryController
{
    /// <summary>
    /// How long to wait, in nanoseconds: another worker that the system took off its CPU passes no poll point, and with it no grace period
    /// passes, for as many of the system's time slices as there are programs on that CPU.
    /// </summary>
    private const double PatienceNs = 2e9;
    private const int PollsBeforeYield = 1024;

    /// <summary>
    /// A group below the worker's. While the table is full the worker waits: the grace periods that dying groups need pass at its poll points and
    /// those of the others. Null, and an operation that failed, when they do not.
    /// </summary>
    public static Memcg* Below(in ThisCpu cpu, WorkerState* w)
    {
        long began = Stopwatch.GetTimestamp();
        for (int turn = 1; ; turn++, Poll.Run(in cpu))
        {
            Memcg* memcg = MemcgLife.Create<TC>(in cpu, w->Memcg);
            if (memcg != null) return memcg;
            if (turn % PollsBeforeYield != 0) continue;
            if (Stopwatch.GetElapsedTime(began).TotalNanoseconds > PatienceNs) break;
            Thread.Yield(); // the one we wait for may share our CPU
        }
        w->Failed++;
        return null;
    }
}

/// <summary>The walk by page frame number, which takes pages of any group without a reference of its own.</summary>
internal static unsafe class PfnWalk<TC> where TC : struct, IMemoryController
{
    /// <summary>Takes up to 32 pages from the aligned run of frames (a power of two) around centre; each comes with a reference.</summary>
    public static int Catch(in ThisCpu cpu, Page* centre, int frames, Page** caught)
    {
        MemMap* map = MemMap.Of(in cpu);
        long first = MemMap.PfnOf(map, centre).Value & -(long)frames, end = Math.Min(first + frames, Guarded<long>.Get(&map->Count));
        int n = 0;
        for (long pfn = first; pfn < end && n < Reclaim.Batch; pfn++)
        {
            Page* page = MemMap.PageOf(map, new Pfn(pfn));
            if (Mm.Catch<TC>(in cpu, page)) caught[n++] = page;
        }
        return n;
    }
}
