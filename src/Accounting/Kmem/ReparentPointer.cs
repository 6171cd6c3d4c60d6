// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using CssSetLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: a number of objects have to keep a pointer and a reference to a group. Let them keep a
// mem_cgroup_ptr, a counted pointer; on reparenting only its one word changes, instead of a walk over all accounted objects.
//
//   operation     get      charge   reparent         release
//   reparent      - (J)    - (J)    css_set_lock     css_set_lock
//
// A pointer exists before its group's reference counter does, so it cannot take its css reference then: the debt is paid when the group
// goes offline ("never released online"). Posted: kill first, pay afterwards; between the two the pointer may reach 0 and put a reference
// that was never taken (E3). Here the debt is paid before the kill. NULL means "offline, ask the parent" (E1).
//
// (J3) reparent stores the new owner before it puts the old one's references.

/// <summary>Life of the pointers. Linux: mem_cgroup_ptr of the RFC, with its corrected patch of the same day.</summary>
internal static unsafe class MemcgPointer<TC> where TC : struct, IMemoryController
{
    private static LockWord* LockOf(Memcg* memcg) => &Memcg.TreeOf(memcg)->CssSetLock;

    /// <summary>memcg_online_kmem: the group's own pointer, on its own list; no css reference yet.</summary>
    public static bool OnOnline(in ThisCpu cpu, Memcg* memcg)
    {
        Objcg* pointer = Objcg.Create(in cpu, memcg, &Release);
        if (pointer == null) return false;
        MemcgKmem* kmem = MemcgKmem.Of(memcg);
        Guarded<int>.Set(&pointer->Listed, 1);
        IntrusiveList.Add(&kmem->Owned, &pointer->List); // nobody else knows the group
        AtomicPtr<Objcg>.Store(&kmem->Objcg, pointer);
        return true;
    }

    /// <summary>memcg_reparent_ptrs: one store per pointer owned, one splice, n references on the parent for n on the group.</summary>
    public static void Reparent(in ThisCpu cpu, Memcg* memcg, Memcg* parent)
    {
        MemcgKmem* kmem = MemcgKmem.Of(memcg);
        Objcg* own = AtomicPtr<Objcg>.Exchange(&kmem->Objcg, null);
        Css.Get(in cpu, &memcg->Css); // the postponed reference of own; put below (E3: before the kill)
        PerCpuRef.Kill(in cpu, &own->Ref);
        long moved = 0;
        CssSetLock.Acquire(in cpu, LockOf(memcg));
        for (ListHead* at = IntrusiveList.First(&kmem->Owned); at != &kmem->Owned; at = IntrusiveList.NextOf(at), moved++)
            AtomicPtr<Memcg>.Store(&Objcg.OfList(at)->Memcg, parent); // (J3) pairs with (J1) in Objcg.cs
        IntrusiveList.Splice(&MemcgKmem.Of(parent)->Owned, &kmem->Owned);
        Css.GetMany(in cpu, &parent->Css, moved); // put by Release; inside the lock, so that none is put before it is got
        CssSetLock.Release(in cpu, LockOf(memcg));
        Css.PutMany(in cpu, &memcg->Css, moved); // the last access: Offline holds one more
    }

    /// <summary>memcg_ptr_release: reads the owner under the lock that a switch takes (E4), so the reference it puts is the one that was got.</summary>
    private static void Release(in ThisCpu cpu, PerCpuRef* r)
    {
        var pointer = (Objcg*)r; // Ref is its first field
        LockWord* l = LockOf(AtomicPtr<Memcg>.Load(&pointer->Memcg)); // one lock for the whole tree
        CssSetLock.Acquire(in cpu, l);
        IntrusiveList.Remove(&pointer->List);
        Guarded<int>.Set(&pointer->Listed, 0);
        Memcg* owner = AtomicPtr<Memcg>.Load(&pointer->Memcg);
        if (AtomicPtr<Objcg>.Load(&MemcgKmem.Of(owner)->Objcg) == pointer) Objcg.ReleasedOnline(owner); // it owes the group a reference, which only offline takes
        CssSetLock.Release(in cpu, l);
        Css.Put(in cpu, &owner->Css); // got by Reparent
        Objcg.FreeRcu(in cpu, pointer);
    }
}

/// <summary>Every slab page of a group's copies names the group's pointer. The form of the RFC's second patch, on caches per group.</summary>
[PatchSeries("Roman Gushchin", "2019-09-05", "[PATCH RFC 02/14] mm: memcg: introduce mem_cgroup_ptr", "RFC; became obj_cgroup in 5.9")]
public readonly unsafe struct ReparentPointerByPage : ICacheOwner
{
    /// <inheritdoc/>
    public static string Name => "ReparentPointerByPage";
    /// <inheritdoc/>
    public static bool LeavesResidue => true;
    /// <inheritdoc/>
    public static bool PinsCss => false;
    /// <inheritdoc/>
    public static bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => MemcgPointer<TC>.OnOnline(in cpu, memcg);

    /// <inheritdoc/>
    /// <remarks>A group whose copy is created is online or held back by its offline callback, so its pointer is there.</remarks>
    public static void Bind(in ThisCpu cpu, SlabCache* child, Memcg* memcg) => AtomicLong.Init(&child->Owner, (long)Objcg.Get(in cpu, memcg)); // put by Unbind

    /// <inheritdoc/>
    public static void Unbind(in ThisCpu cpu, SlabCache* child) => PerCpuRef.Put(in cpu, &((Objcg*)AtomicLong.Load(&child->Owner))->Ref); // got by Bind

    /// <inheritdoc/>
    /// <remarks>The copies are nobody's concern any more: they go when they are empty. Their list moves so that every copy stays on one.</remarks>
    public static void Reparent<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController =>
        IntrusiveList.Splice(&MemcgKmem.Of(parent)->Caches, &MemcgKmem.Of(memcg)->Caches);

    /// <inheritdoc/>
    public static void AfterOffline<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController => MemcgPointer<TC>.Reparent(in cpu, memcg, parent);

    /// <inheritdoc/>
    public static bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab, Gfp gfp) where TC : struct, IMemoryController
    {
        var pointer = (Objcg*)AtomicLong.Load(&child->Owner);
        if (!Objcg.TryChargePages<TC>(in cpu, pointer, 1, gfp)) return false;
        PerCpuRef.Get(in cpu, &pointer->Ref); // put by Uncharge
        AtomicLong.Store(&slab->Memcg, (long)pointer | KmemWord.Owner);
        return true;
    }

    /// <inheritdoc/>
    public static void Uncharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab) where TC : struct, IMemoryController => OwnedPages<TC>.Uncharge(in cpu, slab, default);
    /// <inheritdoc/>
    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        OwnedPages<TC>.TryCharge(in cpu, page, order, memcg, gfp);
    /// <inheritdoc/>
    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController => OwnedPages<TC>.Uncharge(in cpu, page, order);
    /// <inheritdoc/>
    public static Memcg* OwnerOf(SlabCache* child) => AtomicPtr<Memcg>.Load(&((Objcg*)AtomicLong.Load(&child->Owner))->Memcg);
    /// <inheritdoc/>
    public static Memcg* OwnerOf(long word) => AtomicPtr<Memcg>.Load(&KmemWord.Target<Objcg>(word)->Memcg);
}

/// <summary>Every object names a pointer; caches are shared; bytes are stocked per group. Where the RFC's series of 14 patches ended.</summary>
[PatchSeries("Roman Gushchin", "2019-09-05", "[PATCH RFC 00/14] The new slab memory controller", "RFC; became obj_cgroup in 5.9")]
public readonly unsafe struct ReparentPointer : IKmemDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => "ReparentPointer";
    /// <inheritdoc/>
    public static bool LeavesResidue => true;
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent) => MemcgKmem.Init(memcg);
    /// <inheritdoc/>
    public static void InitCpu<TC>(CpuArea* area) where TC : struct, IMemoryController => ByteStock.Init(area, &ByteStock.DrainOnOwner<GroupBytes<TC>>);
    /// <inheritdoc/>
    public static bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController =>
        SlabState.Of(in cpu) == null || MemcgPointer<TC>.OnOnline(in cpu, memcg);

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController
    {
        void* obj = KmemCache<SlabHook<TC>>.Alloc(in cpu, SlabCache.StateOf(cache), gfp);
        return obj != null && SlabCache.IsAccounted(cache) ? ObjectCharge<GroupBytes<TC>, TC>.Charge(in cpu, cache, obj, memcg, gfp) : obj;
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void Free<TC>(in ThisCpu cpu, Page* slab, void* obj) where TC : struct, IMemoryController =>
        ObjectCharge<GroupBytes<TC>, TC>.Free(in cpu, slab, obj);
    /// <inheritdoc/>
    public static Memcg* OwnerOfObject(in ThisCpu cpu, Page* slab, void* obj) => ObjectOwner.Of(in cpu, slab, obj);

    /// <inheritdoc/>
    public static void OnSlabRelease<TC>(in ThisCpu cpu, SlabCache* cache, Page* slab) where TC : struct, IMemoryController =>
        ObjVector.Release(in cpu, SlabCache.StateOf(cache), slab);
    /// <inheritdoc/>
    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        OwnedPages<TC>.TryCharge(in cpu, page, order, memcg, gfp);
    /// <inheritdoc/>
    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController => OwnedPages<TC>.Uncharge(in cpu, page, order);
    /// <inheritdoc/>
    public static void DrainStocks<TC>(in ThisCpu cpu, Memcg* root) where TC : struct, IMemoryController => ByteStock.DrainAll<GroupBytes<TC>>(in cpu, root);

    /// <inheritdoc/>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        if (SlabState.Of(in cpu) == null) return;
        MemcgPointer<TC>.Reparent(in cpu, memcg, Memcg.ParentOf(memcg));
        DrainStocks<TC>(in cpu, memcg); // a stock holds the group by a css reference
    }

    /// <summary>Unused bytes of a group that dies are its parent's, who paid for them too; the RFC leaves them behind in the group.</summary>
    public static void OnFree<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        Memcg* parent = Memcg.ParentOf(memcg);
        int bytes = AtomicInt.Load(&MemcgKmem.Of(memcg)->Residue);
        if (bytes == 0) return;
        AtomicInt* residue = &MemcgKmem.Of(parent)->Residue;
        AtomicInt.Add(residue, bytes);
        int all = AtomicInt.Exchange(residue, 0); // whoever exchanges owns the bytes
        Charging.UnchargeKmem<TC>(in cpu, parent, all >> MemMap.FrameShift);
        AtomicInt.Add(residue, all & (MemMap.FrameBytes - 1));
    }

    /// <inheritdoc/>
    public static void Count<TC>(in ThisCpu cpu, KmemBooks books) where TC : struct, IMemoryController => books.CountObjects(in cpu, residueInGroup: true);

    /// <inheritdoc/>
    public static void Explain(in ThisCpu cpu, Memcg* memcg, DyingGroup pins)
    {
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
            if (AtomicLong.Load(&SlabCpu.Of(CpuTable.Area(cpu.Table, i))->Stocked) == (long)memcg) pins.ByteStocks++;
    }
}

/// <summary>2019: the stock is keyed by group, holds up to 32 pages, and holds the group by a css reference (patch 01/14).</summary>
public readonly unsafe struct GroupBytes<TC> : IByteOwner where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static long Of(in ThisCpu cpu, Objcg* objcg) => (long)Objcg.GetOwner(in cpu, objcg);
    /// <inheritdoc/>
    public static void Done(in ThisCpu cpu, long owner) => Css.Put(in cpu, &((Memcg*)owner)->Css);
    /// <inheritdoc/>
    public static void Hold(in ThisCpu cpu, long owner) => Css.Get(in cpu, &((Memcg*)owner)->Css);
    /// <inheritdoc/>
    public static void Drop(in ThisCpu cpu, long owner) => Css.Put(in cpu, &((Memcg*)owner)->Css);
    /// <inheritdoc/>
    public static AtomicInt* Residue(long owner) => &MemcgKmem.Of((Memcg*)owner)->Residue;
    /// <inheritdoc/>
    public static Memcg* Group(long owner) => (Memcg*)owner;
    /// <inheritdoc/>
    public static bool TryCharge(in ThisCpu cpu, long owner, int pages, Gfp gfp) => Charging.TryChargeKmem<TC>(in cpu, (Memcg*)owner, pages, gfp);
    /// <inheritdoc/>
    public static void Uncharge(in ThisCpu cpu, long owner, int pages) => Charging.UnchargeKmem<TC>(in cpu, (Memcg*)owner, pages);
    /// <inheritdoc/>
    /// <remarks>One page more than needed when the size is a multiple of it, as posted.</remarks>
    public static int PagesFor(int bytes) => (bytes >> MemMap.FrameShift) + 1;
    /// <inheritdoc/>
    public static int Most => 32 << MemMap.FrameShift;
}
