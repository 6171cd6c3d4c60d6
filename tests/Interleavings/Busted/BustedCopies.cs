// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What an offline or a destruction of caches leaves out, or does in the wrong place. None: it is the shipped one, step by step.</summary>
[Flags]
internal enum CopyBug
{
    None = 0,
    /// <summary>Does not work off the queue first (D1, D2; patch 1).</summary>
    NoFlush = 1,
    /// <summary>Does not look whether the copy is on its way out already (D5; patch 3).</summary>
    EndsTwice = 2,
    /// <summary>Clears its id's slot, whoever is in it (D15).</summary>
    ClearsAnySlot = 4,
    /// <summary>Clears slots before it has the mutex (D10).</summary>
    ClearsUnlocked = 8,
    /// <summary>Empties the stacks once; what is freed afterwards stays on them (D17).</summary>
    ShrinksOnce = 16,
}

/// <summary>The steps of PerGroupCaches.OnOffline and SlabCaches.Destroy, without one of them.</summary>
internal static unsafe class BustedCopies
{
    public static void Offline(in ThisCpu cpu, Memcg* memcg, CopyBug bug)
    {
        SlabState* slab = SlabState.Of(in cpu);
        ListHead* mine = &MemcgKmem.Of(memcg)->Caches;
        if ((bug & CopyBug.NoFlush) == 0) CacheCreation.Flush(in cpu);
        if ((bug & CopyBug.ClearsUnlocked) != 0) ClearAll(mine, bug);
        Lock.Acquire(in cpu, &slab->Mutex);
        if ((bug & CopyBug.ClearsUnlocked) == 0) ClearAll(mine, bug);
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at)) Deactivate(in cpu, SlabCache.OfMine(at), bug);
        CacheOwner.MoveAll(memcg, Memcg.ParentOf(memcg));
        Lock.Release(in cpu, &slab->Mutex);
    }

    public static void Destroy(in ThisCpu cpu, SlabCache* root, CopyBug bug)
    {
        SlabState* slab = SlabState.Of(in cpu);
        Lock.Acquire(in cpu, &slab->QueueLock);
        Guarded<int>.Set(&root->Dying, 1);
        Lock.Release(in cpu, &slab->QueueLock);
        if ((bug & CopyBug.NoFlush) == 0) CacheCreation.Flush(in cpu);
        Lock.Acquire(in cpu, &slab->Mutex);
        for (ListHead* at = IntrusiveList.First(&root->Siblings); at != &root->Siblings; at = IntrusiveList.NextOf(at))
        {
            SlabCaches.ClearSlot(SlabCache.OfSibling(at));
            Deactivate(in cpu, SlabCache.OfSibling(at), bug);
        }
        Lock.Release(in cpu, &slab->Mutex);
        SlabCaches.Deactivate<Copies>(in cpu, root, again: true);
    }

    private static void ClearAll(ListHead* mine, CopyBug bug)
    {
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at))
        {
            SlabCache* child = SlabCache.OfMine(at);
            if ((bug & CopyBug.ClearsAnySlot) == 0) SlabCaches.ClearSlot(child);
            else AtomicPtr<SlabCache>.Store(CacheSlots.At(AtomicPtr<CacheSlots>.Load(&SlabCache.RootOf(child)->Slots), Guarded<int>.Get(&child->Id)), null);
        }
    }

    private static void Deactivate(in ThisCpu cpu, SlabCache* child, CopyBug bug)
    {
        if ((bug & CopyBug.ShrinksOnce) == 0)
        {
            SlabCaches.Deactivate<Copies>(in cpu, child, again: (bug & CopyBug.EndsTwice) != 0);
            return;
        }
        KmemCacheState* state = SlabCache.StateOf(child);
        for (int i = 0; i < Guarded<int>.Get(&state->NrCpus); i++)
        {
            KmemCpu* stack = KmemCacheState.Cpu(state, i);
            PerCpuRef.Get(in cpu, &child->Ref);
            CpuWork.Init(&stack->Work, &EmptyOnce);
            CpuWork.Queue(CpuTable.Area(cpu.Table, i), &stack->Work);
        }
        PerCpuRef.Kill(in cpu, &child->Ref);
    }

    private static void EmptyOnce(in ThisCpu cpu, CpuWork* work)
    {
        KmemCacheState* state = GuardedPtr<KmemCacheState>.Get(&((KmemCpu*)((byte*)work - KmemCpu.WorkOffset))->Cache);
        KmemCache<SlabHook<Copies>>.DrainLocal(in cpu, state);
        PerCpuRef.Put(in cpu, &SlabCache.Of(state)->Ref);
    }

    /// <summary>The series of 2014 as posted: the slot is loaded, and the copy used after RCU, without a reference (D4).</summary>
    public static void* AllocAsPosted(in ThisCpu cpu, SlabCache* root, Memcg* memcg)
    {
        SlabCache* copy = CacheCreation.Find(root, Guarded<int>.Get(&memcg->Id));
        AtomicInt.AwaitEqual(&CopyScene.Box.AllCpus.Area(1)->Online, 0); // preempted until the other CPU has done its part and left
        for (int i = 0; i < 8; i++) Poll.Run(in cpu);
        return copy == null ? null : KmemCache<SlabHook<Copies>>.Alloc(in cpu, SlabCache.StateOf(copy), Gfp.Kernel);
    }

    /// <summary>The end of a copy (SlabCaches.End) with its lists changed before the mutex is held (D9).</summary>
    public static void EndUnlocked(in ThisCpu cpu, CpuWork* work)
    {
        var copy = (SlabCache*)((byte*)work - SlabCache.DestroyOffset);
        IntrusiveList.Remove(&copy->Mine);
        IntrusiveList.Remove(&copy->Siblings);
        IntrusiveList.Remove(&copy->All);
    }

    /// <summary>A copy whether or not there is one (D12): the slot is filled by whoever comes last.</summary>
    public static void CreateBlindly(in ThisCpu cpu, SlabCache* root, Memcg* memcg)
    {
        SlabState* slab = SlabState.Of(in cpu);
        int id = Guarded<int>.Get(&memcg->Id);
        Lock.Acquire(in cpu, &slab->Mutex);
        SlabCache* child = SlabCaches.Copy<Copies>(in cpu, root, id, perCpuRef: false);
        ReparentCaches.Bind(in cpu, child, memcg);
        IntrusiveList.Add(&MemcgKmem.Of(memcg)->Caches, &child->Mine);
        AtomicPtr<SlabCache>.Store(CacheSlots.At(AtomicPtr<CacheSlots>.Load(&root->Slots), id), child);
        Lock.Release(in cpu, &slab->Mutex);
    }

    /// <summary>Looks whether the root is dying, then takes the queue's lock (D18).</summary>
    public static void RequestUnlocked(in ThisCpu cpu, SlabCache* root, Memcg* memcg)
    {
        SlabState* slab = SlabState.Of(in cpu);
        Css.Get(in cpu, &memcg->Css);
        var request = (CacheRequest*)Kmalloc.Alloc(in cpu, sizeof(CacheRequest));
        GuardedPtr<SlabCache>.Set(&request->Root, root);
        GuardedPtr<Memcg>.Set(&request->Memcg, memcg);
        Lock.Acquire(in cpu, &slab->QueueLock);
        bool dying = Guarded<int>.Get(&root->Dying) != 0;
        Lock.Release(in cpu, &slab->QueueLock);
        if (dying)
        {
            Kmalloc.Free(in cpu, request);
            Css.Put(in cpu, &memcg->Css);
            return;
        }
        Lock.Acquire(in cpu, &slab->QueueLock);
        IntrusiveList.AddTail(&slab->Queue, &request->List);
        Lock.Release(in cpu, &slab->QueueLock);
    }
}

/// <summary>3.14: whether a copy ends is decided by two words that are read one after the other, a dead flag and a count of pages (D3; patch 2).</summary>
internal readonly unsafe struct TwoWords : IKmemHook
{
    private static AtomicInt* dead, pages;

    /// <summary>Of a copy with one slab, whose own count says nothing.</summary>
    public static void Init(SlabCache* copy)
    {
        PerCpuRef.Init(&copy->Ref, null, null);
        dead = Arena.New<AtomicInt>("dead");
        pages = Arena.New<AtomicInt>("pages");
        AtomicInt.Init(pages, 1);
    }

    public static bool OnAlloc(in ThisCpu cpu, KmemCacheState* cache, void* obj, Gfp gfp) => true;
    public static void OnFree(in ThisCpu cpu, KmemCacheState* cache, void* obj) { }
    public static bool OnNewSlab(in ThisCpu cpu, KmemCacheState* cache, Page* slab, Gfp gfp) => false;

    public static void OnSlabRelease(in ThisCpu cpu, KmemCacheState* cache, Page* slab)
    {
        SlabCache* own = SlabCache.Of(cache);
        Copies.OnSlabRelease(in cpu, own, slab);
        if (AtomicInt.AddReturn(pages, -1) == 0 && AtomicInt.Load(dead) != 0) CpuWork.Queue(cpu.Area, &own->Destroy);
    }

    public static void Offline(in ThisCpu cpu, Memcg* memcg)
    {
        SlabState* slab = SlabState.Of(in cpu);
        Lock.Acquire(in cpu, &slab->Mutex);
        SlabCache* copy = SlabCache.OfMine(IntrusiveList.First(&MemcgKmem.Of(memcg)->Caches));
        SlabCaches.ClearSlot(copy);
        CacheOwner.MoveAll(memcg, Memcg.ParentOf(memcg));
        Lock.Release(in cpu, &slab->Mutex);
        AtomicInt.Exchange(dead, 1);
        if (AtomicInt.Load(pages) == 0) CpuWork.Queue(cpu.Area, &copy->Destroy);
    }
}

/// <summary>2014 as posted: whoever has put the last reference still reads the cache, its order and its flags (D6).</summary>
internal readonly unsafe struct ReadsAfterPut : IKmemHook
{
    public static bool OnAlloc(in ThisCpu cpu, KmemCacheState* cache, void* obj, Gfp gfp) => true;
    public static void OnFree(in ThisCpu cpu, KmemCacheState* cache, void* obj) { }
    public static bool OnNewSlab(in ThisCpu cpu, KmemCacheState* cache, Page* slab, Gfp gfp) => false;

    public static void OnSlabRelease(in ThisCpu cpu, KmemCacheState* cache, Page* slab)
    {
        SlabHook<Copies>.OnSlabRelease(in cpu, cache, slab);
        Poll.Run(in cpu); // outside of RCU, as posted: the destruction may be through
        if (Guarded<int>.Get(&cache->ObjectBytes) == 0) Bug.Fail("a cache without objects");
    }
}

/// <summary>3.8 to 3.15: a slab is charged to the group of whoever allocates, though the copy was chosen by the group he was in before (D7; patch 7).</summary>
internal readonly unsafe struct ChargesByTask : ICacheOwner
{
    /// <summary>The task.</summary>
    public static MmStruct* Task { get; set; }
    public static string Name => "by-task";
    public static bool LeavesResidue => true;
    public static bool PinsCss => false;
    public static void Bind(in ThisCpu cpu, SlabCache* child, Memcg* memcg) => ReparentCaches.Bind(in cpu, child, memcg);
    public static void Unbind(in ThisCpu cpu, SlabCache* child) { }
    public static void Reparent<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController { }
    public static Memcg* OwnerOf(SlabCache* child) => ReparentCaches.OwnerOf(child);

    public static bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab, Gfp gfp) where TC : struct, IMemoryController
    {
        Memcg* memcg = Charging.MemcgOf(in cpu, Task);
        bool charged = Charging.TryChargeKmem<TC>(in cpu, memcg, 1, gfp);
        Css.Put(in cpu, &memcg->Css); // got by MemcgOf
        return charged;
    }

    public static void Uncharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab) where TC : struct, IMemoryController => ReparentCaches.Uncharge<TC>(in cpu, child, slab);
}

/// <summary>Walks the list of caches as if it were still (found by the torture).</summary>
internal readonly unsafe struct Unlocked : IEmpties
{
    public static void Empty(in ThisCpu cpu)
    {
        SlabState* slab = SlabState.Of(in cpu);
        for (ListHead* at = IntrusiveList.First(&slab->Caches); at != &slab->Caches; at = IntrusiveList.NextOf(at))
            KmemCache<SlabHook<Copies>>.DrainLocal(in cpu, SlabCache.StateOf(SlabCache.OfAll(at)));
    }
}
