// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using MoveLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

// System C, wrong in one way each.

/// <summary>C9: the old page of a migration keeps its charge as well.</summary>
internal readonly struct KeepsCharge : IPlainForm
{
    public static string Name => "busted: keeps the charge";
    public static long KeptByMigrated => PlainFlagArray<Plain317>.Used | PlainFlagArray<Plain317>.Mem | PlainFlagArray<Plain317>.Memsw;
}

/// <summary>C10: the mover does not look whether somebody has the page locked.</summary>
internal readonly unsafe struct MovesUnlocked : IMoveRule
{
    public static void Move<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController => MoveAccount.SwitchIsolated<TC>(cpu, page, from, to);
}

/// <summary>C6: the owner is looked up when the flag has fallen, as 3.17 did.</summary>
internal readonly unsafe struct LooksAfter : IWritebackEnd
{
    public static void Complete<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        Guarded<int>.Set(&IoQueue.Of(cpu.Area)->Count, 0);
        bool was = PageOps.TestAndClear(page, PageFlags.Writeback);
        PageStat stat = PageStat.Begin<TC>(cpu, page);
        if (was) stat.Add(cpu, MemcgStatItem.Writeback, -1);
        stat.End(cpu);
        Mm.Put<TC>(cpu, page);
    }
}

/// <summary>C15: the mover announces itself and goes on.</summary>
internal readonly struct DoesNotWaitForReaders : IMover
{
    public static void Before(in ThisCpu cpu) { }
}

/// <summary>C15: the mover is done when the last page has moved.</summary>
internal readonly struct EndsAtOnce : IMover
{
    public static void After(in ThisCpu cpu) { }
}

/// <summary>C15: what the page counts as is looked at when it is the target's, whose readers do not wait for the source's lock.</summary>
internal readonly unsafe struct OwnerFirst : IMover
{
    public static void Move<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController
    {
        if (!PageOps.TryLock(page)) return;
        if (!TC.LruIsolate(cpu, page) || !Charging.TryCharge<TC>(cpu, to, 1, Gfp.NoWait)) Bug.Fail("nobody else takes the page, and there is no limit");
        Machine.IrqOff();
        MoveLock.Acquire(cpu, &from->MoveLock);
        TC.MoveAccount(cpu, page, from, to, out _);
        Count(cpu, from, to, MemcgStatItem.Cache);
        if (AtomicInt.Load(&page->MapCount) != 0) Count(cpu, from, to, MemcgStatItem.FileMapped);
        MoveLock.Release(cpu, &from->MoveLock);
        Machine.IrqOn();
        TC.UnchargeCounters(cpu, from, 1, 1);
        TC.LruPutback(cpu, &page, 1);
        PageOps.PutAndTest(page);
        PageOps.Unlock(page);
    }

    private static void Count(in ThisCpu cpu, Memcg* from, Memcg* to, MemcgStatItem item)
    {
        MemcgStatCpu.Add(Memcg.OnCpu(cpu, from), item, -1);
        MemcgStatCpu.Add(Memcg.OnCpu(cpu, to), item, 1);
    }
}

/// <summary>A16: a flag beside the count says that the page is counted.</summary>
internal readonly unsafe struct FlagBesideCounter : IMappedRule
{
    public static void Map<TC>(in ThisCpu cpu, Page* page, AtomicInt* flag) where TC : struct, IMemoryController
    {
        PageStat stat = PageStat.Begin<TC>(cpu, page);
        if (AtomicInt.AddReturn(&page->MapCount, 1) == 1)
        {
            stat.Add(cpu, MemcgStatItem.FileMapped, 1);
            AtomicInt.Store(flag, 1);
        }
        stat.End(cpu);
    }

    public static void Unmap<TC>(in ThisCpu cpu, Page* page, AtomicInt* flag) where TC : struct, IMemoryController
    {
        PageStat stat = PageStat.Begin<TC>(cpu, page);
        if (AtomicInt.AddReturn(&page->MapCount, -1) == 0)
        {
            stat.Add(cpu, MemcgStatItem.FileMapped, -1);
            AtomicInt.Store(flag, 0);
        }
        stat.End(cpu);
    }

    public static void Check(Page* page, AtomicInt* flag)
    {
        if (AtomicInt.Load(flag) != (AtomicInt.Load(&page->MapCount) > 0 ? 1 : 0)) Bug.Fail("flag and mapcount", AtomicInt.Load(flag), AtomicInt.Load(&page->MapCount));
    }
}

/// <summary>A14: the owner is rewritten while the page is on the other group's list.</summary>
internal readonly unsafe struct CommitsInPlace : ICommitRule
{
    public static void Commit<TC>(in ThisCpu cpu, Page* page, Memcg* memcg) where TC : struct, IMemoryController => TC.Commit(cpu, page, memcg, anon: true);
}

/// <summary>A device page is charged after it was mapped and the page table was let go.</summary>
internal readonly unsafe struct ChargesAfterMapping : IInsertRule
{
    public static void Insert<TC>(in ThisCpu cpu, in PageWorld w) where TC : struct, IMemoryController
    {
        Memcg* memcg = Charging.MemcgOf(cpu, w.Mm);
        if (!Charging.TryCharge<TC>(cpu, memcg, 1, Gfp.Kernel)) Bug.Fail("refused without a limit");
        LockWord* ptl = MmStruct.LockOf(w.Mm, 1);
        TestAndSetLock.Acquire(cpu, ptl);
        PageOps.Get(w.Fresh);
        Rmap.AddFile<TC>(cpu, w.Fresh);
        GuardedPtr<Page>.Set(MmStruct.Entry(w.Mm, 1), w.Fresh);
        TestAndSetLock.Release(cpu, ptl);
        Charging.Commit<TC>(cpu, w.Fresh, memcg, anon: true);
        Css.Put(cpu, &memcg->Css);
    }
}

/// <summary>C5: the page is uncharged inside the list's lock, as the first form of the series did.</summary>
internal readonly unsafe struct UnchargesUnderListLock : IFreeRule
{
    public static void Free<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        LockWord* zone = &AccountingNode.Slot<ZoneLruState>(AccountingCpu.Node(cpu, 0), AccountingNode.LruSlot)->Lock;
        Machine.IrqOff();
        MoveLock.Acquire(cpu, zone);
        TC.OnFinalPut(cpu, &page, 1);
        MoveLock.Release(cpu, zone);
        Machine.IrqOn();
    }
}

/// <summary>C16: a page without an owner is taken for a bug.</summary>
internal readonly unsafe struct InsistsOnOwner : IMigrateRule
{
    public static void Migrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController
    {
        TC.OwnerOf(cpu, old, out bool used);
        if (!used) Bug.Fail("the old page of a migration has no owner");
        TC.OnMigrated(cpu, old, page);
    }
}

/// <summary>What stays as shipped in the twins of an uncharge design: each forwards all but one verb.</summary>
internal readonly unsafe struct BustedAtFinalPut<TDefect> : IUnchargeDesign where TDefect : struct, IFinalPutDefect
{
    public static string Name => "busted AtFinalPut";
    public static void InitCpu(CpuArea* area) => AtFinalPut.InitCpu(area);
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => TDefect.OnUnmap<TC>(cpu, page);
    public static void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnCacheRemoved<TC>(cpu, page);
    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController => TDefect.OnFinalPut<TC>(cpu, pages, n);
    public static bool ChargesSwapIn<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => AtFinalPut.ChargesSwapIn<TC>(cpu, page);
    public static void OnSwapCacheDeleted<TC>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) where TC : struct, IMemoryController { }
    public static void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController => TDefect.OnSwapOut<TC>(cpu, page, entry);
    public static bool OnMigratePrepare<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => true;
    public static void OnMigrateEnd<TC>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController { }
    public static void OnMigrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnMigrated<TC>(cpu, old, page);
    public static void OnReplaced<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnReplaced<TC>(cpu, old, page);
    public static void OnBatchBegin(in ThisCpu cpu) { }
    public static void OnBatchEnd<TC>(in ThisCpu cpu) where TC : struct, IMemoryController { }
}

/// <summary>One verb of the answer of 2014 that differs; the defaults are what ships.</summary>
internal unsafe interface IFinalPutDefect
{
    static virtual void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }
    static virtual void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController => AtFinalPut.OnFinalPut<TC>(cpu, pages, n);
    static virtual void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController => AtFinalPut.OnSwapOut<TC>(cpu, page, entry);
}

/// <summary>2014: the owner goes at the last unmap, although others may still look at the page.</summary>
internal readonly unsafe struct ClearsAtUnmap : IFinalPutDefect
{
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnFinalPut<TC>(cpu, &page, 1);
}

/// <summary>C11: the page's reference goes when the owner is cleared, the counters follow.</summary>
internal readonly unsafe struct PutsBeforeFlush : IFinalPutDefect
{
    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        for (int i = 0; i < n; i++)
        {
            if (!TC.TryClear(cpu, pages[i], UnchargeType.FinalPut, out Memcg* owner, out ClearedCharge charge)) continue;
            TC.DropChargePin(cpu, owner, charge.Memory);
            PageCounter<PageCounter40>.Uncharge<NoPin>(cpu, owner, charge.Memory, charge.Memsw);
        }
    }
}

/// <summary>C13: a group that is going away has no id to record, so the entry is nobody's and its memsw charge is never given back.</summary>
internal readonly unsafe struct RecordsNobody : IFinalPutDefect
{
    public static void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController
    {
        Memcg* owner = TC.OwnerOf(cpu, page, out _);
        if (Css.StateOf(&owner->Css) == CssState.Online) AtFinalPut.OnSwapOut<TC>(cpu, page, entry);
        else if (TC.ReleaseMemsw(cpu, page, out owner, out ClearedCharge charge)) UnchargeGather.Flush<TC>(cpu, owner, charge.Memory, charge.Memsw, charge.Anon, 0);
    }
}

/// <summary>One verb of early uncharge that differs; the defaults are what ships.</summary>
internal unsafe interface IUnmapDefect
{
    static virtual void OnSwapCacheDeleted<TC, TForm>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut)
        where TC : struct, IMemoryController where TForm : struct, IEarlyForm =>
        AtUnmap<TForm>.OnSwapCacheDeleted<TC>(cpu, page, entry, swapOut);
    static virtual bool OnMigratePrepare<TC, TForm>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController where TForm : struct, IEarlyForm =>
        AtUnmap<TForm>.OnMigratePrepare<TC>(cpu, old, page);
    static virtual void OnMigrateEnd<TC, TForm>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController where TForm : struct, IEarlyForm =>
        AtUnmap<TForm>.OnMigrateEnd<TC>(cpu, old, page, ok);
}

/// <summary>C2: which way a page leaves the swap cache is guessed from whether it is mapped: what nobody maps is taken for unused.</summary>
internal readonly unsafe struct GuessesByMapCount : IUnmapDefect
{
    public static void OnSwapCacheDeleted<TC, TForm>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut)
        where TC : struct, IMemoryController where TForm : struct, IEarlyForm =>
        AtUnmap<TForm>.OnSwapCacheDeleted<TC>(cpu, page, entry, AtomicInt.Load(&page->MapCount) != 0);
}

/// <summary>C1: the owner is looked up, then the page is marked; the copy is committed with a charge that an unmap has taken away in between.</summary>
internal readonly unsafe struct LooksThenMarks : IUnmapDefect
{
    public static bool OnMigratePrepare<TC, TForm>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController where TForm : struct, IEarlyForm
    {
        Memcg* owner = TC.OwnerOf(cpu, old, out bool used);
        if (!used) return true;
        TC.TryMarkMigrating(cpu, old, out _);
        return Css.TryGet(cpu, &owner->Css) && TC.Commit(cpu, page, owner, PageMapping.IsAnon(old)); // put by OnMigrateEnd
    }
}

/// <summary>C1: the copy is charged and the old page is not marked, as up to 2.6.34.</summary>
internal readonly unsafe struct ChargesWithoutMark : IUnmapDefect
{
    public static bool OnMigratePrepare<TC, TForm>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController where TForm : struct, IEarlyForm =>
        AtUnmap<Early2629>.OnMigratePrepare<TC>(cpu, old, page);
}

/// <summary>C1: the group's reference goes when the copy is committed: one charge keeps it for both frames.</summary>
internal readonly unsafe struct PutsAtCommit : IUnmapDefect
{
    public static bool OnMigratePrepare<TC, TForm>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController where TForm : struct, IEarlyForm
    {
        bool paid = AtUnmap<TForm>.OnMigratePrepare<TC>(cpu, old, page);
        Memcg* owner = TC.OwnerOf(cpu, page, out bool used);
        if (used) Css.Put(cpu, &owner->Css);
        return paid;
    }

    public static void OnMigrateEnd<TC, TForm>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController where TForm : struct, IEarlyForm
    {
        int anon = PageMapping.IsAnon(old) ? 1 : 0;
        if (TC.TryClear(cpu, ok ? old : page, UnchargeType.Force, out Memcg* owner, out _)) UnchargeGather.Flush<TC>(cpu, owner, 0, 0, anon, 1 - anon);
        AtUnmap<TForm>.OnMigrateEnd<TC>(cpu, old, page, ok); // the rest: the unused page is cleared
    }
}

/// <summary>C1: the copy is charged at the start, as up to 3.5, and at the end the unused page gives nothing back, as since 3.6.</summary>
internal readonly unsafe struct KeepsSecondCharge : IUnmapDefect
{
    public static bool OnMigratePrepare<TC, TForm>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController where TForm : struct, IEarlyForm
    {
        if (!AtUnmap<TForm>.OnMigratePrepare<TC>(cpu, old, page)) return false;
        Memcg* owner = TC.OwnerOf(cpu, page, out bool used);
        return !used || Css.TryGet(cpu, &owner->Css); // put by OnMigrateEnd
    }

    public static void OnMigrateEnd<TC, TForm>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController where TForm : struct, IEarlyForm =>
        AtUnmap<Early36>.OnMigrateEnd<TC>(cpu, old, page, ok);
}

internal readonly unsafe struct BustedAtUnmap<TForm, TDefect> : IUnchargeDesign where TForm : struct, IEarlyForm where TDefect : struct, IUnmapDefect
{
    public static string Name => "busted " + AtUnmap<TForm>.Name;
    public static bool CountsPageState => AtUnmap<TForm>.CountsPageState;
    public static void InitCpu(CpuArea* area) => AtUnmap<TForm>.InitCpu(area);
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => AtUnmap<TForm>.OnUnmap<TC>(cpu, page);
    public static void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => AtUnmap<TForm>.OnCacheRemoved<TC>(cpu, page);
    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController { }
    public static bool ChargesSwapIn<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => true;
    public static void OnSwapCacheDeleted<TC>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) where TC : struct, IMemoryController =>
        TDefect.OnSwapCacheDeleted<TC, TForm>(cpu, page, entry, swapOut);
    public static void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController { }
    public static bool OnMigratePrepare<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => TDefect.OnMigratePrepare<TC, TForm>(cpu, old, page);
    public static void OnMigrateEnd<TC>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController =>
        TDefect.OnMigrateEnd<TC, TForm>(cpu, old, page, ok);
    public static void OnMigrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController { }
    public static void OnReplaced<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtUnmap<TForm>.OnReplaced<TC>(cpu, old, page);
    public static void OnBatchBegin(in ThisCpu cpu) => AtUnmap<TForm>.OnBatchBegin(cpu);
    public static void OnBatchEnd<TC>(in ThisCpu cpu) where TC : struct, IMemoryController => AtUnmap<TForm>.OnBatchEnd<TC>(cpu);
}
