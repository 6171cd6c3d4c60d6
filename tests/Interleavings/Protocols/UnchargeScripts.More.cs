// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// Uncharge against interrupts, groups that die, swap.

/// <summary>C4: pages of two groups are uncharged, one by the task and one by the interrupt that breaks into it.</summary>
internal readonly unsafe struct UnchargeInIrq : IPageScript
{
    public static int Cpus => 1;
    public static int Interrupts => 1;
    public static bool PlainIsMarked => true;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        TC.LruIsolate(w.Box[0], w.Box.Charged<TC>(0, w.A));
        TC.LruIsolate(w.Box[0], w.Box.Charged<TC>(1, w.B));
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController => Uncharge<TC>(cpu, w.Page);
    public static void Irq<TC>(in ThisCpu cpu, in PageWorld w) where TC : struct, IMemoryController => Uncharge<TC>(cpu, w.Fresh);

    /// <summary>What release_pages did then and does now, without the list: either answer does its part.</summary>
    private static void Uncharge<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        TC.OnBatchBegin(cpu);
        TC.OnUnmap(cpu, page);
        TC.OnBatchEnd(cpu);
        TC.OnFinalPut(cpu, &page, 1);
    }
}

/// <summary>Where a final put uncharges.</summary>
internal unsafe interface IFreeRule
{
    static abstract void Free<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController;
}

internal readonly unsafe struct UnchargesOutsideListLock : IFreeRule
{
    public static void Free<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => Mm.Put<TC>(cpu, page);
}

/// <summary>C5: uncharge updates the soft-limit tree; end of writeback wants a list's lock in the irq role.</summary>
internal readonly unsafe struct SoftLimitAgainstRotate<TRule> : IPageScript where TRule : struct, IFreeRule
{
    public static int Interrupts => 1;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A);
        TC.LruIsolate(w.Box[0], w.Box.Charged<TC>(1, w.A));
        AtomicInt.Init(&w.Fresh->RefCount, 1);
        w.Box.Charged<TC>(2, w.A);
        for (int c = 0; c < 2; c++) Guarded<int>.Set(&AccountingCpu.Of(w.Box[c])->Events, SoftLimit.Interval - 1);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0) SoftLimit.Check(cpu, 1);
        else TRule.Free<TC>(cpu, w.Fresh);
    }

    public static void Irq<TC>(in ThisCpu cpu, in PageWorld w) where TC : struct, IMemoryController
    {
        if (cpu.Index != 0) return;
        Page* page = w.Other;
        TC.LruRotate(cpu, &page, 1);
    }
}

/// <summary>C11: the last page of a group that is removed is put: what was gathered must still reach the counters of a group that exists.</summary>
internal readonly unsafe struct LastPutAgainstRemove : IPageScript
{
    public static bool Leaves => true;
    public static RcuFlavour Flavour => RcuFlavour.Membarrier;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController => w.Box.Charged<TC>(0, w.A);

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0) MemcgLife.Remove(cpu, w.A);
        else Mm.Put<TC>(cpu, w.Page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (Css.StateOf(&w.A->Css) != CssState.Free) Bug.Fail("the group is not gone", (long)Css.StateOf(&w.A->Css));
        if (AtomicLong.Load(&w.Box.Tree->DeadResidue) != 0) Bug.Fail("the group was freed while its counter was not 0");
    }
}

/// <summary>C1: one charge pays for a page and its copy, which is mapped already; an unmap takes it, and the group, before the migrator is done with the page.</summary>
internal readonly unsafe struct MigrateEndAgainstDeath : IPageScript
{
    public static bool Leaves => true;
    public static RcuFlavour Flavour => RcuFlavour.Membarrier;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.B, 2, "mm"); // a task that has left A and its page behind
        Page* old = w.Box.Charged<TC>(0, w.A), copy = w.Fresh;
        TC.LruIsolate(w.Box[0], old);
        if (PageOps.PutAndTest(old) || !TC.OnMigratePrepare(w.Box[0], old, copy)) Bug.Fail("setup: migration");
        SimulatedAccounting.Map(old, w.Mm, 1); // for its place only
        PageMapping.CopyPlace(old, copy);
        AtomicInt.Init(&old->MapCount, 0);
        GuardedPtr<Page>.Set(MmStruct.Entry(w.Mm, 1), null);
        SimulatedAccounting.Map(copy, w.Mm, 0);
        AtomicInt.Init(&copy->RefCount, 2); // the mapping's and the migrator's
        Css.Get(w.Box[0], &w.A->Css); // put by CPU1
        MemcgLife.Remove(w.Box[0], w.A);
        for (int c = 0; Css.StateOf(&w.A->Css) != CssState.Offline; c = (c + 1) % w.Cpus) Poll.Run(w.Box[c]);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0)
        {
            TC.OnMigrateEnd(cpu, w.Page, w.Fresh, ok: true);
            Mm.Put<TC>(cpu, w.Page);
            Mm.Put<TC>(cpu, w.Fresh);
            return;
        }
        Mm.Unmap<TC>(cpu, w.Mm, 0, 1);
        Css.Put(cpu, &w.A->Css);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        long left = AtomicLong.Load(&w.Box.Tree->DeadCharged) - AtomicLong.Load(&w.Box.Tree->DeadUncharged);
        if (left != 0) Bug.Fail("pages charged to a group that is gone, and not uncharged", left);
    }
}

/// <summary>C13: reclaim swaps out a page of a group that goes offline: somebody must pay for the entry.</summary>
internal readonly unsafe struct SwapOutAgainstRemove : IPageScript
{
    public static bool Leaves => true;
    public static int SwapEntries => 2;
    public static bool Nested => true;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = w.Box.Charged<TC>(0, w.A);
        TC.LruIsolate(w.Box[0], page);
        if (!SwapCache.TryAdd(w.Box[0], w.Swap, page)) Bug.Fail("setup: swap");
        SwapDevice.Duplicate(w.Box[0], w.Swap, SwapCache.EntryOf(page)); // some page table names it
        PageOps.Clear(page, PageFlags.Dirty);
        AtomicInt.Init(&page->RefCount, 2);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = w.Page;
        if (index == 0)
        {
            MemcgLife.Remove(cpu, w.A);
            return;
        }
        if (!SwapCache.TryRemoveFrozen<TC>(cpu, w.Swap, page)) Bug.Fail("somebody else holds the page");
        Mm.FreeUnreferenced<TC>(cpu, &page, 1);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (SwapRecord.Id(w.Swap, new SwapEntry(0)) == 0) Bug.Fail("an entry is in use and nobody pays for it");
    }
}

/// <summary>C2: reclaim takes a page out of the swap cache while its last entry is zapped, or somebody takes a reference through it.</summary>
internal readonly unsafe struct ReclaimAgainst<TZap> : IPageScript where TZap : struct, ISize
{
    public static int SwapEntries => 2;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        Page* page = w.Box.Charged<TC>(0, w.A);
        SimulatedAccounting.Map(page, w.Mm, 0);
        if (!SwapCache.TryAdd(w.Box[0], w.Swap, page)) Bug.Fail("setup: swap");
        PageOps.Clear(page, PageFlags.Dirty);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 1) Reclaim.Shrink<TC>(cpu, w.A, 1);
        else if (TZap.N == 1) Mm.Unmap<TC>(cpu, w.Mm, 0, 1);
        else
        {
            Page* page = Mm.Follow(cpu, w.Mm, 0);
            if (page != null) Mm.Put<TC>(cpu, page);
        }
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        for (int e = 0; e < SwapEntries; e++)
        {
            var entry = new SwapEntry(e);
            bool named = (Guarded<byte>.Get(SwapDevice.Uses(w.Swap, entry)) & ~SwapDevice.HasCache) != 0, cached = GuardedPtr<Page>.Get(SwapDevice.CacheSlot(w.Swap,
                entry)) != null;
            if (named && !cached && SwapRecord.Id(w.Swap, entry) == 0) Bug.Fail("an entry is in use and nobody pays for it (entry)", e);
        }
    }
}

/// <summary>
/// C2: a page in the swap cache migrates while its space touches it: the fault finds the page, or the mark of its migration and waits, with a reference
/// or, where the page is frozen, without.
/// </summary>
internal readonly unsafe struct MigrateAgainstTouch : IPageScript
{
    public static int SwapEntries => 2;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        Page* page = w.Box.Charged<TC>(0, w.A);
        SimulatedAccounting.Map(page, w.Mm, 0);
        if (!SwapCache.TryAdd(w.Box[0], w.Swap, page)) Bug.Fail("setup: swap");
        PageOps.Get(page); // the migrator's
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index != 0)
        {
            if (MmSwap.Touch<TC>(cpu, w.Mm, 0, write: false) != FaultResult.Mapped) Bug.Fail("not mapped, though there is no limit");
            return;
        }
        Migration.Migrate<TC>(cpu, w.Page, SimulatedFrames.NodeOf(cpu));
        Mm.LruAddDrain<TC>(cpu);
        Mm.Put<TC>(cpu, w.Page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        TC.OwnerOf(w.Box[0], GuardedPtr<Page>.Get(MmStruct.Entry(w.Mm, 0)), out bool used);
        if (!used || TC.Usage(w.A, CounterKind.Memory) != 1) Bug.Fail("usage of the group of one page in use", TC.Usage(w.A, CounterKind.Memory));
    }
}

/// <summary>What a migration makes of an old page without an owner.</summary>
internal unsafe interface IMigrateRule
{
    static abstract void Migrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController;
}

internal readonly unsafe struct AcceptsNoOwner : IMigrateRule
{
    public static void Migrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => TC.OnMigrated(cpu, old, page);
}

/// <summary>C16: a walker by pfn finds and migrates a page that was uncharged by a replacement and is still on its list.</summary>
internal readonly unsafe struct MigrateAgainstReplace<TRule> : IPageScript where TRule : struct, IMigrateRule
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A, anon: false);
        AtomicLong.Init(&w.Fresh->Flags, 0);
        AtomicLong.Init(&w.Other->Flags, 0);
        if (!PageCache.TryAdd(w.Box[0], w.File, 0, w.Page)) Bug.Fail("setup: page cache");
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = w.Page;
        if (index == 0)
        {
            MmFile.Replace<TC>(cpu, page, w.Fresh);
            Mm.Put<TC>(cpu, page);
            return;
        }
        if (!Mm.Catch<TC>(cpu, page)) return;
        bool locked = PageOps.TryLock(page);
        if (locked) TRule.Migrated<TC>(cpu, page, w.Other);
        if (locked) PageOps.Unlock(page);
        TC.LruPutback(cpu, &page, 1);
        Mm.Put<TC>(cpu, page);
    }
}

/// <summary>A dying group's page is given to its parent, or to nobody, by the mover that ships; another CPU holds it isolated for a while.</summary>
internal readonly unsafe struct EmptyAgainstIsolate : IPageScript
{
    public static bool Leaves => true;
    public static bool Nested => true;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Box.Charged<TC>(0, w.A);
        AtomicInt.Init(&w.Page->RefCount, w.Cpus);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = w.Page;
        if (index == 0)
        {
            TC.OnOffline(cpu, w.A);
            return;
        }
        if (!TC.LruIsolate(cpu, page)) return;
        TC.LruPutback(cpu, &page, 1);
        PageOps.PutAndTest(page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (TC.Usage(w.A, CounterKind.Memory) != 0) Bug.Fail("the group is not empty", TC.Usage(w.A, CounterKind.Memory));
        if (AtomicInt.Load(&w.A->Moving) != 0) Bug.Fail("movers at work", AtomicInt.Load(&w.A->Moving));
    }
}

/// <summary>Two CPUs fault a page in from swap that both have mapped: one charge, and the entry's is given back.</summary>
internal readonly unsafe struct TwoSwapIns : IPageScript
{
    public static int SwapEntries => 2;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        MmStruct* child = w.Box.Space(w.A, 2, "child");
        MmStruct.Join(w.Mm, child);
        w.Child = child;
        Page* page = w.Box.Charged<TC>(0, w.A);
        PageMapping.SetAnon(page, w.Mm, 0);
        if (!SwapCache.TryAdd(w.Box[0], w.Swap, page)) Bug.Fail("setup: swap");
        SwapEntry entry = SwapCache.EntryOf(page);
        foreach (int i in (ReadOnlySpan<int>)[0, 1])
        {
            SwapDevice.Duplicate(w.Box[0], w.Swap, entry);
            GuardedPtr<Page>.Set(MmStruct.Entry(i == 0 ? w.Mm : child, 0), Pte.Of(entry));
        }
        PageOps.PutAndTest(page); // unmapped everywhere: the cache's reference is left
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController =>
        MmSwap.Touch<TC>(cpu, index == 0 ? w.Mm : w.Child, 0, write: false);

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (AtomicInt.Load(&w.Page->MapCount) != 2) Bug.Fail("mappings of the page", AtomicInt.Load(&w.Page->MapCount));
        if (TC.Usage(w.A, CounterKind.Memory) != 1) Bug.Fail("usage of the group of one page", TC.Usage(w.A, CounterKind.Memory));
    }
}

/// <summary>Two CPUs read the same page of a file that is not cached: one of them adds it, and one charge stands.</summary>
internal readonly unsafe struct TwoReads : IPageScript
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        for (int c = 1; c < w.Cpus; c++) w.Box.Spare(3 - c, c);
        if (!FileSpace.TryMap(w.File, w.Mm, 0, 0, 2)) Bug.Fail("setup: map");
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (MmFile.Read<TC>(cpu, w.Mm, w.File, 0, false, out Page* page) != FaultResult.Mapped) Bug.Fail("no frame, or over a limit that is not there");
        Mm.LruAddDrain<TC>(cpu);
        Mm.Put<TC>(cpu, page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (TC.Usage(w.A, CounterKind.Memory) != 1) Bug.Fail("usage of the group of one page", TC.Usage(w.A, CounterKind.Memory));
    }
}

/// <summary>A file page is faulted in while its file is truncated: afterwards it is mapped and cached, or neither.</summary>
internal readonly unsafe struct FaultAgainstTruncate : IPageScript
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        if (!FileSpace.TryMap(w.File, w.Mm, 0, 0, 2)) Bug.Fail("setup: map");
        w.Box.Charged<TC>(0, w.A, anon: false);
        AtomicInt.Init(&w.Page->RefCount, 0);
        if (!PageCache.TryAdd(w.Box[0], w.File, 0, w.Page)) Bug.Fail("setup: page cache");
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 1) MmFile.Truncate<TC>(cpu, w.File, 0, 1);
        else if (MmFile.Fault<TC>(cpu, w.Mm, 0, w.File, 0, write: false) == FaultResult.Mapped) Mm.LruAddDrain<TC>(cpu);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        Page* page = GuardedPtr<Page>.Get(MmStruct.Entry(w.Mm, 0));
        if (page != null && PageMapping.FileOf(page) != w.File) Bug.Fail("the page that is mapped belongs to no file");
    }
}
