// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using SlabMutex = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>A cache to be created: which, for whom; holds a css reference on the group.</summary>
[SharedState, StructLayout(LayoutKind.Sequential)]
internal unsafe struct CacheRequest
{
    /// <summary>L: QueueLock.</summary>
    public ListHead List;
    /// <summary>I: of what.</summary>
    public GuardedPtr<SlabCache> Root;
    /// <summary>I: for whom.</summary>
    public GuardedPtr<Memcg> Memcg;
}

/// <summary>
/// Copies are created from a queue, because an allocation may not create a cache in the middle of itself. Linux: memcg_create_cache_enqueue
/// and its workqueue, 3.8 to 5.8; a queue of its own since patch 1 of 2014, so that it can be flushed.
/// </summary>
/// <remarks>Flushing is working the queue off: whoever holds the slab mutex afterwards knows that no request of before is left or half done.</remarks>
public static unsafe class CacheCreation
{
    /// <summary>Asks for memcg's copy of root; the caller is inside RCU and goes on with the root cache. A group that was removed gets none.</summary>
    public static void Request(in ThisCpu cpu, SlabCache* root, Memcg* memcg)
    {
        if (!Css.TryGetOnline(in cpu, &memcg->Css)) return; // put by Run, or below
        SlabState* slab = SlabState.Of(in cpu);
        var request = (CacheRequest*)Kmalloc.Alloc(in cpu, sizeof(CacheRequest));
        bool queued = false;
        if (request != null)
        {
            GuardedPtr<SlabCache>.Set(&request->Root, root);
            GuardedPtr<Memcg>.Set(&request->Memcg, memcg);
            SlabMutex.Acquire(in cpu, &slab->QueueLock);
            queued = Guarded<int>.Get(&root->Dying) == 0; // D18
            if (queued) IntrusiveList.AddTail(&slab->Queue, &request->List);
            SlabMutex.Release(in cpu, &slab->QueueLock);
        }
        if (queued)
        {
            CpuWork.Queue(cpu.Area, &SlabCpu.Of(cpu.Area)->Create);
            return;
        }
        Kmalloc.Free(in cpu, request);
        Css.Put(in cpu, &memcg->Css);
    }

    /// <summary>Every request made before the call is served or dropped at return.</summary>
    public static void Flush(in ThisCpu cpu)
    {
        CpuWork* work = &SlabCpu.Of(cpu.Area)->Create;
        var run = (delegate*<in ThisCpu, CpuWork*, void>)Guarded<nint>.Get(&work->Function);
        if (run != null) run(in cpu, work);
    }

    /// <summary>The work: serves the queue.</summary>
    internal static void Run<TOwner, TC>(in ThisCpu cpu, CpuWork* work) where TOwner : struct, ICacheOwner where TC : struct, IMemoryController
    {
        SlabState* slab = SlabState.Of(in cpu);
        SlabMutex.Acquire(in cpu, &slab->Mutex);
        while (Pop(in cpu, slab) is var request && request != null)
        {
            Memcg* memcg = GuardedPtr<Memcg>.Get(&request->Memcg);
            Create<TOwner, TC>(in cpu, GuardedPtr<SlabCache>.Get(&request->Root), memcg);
            Kmalloc.Free(in cpu, request);
            Css.Put(in cpu, &memcg->Css); // got by Request
        }
        SlabMutex.Release(in cpu, &slab->Mutex);
    }

    private static CacheRequest* Pop(in ThisCpu cpu, SlabState* slab)
    {
        SlabMutex.Acquire(in cpu, &slab->QueueLock);
        ListHead* first = IntrusiveList.First(&slab->Queue);
        bool empty = first == &slab->Queue;
        if (!empty) IntrusiveList.Remove(first);
        SlabMutex.Release(in cpu, &slab->QueueLock);
        return empty ? null : (CacheRequest*)first; // List is its first field
    }

    /// <summary>One copy per root and group: of two requests the second finds the slot filled (D12). Failure leaves the group on the root cache.</summary>
    private static void Create<TOwner, TC>(in ThisCpu cpu, SlabCache* root, Memcg* memcg) where TOwner : struct, ICacheOwner where TC : struct, IMemoryController
    {
        int id = Guarded<int>.Get(&memcg->Id);
        CacheSlots* slots = Slots(in cpu, root, id);
        if (slots == null || AtomicPtr<SlabCache>.Load(CacheSlots.At(slots, id)) != null) return;
        SlabCache* child = SlabCaches.Copy<TC>(in cpu, root, id, TOwner.CountsPerCpu);
        if (child == null) return;
        TOwner.Bind(in cpu, child, memcg);
        IntrusiveList.Add(&MemcgKmem.Of(memcg)->Caches, &child->Mine);
        AtomicPtr<SlabCache>.Store(CacheSlots.At(slots, id), child); // release: its fields before it (D13)
    }

    /// <summary>root's array with a slot for id: twice what is needed, published whole, the old one freed when no reader looks at it.</summary>
    private static CacheSlots* Slots(in ThisCpu cpu, SlabCache* root, int id)
    {
        CacheSlots* old = AtomicPtr<CacheSlots>.Load(&root->Slots);
        int had = old == null ? 0 : Guarded<int>.Get(&old->Size);
        if (id < had) return old;
        int size = Math.Clamp(2 * (id + 1), CacheSlots.Least, CacheSlots.Most);
        if (id >= size) return null;
        var grown = (CacheSlots*)Kmalloc.AllocZeroed(in cpu, CacheSlots.BytesFor(size));
        if (grown == null) return null;
        Guarded<int>.Set(&grown->Size, size);
        for (int i = 0; i < had; i++) AtomicPtr<SlabCache>.Init(CacheSlots.At(grown, i), AtomicPtr<SlabCache>.Load(CacheSlots.At(old, i)));
        AtomicPtr<CacheSlots>.Store(&root->Slots, grown);
        if (old != null) Rcu.Call(in cpu, &old->Rcu, &FreeSlots);
        return grown;
    }

    private static void FreeSlots(in ThisCpu cpu, RcuHead* head) => Kmalloc.Free(in cpu, (byte*)head - CacheSlots.RcuOffset);

    /// <summary>memcg's copy of root, or null; the caller is inside RCU and holds no reference on what it gets.</summary>
    public static SlabCache* Find(SlabCache* root, int id)
    {
        CacheSlots* slots = AtomicPtr<CacheSlots>.Load(&root->Slots);
        return slots == null || id >= Guarded<int>.Get(&slots->Size) ? null : AtomicPtr<SlabCache>.Load(CacheSlots.At(slots, id));
    }
}
