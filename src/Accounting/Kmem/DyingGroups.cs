// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What keeps one removed group in memory: how many references of which kind it has.</summary>
public sealed class DyingGroup
{
    /// <summary>The group's id.</summary>
    public required int Id { get; init; }
    /// <summary>Its state.</summary>
    public required CssState State { get; init; }
    /// <summary>All references it has.</summary>
    public long References { get; internal set; }
    /// <summary>Copies of caches that hold it.</summary>
    public long Caches { get; internal set; }
    /// <summary>Blocks of kernel pages that hold it.</summary>
    public long KernelPages { get; internal set; }
    /// <summary>User pages that hold it, where the residents' answer says so; or the mover that has not yet found them all.</summary>
    public long Pages { get; internal set; }
    /// <summary>Pages in stocks (3.19), or CPUs whose stock remembers it (7.1).</summary>
    public long Stocks { get; internal set; }
    /// <summary>CPUs whose byte stock remembers it.</summary>
    public long ByteStocks { get; internal set; }
    /// <summary>Swap entries that record it by its id: here, as in Linux, the only users of an id that outlive the group.</summary>
    public long SwapEntries { get; internal set; }
    /// <summary>Removed children that are not freed yet; each holds its parent.</summary>
    public long Children { get; internal set; }
    /// <summary>References nobody above accounts for: callbacks still to run, or a leak.</summary>
    public long Other => References - Caches - KernelPages - Pages - Stocks - ByteStocks - SwapEntries - Children;

    /// <summary>One line.</summary>
    public override string ToString()
    {
        (long Count, string What)[] pins =
        [
            (Caches, "caches"), (KernelPages, "kernel blocks"), (Pages, "pages"), (Stocks, "stocks"), (ByteStocks, "byte stocks"),
            (SwapEntries, "swap entries"), (Children, "dying children"), (Other, "other"),
        ];
        string held = string.Join(", ", pins.Where(p => p.Count != 0).Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Count} {p.What}")));
        return string.Create(CultureInfo.InvariantCulture, $"group {Id} ({State}): {(held.Length == 0 ? "a grace period" : held)}");
    }
}

/// <summary>The zombies, and why each of them is still there. Run at quiescence; Linux has only their number (nr_dying_descendants).</summary>
public static unsafe class DyingGroups
{
    /// <summary>Every group that was removed and is not freed, with what holds it.</summary>
    public static IReadOnlyList<DyingGroup> Explain<TC>(in ThisCpu cpu, MemcgTree* tree) where TC : struct, IMemoryController
    {
        var found = new List<DyingGroup>();
        int capacity = Guarded<int>.Get(&tree->Capacity);
        long[] children = new long[capacity], userPages = new long[capacity];
        for (int id = 1; id < capacity; id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            if (Css.StateOf(&memcg->Css) is not CssState.Free) children[Guarded<int>.Get(&Memcg.ParentOf(memcg)->Id)]++;
        }
        Audit.UserPages<TC>(in cpu, userPages);
        for (int id = 1; id < capacity; id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            CssState state = Css.StateOf(&memcg->Css);
            if (state is CssState.Free or CssState.Online) continue;
            var group = new DyingGroup { Id = id, State = state, Children = children[id] };
            group.References = state == CssState.Released ? 0 : PerCpuRef.CountAtRest(in cpu, &memcg->Css.Ref);
            TC.KmemExplain(in cpu, memcg, group);
            group.SwapEntries = MemcgStat.Read(memcg, MemcgStatItem.Swap);
            group.Pages = TC.Pins == Pins.Pages ? userPages[id] : AtomicInt.Load(&memcg->Moving);
            for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++) group.Stocks += Stocked<TC>(CpuTable.Area(cpu.Table, i), memcg);
            found.Add(group);
        }
        return found;
    }

    private static long Stocked<TC>(CpuArea* area, Memcg* memcg) where TC : struct, IMemoryController => TC.Pins switch
    {
        Pins.Pages => TC.StockedPages(area, memcg),
        Pins.Stocks => TC.StockRemembers(area, memcg) ? 1 : 0,
        _ => 0,
    };

    /// <summary>The same in one line per kind of pin, for a report.</summary>
    public static IReadOnlyDictionary<string, long> Breakdown(IEnumerable<DyingGroup> groups)
    {
        Dictionary<string, long> by = [];
        foreach (DyingGroup g in groups)
        {
            string pin = g.Caches > 0 ? "cache" : g.KernelPages > 0 ? "kernel page" : g.Pages > 0 ? "page" : g.SwapEntries > 0 ? "swap entry"
                : g.Stocks > 0 ? "stock" : g.ByteStocks > 0 ? "byte stock" : g.Children > 0 ? "dying child" : g.Other > 0 ? "other" : "grace period";
            by[pin] = by.GetValueOrDefault(pin) + 1;
        }
        return by;
    }
}
