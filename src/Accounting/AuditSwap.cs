// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>The swap device's part of the books: entries per group, and that use counts, records and cached pages agree (C-I7).</summary>
internal static unsafe class AuditSwap
{
    /// <summary>Reports each recorded entry to count; adds a line for each that does not agree with itself.</summary>
    public static void CountEntries(in ThisCpu cpu, MemcgTree* tree, Action<int, long> count, List<string> wrong)
    {
        SwapDevice* device = SwapDevice.Of(cpu);
        if (device == null) return;
        int used = 0;
        for (int i = 0; i < Guarded<int>.Get(&device->Entries); i++)
        {
            var entry = new SwapEntry(i);
            int id = SwapRecord.Id(device, entry);
            if (SwapDevice.IsUsed(device, entry)) used++;
            else if (id != 0) wrong.Add($"swap: entry {i} is free, yet group {id} pays for it");
            Page* page = GuardedPtr<Page>.Get(SwapDevice.CacheSlot(device, entry));
            if (page != null && (!PageOps.Test(page, PageFlags.SwapCache) || SwapCache.EntryOf(page) != entry))
                wrong.Add($"swap: entry {i} caches page {(nint)page:x}, which does not name it");
            if (id == 0) continue;
            if (id >= Guarded<int>.Get(&tree->Capacity) || Css.StateOf(&MemcgTree.ById(tree, id)->Css) == CssState.Free)
                wrong.Add($"swap: entry {i} records group {id}, which does not exist");
            else
                count(id, 1);
        }
        if (used != SwapDevice.Used(device)) wrong.Add($"swap: {used} entries are in use, the free stack says {SwapDevice.Used(device)}");
    }
}
