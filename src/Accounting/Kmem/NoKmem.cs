// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Kernel objects are charged to nobody. Linux: booted with cgroup.memory=nokmem.</summary>
public readonly unsafe struct NoKmem : IKmemDesign
{
    /// <inheritdoc/>
    public static string Name => "None";
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent) { }
    /// <inheritdoc/>
    public static void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        KmemCache<SlabHook<TC>>.Alloc(in cpu, SlabCache.StateOf(cache), gfp);
    /// <inheritdoc/>
    public static void Free<TC>(in ThisCpu cpu, Page* slab, void* obj) where TC : struct, IMemoryController =>
        KmemCache<SlabHook<TC>>.Free(in cpu, KmemCacheState.Of(slab), obj);
}
