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
    static virtual int Cpus => 2;
    static virtual int Interrupts => 0;
    static virtual RcuFlavour Flavour => RcuFlavour.Membarrier;
    /// <summary>A CPU that is done announces it.</summary>
    static virtual bool Leaves => false;
    /// <summary>Objects that are uncharged and not reaped.</summary>
    static virtual int Obsolete => 0;
    /// <summary>Obsolete objects are freed at the end; else they stay on their lists.</summary>
    static virtual bool Reaps => false;
    static abstract void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign;
    /// <summary>Page_cgroups alive at the end; -1 = one exactly when the page shows one.</summary>
    static abstract int Alive(AtomicInt* result);
}

/// <summary>The page, on the zone's list, and the objects of a design that makes one per charge.</summary>
/// <remarks>The other axes: PageCounter, TwinLists(async), AtFinalPut, PinPerPage, no kmem.</remarks>
/// <typeparam name="TKept">1: an uncharged object stays on its list until a grace period is over.</typeparam>
internal readonly unsafe struct ObjectCase<TPc, TKept, TScript> : ICase where TPc : struct, IPageCgroupDesign where TKept : struct, ISize where TScript : struct, ILocklessScript
{
    private static SimulatedAccounting box;
    private static Memcg* a, b;
    private static AtomicInt* result;

    public static int Cpus => TScript.Cpus;
    public static int Interrupts => TScript.Interrupts;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Controller<PageCounter<PageCounter40>, TPc, Lists, AtFinalPut, PinPerPage, NoKmem>>(Cpus, 3, 1, TScript.Flavour);
        box.ObjectCache(Cpus, TPc.ObjectBytes, 3);
        a = box.Group<Controller<PageCounter<PageCounter40>, TPc, Lists, AtFinalPut, PinPerPage, NoKmem>>();
        b = box.Group<Controller<PageCounter<PageCounter40>, TPc, Lists, AtFinalPut, PinPerPage, NoKmem>>();
        result = Arena.Array<AtomicInt>(4, "result");
        Page* page = box.Pages;
        Lists.Add<TPc>(box[0], &page, 1);
        if (TScript.Charged) TPc.Commit<Lists>(box[0], page, a, anon: true);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        TScript.Body<TPc>(self, cpu, box.Pages, a, b, result);
        if (TScript.Reaps) TPc.Reap<Lists>(self);
        if (TScript.Reaps || TScript.Leaves) Rcu.CpuOffline(self);
    }

    public static void Irq(int cpu) => TPc.OwnerOf(box[cpu], box.Pages, out _);

    /// <summary>Objects on groups' lists are the pages' objects, and every list is as long as its count.</summary>
    public static void Final()
    {
        int alive = TScript.Alive(result);
        if (alive < 0) alive = AtomicLong.Load(&box.Pages->Memcg) != 0 ? 1 : 0;
        alive += TKept.N * TScript.Obsolete;
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
        int times = 0;
        for (int i = 0; i < 4; i++) times += AtomicInt.Load(result + i);
        if (times != 1) Bug.Fail("one charge was given back so many times", times);
        return 0;
    }

    public static int Obsolete => 1;
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
    public static int Alive(AtomicInt* result) => 1;
    public static int Obsolete => 1; // of the first group

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

/// <summary>A6: a charge that finds the page charged leaves its read-side section, so a drain on another CPU ends.</summary>
internal readonly unsafe struct SecondChargeAgainstDrain : ILocklessScript
{
    public static RcuFlavour Flavour => RcuFlavour.Qsbr;
    public static bool Leaves => true;
    public static bool Charged => true;
    public static int Alive(AtomicInt* result) => 1;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        if (index == 0) TPc.Commit<Lists>(cpu, page, a, anon: true);
        else Rcu.Synchronize(cpu);
    }
}

/// <summary>A9: swapoff charges a page of shmem that still has its charge, because uncharge is late.</summary>
internal readonly unsafe struct SwapOffAgainstWrite : ILocklessScript
{
    public static bool Charged => false;
    public static int Alive(AtomicInt* result) => 1;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        PageOps.Lock(page);
        TPc.Commit<Lists>(cpu, page, index == 0 ? a : b, anon: false);
        PageOps.Unlock(page);
    }
}

/// <summary>A15: end of writeback comes in the irq role and asks for the owner, whatever this CPU was doing with the page.</summary>
internal readonly unsafe struct OwnerFromIrq : ILocklessScript
{
    public static int Cpus => 1;
    public static int Interrupts => 1;
    public static bool Charged => false;
    public static int Alive(AtomicInt* result) => 0;

    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign
    {
        TPc.Commit<Lists>(cpu, page, a, anon: true);
        TPc.TryClear<Lists>(cpu, page, UnchargeType.Force, out _, out _);
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

/// <summary>The same script with more CPUs in its last role.</summary>
internal readonly unsafe struct WideObject<T, TCpus> : ILocklessScript where T : struct, ILocklessScript where TCpus : struct, ISize
{
    public static int Cpus => TCpus.N;
    public static RcuFlavour Flavour => T.Flavour;
    public static bool Leaves => T.Leaves;
    public static bool Reaps => T.Reaps;
    public static bool Charged => T.Charged;
    public static int Obsolete => T.Obsolete;
    public static int Alive(AtomicInt* result) => T.Alive(result);
    public static void Body<TPc>(in ThisCpu cpu, int index, Page* page, Memcg* a, Memcg* b, AtomicInt* result) where TPc : struct, IPageCgroupDesign =>
        T.Body<TPc>(cpu, index, page, a, b, result);
}

internal static class LocklessCases
{
    private const string Nulls = "residents: PinPerPage without charges; counter, kmem: not used";

    public static IReadOnlyList<Case> All { get; } =
    [
        .. Both<ActivateAgainstUncharge>("A1", "1m1u", Expect.Exhausted, heavy: true),
        Baseline<ActivateAgainstUncharge>("A1", "1m1u"),
        Baseline<WideObject<ActivateAgainstUncharge, N4>>("A1", "1m3u", heavy: true),
        Case.Of<ObjectCase<BitSpinlock<BitLock>, N0, ActivateUnlocked>>("A1", "busted-no-trylock", "1m1u", Expect.Broken, nulls: Nulls),
        Case.Of<EmptyAgainstUncharge<DrainsObsolete>>("A2", "LocklessRcu", "1e1u", nulls: Nulls),
        Case.Of<EmptyAgainstUncharge<WaitsForObsolete>>("A2", "busted-no-drain", "1e1u", Expect.Broken, nulls: Nulls),
        Case.Of<EmptyAgainstFree<GetsUnlessZero>>("A3", "LocklessRcu", "1e1f", nulls: Nulls),
        Case.Of<EmptyAgainstFree<GetsAnyway>>("A3", "busted-get-page", "1e1f", Expect.Broken, nulls: Nulls),
        .. Both<UnchargeTwice>("A4", "2u", Expect.Broken),
        Baseline<UnchargeTwice>("A4", "2u"),
        .. Both<ActivateAgainstCommit>("A5", "1m1c", Expect.Broken),
        Baseline<ActivateAgainstCommit>("A5", "1m1c"),
        Baseline<WideObject<ActivateAgainstCommit, N3>>("A5", "1m2c", heavy: true),
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, SecondChargeAgainstDrain>>("A6", "LocklessRcu", "1c1d", nulls: Nulls),
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, SecondChargeLeftOpen>>("A6", "busted-section-left-open", "1c1d", Expect.Broken, nulls: Nulls),
        Case.Of<DrainAgainstReader<Corrected>>("A7", "LocklessRcu", "1d1r"),
        Case.Of<DrainAgainstReader<AsPosted>>("A7", "LocklessRcuAsPosted", "1d1r", Expect.Broken),
        .. Both<ScanAgainstReuse>("A8", "1s1f", Expect.Exhausted, heavy: true, note: "refuted: the scanner holds the zone's lock, under which no page with the LRU bit is freed"),
        .. Both<SwapOffAgainstWrite>("A9", "2c", Expect.Broken),
        Baseline<SwapOffAgainstWrite>("A9", "2c"),
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, ActivateAgainstMove>>("A11", "LocklessRcu", "1m1a"),
        Case.Of<ObjectCase<LocklessRcu<AsPosted, PrefetchNone>, N1, ActivateAgainstMove>>("A11", "LocklessRcuAsPosted", "1m1a", Expect.Broken, note: "by A5"),
        Case.Of<ObjectCase<LocklessRcu<PostedButLinkedFirst, PrefetchNone>, N1, ActivateAgainstMove>>("A11", "no-recheck", "1m1a",
            note: "refuted here: a move makes a new object, and the old one stays linked until the grace period"),
        Baseline<ActivateAgainstMove>("A11", "1m1a"),
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, TwoFaults<N1>>>("A12", "LocklessRcu,page-lock", "2f"),
        Case.Of<ObjectCase<LocklessRcu<AsPosted, PrefetchNone>, N1, TwoFaults<N1>>>("A12", "LocklessRcuAsPosted,page-lock", "2f"),
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, TwoFaults<N0>>>("A12", "busted-charge-before-the-page-lock", "2f", Expect.Broken),
        Baseline<TwoFaults<N0>>("A12", "2f"),
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, WideObject<UnchargeTwice, N4>>>("A4", "LocklessRcu", "4u", nulls: Nulls),
        Case.Of<ObjectCase<BitSpinlock<BitLock>, N0, WideObject<UnchargeTwice, N4>>>("A4", "BitSpinlock", "4u", heavy: true, nulls: Nulls),
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, WideObject<SwapOffAgainstWrite, N4>>>("A9", "LocklessRcu", "4c", heavy: true, nulls: Nulls),
        Case.Of<ObjectCase<BitSpinlock<BitLock>, N0, WideObject<SwapOffAgainstWrite, N4>>>("A9", "BitSpinlock", "4c", heavy: true, nulls: Nulls),
        Baseline<OwnerFromIrq>("A15", "1 irq"),
        Case.Of<ObjectCase<BitSpinlock<BitLock>, N0, OwnerFromIrq>>("A15", "busted-irqs-on", "1 irq", Expect.Broken, nulls: Nulls)
            .Mutated("BitSpinlock.Lock#1", MutationOp.DropIrqOff),
    ];

    private static Case[] Both<T>(string id, string shape, Expect posted, bool heavy = false, string note = "") where T : struct, ILocklessScript =>
    [
        Case.Of<ObjectCase<LocklessRcu<Corrected, PrefetchNone>, N1, T>>(id, "LocklessRcu", shape, heavy: heavy, nulls: Nulls),
        Case.Of<ObjectCase<LocklessRcu<AsPosted, PrefetchNone>, N1, T>>(id, "LocklessRcuAsPosted", shape, posted, heavy, Nulls, note),
    ];

    /// <summary>The bit lock of 2.6.27, which the series wanted to go.</summary>
    private static Case Baseline<T>(string id, string shape, bool heavy = false) where T : struct, ILocklessScript =>
        Case.Of<ObjectCase<BitSpinlock<BitLock>, N0, T>>(id, "BitSpinlock", shape, heavy: heavy, nulls: Nulls);
}
