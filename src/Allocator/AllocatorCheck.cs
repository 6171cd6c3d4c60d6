// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// The allocator's books, by walking everything: each frame is in exactly one place, each counter says what its list holds, and no two
/// free buddies stand side by side. Run while nobody allocates. Each sentence returned is a broken rule.
/// </summary>
public static unsafe class AllocatorCheck
{
    private const byte InUse = 0, OnZone = 1, OnList = 2;

    /// <summary>Walks zones, per-CPU lists and the whole mem_map.</summary>
    public static IReadOnlyList<string> Run(PhysicalMemory memory)
    {
        List<string> broken = [];
        byte[] place = new byte[memory.TotalPages];
        for (int i = 0; i < memory.Plan.Nodes.Count; i++) WalkZone(memory, i, place, broken);
        for (int c = 0; c < memory.CpuCount; c++)
            for (int i = 0; i < memory.Plan.Nodes.Count; i++) WalkList(memory, c, i, place, broken);
        WalkMap(memory, place, broken);
        return broken;
    }

    /// <summary>All frames back: nothing in use, nothing on per-CPU lists, and every zone in blocks of the largest order, as after set-up.</summary>
    public static IReadOnlyList<string> AllBack(PhysicalMemory memory)
    {
        List<string> broken = [];
        foreach (NodeStat node in AllocatorStat.Of(memory).Nodes)
        {
            if (node.AllocatedPages != 0) broken.Add($"node {node.Id}: {node.AllocatedPages} of {node.TotalPages} pages did not come back");
            if (node.PcpPages != 0) broken.Add($"node {node.Id}: {node.PcpPages} pages are still on per-CPU lists");
            if (node.FreeBlocks[Order.MaxValue] != node.TotalPages / Order.MaxPages && node.FreePages == node.TotalPages)
                broken.Add($"node {node.Id}: free blocks per order {string.Join(' ', node.FreeBlocks)} have not merged");
        }
        return broken;
    }

    private static void WalkZone(PhysicalMemory memory, int index, byte[] place, List<string> broken)
    {
        MemMap* map = &memory.State->Map;
        Zone* zone = &AllocatorState.Node(memory.State, index)->Zone;
        long start = Guarded<long>.Get(&zone->StartPfn), end = Guarded<long>.Get(&zone->EndPfn), free = 0;
        for (int order = 0; order < Order.Count; order++)
        {
            FreeArea* area = Zone.Area(zone, order);
            long blocks = 0;
            for (ListHead* at = IntrusiveList.First(&area->Blocks), before = &area->Blocks; at != &area->Blocks; before = at, at = IntrusiveList.NextOf(at))
            {
                Page* page = PageOps.OfLru(at);
                if (!MemMap.Owns(map, page) || IntrusiveList.PrevOf(at) != before || ++blocks > end - start)
                {
                    broken.Add($"node index {index}: the list of order {order} is broken after {blocks} blocks");
                    break;
                }
                long pfn = MemMap.PfnOf(map, page).Value;
                if (!Zone.IsFreeBlock(page, order)) broken.Add($"{Say(map, page)} is on the list of order {order}, without the flag or with another order");
                if (!Buddy.Aligned(pfn, order) || pfn < start || pfn + (1L << order) > end)
                {
                    broken.Add($"{Say(map, page)} starts a block of order {order} where none can be");
                    continue;
                }
                if (order < Order.MaxValue && pfn < Buddy.Of(pfn, order) && Zone.IsFreeBlock(MemMap.PageOf(map, new(Buddy.Of(pfn, order))), order))
                    broken.Add($"{Say(map, page)} and its buddy of order {order} are both free and not merged");
                for (long p = pfn; p < pfn + (1L << order); p++) Place(map, place, p, OnZone, broken);
                free += 1L << order;
            }
            long counted = Guarded<long>.Get(&area->NrBlocks);
            if (blocks != counted) broken.Add($"node index {index}: {blocks} blocks of order {order} on the list, {counted} counted");
        }
        if (free != AtomicLong.Load(&zone->NrFree)) broken.Add($"node index {index}: {free} free pages on the lists, {AtomicLong.Load(&zone->NrFree)} counted");
    }

    private static void WalkList(PhysicalMemory memory, int cpu, int index, byte[] place, List<string> broken)
    {
        MemMap* map = &memory.State->Map;
        PerCpuPages* list = memory.List(cpu, index);
        int count = Guarded<int>.Get(&list->Count), high = Guarded<int>.Get(&list->High);
        if (count < 0 || count >= high) broken.Add($"cpu {cpu}, node index {index}: {count} pages on the list, high is {high}");
        for (int i = 0; i < Math.Clamp(count, 0, PerCpuPages.Capacity); i++)
        {
            Page* page = GuardedPtr<Page>.Get(PerCpuPages.Entry(list, i));
            if (!MemMap.Owns(map, page))
            {
                broken.Add($"cpu {cpu}, node index {index}: entry {i} is no struct page");
                continue;
            }
            if (PageOps.NodeIndex(page) != index) broken.Add($"{Say(map, page)} is on cpu {cpu}'s list of node index {index}");
            Place(map, place, MemMap.PfnOf(map, page).Value, OnList, broken);
        }
    }

    private static void Place(MemMap* map, byte[] place, long pfn, byte where, List<string> broken)
    {
        if (place[pfn] != InUse) broken.Add($"{Say(map, MemMap.PageOf(map, new(pfn)))} is free in two places");
        place[pfn] = where;
    }

    private static void WalkMap(PhysicalMemory memory, byte[] place, List<string> broken)
    {
        MemMap* map = &memory.State->Map;
        for (int index = 0; index < memory.Plan.Nodes.Count; index++)
        {
            Zone* zone = &AllocatorState.Node(memory.State, index)->Zone;
            for (long pfn = Guarded<long>.Get(&zone->StartPfn); pfn < Guarded<long>.Get(&zone->EndPfn); pfn++)
            {
                Page* page = MemMap.PageOf(map, new(pfn));
                long flags = AtomicLong.Load(&page->Flags);
                bool free = place[pfn] != InUse;
                if (PageFlags.NodeIndex(flags) != index) broken.Add($"{Say(map, page)} names node index {PageFlags.NodeIndex(flags)}, it lies in {index}");
                if (free != ((flags & PageFlags.Free) != 0)) broken.Add($"{Say(map, page)} is {(free ? "" : "not ")}in a free list");
                if (place[pfn] != OnZone && (flags & PageFlags.Buddy) != 0) broken.Add($"{Say(map, page)} has the buddy flag outside the zone's lists");
                if (!free) continue;
                if ((flags & ~(PageFlags.NodeMask | PageFlags.Free | PageFlags.Buddy)) != 0) broken.Add($"{Say(map, page)} is free and has other flags");
                int references = PageOps.Count(page), mappings = AtomicInt.Load(&page->MapCount);
                if ((references | mappings) != 0) broken.Add($"{Say(map, page)} is free, refcount {references}, mapcount {mappings}");
                if (AtomicLong.Load(&page->Memcg) != 0) broken.Add($"{Say(map, page)} is free and charged, memcg word {AtomicLong.Load(&page->Memcg):x}");
            }
        }
    }

    private static string Say(MemMap* map, Page* page)
        => string.Create(CultureInfo.InvariantCulture,
            $"pfn {MemMap.PfnOf(map, page)} (flags {PageFlags.Describe(AtomicLong.Load(&page->Flags))}, private {AtomicLong.Load(&page->Private)})");
}
