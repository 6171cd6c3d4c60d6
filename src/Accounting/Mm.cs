// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
// User pages: their charge is Mm's own business, no hook.
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;
using PageTableLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>What became of a fault.</summary>
public enum FaultResult
{
    /// <summary>The page is there.</summary>
    Mapped,
    /// <summary>No frame (VM_FAULT_OOM before any charge).</summary>
    NoMemory,
    /// <summary>The group is full and reclaim found nothing.</summary>
    OverLimit,
}

/// <summary>
/// The life of a page: fault, map, unmap, get, put. Raises the same events in the same order for every design; the walk is drawn in
/// src/README.md. Linux: mm/memory.c, mm/swap.c.
/// </summary>
public static unsafe class Mm
{
    /// <summary>Pages freed in one go: what an unmap gathers before it lets the page-table lock go (Linux: MMU_GATHER_BUNDLE 8, SWAP_CLUSTER_MAX 32).</summary>
    public const int Batch = 32;

    /// <summary>
    /// do_anonymous_page: a frame, a charge, a mapping, a place on the LRU, in this order, so that commit is the last thing that can see
    /// the page alone. entry is not mapped; only its owner faults it in. write makes the page dirty: without swap it cannot be reclaimed.
    /// </summary>
    public static FaultResult Fault<TC>(in ThisCpu cpu, MmStruct* mm, long index, bool write) where TC : struct, IMemoryController
    {
        Page* page = Frames.Alloc(cpu, Gfp.Kernel);
        if (page == null) return FaultResult.NoMemory;
        Memcg* memcg = Charging.MemcgOf(cpu, mm);
        if (!Charging.TryCharge<TC>(cpu, memcg, 1, Gfp.Kernel))
        {
            Css.Put(cpu, &memcg->Css);
            PageOps.PutAndTest(page);
            Frames.Free(cpu, page);
            return FaultResult.OverLimit;
        }
        // clear_user_highpage, of which the first line is kept: clearing 4 KiB would hide the accounting. Before anybody can find the page,
        // because reclaim may take a clean one away as soon as it can be found.
        Guarded<long>.Set((Guarded<long>*)MemMap.FrameOf(MemMap.Of(cpu), page), index);
        PageMapping.SetAnon(page, mm, index);
        PageOps.SetExclusive(page, PageFlags.SwapBacked | PageFlags.Uptodate | (write ? PageFlags.Dirty : 0));
        AtomicInt.Init(&page->MapCount, 1);
        LockWord* ptl = MmStruct.LockOf(mm, index);
        PageTableLock.Acquire(cpu, ptl);
        Charging.Commit<TC>(cpu, page, memcg, anon: true);
        LruCacheAdd<TC>(cpu, page);
        GuardedPtr<Page>.Set(MmStruct.Entry(mm, index), page);
        PageTableLock.Release(cpu, ptl);
        Css.Put(cpu, &memcg->Css);
        return FaultResult.Mapped;
    }

    /// <summary>The frame behind an entry, or null. Stable only for the owner of the space while nothing reclaims; a reader that keeps it takes a reference.</summary>
    public static Page* Lookup(in ThisCpu cpu, MmStruct* mm, long index)
    {
        LockWord* ptl = MmStruct.LockOf(mm, index);
        PageTableLock.Acquire(cpu, ptl);
        Page* page = GuardedPtr<Page>.Get(MmStruct.Entry(mm, index));
        PageTableLock.Release(cpu, ptl);
        return Pte.IsPresent(page) ? page : null;
    }

    /// <summary>follow_page with FOLL_GET: the frame behind an entry with a reference, or null. Put by <see cref="Put"/>.</summary>
    public static Page* Follow(in ThisCpu cpu, MmStruct* mm, long index)
    {
        LockWord* ptl = MmStruct.LockOf(mm, index);
        PageTableLock.Acquire(cpu, ptl);
        Page* page = GuardedPtr<Page>.Get(MmStruct.Entry(mm, index));
        if (Pte.IsPresent(page)) PageOps.Get(page);
        else page = null;
        PageTableLock.Release(cpu, ptl);
        return page;
    }

    /// <summary>
    /// zap_page_range: unmaps entries first to first+count-1 and puts their pages, in batches; the page-table lock is taken once per
    /// batch. Entries that reclaim emptied meanwhile are skipped, swapped ones give their place back. Returns pages unmapped.
    /// </summary>
    public static long Unmap<TC>(in ThisCpu cpu, MmStruct* mm, long first, long count) where TC : struct, IMemoryController
    {
        Page** batch = stackalloc Page*[Batch];
        if (!TC.LruPends) LruAddDrain<TC>(cpu); // free_pages_and_swap_cache: or this CPU's own vector would keep the pages
        long unmapped = 0;
        for (long at = first, end = first + count; at < end;)
        {
            long stop = Math.Min(end, (at | (MmStruct.EntriesPerLock - 1)) + 1);
            LockWord* ptl = MmStruct.LockOf(mm, at);
            TC.OnBatchBegin(cpu);
            PageTableLock.Acquire(cpu, ptl);
            int n = 0;
            for (; at < stop && n < Batch; at++)
            {
                GuardedPtr<Page>* entry = MmStruct.Entry(mm, at);
                Page* page = GuardedPtr<Page>.Get(entry);
                if (page == null) continue;
                GuardedPtr<Page>.Set(entry, null);
                if (Pte.IsPresent(page))
                {
                    Rmap.Remove<TC>(cpu, page);
                    batch[n++] = page;
                }
                else if (Pte.IsSwap(page)) SwapCache.PutEntry<TC>(cpu, SwapDevice.Of(cpu), Pte.SwapOf(page));
            }
            PageTableLock.Release(cpu, ptl);
            FreeSwapCache<TC>(cpu, batch, n);
            TC.OnBatchEnd(cpu);
            ReleasePages<TC>(cpu, batch, n);
            unmapped += n;
        }
        return unmapped;
    }

    /// <summary>free_swap_cache: pages that only their own reference and the swap cache keep leave the cache; a page somebody has locked is left to reclaim.</summary>
    private static void FreeSwapCache<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            if (!PageOps.Test(page, PageFlags.SwapCache) || AtomicInt.Load(&page->MapCount) != 0 || !PageOps.TryLock(page)) continue;
            SwapCache.TryFree<TC>(cpu, SwapDevice.Of(cpu), page);
            PageOps.Unlock(page);
        }
    }

    /// <summary>get_page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Get(Page* page) => PageOps.Get(page);

    /// <summary>put_page.</summary>
    public static void Put<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => ReleasePages<TC>(cpu, &page, 1);

    /// <summary>
    /// release_pages: drops one reference of each page; those whose last it was leave the LRU (one lock per book), are uncharged (one
    /// gather per owner), and go back to the allocator, in this order. pages is scratch afterwards.
    /// </summary>
    public static void ReleasePages<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        int dead = 0;
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            if (PageOps.PutAndTest(page)) pages[dead++] = page;
        }
        if (dead != 0) FreeUnreferenced<TC>(cpu, pages, dead);
    }

    /// <summary>The second half, for pages whose count is already 0 (also reclaim's frozen ones).</summary>
    internal static void FreeUnreferenced<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        TC.LruDelete(cpu, pages, n);
        TC.OnFinalPut(cpu, pages, n); // outside every LRU lock (C5)
        for (int i = 0; i < n; i++) Frames.Free(cpu, pages[i]);
    }

    /// <summary>lru_cache_add: into this CPU's vector with a reference of its own; a full vector is drained.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void LruCacheAdd<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        if (TC.LruPends)
        {
            TC.LruPend(cpu, page);
            return;
        }
        PageOps.Get(page); // put by LruAddDrain
        if (!Pagevec.Add(Pagevec.AddOf(cpu.Area), page)) LruAddDrain<TC>(cpu);
    }

    /// <summary>lru_add_drain: this CPU's vector onto the lists. May be a page's final put. Movers that could not take a page look again.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void LruAddDrain<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        LruAddDrainQuietly<TC>(cpu);
        PageMover.Wake(cpu, GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree));
    }

    /// <summary>The same as a mover does it or has it done: two stalled ones must not wake each other for ever.</summary>
    internal static void LruAddDrainQuietly<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        if (TC.LruPends) TC.LruDrainPending(cpu); // the vector is empty then
        Page** pages = stackalloc Page*[Pagevec.Size];
        int n = Pagevec.Take(Pagevec.AddOf(cpu.Area), pages);
        if (n == 0) return;
        TC.LruAdd(cpu, pages, n);
        ReleasePages<TC>(cpu, pages, n);
    }

    /// <summary>Isolates a page found by pfn (lumpy reclaim, compaction), to be put back and released. What it looked like before may be void (B11).</summary>
    public static bool Catch<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        CatchResult result = TC.LruCatch(cpu, page);
        if (result == CatchResult.LastReference) FreeUnreferenced<TC>(cpu, &page, 1);
        return result == CatchResult.Caught;
    }
}
