// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// Who pays for kernel pages: called by the page allocator, filled in above it. Linux: memcg_kmem_charge in __alloc_pages,
/// memcg_kmem_uncharge in free_pages_prepare.
/// </summary>
public unsafe interface IPageAllocHook
{
    /// <summary>After a page was taken with Gfp.Account, before the caller sees it; false gives it back and fails the allocation.</summary>
    static abstract bool OnAlloc(in ThisCpu cpu, Page* page, Order order, Gfp gfp);

    /// <summary>Before a page is checked and freed: the last moment to clear its memcg word.</summary>
    static abstract void OnFree(in ThisCpu cpu, Page* page, Order order);
}

/// <summary>Nobody pays; costs nothing.</summary>
public readonly unsafe struct NoHook : IPageAllocHook
{
    /// <inheritdoc/>
    public static bool OnAlloc(in ThisCpu cpu, Page* page, Order order, Gfp gfp) => true;

    /// <inheritdoc/>
    public static void OnFree(in ThisCpu cpu, Page* page, Order order) { }
}
