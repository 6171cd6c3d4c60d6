// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>Who pays for slabs and objects: called by the kmem cache, filled in above it. Linux: memcg_slab_pre_alloc_hook and its kin, mm/slab.h.</summary>
public unsafe interface IKmemHook
{
    /// <summary>An object was taken with Gfp.Account; false gives it back and fails the allocation.</summary>
    static abstract bool OnAlloc(in ThisCpu cpu, KmemCacheState* cache, void* obj, Gfp gfp);

    /// <summary>An object comes back.</summary>
    static abstract void OnFree(in ThisCpu cpu, KmemCacheState* cache, void* obj);

    /// <summary>A page becomes a slab; false gives it back and fails the allocation.</summary>
    static abstract bool OnNewSlab(in ThisCpu cpu, KmemCacheState* cache, Page* slab, Gfp gfp);

    /// <summary>An empty slab is about to be freed: the last moment to clear its memcg word.</summary>
    static abstract void OnSlabRelease(in ThisCpu cpu, KmemCacheState* cache, Page* slab);
}

/// <summary>Nobody pays; costs nothing.</summary>
public readonly unsafe struct NoKmemHook : IKmemHook
{
    /// <inheritdoc/>
    public static bool OnAlloc(in ThisCpu cpu, KmemCacheState* cache, void* obj, Gfp gfp) => true;

    /// <inheritdoc/>
    public static void OnFree(in ThisCpu cpu, KmemCacheState* cache, void* obj) { }

    /// <inheritdoc/>
    public static bool OnNewSlab(in ThisCpu cpu, KmemCacheState* cache, Page* slab, Gfp gfp) => true;

    /// <inheritdoc/>
    public static void OnSlabRelease(in ThisCpu cpu, KmemCacheState* cache, Page* slab) { }
}
