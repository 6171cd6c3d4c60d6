// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Charge and uncharge of single objects of shared caches. Linux: memcg_slab_post_alloc_hook, memcg_slab_free_hook, mm/slab.h 5.9.</summary>
public static unsafe class ObjectCharge<TOwner, TC> where TOwner : struct, IByteOwner where TC : struct, IMemoryController
{
    /// <summary>Makes memcg, or the nearest ancestor that is online, pay for obj; refused, obj is freed and null comes back. The root's objects are free of charge.</summary>
    public static void* Charge(in ThisCpu cpu, SlabCache* cache, void* obj, Memcg* memcg, Gfp gfp)
    {
        Objcg* objcg = TC.KmemCurrent(in cpu, memcg); // put by Free, or below
        if (objcg == null) return obj;
        KmemCacheState* state = SlabCache.StateOf(cache);
        Page* slab = MemMap.PageOfAddress(MemMap.Of(in cpu), obj);
        GuardedPtr<Objcg>* slot = ObjVector.FindOrCreate(in cpu, state, slab, obj);
        if (slot == null) return Refused(in cpu, state, obj, objcg);
        long owner = TOwner.Of(in cpu, objcg);
        bool charged = ByteStock.TryCharge<TOwner>(in cpu, owner, ObjVector.Cost(state), gfp);
        TOwner.Done(in cpu, owner);
        if (!charged) return Refused(in cpu, state, obj, objcg);
        GuardedPtr<Objcg>.Set(slot, objcg);
        return obj;
    }

    /// <summary>Allocated first, charged afterwards, refused: the object goes the normal way. Its slot is empty, so nothing is given back (E13).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* Refused(in ThisCpu cpu, KmemCacheState* state, void* obj, Objcg* objcg)
    {
        PerCpuRef.Put(in cpu, &objcg->Ref);
        KmemCache<SlabHook<TC>>.Free(in cpu, state, obj);
        return null;
    }

    /// <summary>The object's owner of now gets the bytes; then the object goes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(in ThisCpu cpu, Page* slab, void* obj)
    {
        KmemCacheState* state = KmemCacheState.Of(slab);
        GuardedPtr<Objcg>* slot = ObjVector.Find(in cpu, state, slab, obj);
        if (slot != null)
        {
            Objcg* objcg = GuardedPtr<Objcg>.Get(slot);
            if (objcg != null) Uncharge(in cpu, state, slot, objcg);
        }
        Native.Rcu.ReadLock(in cpu); // a dying root cache is looked at until its slab is gone (D6)
        KmemCache<SlabHook<TC>>.Free(in cpu, state, obj);
        Native.Rcu.ReadUnlock(in cpu);
    }

    private static void Uncharge(in ThisCpu cpu, KmemCacheState* state, GuardedPtr<Objcg>* slot, Objcg* objcg)
    {
        GuardedPtr<Objcg>.Set(slot, null);
        long owner = TOwner.Of(in cpu, objcg);
        ByteStock.Refill<TOwner>(in cpu, owner, ObjVector.Cost(state), mayUncharge: true);
        TOwner.Done(in cpu, owner);
        PerCpuRef.Put(in cpu, &objcg->Ref); // got by Charge
    }
}

/// <summary>From an object of a shared cache to its group. Linux: mem_cgroup_from_slab_obj.</summary>
public static unsafe class ObjectOwner
{
    /// <summary>Who pays for a live object, or null; the caller is inside RCU.</summary>
    public static Memcg* Of(in ThisCpu cpu, Page* slab, void* obj)
    {
        GuardedPtr<Objcg>* slot = ObjVector.Find(in cpu, KmemCacheState.Of(slab), slab, obj);
        Objcg* objcg = slot == null ? null : GuardedPtr<Objcg>.Get(slot);
        return objcg == null ? null : AtomicPtr<Memcg>.Load(&objcg->Memcg);
    }
}

/// <summary>Whole blocks that name their owner in their own word: large kmalloc, pipe buffers, stacks. Linux: __memcg_kmem_charge_page, 5.13.</summary>
public static unsafe class OwnedPages<TC> where TC : struct, IMemoryController
{
    /// <summary>Charges the block to memcg's objcg.</summary>
    public static bool TryCharge(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp)
    {
        Objcg* objcg = TC.KmemCurrent(in cpu, memcg); // put by Uncharge, or below
        if (objcg == null) return true;
        if (!Objcg.TryChargePages<TC>(in cpu, objcg, (int)order.Pages, gfp))
        {
            PerCpuRef.Put(in cpu, &objcg->Ref);
            return false;
        }
        AtomicLong.Store(&page->Memcg, (long)objcg | KmemWord.Owner);
        return true;
    }

    /// <summary>Uncharges whoever owns that objcg now.</summary>
    public static void Uncharge(in ThisCpu cpu, Page* page, Order order)
    {
        Objcg* objcg = KmemWord.Target<Objcg>(AtomicLong.Load(&page->Memcg));
        AtomicLong.Store(&page->Memcg, 0);
        Objcg.UnchargePages<TC>(in cpu, objcg, (int)order.Pages);
        PerCpuRef.Put(in cpu, &objcg->Ref); // got by TryCharge
    }
}
