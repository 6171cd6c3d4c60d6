// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using SlabMutex = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>Where designs with a copy of each cache per group differ: what the copy holds, and what happens to it when the group goes.</summary>
public unsafe interface ICacheOwner
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>A copy's references are counted per CPU (5.3), or in one atomic word.</summary>
    static virtual bool CountsPerCpu => false;
    /// <summary>Kernel objects are charged only where the group was activated (3.8 to 4.4).</summary>
    static virtual bool OptIn => false;
    /// <summary>As in <see cref="IKmemDesign"/>.</summary>
    static abstract bool LeavesResidue { get; }
    /// <summary>As in <see cref="IKmemDesign"/>.</summary>
    static virtual bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => true;
    /// <summary>A new copy belongs to memcg. Slab mutex held.</summary>
    static abstract void Bind(in ThisCpu cpu, SlabCache* child, Memcg* memcg);
    /// <summary>The copy ends; gives back what Bind or the reparenting took. Slab mutex held.</summary>
    static abstract void Unbind(in ThisCpu cpu, SlabCache* child);
    /// <summary>The group is offline: whose list its copies go to (null: they stay) and who owns them. Slab mutex held, slots still filled.</summary>
    static abstract void Reparent<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController;
    /// <summary>After the mutex.</summary>
    static virtual void AfterOffline<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController { }
    /// <summary>Charges a new slab.</summary>
    static abstract bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab, Gfp gfp) where TC : struct, IMemoryController;
    /// <summary>Uncharges an empty one; its word is 0 afterwards.</summary>
    static abstract void Uncharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab) where TC : struct, IMemoryController;
    /// <summary>As in <see cref="IKmemDesign"/>.</summary>
    static virtual bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController => true;
    /// <summary>As in <see cref="IKmemDesign"/>.</summary>
    static virtual void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController { }
    /// <summary>Who pays for a slab of child now.</summary>
    static abstract Memcg* OwnerOf(SlabCache* child);
    /// <summary>Who pays for a block whose word is tagged Owner.</summary>
    static virtual Memcg* OwnerOf(long word) => null;
    /// <summary>True when each copy holds a css reference on its owner.</summary>
    static abstract bool PinsCss { get; }
}

// The problem, in the author's terms: a group must not pay for another group's objects that share a slab with its own; if every group has
// its own copy of a cache, a slab page belongs to one group and is charged as a page.
//
//   slot empty --first allocation--> requested --work--> live --offline, root destroyed--> draining --last slab--> freed
//
//   operation      alloc   free   create   offline   destroy
//   create           -       -     mutex    mutex     mutex      mutex: slab_mutex; alloc and free are inside RCU, so a copy they
//   offline          -       -              mutex     mutex      look at stays in memory, and only the reference count says whether
//   destroy          -       -                        mutex      it may still grow (D4, D6)
//
// Differs from Linux: one mutex for lists and slots as in 3.16 and 5.3, not the two nested ones of the 2014 series (so D9 and D10 cannot
// happen); slabs are single pages (so D19 cannot happen).

/// <summary>A copy of each accounted cache per group. Linux: kmem accounting from 3.8 to 5.8.</summary>
[PatchSeries("Glauber Costa", "2012-12", "slab: allow caches to be per-memcg", "merged in 3.8; replaced by object accounting in 5.9")]
public readonly unsafe struct PerGroupCaches<TOwner> : IKmemDesign where TOwner : struct, ICacheOwner
{
    /// <inheritdoc/>
    public static string Name => TOwner.Name;
    /// <inheritdoc/>
    public static bool LeavesResidue => TOwner.LeavesResidue;
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent)
    {
        MemcgKmem.Init(memcg);
        if (parent != null) AtomicInt.Init(&MemcgKmem.Of(memcg)->Active, AtomicInt.Load(&MemcgKmem.Of(parent)->Active)); // inherited, whatever becomes of the parent's
    }

    /// <summary>Are memcg's objects charged?</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Charges(Memcg* memcg) =>
        memcg != null && !Memcg.IsRoot(memcg) && (!TOwner.OptIn || AtomicInt.Load(&MemcgKmem.Of(memcg)->Active) != 0);

    /// <inheritdoc/>
    public static void InitCpu<TC>(CpuArea* area) where TC : struct, IMemoryController =>
        CpuWork.Init(&SlabCpu.Of(area)->Create, &CacheCreation.Run<TOwner, TC>);

    /// <inheritdoc/>
    public static bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController =>
        SlabState.Of(in cpu) == null || TOwner.OnOnline<TC>(in cpu, memcg);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController
    {
        if (!SlabCache.IsAccounted(cache) || !Charges(memcg)) return KmemCache<SlabHook<TC>>.Alloc(in cpu, SlabCache.StateOf(cache), gfp);
        Rcu.ReadLock(in cpu);
        SlabCache* child = CacheCreation.Find(cache, Guarded<int>.Get(&memcg->Id));
        void* obj = child == null ? AllocUncharged<TC>(in cpu, cache, memcg, gfp) : KmemCache<SlabHook<TC>>.Alloc(in cpu, SlabCache.StateOf(child), gfp);
        Rcu.ReadUnlock(in cpu);
        return obj;
    }

    /// <summary>No copy yet: this object is the root cache's and nobody pays for it (3.8 to 5.8).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* AllocUncharged<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController
    {
        CacheCreation.Request(in cpu, cache, memcg);
        return KmemCache<SlabHook<TC>>.Alloc(in cpu, SlabCache.StateOf(cache), gfp);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free<TC>(in ThisCpu cpu, Page* slab, void* obj) where TC : struct, IMemoryController
    {
        Rcu.ReadLock(in cpu);
        KmemCache<SlabHook<TC>>.Free(in cpu, KmemCacheState.Of(slab), obj);
        Rcu.ReadUnlock(in cpu);
    }

    /// <inheritdoc/>
    public static bool OnNewSlab<TC>(in ThisCpu cpu, SlabCache* cache, Page* slab, Gfp gfp) where TC : struct, IMemoryController =>
        SlabCache.RootOf(cache) == null || TOwner.TryCharge<TC>(in cpu, cache, slab, gfp);

    /// <inheritdoc/>
    public static void OnSlabRelease<TC>(in ThisCpu cpu, SlabCache* cache, Page* slab) where TC : struct, IMemoryController
    {
        if (SlabCache.RootOf(cache) != null) TOwner.Uncharge<TC>(in cpu, cache, slab);
    }

    /// <inheritdoc/>
    public static void OnCacheGone(in ThisCpu cpu, SlabCache* cache)
    {
        IntrusiveList.Remove(&cache->Mine);
        TOwner.Unbind(in cpu, cache);
    }

    /// <inheritdoc/>
    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        !Charges(memcg) || TOwner.TryChargePages<TC>(in cpu, page, order, memcg, gfp);

    /// <inheritdoc/>
    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController =>
        TOwner.UnchargePages<TC>(in cpu, page, order);

    /// <summary>memcg_offline_kmem: flush first, so that no copy appears afterwards (D2); then owners; then every copy that is still this group's own drains.</summary>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        SlabState* slab = SlabState.Of(in cpu);
        if (slab == null) return;
        Memcg* parent = Memcg.ParentOf(memcg);
        CacheCreation.Flush(in cpu);
        SlabMutex.Acquire(in cpu, &slab->Mutex);
        ListHead* mine = &MemcgKmem.Of(memcg)->Caches;
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at)) SlabCaches.ClearSlot(SlabCache.OfMine(at));
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at)) SlabCaches.Deactivate<TC>(in cpu, SlabCache.OfMine(at));
        TOwner.Reparent<TC>(in cpu, memcg, parent);
        SlabMutex.Release(in cpu, &slab->Mutex);
        TOwner.AfterOffline<TC>(in cpu, memcg, parent);
    }

    /// <inheritdoc/>
    public static void Count<TC>(in ThisCpu cpu, KmemBooks books) where TC : struct, IMemoryController =>
        books.CountSlabs(in cpu, &TOwner.OwnerOf, &TOwner.OwnerOf, handsOver: TOwner.LeavesResidue);

    /// <inheritdoc/>
    public static Memcg* OwnerOf(SlabCache* cache) => TOwner.OwnerOf(cache);

    /// <inheritdoc/>
    public static Memcg* OwnerOfObject(in ThisCpu cpu, Page* slab, void* obj)
    {
        SlabCache* cache = SlabCache.Of(KmemCacheState.Of(slab));
        return SlabCache.RootOf(cache) == null ? null : TOwner.OwnerOf(cache);
    }

    /// <inheritdoc/>
    public static void Explain(in ThisCpu cpu, Memcg* memcg, DyingGroup pins)
    {
        if (!TOwner.PinsCss) return;
        ListHead* mine = &MemcgKmem.Of(memcg)->Caches;
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at)) pins.Caches++;
        MemMap* map = MemMap.Of(in cpu);
        for (long pfn = 0; pfn < Guarded<long>.Get(&map->Count); pfn++)
        {
            Page* page = MemMap.PageOf(map, new Pfn(pfn));
            long word = AtomicLong.Load(&page->Memcg);
            if ((word & KmemWord.Owner) != 0 && !PageOps.Test(page, PageFlags.Slab) && TOwner.OwnerOf(word) == memcg) pins.KernelPages++;
        }
    }
}
