// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>What the allocator does on a per-CPU hit.</summary>
internal static unsafe class AllocatorPaths
{
    [HotPath] internal static Page* PageAlloc(in ThisCpu cpu) => PageAllocator<NoHook>.Alloc(in cpu, Gfp.Kernel);

    [HotPath] internal static void PageFree(in ThisCpu cpu, Page* page) => PageAllocator<NoHook>.Free(in cpu, page);

    [HotPath] internal static byte* FrameOf(MemMap* map, Page* page) => MemMap.FrameOf(map, page);

    [HotPath] internal static void* ObjectAlloc(in ThisCpu cpu, KmemCacheState* cache) => KmemCache<NoKmemHook>.Alloc(in cpu, cache, Gfp.Kernel);

    [HotPath] internal static void ObjectFree(in ThisCpu cpu, KmemCacheState* cache, void* obj) => KmemCache<NoKmemHook>.Free(in cpu, cache, obj);
}
