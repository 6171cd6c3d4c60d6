// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Accounting;

/// <summary>What became of a migration.</summary>
public enum MigrateResult
{
    /// <summary>The contents are in a new frame.</summary>
    Moved,
    /// <summary>Somebody else uses the page; it is mapped where it was (EAGAIN).</summary>
    Busy,
    /// <summary>No frame, or no charge for it.</summary>
    NoMemory,
}

/// <summary>Moves a page to another frame while its users wait. Linux: unmap_and_move, mm/migrate.c.</summary>
public static unsafe class Migration
{
    /// <summary>Takes a page off its list and moves it to a frame of the given node; on failure it goes back as it was. The caller holds a reference, which stays.</summary>
    public static MigrateResult Migrate<TC>(in ThisCpu cpu, Page* old, Node* target) where TC : struct, IMemoryController
    {
        if (!TC.LruIsolate(cpu, old)) return MigrateResult.Busy;
        if (PageOps.PutAndTest(old)) Bug.Fail("migration: the caller has no reference (page)", (long)old); // isolation's is the one the move counts with
        Page* page = Frames.AllocOnNode(cpu, target, Gfp.Kernel);
        MigrateResult result = page == null ? MigrateResult.NoMemory : Move<TC>(cpu, old, page);
        if (result != MigrateResult.Moved)
        {
            TC.LruPutback(cpu, &old, 1);
            if (page != null) Mm.Put<TC>(cpu, page);
            return result;
        }
        Mm.LruCacheAdd<TC>(cpu, page);
        Mm.Put<TC>(cpu, page); // the allocation's; caches and mappings have their own
        return result;
    }

    private static MigrateResult Move<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController
    {
        PageOps.SetExclusive(page, PageFlags.Locked);
        AtomicInt.Init(&page->MapCount, 0);
        if (!PageOps.TryLock(old))
        {
            PageOps.Unlock(page);
            return MigrateResult.Busy;
        }
        MigrateResult result = MoveLocked<TC>(cpu, old, page);
        PageOps.Unlock(old);
        PageOps.Unlock(page);
        return result;
    }

    private static MigrateResult MoveLocked<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController
    {
        if (PageOps.Test(old, PageFlags.Writeback | PageFlags.Unevictable)) return MigrateResult.Busy;
        bool anon = PageMapping.IsAnon(old);
        if (!anon && PageMapping.FileOf(old) == null) return MigrateResult.Busy; // truncated
        if (!TC.OnMigratePrepare(cpu, old, page)) return MigrateResult.NoMemory;
        bool ok = Rmap.TryUnmap<TC>(cpu, old, UnmapTo.Migration) && TryReplace(cpu, old, page, anon);
        if (ok)
        {
            byte* from = MemMap.FrameOf(MemMap.Of(cpu), old), to = MemMap.FrameOf(MemMap.Of(cpu), page);
            new ReadOnlySpan<byte>(from, MemMap.FrameBytes).CopyTo(new Span<byte>(to, MemMap.FrameBytes));
            PageOps.Set(page, AtomicLong.Load(&old->Flags) & (PageFlags.SwapBacked | PageFlags.Uptodate | PageFlags.Dirty | PageFlags.Active | PageFlags.Referenced));
            TC.OnMigrated(cpu, old, page);
        }
        Rmap.RemoveMigrationEntries<TC>(cpu, old, ok ? page : old);
        TC.OnMigrateEnd(cpu, old, page, ok);
        if (!ok) return MigrateResult.Busy;
        if (!anon) PageMapping.Clear(old); // entries were found through it until here
        PageOps.Clear(old, PageFlags.Active);
        return MigrateResult.Moved;
    }

    /// <summary>migrate_page_move_mapping: nobody but the caller and the cache may hold old; what was the cache's is dropped here.</summary>
    private static bool TryReplace(in ThisCpu cpu, Page* old, Page* page, bool anon)
    {
        if (!anon)
        {
            if (!PageCache.TryReplace(cpu, old, page, freeze: 2)) return false;
        }
        else if (PageOps.Test(old, PageFlags.SwapCache))
        {
            if (!SwapCache.TryReplace(cpu, SwapDevice.Of(cpu), old, page)) return false;
            PageMapping.CopyPlace(old, page);
        }
        else
        {
            if (PageOps.Count(old) != 1) return false;
            PageMapping.CopyPlace(old, page);
            return true;
        }
        if (PageOps.PutAndTest(old)) Bug.Fail("migration: the caller's own reference was lost (page)", (long)old);
        return true;
    }
}
