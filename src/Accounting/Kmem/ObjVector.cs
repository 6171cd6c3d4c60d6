// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// A slab's owners, one word per object, made when the first object of the slab is charged, on the slab's node. Linux: slab->obj_exts,
/// page->obj_cgroups (5.9), memcg_alloc_page_obj_cgroups.
/// </summary>
/// <remarks>A slot belongs to its object: written by whoever holds the object, handed on with it.</remarks>
public static unsafe class ObjVector
{
    /// <summary>Bytes an object costs its group beside its own: its slot.</summary>
    public const int SlotBytes = 8;

    /// <summary>What an object of cache costs (obj_full_size).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Cost(KmemCacheState* cache) => Guarded<int>.Get(&cache->Stride) + SlotBytes;

    /// <summary>The object's slot, or null when the slab has no vector (nobody was ever charged for one of its objects).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GuardedPtr<Objcg>* Find(in ThisCpu cpu, KmemCacheState* cache, Page* slab, void* obj)
    {
        long word = AtomicLong.Load(&slab->Memcg); // (V2) pairs with (V1) in ObjVector.cs
        return word == 0 ? null : Slot(in cpu, cache, slab, obj, word);
    }

    /// <summary>The object's slot; makes the vector when there is none. Null when there is no memory for it.</summary>
    public static GuardedPtr<Objcg>* FindOrCreate(in ThisCpu cpu, KmemCacheState* cache, Page* slab, void* obj)
    {
        long word = AtomicLong.Load(&slab->Memcg);
        if (word == 0 && (word = Create(in cpu, cache, slab)) == 0) return null;
        return Slot(in cpu, cache, slab, obj, word);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static GuardedPtr<Objcg>* Slot(in ThisCpu cpu, KmemCacheState* cache, Page* slab, void* obj, long word) =>
        KmemWord.Target<GuardedPtr<Objcg>>(word) + KmemCacheState.IndexOf(cache, MemMap.FrameOf(MemMap.Of(in cpu), slab), obj);

    /// <summary>Two CPUs with objects of one slab may both come here: one vector is published, the loser frees its own (E12).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long Create(in ThisCpu cpu, KmemCacheState* cache, Page* slab)
    {
        int count = Guarded<int>.Get(&cache->PerSlab);
        Node* node = AllocatorState.Node(GuardedPtr<AllocatorState>.Get(&cache->State), PageOps.NodeIndex(slab));
        var vector = (GuardedPtr<Objcg>*)Kmalloc.Alloc(in cpu, count * sizeof(GuardedPtr<Objcg>), node);
        if (vector == null) return 0;
        for (int i = 0; i < count; i++) GuardedPtr<Objcg>.Set(vector + i, null);
        long mine = (long)vector | KmemWord.Vector;
        long seen = AtomicLong.CompareExchange(&slab->Memcg, mine, 0); // (V1) pairs with (V2) in ObjVector.cs
        if (seen == 0) return mine;
        Kmalloc.Free(in cpu, vector);
        return seen;
    }

    /// <summary>The slab is empty and goes: so does its vector. An owner left in it is an object freed without its charge.</summary>
    public static void Release(in ThisCpu cpu, KmemCacheState* cache, Page* slab)
    {
        long word = AtomicLong.Load(&slab->Memcg);
        if (word == 0) return;
        GuardedPtr<Objcg>* vector = KmemWord.Target<GuardedPtr<Objcg>>(word);
        for (int i = 0; i < Guarded<int>.Get(&cache->PerSlab); i++)
            if (GuardedPtr<Objcg>.Get(vector + i) != null) Bug.Fail("objcg: an empty slab still has an owner in its vector (slab, index)", (long)slab, i);
        AtomicLong.Store(&slab->Memcg, 0);
        Kmalloc.Free(in cpu, vector);
    }
}
