// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// When a page stops being charged: final put, migration, replacement, move.

/// <summary>C1: a migration fails because somebody holds the page; mapped again, it must still be charged.</summary>
internal readonly unsafe struct MigrateAgainstPut : IPageScript
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        SimulatedAccounting.Map(w.Box.Charged<TC>(0, w.A), w.Mm, 0);
        AtomicInt.Init(&w.Page->RefCount, 1 + w.Cpus); // the mapping's and one for each CPU
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0)
        {
            Migration.Migrate<TC>(cpu, w.Page, SimulatedFrames.NodeOf(cpu));
            Mm.LruAddDrain<TC>(cpu);
        }
        Mm.Put<TC>(cpu, w.Page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        TC.OwnerOf(w.Box[0], GuardedPtr<Page>.Get(MmStruct.Entry(w.Mm, 0)), out bool used);
        if (!used) Bug.Fail("the page in use is charged to nobody");
    }
}

/// <summary>C1: an anonymous page is unmapped, without its lock, while it migrates. Whoever of the two comes last ends the charge, and only once.</summary>
internal readonly unsafe struct MigrateAgainstUnmap : IPageScript
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        SimulatedAccounting.Map(w.Box.Charged<TC>(0, w.A), w.Mm, 0);
        AtomicInt.Init(&w.Page->RefCount, 2); // the mapping's and the migrator's
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index != 0)
        {
            Mm.Unmap<TC>(cpu, w.Mm, 0, 1);
            return;
        }
        Migration.Migrate<TC>(cpu, w.Page, SimulatedFrames.NodeOf(cpu));
        Mm.LruAddDrain<TC>(cpu);
        Mm.Put<TC>(cpu, w.Page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (TC.Usage(w.A, CounterKind.Memory) != 0) Bug.Fail("usage of a group that has no page", TC.Usage(w.A, CounterKind.Memory));
        if (!PageOps.Test(w.Page, PageFlags.Free)) Bug.Fail("the page is not free");
    }
}

/// <summary>C9: the old page of a migration is put for the last time while, or after, its charge goes to the new one.</summary>
internal readonly unsafe struct MovesChargeAgainstLastPut : IPageScript
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A);
        AtomicInt.Init(&w.Page->RefCount, w.Cpus); // CPU0's, and that of a vector on CPU1
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0)
        {
            Page* fresh = w.Fresh;
            TC.LruIsolate(cpu, w.Page);
            PageOps.Lock(w.Page);
            PageOps.Lock(fresh);
            PageMapping.CopyPlace(w.Page, fresh);
            TC.OnMigrated(cpu, w.Page, fresh);
            PageOps.Unlock(fresh);
            PageOps.Unlock(w.Page);
            TC.LruAdd(cpu, &fresh, 1);
            Mm.Put<TC>(cpu, w.Page); // isolation's
        }
        Mm.Put<TC>(cpu, w.Page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (!PageOps.Test(w.Page, PageFlags.Free)) Bug.Fail("the old page is not free");
        if (TC.Usage(w.A, CounterKind.Memory) != 1) Bug.Fail("usage of the group of one page", TC.Usage(w.A, CounterKind.Memory));
    }
}

/// <summary>How an isolated page changes its group.</summary>
internal unsafe interface IMoveRule
{
    static abstract void Move<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController;
}

internal readonly unsafe struct TriesPageLock : IMoveRule
{
    public static void Move<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController 
    {
        if (!PageOps.TryLock(page)) return;
        MoveAccount.SwitchIsolated<TC>(cpu, page, from, to);
        PageOps.Unlock(page);
    }
}

/// <summary>C10: a page of the page cache is replaced while it moves to another group.</summary>
internal readonly unsafe struct MoveAgainstReplace<TMove> : IPageScript where TMove : struct, IMoveRule
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        TC.LruIsolate(w.Box[0], w.Box.Charged<TC>(0, w.A, anon: false)); // with the mover's reference; the replacer's and the cache's follow
        AtomicInt.Init(&w.Page->RefCount, w.Cpus);
        AtomicLong.Init(&w.Fresh->Flags, 0);
        if (!PageCache.TryAdd(w.Box[0], w.File, 0, w.Page)) Bug.Fail("setup: page cache");
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = w.Page;
        if (index == 0)
        {
            TMove.Move<TC>(cpu, page, w.A, w.B);
            TC.LruPutback(cpu, &page, 1);
        }
        else MmFile.Replace<TC>(cpu, page, w.Fresh);
        Mm.Put<TC>(cpu, page);
    }
}

/// <summary>How the end of writeback counts its group down.</summary>
internal unsafe interface IWritebackEnd
{
    static abstract void Complete<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController;
}

internal readonly unsafe struct LooksBefore : IWritebackEnd
{
    public static void Complete<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => Writeback.CompleteOwn<TC>(cpu);
}

/// <summary>C6: a migration waits for the end of writeback and takes the charge away at once.</summary>
internal readonly unsafe struct WritebackAgainstMigration<TEnd> : IPageScript where TEnd : struct, IWritebackEnd
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A);
        Writeback.Start<TC>(w.Box[0], w.Page);
        TC.LruIsolate(w.Box[0], w.Page); // by the migrator
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0)
        {
            TEnd.Complete<TC>(cpu, w.Page);
            return;
        }
        Writeback.Wait<TC>(cpu, w.Page);
        PageOps.Lock(w.Page);
        PageOps.Lock(w.Fresh);
        PageMapping.CopyPlace(w.Page, w.Fresh);
        TC.OnMigrated(cpu, w.Page, w.Fresh);
        PageOps.Unlock(w.Fresh);
        PageOps.Unlock(w.Page);
        Mm.Put<TC>(cpu, w.Page); // isolation's
        Mm.Put<TC>(cpu, w.Page);
    }
}

/// <summary>What a mover does beside the switch; the defaults are what ships.</summary>
internal unsafe interface IMover
{
    /// <summary>Between announcing itself and moving: readers that saw nobody move leave.</summary>
    static virtual void Before(in ThisCpu cpu) => Rcu.Synchronize(cpu);
    static virtual void Move<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController => MoveAccount.TryMove<TC>(cpu, page, from, to);
    /// <summary>Between the last move and taking the announcement back: readers that found the old owner leave.</summary>
    static virtual void After(in ThisCpu cpu) => Rcu.Synchronize(cpu);
}

internal readonly struct WaitsForReaders : IMover;

/// <summary>
/// C15: a mapped file page, counted as such for its group, is unmapped, and mapped again, while it moves to another group. Under Qsbr the grace period before
/// the move waits for all that the others do here, so this shape shows the readers that saw nobody move; <see cref="StatDuringMove{TMover}"/> shows the rest.
/// </summary>
internal readonly unsafe struct StatAgainstMove<TMover> : IPageScript where TMover : struct, IMover
{
    public static bool Leaves => true;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A, anon: false);
        PageMapping.SetFile(w.Page, w.File, 0);
        Rmap.AddFile<TC>(w.Box[0], w.Page);
        AtomicInt.Init(&w.Page->RefCount, w.Cpus);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 1) Rmap.Remove<TC>(cpu, w.Page);
        else if (index > 1) Rmap.AddFile<TC>(cpu, w.Page);
        else Move<TC>(cpu, w);
    }

    private static void Move<TC>(in ThisCpu cpu, in PageWorld w) where TC : struct, IMemoryController
    {
        AtomicInt.Add(&w.A->Moving, 1);
        TMover.Before(cpu);
        TMover.Move<TC>(cpu, w.Page, w.A, w.B);
        TMover.After(cpu);
        AtomicInt.Add(&w.A->Moving, -1);
    }
}

/// <summary>C15: the same when the mover has announced itself and waited: all readers know, and come at any moment of the move and of its end.</summary>
internal readonly unsafe struct StatDuringMove<TMover> : IPageScript where TMover : struct, IMover
{
    public static bool Leaves => true;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        StatAgainstMove<TMover>.Setup<TC>(ref w);
        AtomicInt.Init(&w.A->Moving, 1);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index != 0)
        {
            StatAgainstMove<TMover>.Body<TC>(cpu, index, w);
            return;
        }
        TMover.Move<TC>(cpu, w.Page, w.A, w.B);
        TMover.After(cpu);
        AtomicInt.Add(&w.A->Moving, -1);
    }
}

/// <summary>How mapped file pages are counted.</summary>
internal unsafe interface IMappedRule
{
    static abstract void Map<TC>(in ThisCpu cpu, Page* page, AtomicInt* flag) where TC : struct, IMemoryController;
    static abstract void Unmap<TC>(in ThisCpu cpu, Page* page, AtomicInt* flag) where TC : struct, IMemoryController;
    static virtual void Check(Page* page, AtomicInt* flag) { }
}

internal readonly unsafe struct CountsByMapCount : IMappedRule
{
    public static void Map<TC>(in ThisCpu cpu, Page* page, AtomicInt* flag) where TC : struct, IMemoryController => Rmap.AddFile<TC>(cpu, page);
    public static void Unmap<TC>(in ThisCpu cpu, Page* page, AtomicInt* flag) where TC : struct, IMemoryController => Rmap.Remove<TC>(cpu, page);
}

/// <summary>A16: the last unmap of a file page against the next map.</summary>
internal readonly unsafe struct MapAgainstUnmap<TRule, TMappers> : IPageScript where TRule : struct, IMappedRule where TMappers : struct, ISize
{
    public static int Cpus => 1 + TMappers.N;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A, anon: false);
        Rmap.AddFile<TC>(w.Box[0], w.Page);
        AtomicInt.Init(w.Result, 1);
        PageMapping.SetFile(w.Page, w.File, 0);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0) TRule.Unmap<TC>(cpu, w.Page, w.Result);
        else TRule.Map<TC>(cpu, w.Page, w.Result);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController => TRule.Check(w.Page, w.Result);
}

/// <summary>How a swap-in commits the charge of a page that may be on a list.</summary>
internal unsafe interface ICommitRule
{
    static abstract void Commit<TC>(in ThisCpu cpu, Page* page, Memcg* memcg) where TC : struct, IMemoryController;
}

internal readonly unsafe struct CommitsLrucare : ICommitRule
{
    public static void Commit<TC>(in ThisCpu cpu, Page* page, Memcg* memcg) where TC : struct, IMemoryController => TC.CommitLrucare(cpu, page, memcg, anon: true);
}

/// <summary>A14: a swap-cache page that its old group uncharged and still lists is charged to another one while reclaim takes it off its list.</summary>
internal readonly unsafe struct SwapInAgainstIsolate<TRule> : IPageScript where TRule : struct, ICommitRule
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A);
        TC.TryClear(w.Box[0], w.Page, UnchargeType.Force, out Memcg* owner, out ClearedCharge charge);
        UnchargeGather.Flush<TC>(w.Box[0], owner, charge.Memory, charge.Memsw, charge.Anon, 0);
        AtomicInt.Init(&w.Page->RefCount, w.Cpus);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = w.Page;
        if (index == 0)
        {
            PageOps.Lock(page);
            if (!Charging.TryCharge<TC>(cpu, w.B, 1, Gfp.Kernel)) Bug.Fail("refused without a limit");
            TRule.Commit<TC>(cpu, page, w.B);
            PageOps.Unlock(page);
            return;
        }
        if (!TC.LruIsolate(cpu, page)) return;
        TC.LruPutback(cpu, &page, 1);
        PageOps.PutAndTest(page);
    }
}

/// <summary>The mail of 2014: the last put uncharges, the frame is used again by another group, and a walker by pfn looks at it all the while.</summary>
internal readonly unsafe struct FinalPutAgainstCatch<TCatchers> : IPageScript where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        SimulatedAccounting.Map(w.Box.Charged<TC>(0, w.A), w.Mm, 0);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = w.Page;
        if (index != 0)
        {
            if (!Mm.Catch<TC>(cpu, page)) return;
            TC.LruPutback(cpu, &page, 1);
            Mm.Put<TC>(cpu, page);
            return;
        }
        Mm.Unmap<TC>(cpu, w.Mm, 0, 1);
        Page* again = PageAllocator<NoHook>.Alloc(cpu, Gfp.Kernel);
        if (again == null) return;
        if (!Charging.TryCharge<TC>(cpu, w.B, 1, Gfp.Kernel)) Bug.Fail("refused without a limit");
        PageMapping.SetAnon(again, w.Mm, 1);
        Charging.Commit<TC>(cpu, again, w.B, anon: true);
        TC.LruAdd(cpu, &again, 1);
    }
}

/// <summary>How charge and mapping of a driver's page follow each other.</summary>
internal unsafe interface IInsertRule
{
    static abstract void Insert<TC>(in ThisCpu cpu, in PageWorld w) where TC : struct, IMemoryController;
}

internal readonly unsafe struct InsertsUnderLock : IInsertRule
{
    public static void Insert<TC>(in ThisCpu cpu, in PageWorld w) where TC : struct, IMemoryController => MmFile.InsertPage<TC>(cpu, w.Mm, 1, w.Fresh);
}

/// <summary>2.6.25 to 2.6.27: a device page is inserted, and charged, while its range is unmapped.</summary>
internal readonly unsafe struct InsertAgainstUnmap<TRule> : IPageScript where TRule : struct, IInsertRule
{
    public static RcuFlavour Flavour => RcuFlavour.Membarrier;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        AtomicLong.Init(&w.Fresh->Flags, 0);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0) TRule.Insert<TC>(cpu, w);
        else Mm.Unmap<TC>(cpu, w.Mm, 1, 1);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        TC.OwnerOf(w.Box[0], w.Fresh, out bool used);
        if (used != (AtomicInt.Load(&w.Fresh->MapCount) > 0)) Bug.Fail("a device page is charged if and only if it is mapped (charged, mapcount)", used
            ? 1 : 0, AtomicInt.Load(&w.Fresh->MapCount));
    }
}
