// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What the books say, in pages, and everything that does not balance.</summary>
/// <param name="Charged">Pages ever charged.</param>
/// <param name="Uncharged">Pages ever uncharged.</param>
/// <param name="Resident">Pages found charged by looking at every frame.</param>
/// <param name="Stocked">Pages counted but held by stocks.</param>
/// <param name="OnLists">Pages on LRU lists.</param>
/// <param name="Groups">Groups in use, dying ones included.</param>
/// <param name="Dying">Groups offline and not yet freed.</param>
/// <param name="Residue">Pages that removed groups count, the freed ones included, though their parents have uncharged them (E6).</param>
/// <param name="Wrong">One line for each thing that does not balance; empty when all does.</param>
public sealed record Balance(long Charged, long Uncharged, long Resident, long Stocked, long OnLists, long Groups, long Dying, long Residue, IReadOnlyList<string> Wrong)
{
    /// <summary>True when nothing is wrong.</summary>
    public bool Holds => Wrong.Count == 0;
}

/// <summary>
/// The books, checked against every frame, list and counter there is (spec 5.7; C-I1, C-I2, C-I4, C-I6 to C-I8, B-I2 to B-I7, I1, I4). Only at
/// quiescence: no operation in flight, this CPU's and all other CPUs' vectors drained.
/// </summary>
public static unsafe class Audit
{
    private struct Found
    {
        public long Pages, Anon, File, Mapped, Writeback, Entries;
        /// <summary>Pages and stocks of the subtree; swap entries of the subtree.</summary>
        public long Below, EntriesBelow;
        /// <summary>Bytes of kernel memory of the subtree.</summary>
        public long KernelBelow;
    }

    /// <summary>Checks everything; allocates, so never inside a measured region.</summary>
    public static Balance Run<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        MemcgTree* tree = GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree);
        var wrong = new List<string>();
        int capacity = Guarded<int>.Get(&tree->Capacity);
        var found = new Found[capacity];
        AuditSwap.CountEntries(cpu, tree, (id, entries) => found[id].Entries += entries, wrong);
        long onLists = CountFrames<TC>(cpu, tree, found, wrong), listed = 0, charged = 0, uncharged = 0, stocked, residue = AtomicLong.Load(&tree->DeadResidue);
        var kmem = new KmemBooks(tree, wrong);
        TC.KmemCount(cpu, kmem);
        stocked = AddToAncestors<TC>(cpu, tree, found, kmem);
        for (int id = 0; id < capacity; id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            if (Css.StateOf(&memcg->Css) == CssState.Free)
            {
                if (found[id].Pages != 0) wrong.Add($"group {id} is freed, yet {found[id].Pages} pages name it");
                for (int node = 0; node < Guarded<int>.Get(&tree->Nodes); node++) TC.LruCheckFreed(memcg, node, wrong);
                continue;
            }
            for (int node = 0; node < Guarded<int>.Get(&tree->Nodes); node++)
            {
                TC.LruCheck(cpu, memcg, node, wrong);
                if (TC.LruTwin && !Memcg.IsRoot(memcg)) continue; // its pages are on the zone's list too, which is the root's
                for (LruList list = 0; list <= LruList.Unevictable; list++) listed += TC.LruCount(memcg, node, list);
            }
            CheckStatistics<TC>(memcg, found[id], wrong);
            if (!Memcg.IsRoot(memcg)) residue += CheckCounter<TC>(memcg, found[id], wrong); // the root's own pages are not counted
            else CheckRoot<TC>(memcg, found[id].KernelBelow + kmem.BytesOf(id), wrong);
            if (!Memcg.IsRoot(memcg) && Guarded<int>.Get(&tree->SwapAccounting) != 0) CheckMemsw<TC>(memcg, found[id], wrong);
            charged += MemcgStat.Read(memcg, MemcgStatItem.PgpgIn);
            uncharged += MemcgStat.Read(memcg, MemcgStatItem.PgpgOut);
        }
        CheckStocks<TC>(cpu, wrong);
        CheckIds(tree, wrong);
        ListLru.Check(cpu, tree, wrong);
        AuditPageCgroup.Check<TC>(cpu, tree, found.Sum(f => f.Pages), wrong);
        if (onLists != listed) wrong.Add($"lru: {onLists} frames have the LRU bit, the lists count {listed}");
        if (!TC.LeavesResidue && residue != 0) wrong.Add($"{residue} pages are counted by removed groups alone");
        charged += AtomicLong.Load(&tree->DeadCharged);
        uncharged += AtomicLong.Load(&tree->DeadUncharged);
        long resident = found.Sum(f => f.Pages);
        if (charged != uncharged + resident) wrong.Add($"charged {charged} is not uncharged {uncharged} + resident {resident}");
        return new Balance(charged, uncharged, resident, stocked, onLists, AtomicLong.Load(&tree->Count), AtomicLong.Load(&tree->Dying), residue, wrong);
    }

    /// <summary>No stock holds more than a batch, or pages of nobody, or a group twice (I3).</summary>
    private static void CheckStocks<TC>(in ThisCpu cpu, List<string> wrong) where TC : struct, IMemoryController
    {
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
            if (TC.StockFault(CpuTable.Area(cpu.Table, i)) is { } fault) wrong.Add($"stock of cpu {i}: {fault} (I3)");
    }

    /// <summary>Every id is either a group's in use or free for the next one, and its group knows it (I20).</summary>
    private static void CheckIds(MemcgTree* tree, List<string> wrong)
    {
        int capacity = Guarded<int>.Get(&tree->Capacity);
        long used = 0, free = IntrusiveList.Walk(&tree->Free);
        for (int id = 0; id < capacity; id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            if (Guarded<int>.Get(&memcg->Id) != id) wrong.Add($"group {id} believes that it is {Guarded<int>.Get(&memcg->Id)} (I20)");
            if (Css.StateOf(&memcg->Css) != CssState.Free) used++;
        }
        if (used + free != capacity || used != AtomicLong.Load(&tree->Count))
            wrong.Add($"{capacity} ids: {used} in use, {free} free, {AtomicLong.Load(&tree->Count)} counted (I20)");
    }

    /// <summary>Looks at every frame: whose it is, whether it may be. Returns how many are on a list.</summary>
    private static long CountFrames<TC>(in ThisCpu cpu, MemcgTree* tree, Found[] found, List<string> wrong) where TC : struct, IMemoryController
    {
        MemMap* map = MemMap.Of(cpu);
        long onLists = 0;
        for (long pfn = 0; pfn < Guarded<long>.Get(&map->Count); pfn++)
        {
            Page* page = MemMap.PageOf(map, new Pfn(pfn));
            long flags = AtomicLong.Load(&page->Flags);
            if (KmemWord.Has(page)) continue; // KmemBooks' business
            Memcg* owner = TC.OwnerOf(cpu, page, out bool used);
            if ((flags & PageFlags.Lru) != 0) onLists++;
            if (!used) continue;
            if (PageOps.Count(page) == 0) wrong.Add($"pfn {pfn} has no reference, yet group {Guarded<int>.Get(&owner->Id)} pays for it");
            int id = Guarded<int>.Get(&owner->Id);
            found[id].Pages++;
            if ((flags & PageFlags.Writeback) != 0) found[id].Writeback++;
            bool inserted = PageMapping.FileOf(page) == null && AtomicInt.Load(&page->MapCount) != 0; // a device page: charged as mapped memory (2.6.27)
            if (PageMapping.IsAnon(page) || inserted) found[id].Anon++;
            else
            {
                found[id].File++;
                if (AtomicInt.Load(&page->MapCount) != 0) found[id].Mapped++;
            }
        }
        return onLists;
    }

    /// <summary>A dead group keeps what was charged through it and uncharged through its parent; an online one is exact (I1, E6).</summary>
    private static bool IsExact<TC>(Memcg* memcg) where TC : struct, IMemoryController => !TC.LeavesResidue || Css.StateOf(&memcg->Css) == CssState.Online;

    /// <summary>User pages per owner's id, for whoever explains what holds a group.</summary>
    internal static void UserPages<TC>(in ThisCpu cpu, long[] byId) where TC : struct, IMemoryController
    {
        MemMap* map = MemMap.Of(cpu);
        for (long pfn = 0; pfn < Guarded<long>.Get(&map->Count); pfn++)
        {
            Page* page = MemMap.PageOf(map, new Pfn(pfn));
            if (KmemWord.Has(page)) continue;
            Memcg* owner = TC.OwnerOf(cpu, page, out bool used);
            if (used) byId[Guarded<int>.Get(&owner->Id)]++;
        }
    }

    private static void CheckStatistics<TC>(Memcg* memcg, Found found, List<string> wrong) where TC : struct, IMemoryController
    {
        if (!TC.CountsPageState) (found.Mapped, found.Writeback) = (0, 0);
        int id = Guarded<int>.Get(&memcg->Id);
        long rss = MemcgStat.Read(memcg, MemcgStatItem.Rss), cache = MemcgStat.Read(memcg, MemcgStatItem.Cache);
        if (rss != found.Anon || cache != found.File) wrong.Add($"group {id}: rss {rss}, cache {cache}; the frames say {found.Anon}, {found.File}");
        long mapped = MemcgStat.Read(memcg, MemcgStatItem.FileMapped), writeback = MemcgStat.Read(memcg, MemcgStatItem.Writeback), swap = MemcgStat.Read(memcg, MemcgStatItem.Swap);
        if (mapped != found.Mapped) wrong.Add($"group {id}: mapped {mapped}, the frames say {found.Mapped}"); // C-I8
        if (writeback != found.Writeback) wrong.Add($"group {id}: writeback {writeback}, the frames say {found.Writeback}");
        if (swap != found.Entries) wrong.Add($"group {id}: swap {swap}, the swap map says {found.Entries}"); // C-I7
        long balance = MemcgStat.Read(memcg, MemcgStatItem.PgpgIn) - MemcgStat.Read(memcg, MemcgStatItem.PgpgOut);
        if (balance != found.Pages) wrong.Add($"group {id}: pgpgin - pgpgout is {balance}, {found.Pages} pages are charged");
    }

    /// <summary>
    /// usage = pages of the subtree + stocks of the subtree (I1); at most the limit, at least 0 (I4), at most the peak (5.7, 2). Returns what a removed
    /// group counts beyond that.
    /// </summary>
    private static long CheckCounter<TC>(Memcg* memcg, in Found found, List<string> wrong) where TC : struct, IMemoryController
    {
        int own = Guarded<int>.Get(&memcg->Id);
        long usage = TC.Usage(memcg, CounterKind.Memory), limit = TC.Limit(memcg, CounterKind.Memory), peak = TC.Peak(memcg, CounterKind.Memory);
        long kernelUsage = TC.Usage(memcg, CounterKind.Kmem), kernelPages = found.KernelBelow / MemMap.FrameBytes, expected = found.Below + kernelPages;
        bool exact = IsExact<TC>(memcg);
        if (exact && found.KernelBelow % MemMap.FrameBytes != 0)
            wrong.Add($"group {own}: {found.KernelBelow} bytes of kernel memory in its subtree, no multiple of a page (I2)");
        if (exact ? kernelUsage != kernelPages : kernelUsage < kernelPages) wrong.Add($"group {own}: kmem usage {kernelUsage}, its kernel pages are {kernelPages}");
        if (exact ? usage != expected : usage < expected) wrong.Add($"group {own}: usage {usage}, its pages and stocks are {expected}");
        if (usage > limit) wrong.Add($"group {own}: usage {usage} over limit {limit}");
        if (usage < 0) wrong.Add($"group {own}: usage {usage} below zero");
        if (peak < usage) wrong.Add($"group {own}: peak {peak} below usage {usage}");
        return exact ? 0 : usage - expected;
    }

    /// <summary>
    /// I1b: the root's kmem counter has what its descendants have, what they left to it, and what was freed since it was the root's; its memory counter
    /// has no such law, because the root's own pages look like those it inherited.
    /// </summary>
    private static void CheckRoot<TC>(Memcg* root, long kernelBytes, List<string> wrong) where TC : struct, IMemoryController
    {
        long usage = TC.Usage(root, CounterKind.Kmem), pages = kernelBytes / MemMap.FrameBytes, drift = AtomicLong.Load(&Memcg.TreeOf(root)->RootDrift);
        if (usage != pages + drift) wrong.Add($"root: kmem usage {usage}, the machine's charged kernel pages are {pages} and {drift} were freed as the root's (I1b)");
    }

    /// <summary>memsw = pages and stocks of the subtree + swap entries that record it (C-I2); never below memory (C-I4), at most its limit.</summary>
    private static void CheckMemsw<TC>(Memcg* memcg, in Found found, List<string> wrong) where TC : struct, IMemoryController
    {
        int own = Guarded<int>.Get(&memcg->Id);
        long memsw = TC.Usage(memcg, CounterKind.Memsw), memory = TC.Usage(memcg, CounterKind.Memory), limit = TC.Limit(memcg, CounterKind.Memsw);
        long expected = found.Below + found.EntriesBelow + found.KernelBelow / MemMap.FrameBytes;
        if (IsExact<TC>(memcg) ? memsw != expected : memsw < expected) wrong.Add($"group {own}: memsw {memsw}, its pages, stocks and swap entries are {expected}");
        if (memsw < memory) wrong.Add($"group {own}: memsw {memsw} below memory {memory}");
        if (memsw > limit) wrong.Add($"group {own}: memsw {memsw} over limit {limit}");
    }

    /// <summary>What each group has is counted by itself and by every group above it. Returns the pages in stocks.</summary>
    private static long AddToAncestors<TC>(in ThisCpu cpu, MemcgTree* tree, Found[] found, KmemBooks kmem) where TC : struct, IMemoryController
    {
        long stocked = 0;
        for (int id = 1; id < found.Length; id++) // not the root: its own pages are not counted
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            if (Css.StateOf(&memcg->Css) == CssState.Free) continue;
            long stock = StockedAnywhere<TC>(cpu, memcg);
            stocked += stock;
            for (Memcg* up = memcg; up != null; up = Memcg.ParentOf(up))
            {
                ref Found above = ref found[Guarded<int>.Get(&up->Id)];
                above.Below += found[id].Pages + stock;
                above.EntriesBelow += found[id].Entries;
                above.KernelBelow += kmem.BytesOf(id);
            }
        }
        return stocked;
    }

    private static long StockedAnywhere<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        CpuTable* table = cpu.Table;
        long pages = 0;
        for (int i = 0; i < Guarded<int>.Get(&table->Count); i++) pages += TC.StockedPages(CpuTable.Area(table, i), memcg);
        return pages;
    }
}
