// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Objects = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerGroup>>;
using Spliced = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.ObjcgWord,
    MemcgNative.Accounting.Lruvecs<MemcgNative.Native.TestAndSetLock, MemcgNative.Accounting.ByRecheck>, MemcgNative.Accounting.AtFinalPut,
    MemcgNative.Accounting.SpliceToParent, MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerNode>>;

namespace MemcgNative.Tests.Interleavings;

// What ships, on the other axes' plainest answers.

/// <summary>How an uncharge finds the owner.</summary>
internal unsafe interface IFindsOwner
{
    /// <summary>Before the switch: nothing, where the owner is looked up when it is needed.</summary>
    static virtual void Before(Objcg* objcg) { }
    static abstract void Uncharge<TC>(in ThisCpu cpu, Objcg* objcg) where TC : struct, IMemoryController;
}

/// <summary>The shipped one: inside RCU until the page is off the counters.</summary>
internal readonly unsafe struct InsideRcu : IFindsOwner
{
    public static void Uncharge<TC>(in ThisCpu cpu, Objcg* objcg) where TC : struct, IMemoryController => Objcg.UnchargePages<TC>(in cpu, objcg, 1);
}

/// <summary>The shipped one for charges: with a reference.</summary>
internal readonly unsafe struct WithReference : IFindsOwner
{
    public static void Uncharge<TC>(in ThisCpu cpu, Objcg* objcg) where TC : struct, IMemoryController
    {
        Memcg* owner = Objcg.GetOwner(in cpu, objcg);
        Poll.Run(in cpu); // a charge may wait
        Charging.UnchargeKmem<TC>(in cpu, owner, 1);
        Css.Put(in cpu, &owner->Css);
    }
}

/// <summary>D8, E6: a page is uncharged through an objcg while its group goes: on one of the two, the parent exact, nobody below 0, nobody freed under a reader.</summary>
internal readonly unsafe struct UnchargeAgainstSwitch<TFinds, TUncharges> : ICase where TFinds : struct, IFindsOwner where TUncharges : struct, ISize
{
    private static SimulatedAccounting box;
    private static Memcg* parent, child;
    private static Objcg* objcg;

    public static int Cpus => TUncharges.N + 1;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Objects>(Cpus, 4);
        SimulatedSlab.New(box.AllCpus, Cpus, 3, 128, 256, 512);
        parent = box.Group<Objects>();
        child = MemcgLife.Create<Objects>(box[0], parent);
        objcg = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(child)->Objcg);
        if (!Charging.TryChargeKmem<Objects>(box[0], child, TUncharges.N, Gfp.Kernel)) Bug.Fail("set-up: no charge");
        SimulatedSlab.AtomicCss(child, &Released);
        TFinds.Before(objcg);
    }

    private static void Released(in ThisCpu cpu, PerCpuRef* r) => Rcu.Call(in cpu, &((Memcg*)r)->Css.Rcu, &Freed);

    private static void Freed(in ThisCpu cpu, RcuHead* head) => Machine.OnFree((byte*)head - Css.RcuOffset, Memcg.Bytes);

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu < TUncharges.N) TFinds.Uncharge<Objects>(self, objcg);
        else
        {
            Objcg.Reparent(self, &MemcgKmem.Of(child)->Objcg, &MemcgKmem.Of(child)->Owned, &MemcgKmem.Of(parent)->Owned, parent);
            Css.Put(self, &child->Css); // the last: its place is the next group's, a grace period later
        }
        if (TUncharges.N == 1) Rcu.CpuOffline(self); // the wider shape is about the books alone
    }

    public static void Final()
    {
        if (AtomicPtr<Memcg>.Load(&objcg->Memcg) != parent) Bug.Fail("the objcg is not the parent's (I10)");
        if (Objects.Usage(parent, CounterKind.Kmem) != 0) Bug.Fail("kmem of the surviving group (I1)", Objects.Usage(parent, CounterKind.Kmem));
    }
}

/// <summary>How a list_lru's lists go to the parent.</summary>
internal unsafe interface IListSwitch
{
    /// <summary>Erased entries are freed at the end. A twin that breaks links needs no grace period to be found.</summary>
    static virtual bool Frees => true;
    static abstract void Reparent(in ThisCpu cpu, ListLru* lru, Memcg* memcg);
}

/// <summary>The same, and nobody waits for the erased entry's end: for wider shapes.</summary>
internal readonly unsafe struct SplicesAlone : IListSwitch
{
    public static bool Frees => false;
    public static void Reparent(in ThisCpu cpu, ListLru* lru, Memcg* memcg) => ListLru.Reparent(in cpu, lru, memcg);
}

internal readonly unsafe struct SplicesFirst : IListSwitch
{
    public static void Reparent(in ThisCpu cpu, ListLru* lru, Memcg* memcg) => ListLru.Reparent(in cpu, lru, memcg);
}

/// <summary>G1: an idle object comes off its list while the list goes to the parent.</summary>
internal readonly unsafe struct DeleteAgainstListSwitch<TSwitch, TDeletes> : ICase where TSwitch : struct, IListSwitch where TDeletes : struct, ISize
{
    private static SimulatedAccounting box;
    private static Memcg* parent, child;
    private static ListLru* lru;
    private static ListHead* items;

    public static int Cpus => TDeletes.N + 1;

    public static void Setup()
    {
        box = SimulatedLists.New(out parent, out child, out lru, Cpus);
        if (!ListLru.Prepare(box[0], lru, child)) Bug.Fail("set-up: no lists");
        items = Arena.Array<ListHead>(Cpus, "item");
        for (int i = 0; i < Cpus; i++) ListLru.LinkTo(box[0], lru, 0, child, items + i, add: true);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == TDeletes.N) TSwitch.Reparent(self, lru, child);
        else
        {
            Rcu.ReadLock(self);
            ListLru.LinkTo(self, lru, 0, child, items + cpu, add: false); // its owner is the child still: objects follow their lists
            Rcu.ReadUnlock(self);
        }
        if (TSwitch.Frees) Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        long left = ListLru.CountOf(lru, 0, parent);
        if (left != 1) Bug.Fail("items on the parent's list, of one", left);
        List<string> wrong = [];
        AtomicInt.Store(&child->Css.State, (int)CssState.Offline);
        ListLru.Check(box[0], box.Tree, wrong);
        if (wrong.Count != 0) Bug.Fail(wrong[0]);
    }
}

/// <summary>Groups and a list_lru.</summary>
internal static unsafe class SimulatedLists
{
    public static SimulatedAccounting New(out Memcg* parent, out Memcg* child, out ListLru* lru, int cpus = 2)
    {
        SimulatedAccounting box = SimulatedAccounting.New<Objects>(cpus, 3);
        SimulatedSlab.New(box.AllCpus, cpus, 6, 32, 128, 192, 256, 512);
        parent = box.Group<Objects>();
        child = MemcgLife.Create<Objects>(box[0], parent);
        lru = ListLru.Create(box[0], box.Tree);
        if (lru == null || !ListLru.Prepare(box[0], lru, parent)) Bug.Fail("set-up: no lists");
        return box;
    }
}

/// <summary>How a group gets lists.</summary>
internal unsafe interface IListMaker
{
    /// <summary>Relies on the grace period between the kill and offline.</summary>
    static virtual bool Waits => true;
    static abstract void Prepare(in ThisCpu cpu, ListLru* lru, Memcg* memcg);
}

internal readonly unsafe struct OnlineOnly : IListMaker
{
    public static void Prepare(in ThisCpu cpu, ListLru* lru, Memcg* memcg) => ListLru.Prepare(in cpu, lru, memcg);
}

/// <summary>G2: lists are made for a group while it dies.</summary>
internal readonly unsafe struct PrepareAgainstOffline<TMaker> : ICase where TMaker : struct, IListMaker
{
    private static SimulatedAccounting box;
    private static Memcg* child;
    private static ListLru* lru;

    public static int Cpus => 2;
    public static void Setup() => box = SimulatedLists.New(out _, out child, out lru);

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (TMaker.Waits) Poll.Run(self); // the allocation began before the removal, or after it
        if (cpu == 0) TMaker.Prepare(self, lru, child);
        else
        {
            AtomicInt.Store(&child->Css.State, (int)CssState.Dying);
            if (TMaker.Waits) Rcu.Synchronize(self); // the kill's
            ListLru.Reparent(self, lru, child);
            AtomicInt.Store(&child->Css.State, (int)CssState.Offline);
        }
        if (TMaker.Waits) Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        if (AtomicPtr<ListLruMemcg>.Load(ListLru.EntryOf(lru, child)) != null) Bug.Fail("an offline group has lists that nobody empties (I22)");
    }
}

/// <summary>For whom a page of a dying group counts.</summary>
internal unsafe interface ICounts
{
    static abstract Memcg* For(Memcg* memcg);
}

internal readonly unsafe struct ForTheLiving : ICounts
{
    public static Memcg* For(Memcg* memcg) => Spliced.Counting(memcg);
}

/// <summary>H7: a page is counted for a group whose counts go to the parent.</summary>
internal readonly unsafe struct CountAgainstMove<TCounts> : ICase where TCounts : struct, ICounts
{
    private static SimulatedAccounting box;
    private static Memcg* parent, child;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Spliced>(2, 3);
        SimulatedSlab.New(box.AllCpus, 2, 3, 128, 256);
        parent = box.Group<Spliced>();
        child = MemcgLife.Create<Spliced>(box[0], parent);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == 0)
        {
            Rcu.ReadLock(self);
            MemcgStatCpu.Add(Memcg.OnCpu(self, TCounts.For(child)), MemcgStatItem.Rss, 1);
            Rcu.ReadUnlock(self);
            Poll.Run(self);
            Rcu.ReadLock(self);
            MemcgStatCpu.Add(Memcg.OnCpu(self, TCounts.For(child)), MemcgStatItem.Rss, 1);
            Rcu.ReadUnlock(self);
        }
        else
        {
            AtomicInt.Store(&child->Css.State, (int)CssState.Dying);
            Rcu.Synchronize(self); // the kill's
            MemcgStat.MoveToParent(self, child, parent);
        }
        Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        long own = MemcgStat.Read(child, MemcgStatItem.Rss), parents = MemcgStat.Read(parent, MemcgStatItem.Rss);
        if ((own, parents) != (0, 2)) Bug.Fail("counted for the dead group, and for its parent", own, parents);
    }
}

/// <summary>G3, E6: the last reference of a page of a dying group is put while its lists, its objcg and its statistics go to the parent (SpliceToParent).</summary>
internal readonly unsafe struct FinalPutAgainstSplice : ICase
{
    private static SimulatedAccounting box;
    private static Memcg* parent, child;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Spliced>(2, 3, pages: 1);
        SimulatedSlab.New(box.AllCpus, 2, 3, 128, 256);
        parent = box.Group<Spliced>();
        child = MemcgLife.Create<Spliced>(box[0], parent);
        Page* page = box.Pages;
        PageMapping.SetAnonOrphan(page);
        if (!Charging.TryCharge<Spliced>(box[0], child, 1, Gfp.Kernel)) Bug.Fail("set-up: no charge");
        Charging.Commit<Spliced>(box[0], page, child, anon: true);
        Spliced.LruAdd(box[0], &page, 1);
        AtomicInt.Init(&page->RefCount, 0);
        AtomicInt.Init(&child->Css.State, (int)CssState.Dying); // the kill's grace period is over
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == 1) SpliceToParent.OnOffline<Spliced>(self, child);
        else
        {
            Page* page = box.Pages;
            Spliced.LruDelete(self, &page, 1);
            Spliced.OnFinalPut(self, &page, 1);
        }
        Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        if (Spliced.Usage(parent, CounterKind.Memory) != 0) Bug.Fail("usage of the surviving group (I1)", Spliced.Usage(parent, CounterKind.Memory));
        long rss = MemcgStat.Read(child, MemcgStatItem.Rss) + MemcgStat.Read(parent, MemcgStatItem.Rss);
        if (rss != 0) Bug.Fail("pages counted and freed", rss);
        if (Spliced.LruCount(parent, 0, LruList.InactiveAnon) + Spliced.LruCount(child, 0, LruList.InactiveAnon) != 0) Bug.Fail("lengths of the lists");
    }
}

/// <summary>E12: CPUs make the vector of one slab (ObjVector.FindOrCreate).</summary>
internal readonly unsafe struct OwnersOfOneSlab<TCpus> : ICase where TCpus : struct, ISize
{
    private const int PerSlab = 8;
    private static SimulatedAccounting box;
    private static SlabState* slab;
    private static KmemCacheState* cache;
    private static Page* page;

    public static int Cpus => TCpus.N;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Objects>(Cpus, 2);
        slab = SimulatedSlab.New(box.AllCpus, Cpus, 2, 64, 256);
        cache = SlabCache.StateOf(SlabState.KmallocCache(slab, KmallocSizes.ClassOf(256), accounted: false));
        Guarded<int>.Set(&cache->PerSlab, PerSlab); // a vector of one line
        page = MemMap.PageOf(MemMap.Of(box[0]), new Pfn(1));
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        byte* obj = MemMap.FrameOf(MemMap.Of(self), page) + Guarded<int>.Get(&cache->FirstObject) + cpu * Guarded<int>.Get(&cache->Stride);
        GuardedPtr<Objcg>* slot = ObjVector.FindOrCreate(self, cache, page, obj);
        if (slot == null) Bug.Fail("no vector");
        GuardedPtr<Objcg>.Set(slot, (Objcg*)(cpu + 1));
    }

    public static void Final()
    {
        GuardedPtr<Objcg>* vector = KmemWord.Target<GuardedPtr<Objcg>>(AtomicLong.Load(&page->Memcg));
        for (int i = 0; i < Cpus; i++)
            if ((long)GuardedPtr<Objcg>.Get(vector + i) != i + 1) Bug.Fail("an object without its owner", i);
        int left = 2 * Cpus - 1 - SimulatedSlab.Free(slab, Cpus, 64);
        if (left != 0) Bug.Fail("vectors that were not given back", left);
    }
}

internal static class ReparentCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<UnchargeAgainstSwitch<InsideRcu, N1>>("E6", "ObjCgroup", "1u1o"),
        Case.Of<UnchargeAgainstSwitch<InsideRcu, N2>>("E6", "ObjCgroup", "2u1o"),
        Case.Of<UnchargeAgainstSwitch<WithReference, N1>>("E6", "ObjCgroup,charge", "1u1o"),
        Case.Of<UnchargeAgainstSwitch<AfterRcu, N1>>("E6", "busted-after-rcu", "1u1o", Expect.Broken).FromLastCpu(),
        Case.Of<DeleteAgainstListSwitch<SplicesFirst, N1>>("G1", "list_lru", "1d1o"),
        Case.Of<DeleteAgainstListSwitch<SplicesAlone, N2>>("G1", "list_lru", "2d1o"),
        Case.Of<DeleteAgainstListSwitch<SplicesAlone, N3>>("G1", "list_lru", "3d1o"),
        Case.Of<DeleteAgainstListSwitch<ErasesFirst, N1>>("G1", "busted-erase-first", "1d1o", Expect.Broken),
        Case.Of<PrepareAgainstOffline<OnlineOnly>>("G2", "list_lru", "1p1o"),
        Case.Of<PrepareAgainstOffline<AnyGroup>>("G2", "busted-no-look", "1p1o", Expect.Broken),
        Case.Of<FinalPutAgainstSplice>("G3", "SpliceToParent", "1p1o", heavy: true),
        Case.Of<CountAgainstMove<ForTheLiving>>("H7", "SpliceToParent", "1c1o"),
        Case.Of<CountAgainstMove<ForWhoeverIsNamed>>("H7", "busted-no-look", "1c1o", Expect.Broken),
        Case.Of<OwnersOfOneSlab<N2>>("E12", "ObjVector", "2a"),
        Case.Of<OwnersOfOneSlab<N3>>("E12", "ObjVector", "3a"),
        Case.Of<OwnersOfOneSlab<N4>>("E12", "ObjVector", "4a"),
        Case.Of<OwnersOfOneSlab<N2>>("E12", "busted-no-compare-exchange", "2a", Expect.Broken).Mutated("ObjVector.Create#4", MutationOp.SplitRmw),
    ];
}
