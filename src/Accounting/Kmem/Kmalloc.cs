// SPDX-License-Identifier: GPL-2.0-only
using System.Numerics;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Memory for the slab layer's own needs, charged to nobody: descriptors, slot arrays, vectors, objcgs. Never goes through an accounted
/// path, so creating a cache cannot ask for the creation of a cache (D11). Linux: kmalloc without __GFP_ACCOUNT.
/// </summary>
public static unsafe class Kmalloc
{
    /// <summary>Not zeroed; on this CPU's node, or on node where one is given. Null when there is no page. Freed by <see cref="Free"/>.</summary>
    public static void* Alloc(in ThisCpu cpu, int bytes, Node* node = null)
    {
        if (bytes <= KmallocSizes.Largest)
        {
            KmemCacheState* state = SlabCache.StateOf(SlabState.KmallocCache(SlabState.Of(in cpu), KmallocSizes.ClassOf(bytes), accounted: false));
            return node == null ? KmemCache<NoKmemHook>.Alloc(in cpu, state, Gfp.Kernel) : KmemCache<NoKmemHook>.AllocOnNode(in cpu, state, node, Gfp.Kernel);
        }
        Order order = OrderOf(bytes);
        Page* page = node == null ? PageAllocator<NoHook>.Alloc(in cpu, Gfp.Kernel, order) : PageAllocator<NoHook>.AllocOnNode(in cpu, node, Gfp.Kernel, order);
        return page == null ? null : MemMap.FrameOf(MemMap.Of(in cpu), page);
    }

    /// <summary>Zeroed.</summary>
    public static void* AllocZeroed(in ThisCpu cpu, int bytes)
    {
        void* p = Alloc(in cpu, bytes);
        if (p != null) new Span<byte>(p, bytes).Clear();
        return p;
    }

    /// <summary>kfree; null is nothing.</summary>
    public static void Free(in ThisCpu cpu, void* p)
    {
        if (p == null) return;
        Page* page = MemMap.PageOfAddress(MemMap.Of(in cpu), p);
        if (PageOps.Test(page, PageFlags.Slab))
        {
            KmemCache<NoKmemHook>.Free(in cpu, KmemCacheState.Of(page), p);
            return;
        }
        Order order = OrderOf(page);
        PageOps.PutExclusive(page);
        PageAllocator<NoHook>.Free(in cpu, page, order);
    }

    /// <summary>Smallest block that holds bytes.</summary>
    public static Order OrderOf(int bytes) => new(BitOperations.Log2((uint)(bytes - 1) >> MemMap.FrameShift << 1 | 1));

    /// <summary>compound_order: of a block by its first page.</summary>
    public static Order OrderOf(Page* page) => new(PageOps.Test(page, PageFlags.Head) ? (int)AtomicLong.Load(&(page + 1)->Private) : 0);
}
