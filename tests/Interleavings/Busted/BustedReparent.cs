// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// The end of a group, wrong in one way each.

/// <summary>Uses an owner that was loaded a grace period ago (E4, E6).</summary>
internal readonly unsafe struct AfterRcu : IFindsOwner
{
    private static Memcg* owner;

    public static void Before(Objcg* objcg) => owner = AtomicPtr<Memcg>.Load(&objcg->Memcg);

    public static void Uncharge<TC>(in ThisCpu cpu, Objcg* objcg) where TC : struct, IMemoryController
    {
        Poll.Run(in cpu);
        Charging.UnchargeKmem<TC>(in cpu, owner, 1);
    }
}

/// <summary>6.18: the entry goes first, and whoever looks for the lists goes to the parent's, while the items are still on the child's (G1).</summary>
internal readonly unsafe struct ErasesFirst : IListSwitch
{
    public static bool Frees => false;
    public static void Reparent(in ThisCpu cpu, ListLru* lru, Memcg* memcg)
    {
        AtomicPtr<ListLruMemcg>* entry = ListLru.EntryOf(lru, memcg);
        ListLruMemcg* own = AtomicPtr<ListLruMemcg>.Load(entry);
        ListLru.Erase(in cpu, lru, entry);
        ListLru.SpliceNode(in cpu, lru, 0, ListLruMemcg.On(own, 0), Memcg.ParentOf(memcg));
    }
}

/// <summary>Makes lists for whoever asks, dying or not (G2).</summary>
internal readonly unsafe struct AnyGroup : IListMaker
{
    public static bool Waits => false;
    public static void Prepare(in ThisCpu cpu, ListLru* lru, Memcg* memcg)
    {
        ListLruMemcg* own = ListLru.New(in cpu, 1);
        if (AtomicPtr<ListLruMemcg>.CompareExchange(ListLru.EntryOf(lru, memcg), own, null) != null) Kmalloc.Free(in cpu, own);
    }
}

/// <summary>Counts for the group it was handed, however dead (H7).</summary>
internal readonly unsafe struct ForWhoeverIsNamed : ICounts
{
    public static Memcg* For(Memcg* memcg) => memcg;
}

/// <summary>Adds a stock's rest by load and store: the other CPU's rest is lost, and with it a part of a page (E8).</summary>
internal readonly unsafe struct StoresTheRest : IByteDrain
{
    public static void Drain(in ThisCpu cpu, BytesOf* owner)
    {
        SlabCpu* own = SlabCpu.Of(cpu.Area);
        if (AtomicLong.Load(&own->Stocked) == 0) return;
        int bytes = AtomicInt.Load(&own->Bytes);
        AtomicInt.Store(&own->Bytes, 0);
        AtomicLong.Store(&own->Stocked, 0);
        AtomicInt.Store(&owner->Residue, AtomicInt.Load(&owner->Residue) + bytes);
        AtomicInt.Add(&owner->References, -1);
    }
}

/// <summary>The mail of 2019: the pointer is killed, then the css reference is taken that it owes (E3).</summary>
internal readonly unsafe struct PaysAfterwards : IPointerSwitch
{
    public static void Reparent(in ThisCpu cpu, Memcg* child, Memcg* parent)
    {
        MemcgKmem* kmem = MemcgKmem.Of(child);
        LockWord* l = &Memcg.TreeOf(child)->CssSetLock;
        Objcg* own = AtomicPtr<Objcg>.Exchange(&kmem->Objcg, null);
        PerCpuRef.Kill(in cpu, &own->Ref);
        Css.Get(in cpu, &child->Css);
        long moved = 0;
        TestAndSetLock.Acquire(in cpu, l);
        for (ListHead* at = IntrusiveList.First(&kmem->Owned); at != &kmem->Owned; at = IntrusiveList.NextOf(at), moved++)
            AtomicPtr<Memcg>.Store(&Objcg.OfList(at)->Memcg, parent);
        IntrusiveList.Splice(&MemcgKmem.Of(parent)->Owned, &kmem->Owned);
        TestAndSetLock.Release(in cpu, l);
        if (moved != 0) Css.GetMany(in cpu, &parent->Css, moved);
        if (moved != 0) Css.PutMany(in cpu, &child->Css, moved);
    }
}

/// <summary>The release reads the owner, then takes the lock: the reference it puts may be the old owner's, which the switch has put already (E4).</summary>
internal readonly unsafe struct LooksBeforeTheLock : IPointerSwitch
{
    public static void Reparent(in ThisCpu cpu, Memcg* child, Memcg* parent) => PaysFirst.Reparent(in cpu, child, parent);
    public static delegate*<in ThisCpu, PerCpuRef*, void> Release(delegate*<in ThisCpu, PerCpuRef*, void> shipped) => &Release;

    private static void Release(in ThisCpu cpu, PerCpuRef* r)
    {
        var pointer = (Objcg*)r;
        Memcg* owner = AtomicPtr<Memcg>.Load(&pointer->Memcg);
        LockWord* l = &Memcg.TreeOf(owner)->CssSetLock;
        TestAndSetLock.Acquire(in cpu, l);
        IntrusiveList.Remove(&pointer->List);
        TestAndSetLock.Release(in cpu, l);
        Css.Put(in cpu, &owner->Css);
        Objcg.FreeRcu(in cpu, pointer);
    }
}

/// <summary>List node and RCU head share their words, as in Linux, and the callback is queued before the node is off its list (E5).</summary>
internal readonly unsafe struct QueuesBeforeUnlink : IPointerSwitch
{
    public static void Reparent(in ThisCpu cpu, Memcg* child, Memcg* parent) => PaysFirst.Reparent(in cpu, child, parent);
    public static delegate*<in ThisCpu, PerCpuRef*, void> Release(delegate*<in ThisCpu, PerCpuRef*, void> shipped) => &Release;

    private static void Release(in ThisCpu cpu, PerCpuRef* r)
    {
        var pointer = (Objcg*)r;
        LockWord* l = &Memcg.TreeOf(AtomicPtr<Memcg>.Load(&pointer->Memcg))->CssSetLock;
        Rcu.Call(in cpu, (RcuHead*)&pointer->List, &Free);
        TestAndSetLock.Acquire(in cpu, l);
        IntrusiveList.Remove(&pointer->List);
        Memcg* owner = AtomicPtr<Memcg>.Load(&pointer->Memcg);
        TestAndSetLock.Release(in cpu, l);
        Css.Put(in cpu, &owner->Css);
    }

    private static void Free(in ThisCpu cpu, RcuHead* head) => Objcg.Discard(in cpu, Objcg.OfList((ListHead*)head));
}

/// <summary>rmdir without a look at the children: the parent's offline runs beside its child's, or before (E7).</summary>
internal readonly unsafe struct ForgetsChildren : IParentOffline
{
    public static void Remove(in ThisCpu cpu, Memcg* memcg)
    {
        LockWord* l = &Memcg.TreeOf(memcg)->Lock;
        TestAndSetLock.Acquire(in cpu, l);
        Guarded<int>.Set(&memcg->Css.OnlineChildren, 0);
        TestAndSetLock.Release(in cpu, l);
        MemcgLife.Remove(in cpu, memcg);
    }
}
