// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using PageTableLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>What takes a mapped page's place in its entries.</summary>
public enum UnmapTo
{
    /// <summary>A swap entry if the page is in the swap cache, else nothing.</summary>
    SwapOrNothing,
    /// <summary>A migration entry: faults wait until the copy stands there.</summary>
    Migration,
}

/// <summary>From a page to the entries that map it, and the count of them. Linux: mm/rmap.c.</summary>
/// <remarks>An anonymous page has the same index in every space of its family (fork); a file page has one place per mapping of its file.</remarks>
public static unsafe class Rmap
{
    /// <summary>page_remove_rmap: page-table lock held. The event OnUnmap when the last mapping goes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Remove<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        if (!PageMapping.IsAnon(page)) RemoveFile<TC>(cpu, page);
        else if (Drop(page)) TC.OnUnmap(cpu, page);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool Drop(Page* page)
    {
        int left = AtomicInt.AddReturn(&page->MapCount, -1);
        if (left < 0) Bug.Fail("mm: unmapped more often than mapped (page, mapcount)", (long)page, left);
        return left == 0;
    }

    /// <summary>No flag beside the count: adds commute, a flag set and cleared by two CPUs would not (A16).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RemoveFile<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        PageStat stat = PageStat.Begin<TC>(cpu, page);
        bool last = Drop(page);
        if (last) stat.Add(cpu, MemcgStatItem.FileMapped, -1);
        stat.End(cpu);
        if (last) TC.OnUnmap(cpu, page);
    }

    /// <summary>page_add_file_rmap: page-table lock held.</summary>
    internal static void AddFile<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        PageStat stat = PageStat.Begin<TC>(cpu, page);
        if (AtomicInt.AddReturn(&page->MapCount, 1) == 1) stat.Add(cpu, MemcgStatItem.FileMapped, 1);
        stat.End(cpu);
    }

    /// <summary>try_to_unmap: page locked, the caller holds a reference. True when nothing maps the page any more.</summary>
    public static bool TryUnmap<TC>(in ThisCpu cpu, Page* page, UnmapTo to = UnmapTo.SwapOrNothing) where TC : struct, IMemoryController
    {
        if (AtomicInt.Load(&page->MapCount) == 0) return true;
        for (var place = new RmapWalk(page); place.Next();)
        {
            LockWord* ptl = MmStruct.LockOf(place.Space, place.Index);
            PageTableLock.Acquire(cpu, ptl);
            GuardedPtr<Page>* entry = MmStruct.Entry(place.Space, place.Index);
            if (GuardedPtr<Page>.Get(entry) == page)
            {
                GuardedPtr<Page>.Set(entry, Replacement(cpu, page, to));
                Remove<TC>(cpu, page);
                if (PageOps.PutAndTest(page)) Bug.Fail("rmap: the caller's own reference was lost (page)", (long)page);
            }
            PageTableLock.Release(cpu, ptl);
        }
        return AtomicInt.Load(&page->MapCount) == 0;
    }

    private static Page* Replacement(in ThisCpu cpu, Page* page, UnmapTo to)
    {
        if (to == UnmapTo.Migration) return Pte.Migrating(page);
        if (!PageMapping.IsAnon(page) || !PageOps.Test(page, PageFlags.SwapCache)) return null;
        SwapEntry entry = SwapCache.EntryOf(page);
        SwapDevice.Duplicate(cpu, SwapDevice.Of(cpu), entry); // put by the swap-in or by zap
        return Pte.Of(entry);
    }

    /// <summary>remove_migration_ptes: entries that wait for old map page from now on; entries that were zapped meanwhile stay empty.</summary>
    internal static void RemoveMigrationEntries<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController
    {
        for (var place = new RmapWalk(old); place.Next();)
        {
            LockWord* ptl = MmStruct.LockOf(place.Space, place.Index);
            PageTableLock.Acquire(cpu, ptl);
            GuardedPtr<Page>* entry = MmStruct.Entry(place.Space, place.Index);
            if (GuardedPtr<Page>.Get(entry) == Pte.Migrating(old))
            {
                PageOps.Get(page); // put by zap or the next unmap
                if (PageMapping.IsAnon(page)) AtomicInt.Add(&page->MapCount, 1);
                else AddFile<TC>(cpu, page);
                GuardedPtr<Page>.Set(entry, page);
            }
            PageTableLock.Release(cpu, ptl);
        }
    }
}

/// <summary>The places where a page may be mapped; the page is locked, so its mapping stays.</summary>
internal unsafe ref struct RmapWalk
{
    private readonly MmStruct* first;
    private readonly FileSpace* file;
    private readonly long pageIndex;
    private int next;

    public MmStruct* Space { get; private set; }
    public long Index { get; private set; }

    public RmapWalk(Page* page)
    {
        pageIndex = AtomicLong.Load(&page->Index);
        if (PageMapping.IsAnon(page)) first = PageMapping.AnonSpace(page);
        else file = PageMapping.FileOf(page);
    }

    public bool Next()
    {
        if (first != null)
        {
            Space = Space == null ? first : MmStruct.NextOfFamily(Space);
            Index = pageIndex;
            return next++ == 0 || Space != first;
        }
        while (file != null && next < FileSpace.Mappings(file))
        {
            FileMapping* m = FileSpace.MappingAt(file, next++);
            long offset = pageIndex - Guarded<long>.Get(&m->FirstIndex);
            if (offset < 0 || offset >= Guarded<long>.Get(&m->Count)) continue;
            Space = (MmStruct*)Guarded<nint>.Get(&m->Space);
            Index = Guarded<long>.Get(&m->FirstEntry) + offset;
            return true;
        }
        return false;
    }
}
