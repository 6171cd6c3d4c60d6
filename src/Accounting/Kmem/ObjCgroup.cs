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
// 6.18 has one objcg per group; 7.1 one per group and node, because user pages name it too and move node by node, with their lists.
//
// (J1) a reader loads the owner inside RCU and tries a css reference; (J2) reparent stores the new owner before any reference of the old
// one is put (kill, drains), so a failed try means the new owner is visible or about to be (D8).
//
// Differs from Linux: no task-cached objcg (6.7), so no update bit (E10, E11); statistics of
// bytes are not kept. The list node and the RCU head are separate words (E5).

/// <summary>How many objcgs a group has, and who switches them when it goes.</summary>
public unsafe interface IObjcgForm
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>User pages name the objcg too, so every group needs one, whether or not kernel objects are ever asked for.</summary>
    static virtual bool ServesPages => false;
    /// <summary>Prepares what a group has per node.</summary>
    static virtual void InitMemcgNode(MemcgNode* memcgNode) { }
    /// <summary>Gives a new group its objcgs; false when there is no memory.</summary>
    static abstract bool OnOnline(in ThisCpu cpu, Memcg* memcg, delegate*<in ThisCpu, PerCpuRef*, void> release);
    /// <summary>The objcg for a new object, with a reference; null at the root.</summary>
    static abstract Objcg* Current(in ThisCpu cpu, Memcg* memcg);
    /// <summary>The objcgs become the parent's, unless the residents' answer does it (<see cref="Detach"/>).</summary>
    static abstract void OnOffline(in ThisCpu cpu, Memcg* memcg, Memcg* parent);
    /// <summary>Those of one node become the parent's; the lists of that node are locked. The one to be killed comes back.</summary>
    static virtual Objcg* Detach(in ThisCpu cpu, Memcg* memcg, Memcg* parent, int node) => null;
}

/// <summary>One objcg per group: 5.9 to 7.0, in the form of 6.18.</summary>
public readonly unsafe struct OnePerGroup : IObjcgForm
{
    /// <inheritdoc/>
    public static string Name => "ObjCgroup";

    /// <inheritdoc/>
    public static bool OnOnline(in ThisCpu cpu, Memcg* memcg, delegate*<in ThisCpu, PerCpuRef*, void> release)
    {
        Objcg* objcg = Objcg.Create(in cpu, memcg, release);
        AtomicPtr<Objcg>.Store(&MemcgKmem.Of(memcg)->Objcg, objcg);
        return objcg != null;
    }

    /// <inheritdoc/>
    public static Objcg* Current(in ThisCpu cpu, Memcg* memcg) => Objcg.Get(in cpu, memcg);

    /// <inheritdoc/>
    public static void OnOffline(in ThisCpu cpu, Memcg* memcg, Memcg* parent)
    {
        MemcgKmem* kmem = MemcgKmem.Of(memcg);
        Objcg* active = Objcg.Reparent(in cpu, &kmem->Objcg, &kmem->Owned, &MemcgKmem.Of(parent)->Owned, parent);
        PerCpuRef.Kill(in cpu, &active->Ref);
    }
}

/// <summary>
/// One objcg per group and node, for objects the one of this CPU's node: 7.1. Siblings of one group take turns in a CPU's byte stock, which
/// remembers one objcg (spec 3.11); on a machine of one node nothing of that shows.
/// </summary>
[PatchSeries("Qi Zheng, Muchun Song", "2026", "Eliminate Dying Memory Cgroup (obj_cgroup per node, 01b9da291c49)", "merged in 7.1")]
public readonly unsafe struct OnePerNode : IObjcgForm
{
    /// <inheritdoc/>
    public static string Name => "ObjCgroupPerNode";
    /// <inheritdoc/>
    public static bool ServesPages => true;
    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode) => NodeObjcg.Init(memcgNode);

    /// <inheritdoc/>
    public static bool OnOnline(in ThisCpu cpu, Memcg* memcg, delegate*<in ThisCpu, PerCpuRef*, void> release)
    {
        int nodes = Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes);
        for (int node = 0; node < nodes; node++)
        {
            Objcg* objcg = Objcg.Create(in cpu, memcg, release);
            AtomicPtr<Objcg>.Store(&NodeObjcg.Of(memcg, node)->Active, objcg);
            if (objcg != null) continue;
            while (--node >= 0) Objcg.Discard(in cpu, AtomicPtr<Objcg>.Exchange(&NodeObjcg.Of(memcg, node)->Active, null));
            return false;
        }
        return true;
    }

    /// <inheritdoc/>
    public static Objcg* Current(in ThisCpu cpu, Memcg* memcg)
    {
        Objcg* objcg = Objcg.GetOnNode(in cpu, memcg, Guarded<int>.Get(&GuardedPtr<Node>.Get(&AllocatorCpu.Of(in cpu)->HomeNode)->Index));
        if (Guarded<int>.Get(&objcg->IsRoot) == 0) return objcg;
        PerCpuRef.Put(in cpu, &objcg->Ref);
        return null;
    }

    /// <inheritdoc/>
    public static void OnOffline(in ThisCpu cpu, Memcg* memcg, Memcg* parent) { }

    /// <inheritdoc/>
    public static Objcg* Detach(in ThisCpu cpu, Memcg* memcg, Memcg* parent, int node)
    {
        NodeObjcg* own = NodeObjcg.Of(memcg, node);
        return Objcg.Reparent(in cpu, &own->Active, &own->Owned, &NodeObjcg.Of(parent, node)->Owned, parent);
    }
}

/// <summary>Objects name their owner through a counted pointer; caches are shared; bytes are stocked per CPU. Linux: obj_cgroup.</summary>
[PatchSeries("Roman Gushchin", "2020-06-23", "The new cgroup slab memory controller", "merged in 5.9 (bf4f059954dc); own lock 5.17; form of 6.18")]
public readonly unsafe struct ObjCgroup<TForm> : IKmemDesign where TForm : struct, IObjcgForm
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => TForm.Name;
    /// <inheritdoc/>
    public static bool LeavesResidue => true;
    /// <inheritdoc/>
    /// <remarks>Since 5.11 (3de7d4f25a74): freeing and allocating by turns moves no counter. The name is the stock's, so 5.9 has it too here.</remarks>
    public static bool RefillsStock => true;
    /// <inheritdoc/>
    public static bool ServesPages => TForm.ServesPages;
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent) => MemcgKmem.Init(memcg);
    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode) => TForm.InitMemcgNode(memcgNode);

    /// <inheritdoc/>
    public static void InitCpu<TC>(CpuArea* area) where TC : struct, IMemoryController => ByteStock.Init(area, &ByteStock.DrainOnOwner<ObjcgBytes<TC>>);

    /// <inheritdoc/>
    public static bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController =>
        SlabState.Of(in cpu) == null || TForm.OnOnline(in cpu, memcg, &Release<TC>);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Objcg* Current(in ThisCpu cpu, Memcg* memcg) => TForm.Current(in cpu, memcg);
    /// <inheritdoc/>
    public static Objcg* Detach(in ThisCpu cpu, Memcg* memcg, Memcg* parent, int node) => TForm.Detach(in cpu, memcg, parent, node);

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
    public static Memcg* OwnerOfObject(in ThisCpu cpu, Page* slab, void* obj) => ObjectOwner.Of(in cpu, slab, obj);

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
        TForm.OnOffline(in cpu, memcg, parent);
        DrainStocks<TC>(in cpu, parent); // a stocked objcg is the parent's by now
    }

    /// <summary>obj_cgroup_release: no object, no stock, no group names it. What is left of its bytes is whole pages (E8).</summary>
    private static void Release<TC>(in ThisCpu cpu, PerCpuRef* r) where TC : struct, IMemoryController
    {
        var objcg = (Objcg*)r; // Ref is its first field
        int bytes = AtomicInt.Load(&objcg->Residue);
        if ((bytes & (MemMap.FrameBytes - 1)) != 0) Bug.Fail("objcg: released with a part of a page charged, bytes", bytes);
        if (bytes != 0) Objcg.UnchargePages<TC>(in cpu, objcg, bytes >> MemMap.FrameShift);
        Objcg.Unlink(in cpu, objcg);
    }

    /// <inheritdoc/>
    public static void Count<TC>(in ThisCpu cpu, KmemBooks books) where TC : struct, IMemoryController =>
        books.CountObjects(in cpu, residueInGroup: false, perNode: TForm.ServesPages);
}
