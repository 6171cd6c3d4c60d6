// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// Four CPUs on one page or one group, with bodies of a few steps, so that every schedule is tried.

/// <summary>C10: an isolated page is wanted by four movers, two into either group. Whoever has the page lock moves it, unless it is there.</summary>
internal readonly unsafe struct ManyMovers : IPageScript
{
    public static int Cpus => 4;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        TC.LruIsolate(w.Box[0], w.Box.Charged<TC>(0, w.A)); // for all of them
        AtomicInt.Init(&w.Page->RefCount, 2);
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (!PageOps.TryLock(w.Page)) return;
        Memcg* from = index % 2 == 0 ? w.A : w.B, to = index % 2 == 0 ? w.B : w.A;
        MoveResult result = MoveAccount.SwitchIsolated<TC>(cpu, w.Page, from, to);
        if (result == MoveResult.Moved) AtomicInt.Store(w.Result + index, 1);
        if (result == MoveResult.OverLimit) Bug.Fail("refused without a limit");
        PageOps.Unlock(w.Page);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        int there = AtomicInt.Load(w.Result) + AtomicInt.Load(w.Result + 2), back = AtomicInt.Load(w.Result + 1) + AtomicInt.Load(w.Result + 3);
        Memcg* owner = TC.OwnerOf(w.Box[0], w.Page, out bool used);
        if (!used || owner != (there > back ? w.B : w.A) || there - back is not (0 or 1)) Bug.Fail("moves there and back do not explain the owner", there, back);
        Page* page = w.Page;
        TC.LruPutback(w.Box[0], &page, 1);
    }
}

/// <summary>Two CPUs ask all others to empty their vectors, while two of those fill theirs. A page is on its list once its CPU has passed a poll point.</summary>
internal readonly unsafe struct AskToDrain : IPageScript
{
    public static int Cpus => 4;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        for (int i = 0; i < 2; i++)
            if (!Charging.TryCharge<TC>(w.Box[0], w.A, 1, Gfp.Kernel) || !TC.Commit(w.Box[0], PageOf(w, i), w.A, anon: true)) Bug.Fail("setup: refused");
    }

    private static Page* PageOf(in PageWorld w, int i) => w.Page + i;

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index < 2)
        {
            LruDrain.AskOthers(cpu);
            return;
        }
        PageMapping.SetAnonOrphan(PageOf(w, index - 2));
        Mm.LruCacheAdd<TC>(cpu, PageOf(w, index - 2));
        Poll.Run(cpu);
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        for (int c = 0; c < 4; c++) Poll.Run(w.Box[c]); // whoever was asked behind its poll
        if (TC.LruCount(w.A, 0, LruList.InactiveAnon) != 2) Bug.Fail("pages on their list, of two, when all have been asked", TC.LruCount(w.A, 0, LruList.InactiveAnon));
    }
}

/// <summary>Fork copies an entry of a page table, a page or a swap entry, while CPUs of the parent touch it.</summary>
internal readonly unsafe struct ShareAgainstTouch<TSwapped, TTouches> : IPageScript where TSwapped : struct, ISize where TTouches : struct, ISize
{
    public static int Cpus => 1 + TTouches.N;
    public static int SwapEntries => 2;

    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController
    {
        w.Mm = w.Box.Space(w.A, 2, "mm");
        w.Child = w.Box.Space(w.A, 2, "child");
        MmStruct.Join(w.Mm, w.Child);
        Page* page = w.Box.Charged<TC>(0, w.A);
        if (TSwapped.N == 0)
        {
            SimulatedAccounting.Map(page, w.Mm, 0);
            return;
        }
        PageMapping.SetAnon(page, w.Mm, 0);
        if (!SwapCache.TryAdd(w.Box[0], w.Swap, page)) Bug.Fail("setup: swap");
        SwapDevice.Duplicate(w.Box[0], w.Swap, SwapCache.EntryOf(page));
        GuardedPtr<Page>.Set(MmStruct.Entry(w.Mm, 0), Pte.Of(SwapCache.EntryOf(page)));
        PageOps.PutAndTest(page); // unmapped: the cache's reference is left
    }

    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController
    {
        if (index == 0) MmSwap.Share(cpu, w.Mm, w.Child, 0);
        else if (MmSwap.Touch<TC>(cpu, w.Mm, 0, write: true) != FaultResult.Mapped) Bug.Fail("not mapped, though there is no limit");
    }

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        Page* child = GuardedPtr<Page>.Get(MmStruct.Entry(w.Child, 0));
        if (child == null || (Pte.IsPresent(child) && child != w.Page)) Bug.Fail("the child's entry is empty, or another page's");
        int mappings = Pte.IsPresent(child) ? 2 : 1;
        if (AtomicInt.Load(&w.Page->MapCount) != mappings) Bug.Fail("mappings of the page, and entries that name it", AtomicInt.Load(&w.Page->MapCount), mappings);
        if (!PageOps.Test(w.Page, PageFlags.Dirty) && TSwapped.N == 0) Bug.Fail("written to, and not dirty");
        if (TC.Usage(w.A, CounterKind.Memory) != 1) Bug.Fail("usage of the group of one page", TC.Usage(w.A, CounterKind.Memory));
    }
}

/// <summary>Two CPUs truncate a file of one page that is mapped: one of them takes the page out of the cache and gives up the cache's reference.</summary>
internal readonly unsafe struct TwoTruncates : IPageScript
{
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController => FaultAgainstTruncate.Setup<TC>(ref w);
    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController => MmFile.Truncate<TC>(cpu, w.File, 0, 1);

    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController
    {
        if (!PageOps.Test(w.Page, PageFlags.Free)) Bug.Fail("the page of a truncated file is not free");
        if (TC.Usage(w.A, CounterKind.Memory) != 0) Bug.Fail("usage of a group that has no page", TC.Usage(w.A, CounterKind.Memory));
    }
}
