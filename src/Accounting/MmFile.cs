// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;
using PageTableLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>File pages: read, map, truncate, replace; and device pages. Linux: mm/filemap.c, mm/truncate.c, vm_insert_page.</summary>
public static unsafe class MmFile
{
    /// <summary>
    /// generic_file_read of one page of a sparse file: found, or a fresh page charged to mm's group. write dirties it. page comes with a
    /// reference for the caller; put it with Mm.Put.
    /// </summary>
    public static FaultResult Read<TC>(in ThisCpu cpu, MmStruct* mm, FileSpace* file, long index, bool write, out Page* page) where TC : struct, IMemoryController
    {
        while (true)
        {
            page = PageCache.Find(cpu, file, index);
            if (page == null)
            {
                FaultResult result = Add<TC>(cpu, mm, file, index, out page);
                if (result != FaultResult.Mapped) return result;
                if (page == null) continue; // another reader was faster
            }
            if (write) PageOps.Set(page, PageFlags.Dirty);
            return FaultResult.Mapped;
        }
    }

    /// <summary>add_to_page_cache_lru: charge, insert, commit, list, in this order, under the page lock. Mapped with a null page: index was taken.</summary>
    private static FaultResult Add<TC>(in ThisCpu cpu, MmStruct* mm, FileSpace* file, long index, out Page* page) where TC : struct, IMemoryController
    {
        page = Frames.Alloc(cpu, Gfp.Kernel);
        if (page == null) return FaultResult.NoMemory;
        PageOps.SetExclusive(page, PageFlags.Uptodate | PageFlags.Locked);
        AtomicInt.Init(&page->MapCount, 0);
        Memcg* memcg = Charging.MemcgOf(cpu, mm);
        bool charged = Charging.TryCharge<TC>(cpu, memcg, 1, Gfp.Kernel);
        bool added = charged && PageCache.TryAdd(cpu, file, index, page);
        if (added)
        {
            Charging.Commit<TC>(cpu, page, memcg, anon: false);
            Mm.LruCacheAdd<TC>(cpu, page);
        }
        else if (charged) Charging.Cancel<TC>(cpu, memcg, 1);
        Css.Put(cpu, &memcg->Css);
        PageOps.Unlock(page);
        if (added) return FaultResult.Mapped;
        PageOps.PutAndTest(page);
        Frames.Free(cpu, page);
        page = null;
        return charged ? FaultResult.Mapped : FaultResult.OverLimit;
    }

    /// <summary>filemap_fault: maps page fileIndex of file at index of mm, which lies in a mapping of the file. The entry must not hold anonymous memory.</summary>
    public static FaultResult Fault<TC>(in ThisCpu cpu, MmStruct* mm, long index, FileSpace* file, long fileIndex, bool write) where TC : struct, IMemoryController
    {
        while (true)
        {
            FaultResult result = Read<TC>(cpu, mm, file, fileIndex, write, out Page* page);
            if (result != FaultResult.Mapped) return result;
            Writeback.LockPage<TC>(cpu, page);
            bool ours = PageMapping.FileOf(page) == file; // else truncated or replaced while we waited
            bool mapped = false;
            if (ours)
            {
                LockWord* ptl = MmStruct.LockOf(mm, index);
                PageTableLock.Acquire(cpu, ptl);
                GuardedPtr<Page>* entry = MmStruct.Entry(mm, index);
                if (GuardedPtr<Page>.Get(entry) == null)
                {
                    Rmap.AddFile<TC>(cpu, page);
                    GuardedPtr<Page>.Set(entry, page); // Read's reference is the mapping's now
                    mapped = true;
                }
                PageTableLock.Release(cpu, ptl);
            }
            PageOps.Unlock(page);
            if (!mapped) Mm.Put<TC>(cpu, page);
            if (ours) return FaultResult.Mapped;
        }
    }

    /// <summary>truncate_inode_pages_range: pages first to first+count-1 leave their mappings and the cache. Returns pages removed.</summary>
    public static long Truncate<TC>(in ThisCpu cpu, FileSpace* file, long first, long count) where TC : struct, IMemoryController
    {
        Page** batch = stackalloc Page*[Pagevec.Size];
        Mm.LruAddDrain<TC>(cpu); // or this CPU's own vector would keep the pages
        long removed = 0;
        for (long at = first, end = first + count; at < end;)
        {
            int n = 0;
            TC.OnBatchBegin(cpu);
            for (; at < end && n < Pagevec.Size; at++)
            {
                Page* page = PageCache.Find(cpu, file, at);
                if (page == null) continue;
                if (RemoveOne<TC>(cpu, file, page)) removed++;
                batch[n++] = page;
            }
            TC.OnBatchEnd(cpu);
            Mm.ReleasePages<TC>(cpu, batch, n);
        }
        return removed;
    }

    private static bool RemoveOne<TC>(in ThisCpu cpu, FileSpace* file, Page* page) where TC : struct, IMemoryController
    {
        Writeback.LockPage<TC>(cpu, page);
        Writeback.Wait<TC>(cpu, page);
        bool ours = PageMapping.FileOf(page) == file;
        if (ours)
        {
            if (!Rmap.TryUnmap<TC>(cpu, page)) Bug.Fail("truncate: a locked page was mapped meanwhile (page)", (long)page);
            PageOps.Clear(page, PageFlags.Dirty);
            PageCache.TryRemove(cpu, page);
            TC.OnCacheRemoved(cpu, page); // outside the tree lock (A15)
            if (PageOps.PutAndTest(page)) Bug.Fail("truncate: the caller's own reference was lost (page)", (long)page);
        }
        PageOps.Unlock(page);
        return ours;
    }

    /// <summary>replace_page_cache_page (FUSE): page takes old's place in the cache. The caller holds a reference to both and neither lock; false when old has left.</summary>
    public static bool Replace<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController
    {
        Writeback.LockPage<TC>(cpu, old);
        Writeback.LockPage<TC>(cpu, page); // belongs to no file, so nobody locks the two the other way round
        Writeback.Wait<TC>(cpu, old);
        bool done = !PageMapping.IsAnon(old) && PageMapping.FileOf(old) != null && PageMapping.FileOf(page) == null
            && Rmap.TryUnmap<TC>(cpu, old) && PageCache.TryReplace(cpu, old, page);
        if (done)
        {
            TC.OnReplaced(cpu, old, page);
            if (PageOps.PutAndTest(old)) Bug.Fail("replace: the caller's own reference was lost (page)", (long)old);
        }
        PageOps.Unlock(page);
        PageOps.Unlock(old);
        return done;
    }

    /// <summary>
    /// vm_insert_page: a driver's page at index of mm. Charged as far as the era charges device pages; the error path gives the charge back.
    /// False when the entry is taken (EBUSY) or the charge is refused. No lock serialises the charge against an unmap: the reason it went.
    /// </summary>
    public static bool InsertPage<TC>(in ThisCpu cpu, MmStruct* mm, long index, Page* page) where TC : struct, IMemoryController
    {
        Memcg* memcg = TC.ChargesInsertedPages ? Charging.MemcgOf(cpu, mm) : null;
        if (memcg != null && !Charging.TryCharge<TC>(cpu, memcg, 1, Gfp.Kernel))
        {
            Css.Put(cpu, &memcg->Css);
            return false;
        }
        LockWord* ptl = MmStruct.LockOf(mm, index);
        PageTableLock.Acquire(cpu, ptl);
        GuardedPtr<Page>* entry = MmStruct.Entry(mm, index);
        bool free = GuardedPtr<Page>.Get(entry) == null;
        if (free)
        {
            if (memcg != null) Charging.Commit<TC>(cpu, page, memcg, anon: true); // as mapped memory, not as page cache: the last unmap ends it
            PageOps.Get(page); // put by zap
            Rmap.AddFile<TC>(cpu, page);
            GuardedPtr<Page>.Set(entry, page);
        }
        PageTableLock.Release(cpu, ptl);
        if (memcg != null && !free) Charging.Cancel<TC>(cpu, memcg, 1);
        if (memcg != null) Css.Put(cpu, &memcg->Css);
        return free;
    }
}
