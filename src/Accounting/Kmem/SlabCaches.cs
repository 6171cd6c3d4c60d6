// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
// slab_mutex is a mutex in Linux and no axis; holders here never wait, so it spins.
using SlabMutex = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>Life of caches made while the machine runs: roots and groups' copies. Linux: mm/slab_common.c, 3.13 to 5.8.</summary>
public static unsafe class SlabCaches
{
    /// <summary>kmem_cache_create: a root cache, named by Slab.Name, objects of up to <see cref="KmemCache.MaxObjectBytes"/>; null when there is no memory.</summary>
    public static SlabCache* Create<TC>(in ThisCpu cpu, int name, int objectBytes, bool accounted, bool checkObjects = false) where TC : struct, IMemoryController
    {
        if (objectBytes is < 1 or > KmemCache.MaxObjectBytes) Bug.Fail("slab: cache for objects of bytes", objectBytes);
        SlabState* slab = SlabState.Of(in cpu);
        SlabCache* cache = Allocate<TC>(in cpu, slab, perCpuRef: false);
        if (cache == null) return null;
        KmemCacheSetup.Init(SlabCache.StateOf(cache), GuardedPtr<AllocatorState>.Get(&slab->Allocator), Guarded<int>.Get(&slab->Cpus), objectBytes, 8, checkObjects);
        if (!Complete(in cpu, cache)) return null;
        Guarded<int>.Set(&cache->Accounted, accounted ? 1 : 0);
        Guarded<int>.Set(&cache->Id, name);
        SlabMutex.Acquire(in cpu, &slab->Mutex);
        IntrusiveList.AddTail(&slab->Caches, &cache->All);
        SlabMutex.Release(in cpu, &slab->Mutex);
        return cache;
    }

    /// <summary>
    /// kmem_cache_destroy: nobody allocates from it any more. Objects may still be out: the cache and its copies go with their last one
    /// (Linux complains and leaks; here a late free is a normal one).
    /// </summary>
    public static void Destroy<TC>(in ThisCpu cpu, SlabCache* root) where TC : struct, IMemoryController
    {
        SlabState* slab = SlabState.Of(in cpu);
        SlabMutex.Acquire(in cpu, &slab->QueueLock);
        Guarded<int>.Set(&root->Dying, 1); // whoever enqueues tests it under the same lock (D18)
        SlabMutex.Release(in cpu, &slab->QueueLock);
        CacheCreation.Flush(in cpu); // no copy of root is created afterwards (D1)
        SlabMutex.Acquire(in cpu, &slab->Mutex);
        for (ListHead* at = IntrusiveList.First(&root->Siblings); at != &root->Siblings; at = IntrusiveList.NextOf(at))
        {
            SlabCache* child = SlabCache.OfSibling(at);
            ClearSlot(child);
            Deactivate<TC>(in cpu, child);
        }
        SlabMutex.Release(in cpu, &slab->Mutex);
        Deactivate<TC>(in cpu, root, again: true);
    }

    /// <summary>A copy of root for one group; nobody can find it yet. Null when there is no memory. Slab mutex held.</summary>
    internal static SlabCache* Copy<TC>(in ThisCpu cpu, SlabCache* root, int id, bool perCpuRef) where TC : struct, IMemoryController
    {
        SlabState* slab = SlabState.Of(in cpu);
        SlabCache* child = Allocate<TC>(in cpu, slab, perCpuRef);
        if (child == null) return null;
        KmemCacheSetup.InitLike(SlabCache.StateOf(child), SlabCache.StateOf(root));
        if (!Complete(in cpu, child)) return null;
        Guarded<nint>.Set(&child->Root, (nint)root);
        Guarded<int>.Set(&child->Accounted, 1);
        Guarded<int>.Set(&child->Id, id);
        Guarded<long>.Set(&child->Serial, Guarded<long>.Get(&slab->NextSerial));
        Guarded<long>.Set(&slab->NextSerial, Guarded<long>.Get(&slab->NextSerial) + 1);
        if (Guarded<int>.Get(&root->Permanent) == 0) PerCpuRef.Get(in cpu, &root->Ref); // put by End
        IntrusiveList.AddTail(&slab->Caches, &child->All);
        IntrusiveList.AddTail(&root->Siblings, &child->Siblings);
        return child;
    }

    /// <summary>The id's slot is empty from now on, if it is still this copy's and not its successor's (D15). Slab mutex held, so no array is being copied (D10).</summary>
    internal static void ClearSlot(SlabCache* child)
    {
        CacheSlots* slots = AtomicPtr<CacheSlots>.Load(&SlabCache.RootOf(child)->Slots);
        int id = Guarded<int>.Get(&child->Id);
        if (slots == null || id >= Guarded<int>.Get(&slots->Size)) return;
        if (AtomicPtr<SlabCache>.Load(CacheSlots.At(slots, id)) == child) AtomicPtr<SlabCache>.Store(CacheSlots.At(slots, id), null);
    }

    /// <summary>
    /// The cache keeps no free objects any more and loses its maker's reference, so it ends with its last slab. Of a copy: slab mutex held,
    /// slot cleared; the second call does nothing. again: of a root, whose Dying is set already.
    /// </summary>
    internal static void Deactivate<TC>(in ThisCpu cpu, SlabCache* cache, bool again = false) where TC : struct, IMemoryController
    {
        if (!again && Guarded<int>.Get(&cache->Dying) != 0) return;
        if (!again) Guarded<int>.Set(&cache->Dying, 1); // a root's was set under the queue's lock, where it is read
        KmemCacheState* state = SlabCache.StateOf(cache);
        PerCpuRef.GetMany(in cpu, &cache->Ref, Guarded<int>.Get(&state->NrCpus)); // put by Emptied, once per CPU
        KmemCache<SlabHook<TC>>.Deactivate(in cpu, state, &Emptied);
        PerCpuRef.Kill(in cpu, &cache->Ref);
    }

    private static void Emptied(in ThisCpu cpu, KmemCacheState* state) => PerCpuRef.Put(in cpu, &SlabCache.Of(state)->Ref);

    /// <summary>The last reference is gone: exactly one actor comes here, and it queues the destruction (D3). Its free may hold locks, so it only queues.</summary>
    private static void Release(in ThisCpu cpu, PerCpuRef* r) => CpuWork.Queue(cpu.Area, &((SlabCache*)((byte*)r - SlabCache.RefOffset))->Destroy);

    private static void End<TC>(in ThisCpu cpu, CpuWork* work) where TC : struct, IMemoryController
    {
        var cache = (SlabCache*)((byte*)work - SlabCache.DestroyOffset);
        SlabState* slab = SlabState.Of(in cpu);
        SlabCache* root = SlabCache.RootOf(cache);
        SlabMutex.Acquire(in cpu, &slab->Mutex);
        IntrusiveList.Remove(&cache->All);
        if (root != null)
        {
            IntrusiveList.Remove(&cache->Siblings);
            TC.OnCacheGone(in cpu, cache);
        }
        SlabMutex.Release(in cpu, &slab->Mutex);
        if (root != null && Guarded<int>.Get(&root->Permanent) == 0) PerCpuRef.Put(in cpu, &root->Ref); // got by Copy
        Rcu.Call(in cpu, &cache->Rcu, &Free);
    }

    private static void Free(in ThisCpu cpu, RcuHead* head)
    {
        var cache = (SlabCache*)((byte*)head - SlabCache.RcuOffset);
        Kmalloc.Free(in cpu, PerCpuRef.Exit(&cache->Ref));
        Kmalloc.Free(in cpu, AtomicPtr<CacheSlots>.Load(&cache->Slots));
        FreePieces(in cpu, cache, Guarded<int>.Get(&SlabState.Of(in cpu)->Cpus));
    }

    private static SlabCache* Allocate<TC>(in ThisCpu cpu, SlabState* slab, bool perCpuRef) where TC : struct, IMemoryController
    {
        var cache = (SlabCache*)Kmalloc.AllocZeroed(in cpu, SlabCache.Bytes);
        if (cache == null) return null;
        var state = (KmemCacheState*)Kmalloc.Alloc(in cpu, Guarded<int>.Get(&slab->DescriptorBytes));
        void* counters = perCpuRef ? Kmalloc.AllocZeroed(in cpu, (int)PerCpuRef.BytesFor(Guarded<int>.Get(&slab->Cpus))) : null;
        if (state == null || (perCpuRef && counters == null))
        {
            Kmalloc.Free(in cpu, counters);
            Kmalloc.Free(in cpu, state);
            Kmalloc.Free(in cpu, cache);
            return null;
        }
        GuardedPtr<KmemCacheState>.Set(&cache->State, state);
        PerCpuRef.Init(&cache->Ref, counters, &Release);
        CpuWork.Init(&cache->Destroy, &End<TC>);
        IntrusiveList.Init(&cache->Siblings);
        return cache;
    }

    /// <summary>A stack for every CPU, on its node; false frees everything again.</summary>
    private static bool Complete(in ThisCpu cpu, SlabCache* cache)
    {
        KmemCacheState* state = SlabCache.StateOf(cache);
        GuardedPtr<byte>.Set(&state->User, (byte*)cache);
        for (int i = 0; i < Guarded<int>.Get(&state->NrCpus); i++)
        {
            Node* home = GuardedPtr<Node>.Get(&AllocatorCpu.Of(CpuTable.Area(cpu.Table, i))->HomeNode);
            var stack = (KmemCpu*)Kmalloc.Alloc(in cpu, KmemCpu.Bytes, home);
            if (stack == null)
            {
                Kmalloc.Free(in cpu, PerCpuRef.Exit(&cache->Ref));
                FreePieces(in cpu, cache, i);
                return false;
            }
            KmemCacheSetup.SetCpu(state, i, stack);
        }
        return true;
    }

    private static void FreePieces(in ThisCpu cpu, SlabCache* cache, int stacks)
    {
        KmemCacheState* state = SlabCache.StateOf(cache);
        for (int i = 0; i < stacks; i++) Kmalloc.Free(in cpu, KmemCacheState.Cpu(state, i));
        Kmalloc.Free(in cpu, state);
        Kmalloc.Free(in cpu, cache);
    }
}
