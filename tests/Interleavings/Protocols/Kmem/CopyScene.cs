// SPDX-License-Identifier: GPL-2.0-only
global using Copies = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.PerGroupCaches<MemcgNative.Accounting.ReparentCaches>>;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Where copies of caches come and go (3.14, and the series of 2014): one root cache of two objects a slab, a parent and its child, CPUs with free
/// pages. Whatever a case does, at its end every copy is gone, or is where a living group finds it, and every byte is back.
/// </summary>
internal static unsafe class CopyScene
{
    /// <summary>CPUs of most races: one on either side.</summary>
    public const int Cpus = 2;
    public const int PerSlab = 2;
    private const int ObjectBytes = 512, Each = 12;

    private static long withoutCopies;
    private static int count;

    public static SimulatedAccounting Box { get; private set; }
    public static SlabState* Slab { get; private set; }
    public static Memcg* Parent { get; private set; }
    public static Memcg* Child { get; private set; }
    public static SlabCache* Root { get; private set; }

    /// <summary>Builds it; copy: the child has one already.</summary>
    public static void New<TC>(bool copy, int groups = 3, int cpus = Cpus) where TC : struct, IMemoryController
    {
        count = cpus;
        Box = SimulatedAccounting.New<TC>(count, groups);
        Slab = SimulatedSlab.New(Box.AllCpus, count, Each, spare: 2, [32, 64, 96, 128, 192, 256, 512, 1024]);
        Parent = Box.Group<TC>();
        Child = MemcgLife.Create<TC>(Box[0], Parent);
        Root = SlabCaches.Create<TC>(Box[0], 0, ObjectBytes, accounted: true);
        if (Root == null) Bug.Fail("set-up: no cache");
        Guarded<int>.Set(&SlabCache.StateOf(Root)->PerSlab, PerSlab);
        withoutCopies = SimulatedSlab.AtHome(Box.AllCpus, Slab, count);
        if (copy) MakeCopy(Child);
    }

    /// <summary>memcg's copy of the root cache.</summary>
    public static SlabCache* MakeCopy(Memcg* memcg)
    {
        CacheCreation.Request(Box[0], Root, memcg);
        CacheCreation.Flush(Box[0]);
        SlabCache* copy = CopyOf(memcg);
        if (copy == null) Bug.Fail("set-up: no copy");
        return copy;
    }

    public static SlabCache* CopyOf(Memcg* memcg) => CacheCreation.Find(Root, Guarded<int>.Get(&memcg->Id));

    /// <summary>An object of the child's copy, for a CPU to free.</summary>
    public static void* Object<TC>() where TC : struct, IMemoryController
    {
        void* obj = KmemObjects.Alloc<TC>(Box[0], Root, Child);
        if (SlabCache.Of(KmemCacheState.Of(MemMap.PageOfAddress(MemMap.Of(Box[0]), obj))) != CopyOf(Child)) Bug.Fail("set-up: an object of another cache");
        return obj;
    }

    /// <summary>The kill and its grace period are behind the child: what is left is offline, which holds its last reference.</summary>
    public static void Kill()
    {
        AtomicInt.Store(&Child->Css.State, (int)CssState.Dying); // a request of before would be served by what follows: such cases mark the state alone
        Css.Get(Box[0], &Child->Css);
        PerCpuRef.Kill(Box[0], &Child->Css.Ref);
        Settle();
    }

    /// <summary>memcg_offline_kmem of the child.</summary>
    public static void Offline(in ThisCpu cpu) => PerGroupCaches<ReparentCaches>.OnOffline<Copies>(in cpu, Child);

    /// <summary>The parent has inherited the child's copy, which an object keeps; a new group has the child's id and has asked for a copy of its own (D15).</summary>
    public static void ReuseId(out void* obj, out Memcg* reused)
    {
        New<Copies>(copy: true, groups: 4);
        obj = Object<Copies>();
        Offline(Box[0]);
        Settle();
        reused = Box.Group<Copies>();
        Guarded<int>.Set(&reused->Id, Guarded<int>.Get(&Child->Id));
        CacheCreation.Request(Box[0], Root, reused);
    }

    /// <summary>The step of it that moves copies to the parent, where a race is about no other.</summary>
    public static void Reparent(in ThisCpu cpu)
    {
        TestAndSetLock.Acquire(in cpu, &Slab->Mutex);
        ReparentCaches.Reparent<Copies>(in cpu, Child, Parent);
        TestAndSetLock.Release(in cpu, &Slab->Mutex);
    }

    /// <summary>Every CPU in turn does what it was asked, until nothing is left to do.</summary>
    public static void Settle()
    {
        for (int round = 0; round < 4; round++)
            for (int c = 0; c < count; c++)
            {
                bool offline = AtomicInt.Load(&Box.AllCpus.Area(c)->Online) == 0;
                if (offline) Rcu.CpuOnline(Box[c]);
                for (int i = 0; i < 4; i++) Poll.Run(Box[c]);
                if (offline) Rcu.CpuOffline(Box[c]);
            }
    }

    /// <summary>No copy is left, nothing is charged, and every object and page but the root cache's is where it was.</summary>
    public static void AssertNoCopies<TC>() where TC : struct, IMemoryController
    {
        Settle();
        if (!IntrusiveList.IsEmpty(&Root->Siblings)) Bug.Fail("nothing holds a copy, and there is one (D2, D3)");
        AssertBooks<TC>();
        int slots = AtomicPtr<CacheSlots>.Load(&Root->Slots) == null ? 0 : 1;
        if (SimulatedSlab.AtHome(Box.AllCpus, Slab, count) + slots is var home && home != withoutCopies) Bug.Fail("pages and objects at home, and before", home, withoutCopies);
    }

    /// <summary>The root cache and all copies are gone with all they had: what was taken for the root cache is back too.</summary>
    public static void AssertNoCaches<TC>() where TC : struct, IMemoryController
    {
        Settle();
        if (!IntrusiveList.IsEmpty(&Slab->Caches)) Bug.Fail("a destroyed cache, or a copy of it, is still there (D1, D5)");
        if (!IntrusiveList.IsEmpty(&Slab->Queue)) Bug.Fail("a request for a root cache that is gone (D18)");
        AssertBooks<TC>();
        int piecesOfRoot = 2 + count; // the cache, its descriptor, a stack per CPU
        if (SimulatedSlab.AtHome(Box.AllCpus, Slab, count) is var home && home != withoutCopies + piecesOfRoot)
            Bug.Fail("pages and objects at home, and before there was a cache", home, withoutCopies + piecesOfRoot);
    }

    /// <summary>The parent survives: it counts what is charged to it and nothing else (I1).</summary>
    public static void AssertBooks<TC>() where TC : struct, IMemoryController
    {
        long pages = 0;
        for (ListHead* at = IntrusiveList.First(&Slab->Caches); at != &Slab->Caches; at = IntrusiveList.NextOf(at))
            if (SlabCache.RootOf(SlabCache.OfAll(at)) != null) pages += Guarded<long>.Get(&KmemCacheState.Node(SlabCache.StateOf(SlabCache.OfAll(at)), 0)->NrSlabs);
        if (TC.Usage(Parent, CounterKind.Kmem) != pages) Bug.Fail("kmem of the surviving group, and slabs of copies (I1)", TC.Usage(Parent, CounterKind.Kmem), pages);
    }
}
