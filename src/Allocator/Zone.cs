// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;
// The zone lock is substrate, no axis, so its kind is fixed. A fair lock would make every waiter wait for a descheduled one, which the
// kernel never sees here (interrupts are off); test-and-set lets whoever runs go on.
using ZoneLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Allocator;

/// <summary>
/// The free blocks of one node. A block of order n that no free block of order n could serve is split in halves down from the next
/// larger one; a freed block merges with its buddy as long as that is free, so free memory is always in the largest possible blocks.
/// Linux: struct zone, include/linux/mmzone.h; __rmqueue_smallest and __free_one_page, mm/page_alloc.c.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct Zone
{
    /// <summary>Bytes of one: a line that is only read, then two lines apart what the lock guards.</summary>
    public const int Bytes = 512;
    private const int FreeAreaOffset = 144;

    /// <summary>I: struct page of pfn 0, not of this zone's first.</summary>
    [FieldOffset(0)] public GuardedPtr<Page> MemMap;
    /// <summary>I: first frame.</summary>
    [FieldOffset(8)] public Guarded<long> StartPfn;
    /// <summary>I: one past the last frame.</summary>
    [FieldOffset(16)] public Guarded<long> EndPfn;
    /// <summary>I: pages that only Gfp.Atomic may use.</summary>
    [FieldOffset(24)] public Guarded<long> WatermarkMin;
    /// <summary>I: below it the next zone of the list is tried first.</summary>
    [FieldOffset(32)] public Guarded<long> WatermarkLow;
    /// <summary>I: where reclaim may stop.</summary>
    [FieldOffset(40)] public Guarded<long> WatermarkHigh;
    /// <summary>I: dense index of the node, as in the flags of its pages.</summary>
    [FieldOffset(48)] public Guarded<int> NodeIndex;

    /// <summary>Guards the rest, and the private, lru and buddy flag of the zone's free pages.</summary>
    [FieldOffset(128)] public LockWord Lock;
    /// <summary>NR_FREE_PAGES. L to write; O to read: a watermark check outside the lock is stale by whatever the holder does.</summary>
    [FieldOffset(136)] public AtomicLong NrFree;
    /// <summary>L: first of <see cref="Order.Count"/>; see <see cref="Area"/>.</summary>
    [FieldOffset(FreeAreaOffset)] public FreeArea FreeArea;

    /// <summary>The blocks of one order.</summary>
    public static FreeArea* Area(Zone* zone, int order) => (FreeArea*)((byte*)zone + FreeAreaOffset) + order;

    /// <summary>Makes an empty zone; its frames are given by <see cref="Give"/>.</summary>
    public static void Init(Zone* zone, Page* memMap, Pfn start, Pfn end, int nodeIndex, Watermarks marks)
    {
        GuardedPtr<Page>.Set(&zone->MemMap, memMap);
        Guarded<long>.Set(&zone->StartPfn, start.Value);
        Guarded<long>.Set(&zone->EndPfn, end.Value);
        Guarded<long>.Set(&zone->WatermarkMin, marks.MinPages);
        Guarded<long>.Set(&zone->WatermarkLow, marks.LowPages);
        Guarded<long>.Set(&zone->WatermarkHigh, marks.HighPages);
        Guarded<int>.Set(&zone->NodeIndex, nodeIndex);
        ZoneLock.Init(&zone->Lock);
        AtomicLong.Init(&zone->NrFree, 0);
        for (int order = 0; order < Order.Count; order++)
        {
            IntrusiveList.Init(&Area(zone, order)->Blocks);
            Guarded<long>.Set(&Area(zone, order)->NrBlocks, 0);
        }
    }

    /// <summary>Takes the zone lock.</summary>
    public static void Acquire(in ThisCpu cpu, Zone* zone) => ZoneLock.Acquire(in cpu, &zone->Lock);

    /// <summary>Frees the zone lock.</summary>
    public static void Release(in ThisCpu cpu, Zone* zone) => ZoneLock.Release(in cpu, &zone->Lock);

    /// <summary>Takes a block out of the zone, or null. Zone lock held.</summary>
    public static Page* Take(Zone* zone, int order)
    {
        for (int from = order; from < Order.Count; from++)
        {
            FreeArea* area = Area(zone, from);
            if (IntrusiveList.IsEmpty(&area->Blocks)) continue;
            Page* page = PageOps.OfLru(IntrusiveList.First(&area->Blocks));
            Unlink(area, page);
            // Give the upper half back until what is left has the order asked for.
            while (from > order)
            {
                from--;
                Link(Area(zone, from), page + (1L << from), from);
            }
            AddFree(zone, -(1L << order));
            return page;
        }
        return null;
    }

    /// <summary>Puts a block into the zone and merges it with its buddies. Zone lock held; every page of the block has PageFlags.Free.</summary>
    public static void Give(Zone* zone, Page* page, int order)
    {
        Page* map = GuardedPtr<Page>.Get(&zone->MemMap);
        long pfn = ((nint)page - (nint)map) >> Page.Shift;
        AddFree(zone, 1L << order);
        while (order < Order.MaxValue)
        {
            Page* buddy = map + Buddy.Of(pfn, order);
            if (!IsFreeBlock(buddy, order)) break;
            Unlink(Area(zone, order), buddy);
            pfn = Buddy.Merged(pfn, order);
            order++;
        }
        Link(Area(zone, order), map + pfn, order);
    }

    /// <summary>page_is_buddy: a free block of exactly that order starts here. Zone lock held.</summary>
    public static bool IsFreeBlock(Page* page, int order)
        => (AtomicLong.Load(&page->Flags) & PageFlags.Buddy) != 0 && AtomicLong.Load(&page->Private) == order;

    private static void Link(FreeArea* area, Page* page, int order)
    {
        PageOps.SetExclusive(page, PageFlags.Buddy);
        AtomicLong.Init(&page->Private, order);
        IntrusiveList.Add(&area->Blocks, &page->Lru);
        Guarded<long>.Set(&area->NrBlocks, Guarded<long>.Get(&area->NrBlocks) + 1);
    }

    private static void Unlink(FreeArea* area, Page* page)
    {
        IntrusiveList.Remove(&page->Lru);
        PageOps.ClearExclusive(page, PageFlags.Buddy);
        AtomicLong.Init(&page->Private, 0);
        Guarded<long>.Set(&area->NrBlocks, Guarded<long>.Get(&area->NrBlocks) - 1);
    }

    private static void AddFree(Zone* zone, long pages) => AtomicLong.RacyStore(&zone->NrFree, AtomicLong.RacyLoad(&zone->NrFree) + pages);
}
