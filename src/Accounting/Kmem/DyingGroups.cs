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
    /// <summary>User pages, and pages in stocks, that hold it by the residents' answer; bounded by its counter.</summary>
    public long Pages { get; internal set; }
    /// <summary>CPUs whose byte stock remembers it.</summary>
    public long ByteStocks { get; internal set; }
    /// <summary>Swap entries that record it.</summary>
    public long SwapEntries { get; internal set; }
    /// <summary>Removed children that are not freed yet; each holds its parent.</summary>
    public long Children { get; internal set; }
    /// <summary>References nobody above accounts for: ids, or callbacks still to run.</summary>
    public long Other => References - Caches - KernelPages - Pages - ByteStocks - SwapEntries - Children;

    /// <summary>One line.</summary>
    public override string ToString()
    {
        (long Count, string What)[] pins =
        [
            (Caches, "caches"), (KernelPages, "kernel blocks"), (Pages, "pages"), (ByteStocks, "byte stocks"),
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
            for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++) userPages[id] += TC.StockedPages(CpuTable.Area(cpu.Table, i), memcg);
            group.Pages = Math.Clamp(userPages[id], 0, Math.Max(0, group.Other));
            group.SwapEntries = Math.Clamp(MemcgStat.Read(memcg, MemcgStatItem.Swap), 0, Math.Max(0, group.Other));
            found.Add(group);
        }
        return found;
    }

    /// <summary>The same in one line per kind of pin, for a report.</summary>
    public static IReadOnlyDictionary<string, long> Breakdown(IEnumerable<DyingGroup> groups)
    {
        Dictionary<string, long> by = [];
        foreach (DyingGroup g in groups)
        {
            string pin = g.Caches > 0 ? "cache" : g.KernelPages > 0 ? "kernel page" : g.Pages > 0 ? "page" : g.ByteStocks > 0 ? "byte stock"
                : g.SwapEntries > 0 ? "swap entry" : g.Children > 0 ? "dying child" : g.Other > 0 ? "other" : "grace period";
            by[pin] = by.GetValueOrDefault(pin) + 1;
        }
        return by;
    }
}
