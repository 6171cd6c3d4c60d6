// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using CacheLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>
/// Pages that have a place on the swap device: private names it, the device's slot names the page, and the cache holds a reference. Added and
/// removed under the page lock. Linux: mm/swap_state.c.
/// </summary>
public static unsafe class SwapCache
{
    /// <summary>page_private of a swap-cache page.</summary>
    public static SwapEntry EntryOf(Page* page) => new((int)AtomicLong.Load(&page->Private));

    /// <summary>add_to_swap_cache: page is locked and entry has the cache's use.</summary>
    internal static void Add(in ThisCpu cpu, SwapDevice* device, Page* page, SwapEntry entry)
    {
        PageOps.Get(page); // put by Delete or the freeze of RemoveFrozen
        CacheLock.Acquire(cpu, &device->CacheLock);
        AtomicLong.Store(&page->Private, entry.Index);
        PageOps.Set(page, PageFlags.SwapCache);
        GuardedPtr<Page>.Set(SwapDevice.CacheSlot(device, entry), page);
        CacheLock.Release(cpu, &device->CacheLock);
    }

    /// <summary>add_to_swap: a locked anonymous page gets an entry; false when the device is full.</summary>
    public static bool TryAdd(in ThisCpu cpu, SwapDevice* device, Page* page)
    {
        if (!SwapDevice.TryAlloc(cpu, device, out SwapEntry entry)) return false;
        Add(cpu, device, page, entry);
        PageOps.Set(page, PageFlags.Dirty); // its contents are nowhere else yet
        return true;
    }

    /// <summary>lookup_swap_cache: the page with a reference, or null. It may leave the cache at once: lock it and look again.</summary>
    public static Page* Find(in ThisCpu cpu, SwapDevice* device, SwapEntry entry)
    {
        CacheLock.Acquire(cpu, &device->CacheLock);
        Page* page = GuardedPtr<Page>.Get(SwapDevice.CacheSlot(device, entry));
        if (page != null && !PageOps.GetUnlessZero(page)) page = null;
        CacheLock.Release(cpu, &device->CacheLock);
        return page;
    }

    private static void Unlink(SwapDevice* device, Page* page, SwapEntry entry)
    {
        GuardedPtr<Page>.Set(SwapDevice.CacheSlot(device, entry), null);
        PageOps.Clear(page, PageFlags.SwapCache);
    }

    /// <summary>delete_from_swap_cache: page is locked and the caller holds a reference besides the cache's.</summary>
    public static void Delete<TC>(in ThisCpu cpu, SwapDevice* device, Page* page) where TC : struct, IMemoryController
    {
        SwapEntry entry = EntryOf(page);
        CacheLock.Acquire(cpu, &device->CacheLock);
        Unlink(device, page, entry);
        CacheLock.Release(cpu, &device->CacheLock);
        SwapDevice.Put<TC>(cpu, device, entry, SwapDevice.HasCache, page);
        if (PageOps.PutAndTest(page)) Bug.Fail("swap cache: the caller's own reference was lost (page)", (long)page);
    }

    /// <summary>__remove_mapping: the isolator's reference and the cache's are the last two, so the page is frozen and leaves. False when somebody else holds it.</summary>
    internal static bool TryRemoveFrozen<TC>(in ThisCpu cpu, SwapDevice* device, Page* page) where TC : struct, IMemoryController
    {
        SwapEntry entry = EntryOf(page);
        CacheLock.Acquire(cpu, &device->CacheLock);
        bool frozen = PageOps.Freeze(page, 2);
        if (frozen && PageOps.Test(page, PageFlags.Dirty))
        {
            PageOps.Unfreeze(page, 2);
            frozen = false;
        }
        if (frozen)
        {
            TC.OnSwapOut(cpu, page, entry);
            Unlink(device, page, entry);
        }
        CacheLock.Release(cpu, &device->CacheLock);
        if (frozen) SwapDevice.Put<TC>(cpu, device, entry, SwapDevice.HasCache, page);
        return frozen;
    }

    /// <summary>try_to_free_swap: takes a locked page out of the cache when no page table entry names its place any more.</summary>
    public static bool TryFree<TC>(in ThisCpu cpu, SwapDevice* device, Page* page) where TC : struct, IMemoryController
    {
        if (!PageOps.Test(page, PageFlags.SwapCache) || PageOps.Test(page, PageFlags.Writeback)) return false;
        if (SwapDevice.Users(cpu, device, EntryOf(page)) != 0) return false;
        Delete<TC>(cpu, device, page);
        PageOps.Set(page, PageFlags.Dirty);
        return true;
    }

    /// <summary>
    /// reuse_swap_page: true when a writer may have the page for itself; a page in the cache leaves it. The writer's own entry is the one user
    /// that is left, if the page is not mapped anywhere.
    /// </summary>
    public static bool TryReuse<TC>(in ThisCpu cpu, SwapDevice* device, Page* page) where TC : struct, IMemoryController
    {
        if (!PageOps.Test(page, PageFlags.SwapCache)) return AtomicInt.Load(&page->MapCount) == 0;
        int others = AtomicInt.Load(&page->MapCount) + SwapDevice.Users(cpu, device, EntryOf(page)) - 1;
        if (others != 0) return false;
        if (!PageOps.Test(page, PageFlags.Writeback))
        {
            Delete<TC>(cpu, device, page);
            PageOps.Set(page, PageFlags.Dirty);
        }
        return true;
    }

    /// <summary>free_swap_and_cache: a page table entry goes; if it was the last, the cached page need not be kept.</summary>
    internal static void PutEntry<TC>(in ThisCpu cpu, SwapDevice* device, SwapEntry entry) where TC : struct, IMemoryController
    {
        if (SwapDevice.Put<TC>(cpu, device, entry, 1) != 0) return;
        Page* page = Find(cpu, device, entry);
        if (page == null) return;
        if (PageOps.TryLock(page))
        {
            if (PageOps.Test(page, PageFlags.SwapCache) && EntryOf(page) == entry && AtomicInt.Load(&page->MapCount) == 0) TryFree<TC>(cpu, device, page);
            PageOps.Unlock(page);
        }
        Mm.Put<TC>(cpu, page); // else reclaim finds it
    }

    /// <summary>migrate_page_move_mapping: page takes old's slot; both locked. old has the isolator's reference and the cache's, which becomes the
    /// caller's. False when somebody else holds old.</summary>
    internal static bool TryReplace(in ThisCpu cpu, SwapDevice* device, Page* old, Page* page)
    {
        SwapEntry entry = EntryOf(old);
        CacheLock.Acquire(cpu, &device->CacheLock);
        bool frozen = PageOps.Freeze(old, 2);
        if (frozen)
        {
            PageOps.Get(page); // the cache's
            AtomicLong.Store(&page->Private, entry.Index);
            PageOps.Set(page, PageFlags.SwapCache);
            GuardedPtr<Page>.Set(SwapDevice.CacheSlot(device, entry), page);
            PageOps.Clear(old, PageFlags.SwapCache);
            PageOps.Unfreeze(old, 2); // the isolator's, and what was the cache's is the caller's
        }
        CacheLock.Release(cpu, &device->CacheLock);
        return frozen;
    }
}
