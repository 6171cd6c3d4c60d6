// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What must hold at rest whatever the designs: counters, statistics and lists against a recount of every page (C-I1, C-I2, C-I8).</summary>
internal static unsafe class AccountingCheck
{
    public static void Run<TC>(SimulatedAccounting box, int groups, int pages) where TC : struct, IMemoryController
    {
        var wrong = new List<string>();
        for (int i = 0; i < pages; i++) TC.PageCgroupCheck(box[0], box.Pages + i, wrong);
        for (int id = 0; id < groups; id++)
        {
            Memcg* memcg = MemcgTree.ById(box.Tree, id);
            if (Css.StateOf(&memcg->Css) is CssState.Free or CssState.Released) continue;
            TC.LruCheck(box[0], memcg, 0, wrong);
            if (id != 0) Counters<TC>(box, memcg, groups, pages, wrong);
        }
        Frames(box, pages, wrong);
        if (Guarded<nint>.Get(&box.Tree->Swap) != 0) Swap((SwapDevice*)Guarded<nint>.Get(&box.Tree->Swap), box, pages, wrong);
        if (wrong.Count > 0) Bug.Fail(wrong[0]);
    }

    /// <summary>A page is free exactly when it is on some CPU's list.</summary>
    private static void Frames(SimulatedAccounting box, int pages, List<string> wrong)
    {
        long free = 0, listed = 0;
        for (int i = 0; i < pages; i++)
            if (PageOps.Test(box.Pages + i, PageFlags.Free)) free++;
        for (int c = 0; c < Guarded<int>.Get(&box.AllCpus.Table->Count); c++)
            listed += Guarded<int>.Get(&GuardedPtr<PerCpuPages>.Get(&AllocatorCpu.Of(box.AllCpus.Area(c))->Home)->Count);
        if (free != listed) wrong.Add($"{free} pages are free, {listed} on the CPUs' lists");
    }

    /// <summary>An entry is in use or on the stack; the cache's slot and the page name each other.</summary>
    private static void Swap(SwapDevice* device, SimulatedAccounting box, int pages, List<string> wrong)
    {
        int used = 0;
        for (int e = 0; e < Guarded<int>.Get(&device->Entries); e++)
        {
            var entry = new SwapEntry(e);
            if (SwapDevice.IsUsed(device, entry)) used++;
            else if (SwapRecord.Id(device, entry) != 0) wrong.Add($"swap entry {e} is free and recorded");
            Page* cached = GuardedPtr<Page>.Get(SwapDevice.CacheSlot(device, entry));
            if (cached != null && (!PageOps.Test(cached, PageFlags.SwapCache) || SwapCache.EntryOf(cached) != entry))
                wrong.Add($"swap entry {e} names a page that does not name it");
        }
        if (used != SwapDevice.Used(device)) wrong.Add($"{used} swap entries are used, {SwapDevice.Used(device)} off the stack");
        for (int i = 0; i < pages; i++)
            if (PageOps.Test(box.Pages + i, PageFlags.SwapCache) && GuardedPtr<Page>.Get(SwapDevice.CacheSlot(device, SwapCache.EntryOf(box.Pages + i))) != box.Pages + i)
                wrong.Add($"page {i} is in the swap cache and its entry does not name it");
    }

    private static void Counters<TC>(SimulatedAccounting box, Memcg* memcg, int groups, int pages, List<string> wrong) where TC : struct, IMemoryController
    {
        long below = 0, own = 0, mapped = 0, writeback = 0;
        for (int i = 0; i < pages; i++)
        {
            Page* page = box.Pages + i;
            Memcg* owner = TC.OwnerOf(box[0], page, out bool used);
            if (!used) continue;
            if (Memcg.IsDescendant(owner, memcg)) below++;
            if (owner != memcg) continue;
            own++;
            if (!PageMapping.IsAnon(page) && AtomicInt.Load(&page->MapCount) > 0) mapped++;
            if (PageOps.Test(page, PageFlags.Writeback)) writeback++;
        }
        Compare(wrong, memcg, "usage", TC.Usage(memcg, CounterKind.Memory), below);
        Compare(wrong, memcg, "rss and cache", MemcgStat.Read(memcg, MemcgStatItem.Rss) + MemcgStat.Read(memcg, MemcgStatItem.Cache), own);
        if (!TC.CountsPageState) mapped = writeback = 0;
        Compare(wrong, memcg, "mapped file pages", MemcgStat.Read(memcg, MemcgStatItem.FileMapped), mapped);
        Compare(wrong, memcg, "pages under writeback", MemcgStat.Read(memcg, MemcgStatItem.Writeback), writeback);
        if (Guarded<nint>.Get(&box.Tree->Swap) == 0) return;
        long swapped = 0;
        var device = (SwapDevice*)Guarded<nint>.Get(&box.Tree->Swap);
        for (int e = 0; e < Guarded<int>.Get(&device->Entries); e++)
        {
            int id = SwapRecord.Id(device, new SwapEntry(e));
            if (id != 0 && Memcg.IsDescendant(MemcgTree.ById(box.Tree, id), memcg)) swapped++;
        }
        Compare(wrong, memcg, "memory and swap", TC.Usage(memcg, CounterKind.Memsw), below + swapped);
    }

    private static void Compare(List<string> wrong, Memcg* memcg, string what, long says, long recount)
    {
        if (says != recount) wrong.Add($"{what} of group {Guarded<int>.Get(&memcg->Id)}: {says}, and {recount} by a recount of its pages");
    }
}
