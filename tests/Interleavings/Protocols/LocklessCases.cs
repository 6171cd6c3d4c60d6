// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Lists = MemcgNative.Accounting.TwinLists<MemcgNative.Accounting.Async, MemcgNative.Native.TestAndSetLock>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What two CPUs do to a page of group A in the lockless series of 2008.</summary>
internal unsafe interface ILocklessScript
{
    /// <summary>The page has a page_cgroup at the start.</summary>
    static abstract bool Charged { get; }
    /// <summary>Obsolete objects are freed at the end; else they stay on their lists.</summary>
    static virtual bool Reaps => false;
    static abstract void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign;
    /// <summary>Page_cgroups alive at the end; -1 = one exactly when the page shows one.</summary>
    static abstract int Alive(AtomicInt* result);
}

/// <summary>The page, on the zone's list, and the objects of one LocklessRcu form.</summary>
/// <remarks>The other axes: PageCounter, TwinLists(async), AtFinalPut, PinPerPage, no kmem.</remarks>
internal readonly unsafe struct LocklessCase<TForm, TScript> : ICase where TForm : struct, ILocklessForm where TScript : struct, ILocklessScript
{
    private static SimulatedAccounting box;
    private static Memcg* a, b;
    private static AtomicInt* result;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Controller<PageCounter<PageCounter40>, LocklessRcu<TForm, PrefetchNone>, Lists, AtFinalPut, PinPerPage, NoKmem>>(
            2, 3, 1, RcuFlavour.Membarrier);
        box.ObjectCache(2, TForm.ObjectBytes, 3);
        for (int c = 0; c < 2; c++) LocklessRcu<TForm, PrefetchNone>.InitReaper<Lists>(box.AllCpus.Area(c));
        a = box.Group<Controller<PageCounter<PageCounter40>, LocklessRcu<TForm, PrefetchNone>, Lists, AtFinalPut, PinPerPage, NoKmem>>();
        b = box.Group<Controller<PageCounter<PageCounter40>, LocklessRcu<TForm, PrefetchNone>, Lists, AtFinalPut, PinPerPage, NoKmem>>();
        result = Arena.Array<AtomicInt>(2, "result");
        Page* page = box.Pages;
        Lists.Add<LocklessRcu<TForm, PrefetchNone>>(box[0], &page, 1);
        if (TScript.Charged) LocklessRcu<TForm, PrefetchNone>.Commit<Lists>(box[0], page, a, anon: true);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        TScript.Body<LocklessRcu<TForm, PrefetchNone>>(self, cpu, box.Pages, a, b, result);
        if (!TScript.Reaps) return;
        LocklessRcu<TForm, PrefetchNone>.Reap<Lists>(self);
        Rcu.CpuOffline(self);
    }

    /// <summary>Objects on groups' lists are the pages' objects, and every list is as long as its count.</summary>
    public static void Final()
    {
        int alive = TScript.Alive(result);
        if (alive < 0) alive = AtomicLong.Load(&box.Pages->Memcg) != 0 ? 1 : 0;
        long listed = 0;
        for (int id = 1; id < 3; id++)
        {
            Memcg* memcg = MemcgTree.ById(box.Tree, id);
            for (LruList list = 0; list <= LruList.Unevictable; list++)
            {
                long n = Lists.Count(memcg, 0, list);
                long walk = IntrusiveList.Walk(Lruvec.Head((Lruvec*)((byte*)Memcg.OnNode(memcg, 0) + MemcgNode.LruSlot + 8), list));
                if (walk != n) Bug.Fail("count and walk of a group's list", n, walk);
                listed += n;
            }
        }
        if (listed != alive) Bug.Fail("page_cgroups on lists, and those that should live", listed, alive);
    }
}

/// <summary>A1: the page changes its list while it is uncharged and its object freed.</summary>
internal readonly unsafe struct ActivateAgainstUncharge : ILocklessScript
{
    public static bool Reaps => true;
    public static bool Charged => true;
    public static int Alive(AtomicInt* result) => 0;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (index == 0) Lists.Activate<TPc>(cpu, &page, 1);
        else TPc.TryClear<Lists>(cpu, page, UnchargeType.Force, out _, out _);
    }
}

/// <summary>A4: truncate and force_empty uncharge one page.</summary>
internal readonly unsafe struct UnchargeTwice : ILocklessScript
{
    public static bool Charged => true;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (TPc.TryClear<Lists>(cpu, page, UnchargeType.Force, out _, out _)) AtomicInt.Store(result + index, 1);
    }

    public static int Alive(AtomicInt* result)
    {
        if (AtomicInt.Load(result) + AtomicInt.Load(result + 1) != 1) Bug.Fail("one charge was given back so many times", AtomicInt.Load(result) + AtomicInt.Load(result + 1));
        return 1; // obsolete
    }
}

/// <summary>A5: a page that is on the zone's list is charged while it changes its place.</summary>
internal readonly unsafe struct ActivateAgainstCommit : ILocklessScript
{
    public static bool Charged => false;
    public static int Alive(AtomicInt* result) => 1;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (index == 0) Lists.Activate<TPc>(cpu, &page, 1);
        else TPc.Commit<Lists>(cpu, page, a, anon: true);
    }
}

/// <summary>A8: the scanner of A finds the object of a page that is freed, used again and charged to B meanwhile.</summary>
internal readonly unsafe struct ScanAgainstReuse : ILocklessScript
{
    public static bool Reaps => true;
    public static bool Charged => true;
    public static int Alive(AtomicInt* result) => -1;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (index == 0)
        {
            if (Lists.IsolateTail<TPc>(cpu, a, 0, LruList.InactiveAnon, &page, 1) == 0) return;
            if (TPc.OwnerOf(cpu, page, out _) == b) Bug.Fail("the scanner of one group isolated a page of the other");
            return;
        }
        TPc.TryClear<Lists>(cpu, page, UnchargeType.Force, out _, out _);
        if (!PageOps.PutAndTest(page)) return;
        Lists.Delete<TPc>(cpu, &page, 1);
        AtomicInt.Store(&page->RefCount, 1);
        TPc.Commit<Lists>(cpu, page, b, anon: true);
        Lists.Add<TPc>(cpu, &page, 1);
    }
}

/// <summary>A11: the page changes its list while its account moves to another group.</summary>
internal readonly unsafe struct ActivateAgainstMove : ILocklessScript
{
    public static bool Charged => true;
    public static int Alive(AtomicInt* result) => 2; // the obsolete one of the first group, too

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (index == 0) Lists.Activate<TPc>(cpu, &page, 1);
        else if (!TPc.MoveAccount<TPc, Lists>(cpu, page, a, b, out _)) Bug.Fail("the page was not its owner's any more");
    }
}

/// <summary>A12: two faults charge one page of the swap cache, after the page lock or before it.</summary>
internal readonly unsafe struct TwoFaults<TLocked> : ILocklessScript where TLocked : struct, ISize
{
    public static bool Charged => false;
    public static int Alive(AtomicInt* result) => 1;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (TLocked.N > 0) PageOps.Lock(page);
        TPc.Commit<Lists>(cpu, page, a, anon: true);
        if (TLocked.N > 0) PageOps.Unlock(page);
    }
}

/// <summary>A7: force_empty's drain has returned, so what was uncharged before on this CPU is off the group's list.</summary>
internal readonly unsafe struct DrainAgainstReader<TForm> : ICase where TForm : struct, ILocklessForm
{
    private static SimulatedAccounting box;
    private static Memcg* a;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Controller<PageCounter<PageCounter40>, LocklessRcu<TForm, PrefetchNone>, Lists, AtFinalPut, PinPerPage, NoKmem>>(
            2, 3, 1);
        box.ObjectCache(2, TForm.ObjectBytes, 2);
        for (int c = 0; c < 2; c++) LocklessRcu<TForm, PrefetchNone>.InitReaper<Lists>(box.AllCpus.Area(c));
        a = box.Group<Controller<PageCounter<PageCounter40>, LocklessRcu<TForm, PrefetchNone>, Lists, AtFinalPut, PinPerPage, NoKmem>>();
        LocklessRcu<TForm, PrefetchNone>.Commit<Lists>(box[0], box.Pages, a, anon: true);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == 0)
        {
            LocklessRcu<TForm, PrefetchNone>.TryClear<Lists>(self, box.Pages, UnchargeType.Force, out _, out _);
            LocklessRcu<TForm, PrefetchNone>.DrainAndWait<Lists>(self);
            if (Lists.Count(a, 0, LruList.InactiveAnon) != 0) Bug.Fail("on the list after the drain", Lists.Count(a, 0, LruList.InactiveAnon));
        }
        else LocklessRcu<TForm, PrefetchNone>.OwnerOf(self, box.Pages, out _);
        Rcu.CpuOffline(self);
    }
}

/// <summary>As posted, but for A5: the object is linked before the page shows it.</summary>
internal readonly struct PostedButLinkedFirst : ILocklessForm
{
    public static string Name => "no-recheck";
    public static int ObjectBytes => AsPosted.ObjectBytes;
    public static bool ClaimsAtomically => false;
    public static bool LinksFirst => true;
    public static bool UndoesSecondCharge => false;
    public static bool EmbedsRcuHead => false;
    public static bool Rechecks => false;
    public static bool DrainsWithBarrier => false;
}

internal static class LocklessCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Both<ActivateAgainstUncharge>("A1", "1m1u", Expect.Exhausted, heavy: true),
        .. Both<UnchargeTwice>("A4", "2u", Expect.Broken),
        .. Both<ActivateAgainstCommit>("A5", "1m1c", Expect.Broken),
        Case.Of<DrainAgainstReader<Corrected>>("A7", "LocklessRcu", "1d1r"),
        Case.Of<DrainAgainstReader<AsPosted>>("A7", "LocklessRcuAsPosted", "1d1r", Expect.Broken),
        .. Both<ScanAgainstReuse>("A8", "1s1f", Expect.Exhausted, heavy: true), // refuted: the zone's lock, held by the scanner, keeps a page with the LRU bit
        Case.Of<LocklessCase<Corrected, ActivateAgainstMove>>("A11", "LocklessRcu", "1m1a"),
        Case.Of<LocklessCase<AsPosted, ActivateAgainstMove>>("A11", "LocklessRcuAsPosted", "1m1a", Expect.Broken), // by A5
        // Refuted: a move makes a new object, and the old one stays linked until the grace period.
        Case.Of<LocklessCase<PostedButLinkedFirst, ActivateAgainstMove>>("A11", "no-recheck", "1m1a"),
        Case.Of<LocklessCase<Corrected, TwoFaults<N1>>>("A12", "LocklessRcu,page-lock", "2f"),
        Case.Of<LocklessCase<AsPosted, TwoFaults<N1>>>("A12", "LocklessRcuAsPosted,page-lock", "2f"),
        Case.Of<LocklessCase<Corrected, TwoFaults<N0>>>("A12", "busted-charge-before-the-page-lock", "2f", Expect.Broken),
    ];

    private static Case[] Both<T>(string id, string shape, Expect posted, bool heavy = false) where T : struct, ILocklessScript =>
    [
        Case.Of<LocklessCase<Corrected, T>>(id, "LocklessRcu", shape, heavy: heavy),
        Case.Of<LocklessCase<AsPosted, T>>(id, "LocklessRcuAsPosted", shape, posted, heavy),
    ];
}
