// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// What the accounting keeps about a cache: a root cache, or a group's copy of one. Linux: struct kmem_cache with memcg_cache_params,
/// mm/slab.h 3.13 to 5.8.
/// </summary>
/// <remarks>
/// One reference count says how long a cache lives: 1 of its maker (a copy: of its group), 1 per slab, 1 per CPU that still has to empty
/// its stack, a root also 1 per copy. So exactly one actor takes it to 0, and that actor queues the destruction (D3, D5; patch 2 of 2014).
/// <code>
///   live --deactivate: slot cleared, stacks emptied, maker's reference put--> draining --last slab--> 0 --work--> off the lists --RCU--> freed
/// </code>
/// </remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct SlabCache
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 256;
    internal const int AllOffset = 32, SiblingsOffset = 48, MineOffset = 64, RefOffset = 128, DestroyOffset = 192, RcuOffset = 216;

    /// <summary>I: the allocator's descriptor.</summary>
    [FieldOffset(0)] public GuardedPtr<KmemCacheState> State;
    /// <summary>I: the root this is a copy of, or 0. An address: a struct cannot name itself in a cell.</summary>
    [FieldOffset(8)] internal Guarded<nint> Root;
    /// <summary>I: 1 = objects are charged to groups (SLAB_ACCOUNT).</summary>
    [FieldOffset(16)] public Guarded<int> Accounted;
    /// <summary>I: 1 = never destroyed, slabs are not counted in <see cref="Ref"/> (kmalloc).</summary>
    [FieldOffset(20)] public Guarded<int> Permanent;
    /// <summary>I: index of a root's name; a copy: the id its slot has.</summary>
    [FieldOffset(24)] public Guarded<int> Id;
    /// <summary>L: slab mutex: 1 = the root is being destroyed, no copies any more (5.3: memcg_params.dying); also written under QueueLock.</summary>
    [FieldOffset(28)] public Guarded<int> Dying;
    /// <summary>L: slab mutex: on the list of all caches.</summary>
    [FieldOffset(AllOffset)] public ListHead All;
    /// <summary>L: slab mutex: a root: head of all its copies; a copy: node on that list (patch 6 of 2014).</summary>
    [FieldOffset(SiblingsOffset)] public ListHead Siblings;
    /// <summary>L: slab mutex: a copy: node on its owner group's list.</summary>
    [FieldOffset(MineOffset)] public ListHead Mine;
    /// <summary>R: slab mutex: a copy: who pays, a Memcg* or an Objcg*; 0 = nobody (the root group).</summary>
    [FieldOffset(80)] public AtomicLong Owner;
    /// <summary>R: slab mutex: a root: its copies by group id, or null.</summary>
    [FieldOffset(88)] public AtomicPtr<CacheSlots> Slots;
    /// <summary>I: number of this copy among all copies ever made.</summary>
    [FieldOffset(96)] public Guarded<long> Serial;
    /// <summary>A: see the remarks.</summary>
    [FieldOffset(RefOffset)] public PerCpuRef Ref;
    /// <summary>A: the destruction, run by the CPU that put the last reference.</summary>
    [FieldOffset(DestroyOffset)] public CpuWork Destroy;
    /// <summary>The deferred free.</summary>
    [FieldOffset(RcuOffset)] public RcuHead Rcu;

    /// <summary>The allocator's descriptor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KmemCacheState* StateOf(SlabCache* cache) => GuardedPtr<KmemCacheState>.Get(&cache->State);

    /// <summary>The accounting's side of an allocator's cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static SlabCache* Of(KmemCacheState* state) => (SlabCache*)GuardedPtr<byte>.Get(&state->User);

    /// <summary>The root this is a copy of, or null.</summary>
    public static SlabCache* RootOf(SlabCache* cache) => (SlabCache*)Guarded<nint>.Get(&cache->Root);

    /// <summary>True when the cache's objects are charged.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsAccounted(SlabCache* cache) => Guarded<int>.Get(&cache->Accounted) != 0;

    internal static SlabCache* OfMine(ListHead* node) => (SlabCache*)((byte*)node - MineOffset);
    internal static SlabCache* OfSibling(ListHead* node) => (SlabCache*)((byte*)node - SiblingsOffset);
    internal static SlabCache* OfAll(ListHead* node) => (SlabCache*)((byte*)node - AllOffset);
}

/// <summary>A root's copies, by group id. Followed by Size slots. Linux: struct memcg_cache_params with memcg_caches[], grown under RCU.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Header)]
public unsafe struct CacheSlots
{
    internal const int Header = 32, RcuOffset = 8;
    /// <summary>Smallest and largest number of slots (MEMCG_CACHES_MIN_SIZE, MEMCG_CACHES_MAX_SIZE).</summary>
    public const int Least = 4, Most = 65535;

    /// <summary>I: slots.</summary>
    [FieldOffset(0)] public Guarded<int> Size;
    /// <summary>The deferred free of an outgrown array.</summary>
    [FieldOffset(RcuOffset)] public RcuHead Rcu;

    /// <summary>The slot of an id below Size.</summary>
    public static AtomicPtr<SlabCache>* At(CacheSlots* slots, int id) => (AtomicPtr<SlabCache>*)((byte*)slots + Header) + id;

    /// <summary>Bytes of an array.</summary>
    public static int BytesFor(int size) => Header + size * sizeof(nint);
}

/// <summary>Counts a cache's slabs in its references and asks the design who pays for them.</summary>
public readonly unsafe struct SlabHook<TC> : IKmemHook where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static bool OnAlloc(in ThisCpu cpu, KmemCacheState* cache, void* obj, Gfp gfp) => true;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnFree(in ThisCpu cpu, KmemCacheState* cache, void* obj) { }

    /// <inheritdoc/>
    /// <remarks>A cache without references is on its way out: whoever found it too late gets nothing from it (D4).</remarks>
    public static bool OnNewSlab(in ThisCpu cpu, KmemCacheState* cache, Page* slab, Gfp gfp)
    {
        SlabCache* own = SlabCache.Of(cache);
        bool counted = Guarded<int>.Get(&own->Permanent) == 0;
        if (counted && !PerCpuRef.TryGet(in cpu, &own->Ref)) return false; // put by OnSlabRelease
        if (TC.OnNewSlab(in cpu, own, slab, gfp)) return true;
        if (counted) PerCpuRef.Put(in cpu, &own->Ref);
        return false;
    }

    /// <inheritdoc/>
    /// <remarks>The put is the last access to the cache here; the caller's RCU section keeps its memory while it looks at it (D6).</remarks>
    public static void OnSlabRelease(in ThisCpu cpu, KmemCacheState* cache, Page* slab)
    {
        SlabCache* own = SlabCache.Of(cache);
        TC.OnSlabRelease(in cpu, own, slab);
        if (Guarded<int>.Get(&own->Permanent) == 0) PerCpuRef.Put(in cpu, &own->Ref); // got by OnNewSlab
    }
}
