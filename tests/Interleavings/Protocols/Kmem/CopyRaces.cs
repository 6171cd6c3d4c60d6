// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using ByTask = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.PerGroupCaches<MemcgNative.Tests.Interleavings.ChargesByTask>>;

namespace MemcgNative.Tests.Interleavings;

// Copies of caches against the end of their group and of their root cache: the code that ships on both CPUs, or with one of its guards taken
// away on one. What both leave to do (the tail of an end) is done in Final, but where the race is about it. Most guards are patches of the
// series of 2014, the others its corrections (D4, D6, D8) and those of 4.0 and 5.3 (D17, D18). CopyCases lists them.

/// <summary>D3, patch 2: the last object of a copy is freed while the group goes. One count has one who takes it to 0; two words let both or neither see the end.</summary>
internal readonly unsafe struct LastObjectAgainstOffline<TGuard> : ICase where TGuard : struct, IGuard
{
    private static void* obj;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        obj = CopyScene.Object<Copies>();
        KmemCache<SlabHook<Copies>>.DrainLocal(CopyScene.Box[0], SlabCache.StateOf(CopyScene.CopyOf(CopyScene.Child)));
        CopyScene.Kill();
        if (!TGuard.On) TwoWords.Init(CopyScene.CopyOf(CopyScene.Child));
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1 && TGuard.On) CopyScene.Offline(self);
        else if (cpu == 1) TwoWords.Offline(self, CopyScene.Child);
        else if (TGuard.On) KmemObjects.Free<Copies>(self, obj);
        else
        {
            KmemCacheState* state = KmemCacheState.Of(MemMap.PageOfAddress(MemMap.Of(self), obj));
            KmemCache<TwoWords>.Free(self, state, obj);
            KmemCache<TwoWords>.DrainLocal(self, state);
        }
        Rcu.CpuOffline(self);
    }

    public static void Final() => CopyScene.AssertNoCopies<Copies>();
}

/// <summary>D4: an allocation has selected the copy when the group goes. It gets an object of a living copy, or of the root cache, or none.</summary>
internal readonly unsafe struct AllocateAgainstOffline<TGuard> : ICase where TGuard : struct, IGuard
{
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        CopyScene.Kill();
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1) CopyScene.Offline(self);
        else
        {
            void* obj = TGuard.On ? KmemObjects.Alloc<Copies>(self, CopyScene.Root, CopyScene.Child) : BustedCopies.AllocAsPosted(self, CopyScene.Root, CopyScene.Child);
            if (obj != null) KmemObjects.Free<Copies>(self, obj);
        }
        Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        CopyScene.Settle(); // an object of the root cache may stay on a stack
        if (!IntrusiveList.IsEmpty(&CopyScene.Root->Siblings)) Bug.Fail("the copy is empty, its group has gone, and it is still there");
        CopyScene.AssertBooks<Copies>();
    }
}

/// <summary>D5, patch 3: the root cache is destroyed while the group goes: both find the copy, and one of them ends it.</summary>
internal readonly unsafe struct DestroyAgainstOffline<TGuard> : ICase where TGuard : struct, IGuard
{
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        CopyScene.Kill();
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 0 && TGuard.On) SlabCaches.Destroy<Copies>(self, CopyScene.Root);
        else if (cpu == 0) BustedCopies.Destroy(self, CopyScene.Root, CopyBug.EndsTwice);
        else if (TGuard.On) CopyScene.Offline(self);
        else BustedCopies.Offline(self, CopyScene.Child, CopyBug.EndsTwice);
    }

    public static void Final() => CopyScene.AssertNoCaches<Copies>();
}

/// <summary>D6: two CPUs free the last two objects of a copy whose group is gone; who puts the last reference does not look at it again.</summary>
internal readonly unsafe struct LastFreeAgainstEnd<TGuard> : ICase where TGuard : struct, IGuard
{
    private static void* first, second;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        first = CopyScene.Object<Copies>();
        second = CopyScene.Object<Copies>();
        CopyScene.Kill();
        CopyScene.Offline(CopyScene.Box[0]);
        CopyScene.Settle();
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        void* obj = cpu == 0 ? first : second;
        if (TGuard.On) KmemObjects.Free<Copies>(self, obj);
        else KmemCache<ReadsAfterPut>.Free(self, KmemCacheState.Of(MemMap.PageOfAddress(MemMap.Of(self), obj)), obj);
        Rcu.CpuOffline(self);
    }

    public static void Final() => CopyScene.AssertNoCopies<Copies>();
}

/// <summary>D7, patch 7: a task is moved while it allocates. Whichever group's copy serves it, that group pays (I15).</summary>
internal readonly unsafe struct AllocateAgainstAttach<TGuard> : ICase where TGuard : struct, IGuard
{
    private static MmStruct* task;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        if (TGuard.On) CopyScene.New<Copies>(copy: true);
        else CopyScene.New<ByTask>(copy: true);
        CopyScene.MakeCopy(CopyScene.Parent);
        task = CopyScene.Box.Space(CopyScene.Child, 1, "task");
        ChargesByTask.Task = task;
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1) MemcgLife.Attach(self, task, CopyScene.Parent);
        else if (TGuard.On) KmemObjects.Alloc<Copies>(self, CopyScene.Root, task);
        else KmemObjects.Alloc<ByTask>(self, CopyScene.Root, task);
        Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        SlabCache* copy = CopyScene.CopyOf(CopyScene.Child);
        long slabs = Guarded<long>.Get(&KmemCacheState.Node(SlabCache.StateOf(copy), 0)->NrSlabs), kmem = Copies.Usage(CopyScene.Child, CounterKind.Kmem);
        if (slabs != kmem) Bug.Fail("slabs of a group's copy, and what the group pays for (I15)", slabs, kmem);
    }
}

/// <summary>D8: somebody who holds no reference charges and uncharges a slab of the copy while the group's last reference goes.</summary>
internal readonly unsafe struct ChargeAgainstReparent<TGuard> : ICase where TGuard : struct, IGuard
{
    private static Page* page;
    private static SlabCache* copy;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        copy = CopyScene.CopyOf(CopyScene.Child);
        page = Arena.New<Page>("slabpage");
        CopyScene.Kill();
        SimulatedSlab.AtomicCss(CopyScene.Child, TGuard.On ? &Released : &Kept);
    }

    private static void Kept(in ThisCpu cpu, PerCpuRef* r) { }
    private static void Released(in ThisCpu cpu, PerCpuRef* r) => Rcu.Call(in cpu, &((Memcg*)r)->Css.Rcu, &Freed);
    private static void Freed(in ThisCpu cpu, RcuHead* head) => Machine.OnFree((byte*)head - Css.RcuOffset, Memcg.Bytes);

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1)
        {
            Rcu.ReadLock(self);
            if (SlabHook<Copies>.OnNewSlab(self, SlabCache.StateOf(copy), page, Gfp.Kernel)) SlabHook<Copies>.OnSlabRelease(self, SlabCache.StateOf(copy), page);
            Rcu.ReadUnlock(self);
        }
        else
        {
            if (TGuard.On) CopyScene.Reparent(self);
            Css.Put(self, &CopyScene.Child->Css); // the last
            if (!TGuard.On) Rcu.Synchronize(self); // css_free comes a grace period later
            if (!TGuard.On) CopyScene.Reparent(self);
        }
        Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        if (ReparentCaches.OwnerOf(copy) != CopyScene.Parent) Bug.Fail("the copy is not the parent's (I10)");
        CopyScene.AssertBooks<Copies>();
    }
}

/// <summary>D9: a copy that the parent has inherited ends, and leaves the parent's list, while the child's other copies are joined to that list.</summary>
internal readonly unsafe struct EndAgainstOffline<TGuard> : ICase where TGuard : struct, IGuard
{
    private static void* obj;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        obj = CopyScene.Object<Copies>();
        SlabCache* old = CopyScene.CopyOf(CopyScene.Child);
        CopyScene.Offline(CopyScene.Box[0]);
        CopyScene.Settle();
        CopyScene.MakeCopy(CopyScene.Child); // as if it were the next group of that id
        CopyScene.Kill();
        if (!TGuard.On) CpuWork.Init(&old->Destroy, &BustedCopies.EndUnlocked);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1) CopyScene.Reparent(self);
        else
        {
            KmemObjects.Free<Copies>(self, obj);
            Poll.Run(self); // the copy's end
        }
    }

    public static void Final()
    {
        CopyScene.Settle();
        if (IntrusiveList.Walk(&MemcgKmem.Of(CopyScene.Parent)->Caches) is var copies && copies != 1) Bug.Fail("copies on the parent's list, of the new one alone (I11)", copies);
        CopyScene.AssertBooks<Copies>();
    }
}

/// <summary>D15: the parent goes with a copy that it inherited from a group whose id is in use again, while that id's new owner gets its own copy.</summary>
internal readonly unsafe struct InheritedAgainstReuse<TGuard> : ICase where TGuard : struct, IGuard
{
    private static void* obj;
    private static Memcg* reused;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup() => CopyScene.ReuseId(out obj, out reused);

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 0) CacheCreation.Flush(self);
        else if (TGuard.On) PerGroupCaches<ReparentCaches>.OnOffline<Copies>(self, CopyScene.Parent);
        else BustedCopies.Offline(self, CopyScene.Parent, CopyBug.ClearsAnySlot);
    }

    public static void Final()
    {
        CopyScene.Settle();
        if (CopyScene.CopyOf(reused) == null) Bug.Fail("the new group lost its slot to the old one's copy (I14)");
    }
}

/// <summary>D17: an object is freed onto a CPU's stack around the moment at which the copy is told to keep nothing.</summary>
internal readonly unsafe struct FreeAgainstShrink<TGuard> : ICase where TGuard : struct, IGuard
{
    private static void* obj;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        obj = CopyScene.Object<Copies>();
        CopyScene.Kill();
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1)
        {
            Poll.Run(self); // what it is asked before
            KmemObjects.Free<Copies>(self, obj);
        }
        else if (TGuard.On) CopyScene.Offline(self);
        else BustedCopies.Offline(self, CopyScene.Child, CopyBug.ShrinksOnce);
        Rcu.CpuOffline(self);
    }

    public static void Final() => CopyScene.AssertNoCopies<Copies>();
}
