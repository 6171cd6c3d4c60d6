// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

// Copies of caches come to their end, or change hands (3.14, and patches 2, 3, 5, 7 and 11 of the series of 2014).

/// <summary>A copy of a cache.</summary>
internal struct Copy
{
    /// <summary>3.14: two words that are read one after the other.</summary>
    public AtomicInt Dead, Pages;
    /// <summary>Patch 2: 1 of the group, 1 per page.</summary>
    public AtomicInt References;
    /// <summary>Its order, its flags: what whoever uses the cache reads.</summary>
    public Guarded<int> Order;
    /// <summary>Times it was destroyed.</summary>
    public AtomicInt Destroyed;

    /// <summary>kmem_cache_destroy.</summary>
    public static unsafe void Destroy(Copy* c)
    {
        if (AtomicInt.Exchange(&c->Destroyed, 1) != 0) Bug.Fail("a cache is destroyed twice");
        Machine.OnFree(c, (nuint)sizeof(Copy));
    }
}

/// <summary>A copy and who finds it.</summary>
internal unsafe struct Finding
{
    public Copy Cache;
    public AtomicPtr<Copy> Slot;
    public AtomicInt Work, RootReferences, OnRoot;
    public LockWord Mutex, Caches;
}

/// <summary>D3, patch 2: the last page goes while the group does. Two words let both or neither see the end; one count has one who takes it to 0.</summary>
internal readonly unsafe struct LastPageAgainstWorker : IRace<Finding>
{
    public static void Setup(Finding* s)
    {
        AtomicInt.Init(&s->Cache.Pages, 1);
        AtomicInt.Init(&s->Cache.References, 2);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Finding* s) where TGuard : struct, IGuard
    {
        Copy* c = &s->Cache;
        if (TGuard.On)
        {
            if (AtomicInt.AddReturn(&c->References, -1) == 0) Copy.Destroy(c);
        }
        else if (cpu.Index == 0)
        {
            if (AtomicInt.AddReturn(&c->Pages, -1) == 0 && AtomicInt.Load(&c->Dead) != 0) Copy.Destroy(c); // by the work it queues
        }
        else
        {
            AtomicInt.Exchange(&c->Dead, 1);
            if (AtomicInt.Load(&c->Pages) == 0) Copy.Destroy(c);
        }
    }
}

/// <summary>D4 (posted, 5.3 corrects): an allocation has loaded the slot and holds no reference while the copy is destroyed.</summary>
internal readonly unsafe struct SelectAgainstDestroy : IRace<Finding>
{
    public static bool UsesRcu => true;

    public static void Setup(Finding* s)
    {
        AtomicInt.Init(&s->Cache.References, 1);
        AtomicPtr<Copy>.Init(&s->Slot, &s->Cache);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Finding* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Rcu.ReadLock(cpu);
            Copy* found = AtomicPtr<Copy>.Load(&s->Slot);
            if (!TGuard.On) Rcu.ReadUnlock(cpu);
            if (!TGuard.On) Poll.Run(cpu); // out of RCU, as posted
            if (found != null && Guarded<int>.Get(&found->Order) != 0) Bug.Fail("another cache");
            if (TGuard.On) Rcu.ReadUnlock(cpu);
            return;
        }
        Copy* old = AtomicPtr<Copy>.Exchange(&s->Slot, null);
        if (AtomicInt.AddReturn(&old->References, -1) != 0) return;
        Rcu.Synchronize(cpu);
        Copy.Destroy(old);
    }
}

/// <summary>D5, patch 3: the root's destruction cancels the copy's work and destroys the copy; the group's offline still finds it and queues the work again.</summary>
internal readonly unsafe struct RootDestroyAgainstChildDestroy : IRace<Finding>
{
    public static void Setup(Finding* s)
    {
        AtomicPtr<Copy>.Init(&s->Slot, &s->Cache); // the group's list
        AtomicInt.Init(&s->RootReferences, 1);
        AtomicInt.Init(&s->OnRoot, 1); // the root's list of its copies
    }

    public static void Run<TGuard>(in ThisCpu cpu, Finding* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Lock.Acquire(cpu, &s->Mutex);
            AtomicInt.Store(&s->RootReferences, 0);
            if (TGuard.On) Unlist(cpu, s); // first, so that offline cannot find it
            AtomicInt.Exchange(&s->Work, 0); // cancel_work_sync
            if (AtomicInt.Exchange(&s->OnRoot, 0) != 0) Copy.Destroy(&s->Cache);
            if (!TGuard.On) Unlist(cpu, s);
            Lock.Release(cpu, &s->Mutex);
            return;
        }
        Lock.Acquire(cpu, &s->Caches);
        bool found = AtomicPtr<Copy>.Load(&s->Slot) != null;
        if (found) AtomicInt.Store(&s->Work, 1);
        Lock.Release(cpu, &s->Caches);
        Lock.Acquire(cpu, &s->Mutex); // the worker
        if (AtomicInt.Exchange(&s->Work, 0) != 0 && (!TGuard.On || AtomicInt.Load(&s->RootReferences) != 0))
        {
            AtomicInt.Store(&s->OnRoot, 0);
            Copy.Destroy(&s->Cache);
        }
        Lock.Release(cpu, &s->Mutex);
    }

    private static void Unlist(in ThisCpu cpu, Finding* s)
    {
        Lock.Acquire(cpu, &s->Caches);
        AtomicPtr<Copy>.Store(&s->Slot, null);
        Lock.Release(cpu, &s->Caches);
    }
}

/// <summary>D6 (posted): the page-free path reads the cache after it has put the last reference.</summary>
internal readonly unsafe struct FreeAgainstDestroy : IRace<Finding>
{
    public static bool UsesRcu => true;
    public static void Setup(Finding* s) => AtomicInt.Init(&s->Cache.References, 1);

    public static void Run<TGuard>(in ThisCpu cpu, Finding* s) where TGuard : struct, IGuard
    {
        Copy* c = &s->Cache;
        if (cpu.Index == 0)
        {
            if (TGuard.On) Rcu.ReadLock(cpu);
            if (AtomicInt.AddReturn(&c->References, -1) == 0) AtomicInt.Store(&s->Work, 1);
            if (Guarded<int>.Get(&c->Order) != 0) Bug.Fail("another cache");
            if (TGuard.On) Rcu.ReadUnlock(cpu);
            return;
        }
        if (AtomicInt.Exchange(&s->Work, 0) == 0) return;
        if (TGuard.On) Rcu.Synchronize(cpu);
        Copy.Destroy(c);
    }
}

/// <summary>A task, its groups, a copy's owner.</summary>
internal struct Paying
{
    public AtomicInt TaskGroup, CacheOwner, Charged;
}

/// <summary>D7, patch 7: the copy is chosen by the task's group, then the task moves, then the page is charged by the task or by the copy.</summary>
internal readonly unsafe struct SelectAgainstAttach : IRace<Paying>
{
    public static void Setup(Paying* s)
    {
        AtomicInt.Init(&s->TaskGroup, 1);
        AtomicInt.Init(&s->CacheOwner, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Paying* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            AtomicInt.Store(&s->TaskGroup, 2);
            return;
        }
        if (AtomicInt.Load(&s->TaskGroup) != 1) return; // another copy
        AtomicInt.Store(&s->Charged, AtomicInt.Load(TGuard.On ? &s->CacheOwner : &s->TaskGroup));
    }

    public static void Final(Paying* s)
    {
        if (AtomicInt.Load(&s->Charged) is not 0 and not 1) Bug.Fail("a page of one group's cache is charged to another (I15)");
    }
}

/// <summary>Two groups, one the parent of the other, and a copy that goes from one to the other.</summary>
internal struct Handing
{
    /// <summary>1 = child, 2 = parent; who pays for the copy.</summary>
    public AtomicInt Owner;
    /// <summary>References of the child.</summary>
    public AtomicInt Child;
    public LockWord ParentLock, ChildLock;
    /// <summary>Length of the parent's list: plain, under its lock.</summary>
    public Guarded<int> OnParent, OnChild;
    public Guarded<int> ChildUsage;
}

/// <summary>D8: the old owner's reference is put before the new owner is stored: who retries waits for a store that waits for him.</summary>
internal readonly unsafe struct ChargeAgainstReparent : IRace<Handing>
{
    public static bool UsesRcu => true;

    public static void Setup(Handing* s)
    {
        AtomicInt.Init(&s->Owner, 1);
        AtomicInt.Init(&s->Child, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Handing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Rcu.ReadLock(cpu);
            int owner = AtomicInt.Load(&s->Owner);
            while (owner == 1 && !TryGet(&s->Child)) owner = AtomicInt.AwaitNot(&s->Owner, owner); // the store ends it
            if (owner == 1) AtomicInt.Add(&s->Child, -1); // charged; put
            Rcu.ReadUnlock(cpu);
            return;
        }
        if (TGuard.On) AtomicInt.Store(&s->Owner, 2);
        AtomicInt.Add(&s->Child, -1);
        Rcu.Synchronize(cpu); // css_free
        if (!TGuard.On) AtomicInt.Store(&s->Owner, 2);
    }

    private static bool TryGet(AtomicInt* count)
    {
        for (int seen = AtomicInt.Load(count); seen != 0;)
        {
            int was = AtomicInt.CompareExchange(count, seen + 1, seen);
            if (was == seen) return true;
            seen = was; // another reference came or went
        }
        return false;
    }
}

/// <summary>D9: whoever unlinks a copy has locked its owner's list; the owner has changed while he waited.</summary>
internal readonly unsafe struct UnregisterAgainstReparent : IRace<Handing>
{
    public static void Setup(Handing* s)
    {
        AtomicInt.Init(&s->Owner, 1);
        Guarded<int>.Set(&s->OnChild, 1);
        Guarded<int>.Set(&s->OnParent, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Handing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            int owner = AtomicInt.Load(&s->Owner);
            Lock.Acquire(cpu, LockOf(s, owner));
            while (TGuard.On && AtomicInt.Load(&s->Owner) != owner) // once more at most: there is one parent
            {
                Lock.Release(cpu, LockOf(s, owner));
                owner = AtomicInt.Load(&s->Owner);
                Lock.Acquire(cpu, LockOf(s, owner));
            }
            Guarded<int>* list = AtomicInt.Load(&s->Owner) == 1 ? &s->OnChild : &s->OnParent; // where its neighbours are
            Guarded<int>.Set(list, Guarded<int>.Get(list) - 1);
            Lock.Release(cpu, LockOf(s, owner));
            return;
        }
        Lock.Acquire(cpu, &s->ParentLock);
        Lock.Acquire(cpu, &s->ChildLock);
        Guarded<int>.Set(&s->OnParent, Guarded<int>.Get(&s->OnParent) + Guarded<int>.Get(&s->OnChild));
        Guarded<int>.Set(&s->OnChild, 0);
        AtomicInt.Store(&s->Owner, 2);
        Lock.Release(cpu, &s->ChildLock);
        Guarded<int>.Set(&s->OnParent, Guarded<int>.Get(&s->OnParent)); // the parent's list is still being worked on
        Lock.Release(cpu, &s->ParentLock);
    }

    private static LockWord* LockOf(Handing* s, int owner) => owner == 1 ? &s->ChildLock : &s->ParentLock;
}

/// <summary>Two arrays of slots: the old, the new.</summary>
internal struct Arrays
{
    public LockWord Activate;
    public AtomicInt Old, New, Current;
}

/// <summary>D10: the array is copied with a slot that is cleared meanwhile, and published with what was in it.</summary>
internal readonly unsafe struct ClearAgainstRelocation : IRace<Arrays>
{
    public static void Setup(Arrays* s) => AtomicInt.Init(&s->Old, 1);

    public static void Run<TGuard>(in ThisCpu cpu, Arrays* s) where TGuard : struct, IGuard
    {
        if (TGuard.On) Lock.Acquire(cpu, &s->Activate);
        if (cpu.Index == 0)
        {
            AtomicInt.Store(&s->New, AtomicInt.Load(&s->Old));
            AtomicInt.Store(&s->Current, 1);
        }
        else AtomicInt.Store(AtomicInt.Load(&s->Current) == 0 ? &s->Old : &s->New, 0);
        if (TGuard.On) Lock.Release(cpu, &s->Activate);
    }

    public static void Final(Arrays* s)
    {
        if (AtomicInt.Load(&s->New) != 0) Bug.Fail("the new array still has the removed group's copy");
    }
}

/// <summary>D17: an empty slab stays on a CPU because the shrink of its cache was there before. Dead caches keep none (4.0).</summary>
internal readonly unsafe struct KeepAgainstShrink : IRace<Finding>
{
    public static void Setup(Finding* s) => AtomicInt.Init(&s->Cache.References, 2);

    public static void Run<TGuard>(in ThisCpu cpu, Finding* s) where TGuard : struct, IGuard
    {
        Copy* c = &s->Cache;
        if (cpu.Index == 0)
        {
            AtomicInt.Exchange(&c->Pages, 1); // the slab is empty now and waits on this CPU
            if (TGuard.On && AtomicInt.Load(&c->Dead) != 0) Release(c);
            return;
        }
        AtomicInt.Exchange(&c->Dead, 1);
        Release(c);
        AtomicInt.Add(&c->References, -1);
    }

    private static void Release(Copy* c)
    {
        if (AtomicInt.Exchange(&c->Pages, 0) != 0) AtomicInt.Add(&c->References, -1);
    }

    public static void Final(Finding* s)
    {
        if (AtomicInt.Load(&s->Cache.References) != 0) Bug.Fail("no object lives, and the cache does", AtomicInt.Load(&s->Cache.References));
    }
}
