// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: a cache per group and kind leaves most of its slabs half empty (45 to 65 % in use), and a group
// cannot die before its caches. If every object names its owner, all groups can share one cache; if it names the owner through a counted
// pointer, a group can go while its objects live.
//
//   active (its group's, on no list) --offline: NULL, owner := parent, on the parent's list, kill--> inherited --last object--> released --RCU--> freed
//
//   operation     get, charge   uncharge   reparent   release
//   reparent           - (J)       - (J)      lock       lock      lock: objcg_lock, a leaf (E9)
//   release            -           -          lock       lock
//
// (J1) a reader loads the owner inside RCU and tries a css reference; (J2) reparent stores the new owner before any reference of the old
// one is put (kill, drains), so a failed try means the new owner is visible or about to be (D8).
//
// Differs from Linux: no task-cached objcg (6.7), so no update bit (E10, E11); uncharge does not refill the page stock; statistics of
// bytes are not kept. The list node and the RCU head are separate words (E5).

/// <summary>Objects name their owner through a counted pointer; caches are shared; bytes are stocked per CPU. Linux: obj_cgroup, form of 6.18.</summary>
[PatchSeries("Roman Gushchin", "2020-06-23", "The new cgroup slab memory controller", "merged in 5.9 (bf4f059954dc); own lock 5.17; form of 6.18")]
public readonly unsafe struct ObjCgroup : IKmemDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;
    // objcg_lock is substrate: nobody on a hot path takes it.
    private static LockWord* LockOf(in ThisCpu cpu) => &SlabState.Of(in cpu)->ObjcgLock;

    /// <inheritdoc/>
    public static string Name => "ObjCgroup";
    /// <inheritdoc/>
    public static bool LeavesResidue => true;
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent) => MemcgKmem.Init(memcg);
    /// <inheritdoc/>
    public static void InitCpu<TC>(CpuArea* area) where TC : struct, IMemoryController => ByteStock.Init(area, &ByteStock.DrainOnOwner<ObjcgBytes<TC>>);

    /// <inheritdoc/>
    public static bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        if (SlabState.Of(in cpu) == null) return true;
        Objcg* objcg = Objcg.Create(in cpu, memcg, &Release<TC>);
        AtomicPtr<Objcg>.Store(&MemcgKmem.Of(memcg)->Objcg, objcg);
        return objcg != null;
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController
    {
        void* obj = KmemCache<SlabHook<TC>>.Alloc(in cpu, SlabCache.StateOf(cache), gfp);
        return obj != null && SlabCache.IsAccounted(cache) ? ObjectCharge<ObjcgBytes<TC>, TC>.Charge(in cpu, cache, obj, memcg, gfp) : obj;
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void Free<TC>(in ThisCpu cpu, Page* slab, void* obj) where TC : struct, IMemoryController =>
        ObjectCharge<ObjcgBytes<TC>, TC>.Free(in cpu, slab, obj);

    /// <inheritdoc/>
    public static void OnSlabRelease<TC>(in ThisCpu cpu, SlabCache* cache, Page* slab) where TC : struct, IMemoryController =>
        ObjVector.Release(in cpu, SlabCache.StateOf(cache), slab);

    /// <inheritdoc/>
    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        OwnedPages<TC>.TryCharge(in cpu, page, order, memcg, gfp);

    /// <inheritdoc/>
    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController =>
        OwnedPages<TC>.Uncharge(in cpu, page, order);

    /// <inheritdoc/>
    public static void DrainStocks<TC>(in ThisCpu cpu, Memcg* root) where TC : struct, IMemoryController => ByteStock.DrainAll<ObjcgBytes<TC>>(in cpu, root);

    /// <summary>memcg_offline_kmem: one store per objcg owned, whatever the number of objects; then the active one loses its base reference.</summary>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        if (SlabState.Of(in cpu) == null) return;
        Memcg* parent = Memcg.ParentOf(memcg);
        MemcgKmem* kmem = MemcgKmem.Of(memcg);
        TestAndSetLock.Acquire(in cpu, LockOf(in cpu));
        Objcg* active = AtomicPtr<Objcg>.Exchange(&kmem->Objcg, null);
        IntrusiveList.Add(&kmem->Owned, &active->List);
        Guarded<int>.Set(&active->Listed, 1);
        for (ListHead* at = IntrusiveList.First(&kmem->Owned); at != &kmem->Owned; at = IntrusiveList.NextOf(at))
            AtomicPtr<Memcg>.Store(&Objcg.OfList(at)->Memcg, parent); // (J2) pairs with (J1) in Objcg.cs
        IntrusiveList.Splice(&MemcgKmem.Of(parent)->Owned, &kmem->Owned);
        TestAndSetLock.Release(in cpu, LockOf(in cpu));
        PerCpuRef.Kill(in cpu, &active->Ref);
        DrainStocks<TC>(in cpu, parent); // a stocked objcg is the parent's by now
    }

    /// <summary>obj_cgroup_release: no object, no stock, no group names it. What is left of its bytes is whole pages (E8).</summary>
    private static void Release<TC>(in ThisCpu cpu, PerCpuRef* r) where TC : struct, IMemoryController
    {
        var objcg = (Objcg*)r; // Ref is its first field
        int bytes = AtomicInt.Load(&objcg->Residue);
        if ((bytes & (MemMap.FrameBytes - 1)) != 0) Bug.Fail("objcg: released with a part of a page charged, bytes", bytes);
        if (bytes != 0) Objcg.UnchargePages<TC>(in cpu, objcg, bytes >> MemMap.FrameShift);
        TestAndSetLock.Acquire(in cpu, LockOf(in cpu));
        IntrusiveList.Remove(&objcg->List);
        Guarded<int>.Set(&objcg->Listed, 0);
        TestAndSetLock.Release(in cpu, LockOf(in cpu));
        Objcg.FreeRcu(in cpu, objcg);
    }

    /// <inheritdoc/>
    public static void Count<TC>(in ThisCpu cpu, KmemBooks books) where TC : struct, IMemoryController => books.CountObjects(in cpu, residueInGroup: false);

}
