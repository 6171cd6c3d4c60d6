// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Copies that name their group directly, and charge and uncharge by cache, whoever allocates (patch 7 of 2014; D7).</summary>
internal static unsafe class CacheOwner
{
    /// <summary>The owner with a css reference (put by Css.Put).</summary>
    public static Memcg* Get(in ThisCpu cpu, SlabCache* child)
    {
        Rcu.ReadLock(in cpu);
        long word = AtomicLong.Load(&child->Owner); // (K1) pairs with (K2) in CacheOwners.cs
        // A group without references was replaced before its last put (D8): the new owner's store ends the wait.
        while (!Css.TryGet(in cpu, &((Memcg*)word)->Css)) word = AtomicLong.AwaitNot(&child->Owner, word);
        Rcu.ReadUnlock(in cpu);
        return (Memcg*)word;
    }

    /// <summary>memcg_charge_slab.</summary>
    public static bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Gfp gfp) where TC : struct, IMemoryController
    {
        Memcg* memcg = Get(in cpu, child);
        bool charged = Charging.TryChargeKmem<TC>(in cpu, memcg, 1, gfp);
        Css.Put(in cpu, &memcg->Css);
        return charged;
    }

    /// <summary>memcg_uncharge_slab: the owner of before a switch keeps its residue, the one of after does not notice (E6). RCU keeps either from being recycled.</summary>
    public static void Uncharge<TC>(in ThisCpu cpu, SlabCache* child) where TC : struct, IMemoryController
    {
        Rcu.ReadLock(in cpu);
        Charging.UnchargeKmem<TC>(in cpu, (Memcg*)AtomicLong.Load(&child->Owner), 1);
        Rcu.ReadUnlock(in cpu);
    }

    /// <summary>All copies of memcg become parent's; returns how many.</summary>
    public static long MoveAll(Memcg* memcg, Memcg* parent)
    {
        ListHead* mine = &MemcgKmem.Of(memcg)->Caches;
        long moved = 0;
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at), moved++)
        {
            SlabCache* child = SlabCache.OfMine(at);
            if (AtomicLong.Load(&child->Owner) != (long)memcg) Bug.Fail("kmem: a cache on a group's list has another owner", Guarded<long>.Get(&child->Serial));
            AtomicLong.Store(&child->Owner, (long)parent); // (K2) pairs with (K1) in CacheOwners.cs: before any put of memcg's references
        }
        IntrusiveList.Splice(&MemcgKmem.Of(parent)->Caches, mine);
        return moved;
    }
}

// The problem this answer is: each copy holds its group until its last object is freed, wherever that object is. A single dentry that
// nobody reclaims keeps the group with everything it has per CPU and per node. That is what the 2014 series set out to cure.

/// <summary>A copy holds a css reference until it is empty; a removed group with a live object stays. Linux 3.8 to 5.2, the form of 3.14.</summary>
/// <remarks>
/// 3.14 decides the end of a copy by a dead flag and a count of pages, between which the last free can fall (D3); here one count does, as
/// patch 2 of 2014 has it. Dead copies keep no empty slabs, as since 4.0 (D17).
/// </remarks>
[PatchSeries("Glauber Costa", "2012-12", "memcg: destroy memcg caches; keep the memcg alive until they are gone", "merged in 3.8; replaced in 5.3")]
public readonly unsafe struct PerCachePin : ICacheOwner
{
    /// <inheritdoc/>
    public static string Name => "PerCachePin";
    /// <inheritdoc/>
    public static bool OptIn => true;
    /// <inheritdoc/>
    public static bool LeavesResidue => false;
    /// <inheritdoc/>
    public static bool PinsCss => true;

    /// <inheritdoc/>
    public static void Bind(in ThisCpu cpu, SlabCache* child, Memcg* memcg)
    {
        Css.Get(in cpu, &memcg->Css); // put by Unbind: the pin
        AtomicLong.Init(&child->Owner, (long)memcg);
    }

    /// <inheritdoc/>
    public static void Unbind(in ThisCpu cpu, SlabCache* child) => Css.Put(in cpu, &((Memcg*)AtomicLong.Load(&child->Owner))->Css); // got by Bind

    /// <inheritdoc/>
    public static void Reparent<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    public static bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab, Gfp gfp) where TC : struct, IMemoryController => CacheOwner.TryCharge<TC>(in cpu, child, gfp);
    /// <inheritdoc/>
    public static void Uncharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab) where TC : struct, IMemoryController => CacheOwner.Uncharge<TC>(in cpu, child);

    /// <inheritdoc/>
    /// <remarks>A block holds a css reference of its own, as every charged page since 3.19; 3.14 had none and could touch a freed group (D14).</remarks>
    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController
    {
        if (!Charging.TryChargeKmem<TC>(in cpu, memcg, (int)order.Pages, gfp)) return false;
        Css.Get(in cpu, &memcg->Css); // put by UnchargePages
        AtomicLong.Store(&page->Memcg, (long)memcg | KmemWord.Owner);
        return true;
    }

    /// <inheritdoc/>
    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController
    {
        Memcg* memcg = KmemWord.Target<Memcg>(AtomicLong.Load(&page->Memcg));
        AtomicLong.Store(&page->Memcg, 0);
        Charging.UnchargeKmem<TC>(in cpu, memcg, (int)order.Pages);
        Css.Put(in cpu, &memcg->Css); // got by TryChargePages
    }

    /// <inheritdoc/>
    public static Memcg* OwnerOf(SlabCache* child) => (Memcg*)AtomicLong.Load(&child->Owner);
    /// <inheritdoc/>
    public static Memcg* OwnerOf(long word) => KmemWord.Target<Memcg>(word);
}

// The problem, in its author's terms: a cache's css reference keeps its group hanging around for quite a long time after the death. If the
// slab layer charges by cache, moving a cache to the parent moves its charge, and the group may go at once.
//
// The price: one step per cache at offline, and caches that nobody empties stay with the parent, group after group ("dangling").
// Large kmalloc and stacks have no cache to find an owner by: they are not charged (patches 8 and 9).

/// <summary>At offline every copy becomes the parent's; no copy holds a css reference. The series of 2014, corrected: D4 and D6 by RCU around use.</summary>
[PatchSeries("Vladimir Davydov", "2014-02-26", "kmemcg reparenting (patches 1 to 12)", "not merged; parts in 3.16, the idea again in 5.3")]
public readonly unsafe struct ReparentCaches : ICacheOwner
{
    /// <inheritdoc/>
    public static string Name => "ReparentCaches";
    /// <inheritdoc/>
    public static bool OptIn => true;
    /// <inheritdoc/>
    public static bool LeavesResidue => true;
    /// <inheritdoc/>
    public static bool PinsCss => false;
    /// <inheritdoc/>
    public static void Bind(in ThisCpu cpu, SlabCache* child, Memcg* memcg) => AtomicLong.Init(&child->Owner, (long)memcg);
    /// <inheritdoc/>
    public static void Unbind(in ThisCpu cpu, SlabCache* child) { }
    /// <inheritdoc/>
    public static void Reparent<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController => CacheOwner.MoveAll(memcg, parent);
    /// <inheritdoc/>
    public static bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab, Gfp gfp) where TC : struct, IMemoryController => CacheOwner.TryCharge<TC>(in cpu, child, gfp);
    /// <inheritdoc/>
    public static void Uncharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab) where TC : struct, IMemoryController => CacheOwner.Uncharge<TC>(in cpu, child);
    /// <inheritdoc/>
    public static Memcg* OwnerOf(SlabCache* child) => (Memcg*)AtomicLong.Load(&child->Owner);
}

/// <summary>
/// Copies are reparented, are counted by a percpu_ref each, and hold one css reference on whoever owns them: n are taken on the parent at
/// once, one per copy is put on the group.
/// </summary>
[PatchSeries("Roman Gushchin", "2019-06-11", "mm: reparent slab memory on cgroup removal", "merged in 5.3; removed with per-group caches in 5.9")]
public readonly unsafe struct ReparentCachesRef : ICacheOwner
{
    /// <inheritdoc/>
    public static string Name => "ReparentCachesRef";
    /// <inheritdoc/>
    public static bool CountsPerCpu => true;
    /// <inheritdoc/>
    public static bool LeavesResidue => true;
    /// <inheritdoc/>
    public static bool PinsCss => true;
    /// <inheritdoc/>
    public static void Bind(in ThisCpu cpu, SlabCache* child, Memcg* memcg) => PerCachePin.Bind(in cpu, child, memcg);
    /// <inheritdoc/>
    public static void Unbind(in ThisCpu cpu, SlabCache* child) => PerCachePin.Unbind(in cpu, child);

    /// <inheritdoc/>
    public static void Reparent<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController
    {
        long moved = CacheOwner.MoveAll(memcg, parent);
        if (moved == 0) return;
        Css.GetMany(in cpu, &parent->Css, moved); // put by Unbind; the mutex keeps every copy until then
        Css.PutMany(in cpu, &memcg->Css, moved); // got by Bind; Offline still holds one
    }

    /// <inheritdoc/>
    public static bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab, Gfp gfp) where TC : struct, IMemoryController => CacheOwner.TryCharge<TC>(in cpu, child, gfp);
    /// <inheritdoc/>
    public static void Uncharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab) where TC : struct, IMemoryController => CacheOwner.Uncharge<TC>(in cpu, child);
    /// <inheritdoc/>
    /// <remarks>Charged to its group with a css reference, as 5.3's page->mem_cgroup: large kmalloc and stacks still pin.</remarks>
    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        PerCachePin.TryChargePages<TC>(in cpu, page, order, memcg, gfp);
    /// <inheritdoc/>
    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController =>
        PerCachePin.UnchargePages<TC>(in cpu, page, order);
    /// <inheritdoc/>
    public static Memcg* OwnerOf(SlabCache* child) => (Memcg*)AtomicLong.Load(&child->Owner);
    /// <inheritdoc/>
    public static Memcg* OwnerOf(long word) => KmemWord.Target<Memcg>(word);
}
