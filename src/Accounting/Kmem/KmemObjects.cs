// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Kernel memory as its users ask for it: objects of a cache, kmalloc of any size, blocks of pages; each for a group, or for the task's
/// group. Linux: kmem_cache_alloc, kmalloc, alloc_pages with __GFP_ACCOUNT.
/// </summary>
public static unsafe class KmemObjects
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>
    /// kmem_cache_alloc: an object of cache, paid for by memcg when the cache is accounted; null when refused. memcg is kept alive by the
    /// caller for the length of the call. Freed by <see cref="Free"/> on any CPU, at any time, however dead the group is by then.
    /// </summary>
    [MethodImpl(Inline)]
    public static void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp = Gfp.Kernel) where TC : struct, IMemoryController =>
        TC.KmemAlloc(in cpu, cache, memcg, gfp);

    /// <summary>The same for the group that the task's address space is in.</summary>
    public static void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, MmStruct* task, Gfp gfp = Gfp.Kernel) where TC : struct, IMemoryController
    {
        Memcg* memcg = Charging.MemcgOf(in cpu, task);
        void* obj = TC.KmemAlloc(in cpu, cache, memcg, gfp);
        Css.Put(in cpu, &memcg->Css); // got by MemcgOf
        return obj;
    }

    /// <summary>kmalloc: from a cache of its size, above the largest from whole pages.</summary>
    public static void* Kmalloc<TC>(in ThisCpu cpu, int bytes, Memcg* memcg, Gfp gfp = Gfp.Kernel) where TC : struct, IMemoryController
    {
        if (bytes <= KmallocSizes.Largest)
            return TC.KmemAlloc(in cpu, SlabState.KmallocCache(SlabState.Of(in cpu), KmallocSizes.ClassOf(bytes), (gfp & Gfp.Account) != 0), memcg, gfp & ~Gfp.Account);
        Page* page = AllocPages<TC>(in cpu, Accounting.Kmalloc.OrderOf(bytes), (gfp & Gfp.Account) != 0 ? memcg : null, gfp & ~Gfp.Account);
        return page == null ? null : MemMap.FrameOf(MemMap.Of(in cpu), page);
    }

    /// <summary>kmem_cache_free and kfree: the frame says what the object is.</summary>
    [MethodImpl(Inline)]
    public static void Free<TC>(in ThisCpu cpu, void* obj) where TC : struct, IMemoryController
    {
        Page* page = MemMap.PageOfAddress(MemMap.Of(in cpu), obj);
        if (PageOps.Test(page, PageFlags.Slab)) TC.KmemFree(in cpu, page, obj);
        else FreePages<TC>(in cpu, page, Accounting.Kmalloc.OrderOf(page));
    }

    /// <summary>A block of pages that memcg pays for (pipe buffers, stacks, large kmalloc); null when refused. memcg null: nobody pays.</summary>
    public static Page* AllocPages<TC>(in ThisCpu cpu, Order order, Memcg* memcg, Gfp gfp = Gfp.Kernel) where TC : struct, IMemoryController
    {
        Page* page = PageAllocator<NoHook>.Alloc(in cpu, gfp, order);
        if (page == null || memcg == null || Memcg.IsRoot(memcg) || TC.TryChargePages(in cpu, page, order, memcg, gfp)) return page;
        PageOps.PutExclusive(page);
        PageAllocator<NoHook>.Free(in cpu, page, order);
        return null;
    }

    /// <summary>The block goes back; whoever owns its charge by now is uncharged.</summary>
    public static void FreePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController
    {
        if (AtomicLong.Load(&page->Memcg) != 0) TC.UnchargePages(in cpu, page, order);
        PageOps.PutExclusive(page);
        PageAllocator<NoHook>.Free(in cpu, page, order);
    }
}

/// <summary>The low bits of page->memcg: the word is a kernel page's, and no owner of a user page. Linux: MEMCG_DATA_OBJCGS, MEMCG_DATA_KMEM (5.11).</summary>
public static unsafe class KmemWord
{
    /// <summary>A slab's vector of owners, one per object.</summary>
    public const long Vector = 1;
    /// <summary>One owner for the whole page or block.</summary>
    public const long Owner = 2;
    /// <summary>Any of the two.</summary>
    public const long Tags = Vector | Owner;

    /// <summary>What the word points to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* Target<T>(long word) where T : unmanaged => (T*)(word & ~Tags);

    /// <summary>True when kmem owns the word of this page.</summary>
    public static bool Has(Page* page) => (AtomicLong.Load(&page->Memcg) & Tags) != 0 || PageOps.Test(page, PageFlags.Slab);
}
