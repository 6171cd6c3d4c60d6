// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

// Copies of caches come into being (3.8 to 5.8; patches 1, 6, 12 of the series of 2014). The words of one root cache and one group.

/// <summary>What creation, offline and destruction share.</summary>
internal unsafe struct Creation
{
    /// <summary>The queue: one request may wait in it.</summary>
    public LockWord Queue;
    public AtomicInt Waiting, Running;
    /// <summary>slab_mutex.</summary>
    public LockWord Mutex;
    /// <summary>Of the group: its list's lock, what is on it, whether it has been collected.</summary>
    public LockWord Caches;
    public AtomicInt Listed, Dead, Collected;
    /// <summary>Of the root: its slot for the group, what a copy is made like, whether it is on its way out.</summary>
    public AtomicPtr<RootCache> Root;
    public AtomicInt Slot, Copies, Dying;

    /// <summary>The worker: takes the request, if there is one, and serves it.</summary>
    public static void Work(in ThisCpu cpu, Creation* s, bool looksAgain = true)
    {
        Lock.Acquire(cpu, &s->Queue);
        bool mine = AtomicInt.Exchange(&s->Waiting, 0) != 0;
        if (mine) AtomicInt.Store(&s->Running, 1);
        Lock.Release(cpu, &s->Queue);
        if (!mine) return;
        Create(cpu, s, looksAgain);
        AtomicInt.Store(&s->Running, 0);
    }

    /// <summary>memcg_create_kmem_cache: like the root, into the slot, onto the group's list.</summary>
    public static void Create(in ThisCpu cpu, Creation* s, bool looksAgain)
    {
        Lock.Acquire(cpu, &s->Mutex);
        if (!looksAgain || AtomicInt.Load(&s->Slot) == 0)
        {
            if (Guarded<int>.Get(&AtomicPtr<RootCache>.Load(&s->Root)->ObjectBytes) != 192) Bug.Fail("a copy of something else");
            AtomicInt.Add(&s->Copies, 1);
            AtomicInt.Store(&s->Slot, AtomicInt.Load(&s->Copies));
            Lock.Acquire(cpu, &s->Caches);
            AtomicInt.Add(&s->Listed, 1);
            Lock.Release(cpu, &s->Caches);
        }
        Lock.Release(cpu, &s->Mutex);
    }

    /// <summary>flush_workqueue: serves what waits, waits for what runs.</summary>
    public static void Flush(in ThisCpu cpu, Creation* s)
    {
        Work(cpu, s);
        AtomicInt.AwaitEqual(&s->Running, 0); // ended by the worker
    }

    /// <summary>A root cache and a request.</summary>
    public static void Setup(Creation* s)
    {
        RootCache* root = Arena.New<RootCache>("root");
        Guarded<int>.Set(&root->ObjectBytes, 192);
        AtomicPtr<RootCache>.Init(&s->Root, root);
        AtomicInt.Init(&s->Waiting, 1);
    }
}

/// <summary>What a copy is made like.</summary>
internal struct RootCache
{
    public Guarded<int> ObjectBytes;
}

/// <summary>D1, patch 1: a request outlives the root cache it is for.</summary>
internal readonly unsafe struct CreateAgainstRootDestroy : IRace<Creation>
{
    public static void Setup(Creation* s) => Creation.Setup(s);

    public static void Run<TGuard>(in ThisCpu cpu, Creation* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Creation.Work(cpu, s);
            return;
        }
        if (TGuard.On) Creation.Flush(cpu, s); // nobody asks for it any more: its users are gone
        RootCache* root = AtomicPtr<RootCache>.Load(&s->Root);
        Machine.OnFree(root, (nuint)sizeof(RootCache));
    }
}

/// <summary>D2, patch 1: a copy is created after the group was collected, and nobody will ever end it.</summary>
internal readonly unsafe struct CreateAgainstOffline : IRace<Creation>
{
    public static void Setup(Creation* s) => Creation.Setup(s);

    public static void Run<TGuard>(in ThisCpu cpu, Creation* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Creation.Work(cpu, s);
            return;
        }
        if (TGuard.On) Creation.Flush(cpu, s); // no request can come: the group is not online
        Lock.Acquire(cpu, &s->Caches);
        AtomicInt.Store(&s->Dead, AtomicInt.Load(&s->Listed));
        Lock.Release(cpu, &s->Caches);
    }

    public static void Final(Creation* s)
    {
        if (AtomicInt.Load(&s->Listed) != AtomicInt.Load(&s->Dead)) Bug.Fail("a copy of a removed group that nobody has told to go");
    }
}

/// <summary>D12: two allocations have asked for the same copy.</summary>
internal readonly unsafe struct TwoCreators : IRace<Creation>
{
    public static void Setup(Creation* s) => Creation.Setup(s);
    public static void Run<TGuard>(in ThisCpu cpu, Creation* s) where TGuard : struct, IGuard => Creation.Create(cpu, s, TGuard.On);

    public static void Final(Creation* s)
    {
        if (AtomicInt.Load(&s->Copies) != 1) Bug.Fail("living copies of one root for one group", AtomicInt.Load(&s->Copies));
    }
}

/// <summary>D18, 5.3: the root is found alive, then it dies and the queue is flushed, then the request is queued.</summary>
internal readonly unsafe struct EnqueueAgainstDying : IRace<Creation>
{
    public static void Setup(Creation* s)
    {
        Creation.Setup(s);
        AtomicInt.Init(&s->Waiting, 0);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Creation* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            bool alive = !TGuard.On && AtomicInt.Load(&s->Dying) == 0;
            Lock.Acquire(cpu, &s->Queue);
            if (TGuard.On) alive = AtomicInt.Load(&s->Dying) == 0; // tested and queued in one step
            if (alive) AtomicInt.Store(&s->Waiting, 1);
            Lock.Release(cpu, &s->Queue);
            return;
        }
        Lock.Acquire(cpu, &s->Queue);
        AtomicInt.Store(&s->Dying, 1);
        Lock.Release(cpu, &s->Queue);
        Creation.Flush(cpu, s);
        AtomicInt.Store(&s->Collected, 1);
    }

    public static void Final(Creation* s)
    {
        if (AtomicInt.Load(&s->Waiting) != 0) Bug.Fail("a request for a root cache that is gone");
    }
}

/// <summary>The copy as readers find it through its slot.</summary>
internal unsafe struct Published
{
    public AtomicPtr<RootCache> Slot;
    public GuardedPtr<RootCache> PlainSlot;
    public RootCache Copy;
}

/// <summary>D13: the slot is stored before the copy's fields can be seen. Store buffers keep order; the race detector does not need one that breaks it.</summary>
internal readonly unsafe struct PublishAgainstSelect : IRace<Published>
{
    public static void Run<TGuard>(in ThisCpu cpu, Published* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Guarded<int>.Set(&s->Copy.ObjectBytes, 192);
            if (TGuard.On) AtomicPtr<RootCache>.Store(&s->Slot, &s->Copy);
            else GuardedPtr<RootCache>.Set(&s->PlainSlot, &s->Copy);
            return;
        }
        RootCache* copy = TGuard.On ? AtomicPtr<RootCache>.Load(&s->Slot) : GuardedPtr<RootCache>.Get(&s->PlainSlot);
        if (copy != null && Guarded<int>.Get(&copy->ObjectBytes) != 192) Bug.Fail("a copy without its fields");
    }
}

/// <summary>Slots of two ids, the names in sysfs, and whose copy is whose.</summary>
internal unsafe struct Reuse
{
    public LockWord Mutex;
    /// <summary>1 the old group's copy, 2 the new group's.</summary>
    public AtomicInt Slot;
    /// <summary>Names in use, by hash: the group's id and name, the serial number.</summary>
    public AtomicInt NameOfOld, NameOfNew;
}

/// <summary>D15: the copy of a removed group ends while a new group has its id; the slot is not the old copy's any more.</summary>
internal readonly unsafe struct UnregisterAgainstReuse : IRace<Reuse>
{
    public static void Setup(Reuse* s) => AtomicInt.Init(&s->NameOfOld, 7);

    public static void Run<TGuard>(in ThisCpu cpu, Reuse* s) where TGuard : struct, IGuard
    {
        Lock.Acquire(cpu, &s->Mutex);
        if (cpu.Index == 0) AtomicInt.Store(&s->Slot, 2);
        else if (!TGuard.On || AtomicInt.Load(&s->Slot) == 1) AtomicInt.Store(&s->Slot, 0);
        Lock.Release(cpu, &s->Mutex);
    }

    public static void Final(Reuse* s)
    {
        if (AtomicInt.Load(&s->Slot) != 2) Bug.Fail("the new group lost its slot to the old one's copy");
    }
}

/// <summary>D15, patch 12: the copy of a removed group keeps its name in sysfs; a new group of the same id and name asks for the same.</summary>
internal readonly unsafe struct NameAgainstReuse : IRace<Reuse>
{
    public static void Setup(Reuse* s) => AtomicInt.Init(&s->NameOfOld, 7);

    public static void Run<TGuard>(in ThisCpu cpu, Reuse* s) where TGuard : struct, IGuard
    {
        Lock.Acquire(cpu, &s->Mutex);
        if (cpu.Index == 0) AtomicInt.Store(&s->NameOfOld, 0); // its last object is freed, sooner or later
        else if (AtomicInt.Load(&s->NameOfOld) != (TGuard.On ? 1007 : 7)) AtomicInt.Store(&s->NameOfNew, 7); // -EEXIST: no copy, nobody pays
        Lock.Release(cpu, &s->Mutex);
    }

    public static void Final(Reuse* s)
    {
        if (AtomicInt.Load(&s->NameOfNew) == 0) Bug.Fail("sysfs has that name: the new group goes unaccounted");
    }
}
