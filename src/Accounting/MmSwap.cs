// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;
using PageTableLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>Faults on entries that are not simply empty. Linux: handle_pte_fault, do_swap_page, mm/memory.c; mm/swap_state.c.</summary>
public static unsafe class MmSwap
{
    /// <summary>handle_pte_fault: makes the page at index present, from nothing, from swap, or after a migration.</summary>
    public static FaultResult Touch<TC>(in ThisCpu cpu, MmStruct* mm, long index, bool write) where TC : struct, IMemoryController
    {
        while (true)
        {
            LockWord* ptl = MmStruct.LockOf(mm, index);
            PageTableLock.Acquire(cpu, ptl);
            Page* pte = GuardedPtr<Page>.Get(MmStruct.Entry(mm, index));
            Page* moving = Pte.IsMigration(pte) ? Pte.MigratingOf(pte) : null;
            // Frozen while its place in a cache is taken over: a reference got then would be lost (Linux: migration_entry_wait).
            bool frozen = moving != null && !PageOps.GetUnlessZero(moving);
            if (write && Pte.IsPresent(pte)) PageOps.Set(pte, PageFlags.Dirty);
            PageTableLock.Release(cpu, ptl);
            if (frozen)
            {
                AwaitUnlock(moving);
                continue;
            }
            if (Pte.IsPresent(pte)) return FaultResult.Mapped;
            if (pte == null) return Mm.Fault<TC>(cpu, mm, index, write);
            if (moving == null)
            {
                if (TrySwapIn<TC>(cpu, mm, index, pte, write, out FaultResult result)) return result;
                continue; // somebody else served the entry, or the page left the cache: look again
            }
            Writeback.LockPage<TC>(cpu, moving); // migration_entry_wait: ended by the migrator
            PageOps.Unlock(moving);
            Mm.Put<TC>(cpu, moving);
        }
    }

    /// <summary>
    /// Waits without a reference for a page whose migrator holds its lock; ended by that unlock. The frame may be another page's by then, and locked again:
    /// the entry has changed in this case, and the caller looks at it next.
    /// </summary>
    private static void AwaitUnlock(Page* page)
    {
        long seen = AtomicLong.Load(&page->Flags);
        if ((seen & PageFlags.Locked) != 0) AtomicLong.AwaitNot(&page->Flags, seen);
    }

    /// <summary>
    /// do_swap_page. The charge comes after the page lock (A12) and is committed when the page is mapped (C3), the entry's own charge goes at
    /// commit if the page stays in the swap cache, else with the entry. False: nothing was done, look at the entry again.
    /// </summary>
    private static bool TrySwapIn<TC>(in ThisCpu cpu, MmStruct* mm, long index, Page* pte, bool write, out FaultResult result) where TC : struct, IMemoryController
    {
        SwapDevice* device = SwapDevice.Of(cpu);
        SwapEntry entry = Pte.SwapOf(pte);
        result = FaultResult.NoMemory;
        Page* page = ReadAsync<TC>(cpu, device, entry, out bool raced, mm);
        if (page == null) return !raced && IsStill(cpu, mm, index, pte); // no frame; but somebody else may have mapped the page meanwhile
        Writeback.LockPage<TC>(cpu, page);
        bool done = PageOps.Test(page, PageFlags.SwapCache) && SwapCache.EntryOf(page) == entry && TryMap<TC>(cpu, device, mm, index, pte, page, write, out result);
        PageOps.Unlock(page);
        Mm.Put<TC>(cpu, page); // Find's or the allocation's
        return done;
    }

    /// <summary>pte_same, asked again where do_swap_page got no page.</summary>
    private static bool IsStill(in ThisCpu cpu, MmStruct* mm, long index, Page* pte)
    {
        LockWord* ptl = MmStruct.LockOf(mm, index);
        PageTableLock.Acquire(cpu, ptl);
        bool same = GuardedPtr<Page>.Get(MmStruct.Entry(mm, index)) == pte;
        PageTableLock.Release(cpu, ptl);
        return same;
    }

    private static bool TryMap<TC>(in ThisCpu cpu, SwapDevice* device, MmStruct* mm, long index, Page* pte, Page* page, bool write, out FaultResult result)
        where TC : struct, IMemoryController
    {
        SwapEntry entry = Pte.SwapOf(pte);
        Memcg* memcg = !TC.LruBitKeepsOwner && TC.ChargesSwapIn(cpu, page) ? PayerOf<TC>(cpu, device, mm, page, entry) : null;
        result = FaultResult.OverLimit;
        if (memcg != null && !Charging.TryCharge<TC>(cpu, memcg, 1, Gfp.Kernel))
        {
            Css.Put(cpu, &memcg->Css);
            return true;
        }
        LockWord* ptl = MmStruct.LockOf(mm, index);
        PageTableLock.Acquire(cpu, ptl);
        bool same = GuardedPtr<Page>.Get(MmStruct.Entry(mm, index)) == pte;
        if (same)
        {
            if (write && SwapCache.TryReuse<TC>(cpu, device, page)) PageOps.Set(page, PageFlags.Dirty);
            PageMapping.SetAnonLocked(page, mm, index);
            PageOps.Get(page); // the mapping's; put by zap or the next unmap
            AtomicInt.Add(&page->MapCount, 1);
            GuardedPtr<Page>.Set(MmStruct.Entry(mm, index), page);
            if (memcg != null) Charging.CommitSwapIn<TC>(cpu, page, memcg, device);
            SwapDevice.Put<TC>(cpu, device, entry, 1); // swap_free
        }
        PageTableLock.Release(cpu, ptl);
        if (memcg != null && !same) Charging.Cancel<TC>(cpu, memcg, 1);
        if (memcg != null) Css.Put(cpu, &memcg->Css);
        result = FaultResult.Mapped;
        return same;
    }

    /// <summary>try_get_mem_cgroup_from_page, then the record of the entry, then the faulting space's group; with a css reference.</summary>
    private static Memcg* PayerOf<TC>(in ThisCpu cpu, SwapDevice* device, MmStruct* mm, Page* page, SwapEntry entry) where TC : struct, IMemoryController
    {
        Memcg* memcg = SwapRecord.TryGetPayer(cpu, device, entry);
        if (memcg != null) return memcg;
        using (new RcuReadGuard(cpu))
        {
            memcg = TC.OwnerOf(cpu, page, out bool used);
            if (used && Css.TryGetOnline(cpu, &memcg->Css)) return memcg;
        }
        if (mm != null) return Charging.MemcgOf(cpu, mm);
        memcg = MemcgTree.Root(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree)); // readahead of nobody's entry
        Css.Get(cpu, &memcg->Css);
        return memcg;
    }

    /// <summary>
    /// read_swap_cache_async: the cached page of entry, read in if there is none, with a reference. To 5.7 the new page is on the list of
    /// nobody's group until somebody maps it (readahead is never charged); where the LRU bit keeps the owner it is charged here, before it can
    /// be on a list, to the entry's payer or else mm's group (5.8). Null: no frame or no room, or raced: the entry changed meanwhile.
    /// </summary>
    public static Page* ReadAsync<TC>(in ThisCpu cpu, SwapDevice* device, SwapEntry entry, out bool raced, MmStruct* mm = null) where TC : struct, IMemoryController
    {
        raced = false;
        Page* page = SwapCache.Find(cpu, device, entry);
        if (page != null) return page;
        page = Frames.Alloc(cpu, Gfp.Kernel);
        if (page == null) return null;
        if (!SwapDevice.TryAddCacheUse(cpu, device, entry))
        {
            raced = true; // another reader's page is about to appear, or the entry is gone
            PageOps.PutAndTest(page);
            Frames.Free(cpu, page);
            return null;
        }
        PageOps.SetExclusive(page, PageFlags.SwapBacked | PageFlags.Uptodate | PageFlags.Locked);
        AtomicInt.Init(&page->MapCount, 0);
        PageMapping.SetAnonOrphan(page);
        SwapCache.Add(cpu, device, page, entry);
        if (TC.LruBitKeepsOwner && !TryChargeRead<TC>(cpu, device, mm, page, entry))
        {
            SwapCache.Delete<TC>(cpu, device, page);
            PageOps.Unlock(page);
            Mm.Put<TC>(cpu, page);
            return null;
        }
        PageOps.Unlock(page); // read from a device that is never late
        Mm.LruCacheAdd<TC>(cpu, page);
        return page;
    }

    /// <summary>mem_cgroup_charge of __read_swap_cache_async (5.8): page is locked, in the swap cache and on no list.</summary>
    private static bool TryChargeRead<TC>(in ThisCpu cpu, SwapDevice* device, MmStruct* mm, Page* page, SwapEntry entry) where TC : struct, IMemoryController
    {
        Memcg* memcg = PayerOf<TC>(cpu, device, mm, page, entry);
        bool charged = Charging.TryCharge<TC>(cpu, memcg, 1, Gfp.Kernel);
        if (charged) Charging.CommitSwapIn<TC>(cpu, page, memcg, device);
        Css.Put(cpu, &memcg->Css);
        return charged;
    }

    /// <summary>copy_one_pte of fork: child's entry maps what parent's maps. Both are relatives (<see cref="MmStruct.Join"/>). No copy on write: both keep the page.</summary>
    public static void Share(in ThisCpu cpu, MmStruct* parent, MmStruct* child, long index)
    {
        LockWord* ptl = MmStruct.LockOf(parent, index), childPtl = MmStruct.LockOf(child, index);
        PageTableLock.Acquire(cpu, ptl);
        PageTableLock.Acquire(cpu, childPtl); // parent before child, as in Linux
        Page* pte = GuardedPtr<Page>.Get(MmStruct.Entry(parent, index));
        if (Pte.IsPresent(pte))
        {
            PageOps.Get(pte);
            AtomicInt.Add(&pte->MapCount, 1);
        }
        else if (Pte.IsSwap(pte)) SwapDevice.Duplicate(cpu, SwapDevice.Of(cpu), Pte.SwapOf(pte));
        GuardedPtr<Page>.Set(MmStruct.Entry(child, index), pte);
        PageTableLock.Release(cpu, childPtl);
        PageTableLock.Release(cpu, ptl);
    }
}
