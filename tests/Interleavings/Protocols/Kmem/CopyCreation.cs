// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// Copies of caches come into being while something goes: as in CopyRaces.cs.

/// <summary>D1, patch 1: a request for a copy is served while its root cache is destroyed.</summary>
internal readonly unsafe struct CreateAgainstDestroy<TGuard, TWorkers> : ICase where TGuard : struct, IGuard where TWorkers : struct, ISize
{
    public static int Cpus => TWorkers.N + 1;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: false, cpus: Cpus);
        CacheCreation.Request(CopyScene.Box[0], CopyScene.Root, CopyScene.Child);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu < TWorkers.N) CacheCreation.Flush(self); // the workers
        else if (TGuard.On) SlabCaches.Destroy<Copies>(self, CopyScene.Root);
        else BustedCopies.Destroy(self, CopyScene.Root, CopyBug.NoFlush);
    }

    public static void Final() => CopyScene.AssertNoCaches<Copies>();
}

/// <summary>D2, patch 1: a request is served while its group goes offline; what is created afterwards nobody will ever end.</summary>
internal readonly unsafe struct CreateAgainstOffline<TGuard> : ICase where TGuard : struct, IGuard
{
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: false);
        CacheCreation.Request(CopyScene.Box[0], CopyScene.Root, CopyScene.Child);
        AtomicInt.Store(&CopyScene.Child->Css.State, (int)CssState.Dying);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 0) CacheCreation.Flush(self);
        else if (TGuard.On) CopyScene.Offline(self);
        else BustedCopies.Offline(self, CopyScene.Child, CopyBug.NoFlush);
    }

    public static void Final() => CopyScene.AssertNoCopies<Copies>();
}

/// <summary>D10: the array of copies grows for a group of a higher id while another group's slot is cleared; the clearing must not be copied away.</summary>
internal readonly unsafe struct GrowAgainstOffline<TGuard> : ICase where TGuard : struct, IGuard
{
    private static Memcg* late;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true, groups: 8);
        int slots = Guarded<int>.Get(&AtomicPtr<CacheSlots>.Load(&CopyScene.Root->Slots)->Size);
        do late = CopyScene.Box.Group<Copies>();
        while (Guarded<int>.Get(&late->Id) < slots);
        CacheCreation.Request(CopyScene.Box[0], CopyScene.Root, late);
        AtomicInt.Store(&CopyScene.Child->Css.State, (int)CssState.Dying);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 0) CacheCreation.Flush(self);
        else BustedCopies.Offline(self, CopyScene.Child, (TGuard.On ? CopyBug.None : CopyBug.ClearsUnlocked) | CopyBug.NoFlush); // a flush would do the growing first
    }

    public static void Final()
    {
        CopyScene.Settle();
        if (CopyScene.CopyOf(CopyScene.Child) != null) Bug.Fail("a removed group's slot names a copy again: the next group of that id inherits it (D10)");
        if (CopyScene.CopyOf(late) == null) Bug.Fail("the late group has no copy");
    }
}

/// <summary>D10, the readers: the array of copies grows while CPUs look their copy up in it, without a lock, and allocate from it. Nobody falls back on the root cache.</summary>
internal readonly unsafe struct GrowAgainstAllocate<TAllocations> : ICase where TAllocations : struct, ISize
{
    public static int Cpus => TAllocations.N + 1;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true, groups: 8, cpus: Cpus);
        Guarded<int>.Set(&SlabCache.StateOf(CopyScene.CopyOf(CopyScene.Child))->PerSlab, TAllocations.N);
        Span<nint> objects = stackalloc nint[TAllocations.N];
        for (int i = 0; i < TAllocations.N; i++) objects[i] = (nint)CopyScene.Object<Copies>();
        for (int i = 0; i < TAllocations.N; i++) KmemObjects.Free<Copies>(CopyScene.Box[i], (void*)objects[i]); // on the CPU's stack
        int slots = Guarded<int>.Get(&AtomicPtr<CacheSlots>.Load(&CopyScene.Root->Slots)->Size);
        Memcg* late;
        do late = CopyScene.Box.Group<Copies>();
        while (Guarded<int>.Get(&late->Id) < slots);
        CacheCreation.Request(CopyScene.Box[TAllocations.N], CopyScene.Root, late);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == TAllocations.N) CacheCreation.Flush(self);
        else
        {
            void* obj = KmemObjects.Alloc<Copies>(self, CopyScene.Root, CopyScene.Child);
            if (SlabCache.Of(KmemCacheState.Of(MemMap.PageOfAddress(MemMap.Of(self), obj))) != CopyScene.CopyOf(CopyScene.Child))
                Bug.Fail("an object of another cache, though the group has its copy (I15)");
        }
    }
}

/// <summary>D12: each CPU has asked for the same copy, and all serve what was asked for.</summary>
internal readonly unsafe struct Creators<TGuard, TCpus> : ICase where TGuard : struct, IGuard where TCpus : struct, ISize
{
    public static int Cpus => TCpus.N;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: false, cpus: Cpus);
        CopyScene.MakeCopy(CopyScene.Parent); // so that there is an array
        for (int i = 0; TGuard.On && i < Cpus; i++) CacheCreation.Request(CopyScene.Box[i], CopyScene.Root, CopyScene.Child);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (TGuard.On) CacheCreation.Flush(self);
        else BustedCopies.CreateBlindly(self, CopyScene.Root, CopyScene.Child);
    }

    public static void Final()
    {
        if (IntrusiveList.Walk(&MemcgKmem.Of(CopyScene.Child)->Caches) is var copies && copies != 1) Bug.Fail("copies of one root cache for one group (I14)", copies);
    }
}

/// <summary>D13: an allocation finds the copy in its slot as soon as it is there, and finds it whole.</summary>
internal readonly unsafe struct CreateAgainstAllocate : ICase
{
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: false);
        CopyScene.MakeCopy(CopyScene.Parent);
        CacheCreation.Request(CopyScene.Box[0], CopyScene.Root, CopyScene.Child);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 0) CacheCreation.Flush(self);
        else KmemObjects.Alloc<Copies>(self, CopyScene.Root, CopyScene.Child);
    }
}

/// <summary>D18, 5.3: a copy is asked for while its root cache dies; after the flush nobody may ask any more.</summary>
internal readonly unsafe struct RequestAgainstDestroy<TGuard> : ICase where TGuard : struct, IGuard
{
    public static int Cpus => CopyScene.Cpus;
    public static void Setup() => CopyScene.New<Copies>(copy: false);

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1) SlabCaches.Destroy<Copies>(self, CopyScene.Root);
        else if (TGuard.On) CacheCreation.Request(self, CopyScene.Root, CopyScene.Child);
        else BustedCopies.RequestUnlocked(self, CopyScene.Root, CopyScene.Child);
    }

    public static void Final() => CopyScene.AssertNoCaches<Copies>();
}
