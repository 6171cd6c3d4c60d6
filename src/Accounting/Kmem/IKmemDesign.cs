// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// What holds a dead group's kernel objects? A design decides which cache serves an allocation, who pays, and what becomes of charge and
/// owner when the group goes. The defaults are those of a kernel that charges kernel objects to nobody.
/// </summary>
public unsafe interface IKmemDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }

    /// <summary>True when what was charged through a group may be uncharged through its parent, so that a dead group's own counter need not be 0 (E6).</summary>
    static virtual bool LeavesResidue => false;

    /// <summary>Do user pages name this design's objcgs? Then every group has them, and the slab layer is there before the first group.</summary>
    static virtual bool ServesPages => false;
    /// <summary>Are pages of kernel memory that are uncharged kept in this CPU's stock?</summary>
    static virtual bool RefillsStock => false;

    // Life

    /// <summary>Prepares a new group's state; parent is null for the root.</summary>
    static abstract void InitMemcg(Memcg* memcg, Memcg* parent);
    /// <summary>Prepares a new group's state on one node.</summary>
    static virtual void InitMemcgNode(MemcgNode* memcgNode) { }
    /// <summary>Prepares per-CPU state.</summary>
    static virtual void InitCpu<TC>(CpuArea* area) where TC : struct, IMemoryController { }
    /// <summary>memcg_online_kmem: what a new group needs memory for. False when there is none: the group is not made. Not called for the root.</summary>
    static virtual bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => true;
    /// <summary>The group goes offline; its children did before (H8).</summary>
    static virtual void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController { }
    /// <summary>css_free: the last reference is gone, a grace period is over; the parent is still there.</summary>
    static virtual void OnFree<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController { }

    // Objects and pages

    /// <summary>An object of cache, charged to memcg where the cache is accounted; null when there is no page, or the group may not have it.</summary>
    static abstract void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController;
    /// <summary>An object comes back, on whichever CPU. slab is the struct page of its frame.</summary>
    static abstract void Free<TC>(in ThisCpu cpu, Page* slab, void* obj) where TC : struct, IMemoryController;
    /// <summary>Charges a block of pages (large kmalloc, pipe buffers, stacks) to memcg and remembers who pays; false leaves nothing behind.</summary>
    static virtual bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController => true;
    /// <summary>The block goes back: whoever pays for it now stops, and the page's word is 0.</summary>
    static virtual void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController { }
    /// <summary>A page becomes a slab of cache; false gives it back.</summary>
    static virtual bool OnNewSlab<TC>(in ThisCpu cpu, SlabCache* cache, Page* slab, Gfp gfp) where TC : struct, IMemoryController => true;
    /// <summary>An empty slab of cache is about to be freed: its word must be 0 afterwards.</summary>
    static virtual void OnSlabRelease<TC>(in ThisCpu cpu, SlabCache* cache, Page* slab) where TC : struct, IMemoryController { }
    /// <summary>The last slab of a dying cache is gone: it leaves whatever lists the design keeps. Under the slab mutex.</summary>
    static virtual void OnCacheGone(in ThisCpu cpu, SlabCache* cache) { }

    /// <summary>The objcg that new objects and blocks of memcg point to, with a reference; null where nobody pays.</summary>
    static virtual Objcg* Current(in ThisCpu cpu, Memcg* memcg) => Objcg.Get(in cpu, memcg);
    /// <summary>The objcgs of one node become the parent's while both groups' list locks are held; the active one comes back, to be killed (7.1).</summary>
    static virtual Objcg* Detach(in ThisCpu cpu, Memcg* memcg, Memcg* parent, int node) => null;
    /// <summary>Who pays for a live object now; the caller is inside RCU. Null: nobody, so the root.</summary>
    static virtual Memcg* OwnerOfObject(in ThisCpu cpu, Page* slab, void* obj) => null;

    // Stocks and books

    /// <summary>Returns stocked bytes of root's subtree: this CPU's at once, the others' at their next poll.</summary>
    static virtual void DrainStocks<TC>(in ThisCpu cpu, Memcg* root) where TC : struct, IMemoryController { }
    /// <summary>Who owns a charged slab, block or object (the audit's walk finds it): the group that pays now, or null for nobody.</summary>
    static virtual void Count<TC>(in ThisCpu cpu, KmemBooks books) where TC : struct, IMemoryController { }
    /// <summary>Who pays for the slabs of a group's copy of a cache; null where there are no copies.</summary>
    static virtual Memcg* OwnerOf(SlabCache* cache) => null;
    /// <summary>What of this axis holds a css reference on memcg; at quiescence.</summary>
    static virtual void Explain(in ThisCpu cpu, Memcg* memcg, DyingGroup pins) { }
}
