// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>The caches of one design after groups have used them, and what the groups take.</summary>
/// <param name="Model">The design.</param>
/// <param name="Groups">Groups that have objects.</param>
/// <param name="Removed">Of them, removed since.</param>
/// <param name="Utilisation">Bytes of objects in use, of those there is room for in the pages of accounted caches.</param>
/// <param name="Slabs">Those pages.</param>
/// <param name="FrameBytesPerGroup">All frames taken for the groups, per group: slabs, caches, vectors of owners, counted pointers.</param>
/// <param name="ObjectBytesPerGroup">Bytes of live objects per group.</param>
/// <param name="DyingGroups">What is left of removed groups.</param>
/// <param name="Caches">One line per cache.</param>
internal sealed record SlabReport(string Model, int Groups, int Removed, double Utilisation, long Slabs, long FrameBytesPerGroup, long ObjectBytesPerGroup,
    DyingModel DyingGroups, IReadOnlyList<SlabCacheModel> Caches);

/// <summary>One line of /sys/kernel/slab.</summary>
internal sealed record SlabCacheModel(string Name, int? Owner, bool Draining, int ObjectBytes, long Objects, long StockedObjects, long Slabs, int ObjectsPerSlab,
    double Utilisation);

/// <summary>
/// `slab`: groups use a dozen caches of usual sizes, each some objects of each; then objects go and others come, of the same cache, for any group;
/// then, if asked, the groups are removed. The pattern depends on the seed only.
/// </summary>
internal sealed unsafe class SlabLab(InstancePlan plan, int groups, int objects, bool removed, ulong seed) : KmemLab<SlabReport>(plan)
{
    private static readonly (string Name, int Bytes)[] kinds =
    [
        ("dentry", 192), ("inode_cache", 600), ("proc_inode_cache", 664), ("filp", 256), ("vm_area_struct", 200), ("anon_vma", 88), ("signal_cache", 1000),
        ("files_cache", 704), ("cred_jar", 168), ("pid", 128), ("sock_inode_cache", 760), ("task_delay_info", 80),
    ];

    protected override SlabReport Experiment<TC>(KmemBench<TC> bench)
    {
        nint[] caches = new nint[kinds.Length];
        bench.Do((in ThisCpu cpu) =>
        {
            for (int i = 0; i < kinds.Length; i++) caches[i] = (nint)bench.Cache(in cpu, kinds[i].Name, kinds[i].Bytes);
        });
        long before = bench.Frames(), bytes = 0;
        var live = new List<(nint Obj, int Kind)>();
        bench.Do((in ThisCpu cpu) => Use(in cpu, bench, caches, live));
        bench.Settle();
        bytes = live.Sum(o => (long)kinds[o.Kind].Bytes);
        long frames = bench.Frames() - before;
        SlabInfo[] all = [.. bench.Caches];
        SlabInfo[] accounted = [.. all.Where(c => kinds.Any(k => c.Name == k.Name || c.Name.StartsWith(k.Name + "(", StringComparison.Ordinal)))];
        long room = accounted.Sum(c => c.Slabs * c.PerSlab * c.ObjectBytes), used = accounted.Sum(c => c.Objects * c.ObjectBytes);
        IReadOnlyList<DyingGroup> zombies = bench.Zombies();
        bench.Free(live.Select(o => o.Obj));
        bench.Destroy(caches);
        if (!removed) bench.Do((in ThisCpu cpu) => RemoveChildren<TC>(in cpu, bench.Parent));
        return new SlabReport(Plan.Model.ToString(), groups, removed ? groups : 0, room == 0 ? 1 : (double)used / room, accounted.Sum(c => c.Slabs), frames * 4096 / groups,
            bytes / groups, new DyingModel(zombies.Count, DyingGroups.Breakdown(zombies)),
            [.. all.Where(c => c.Slabs > 0).Select(c => new SlabCacheModel(c.Name, c.Owner, c.Draining, c.ObjectBytes, c.Objects, c.Stocked, c.Slabs, c.PerSlab, c.Utilisation))]);
    }

    /// <summary>0 to twice `objects` of each cache for each group, the groups in turns; then as many objects, by lot, are replaced.</summary>
    private void Use<TC>(in ThisCpu cpu, KmemBench<TC> bench, nint[] caches, List<(nint Obj, int Kind)> live) where TC : struct, IMemoryController
    {
        var random = new SeededRandom(seed);
        nint[] made = new nint[groups];
        for (int g = 0; g < groups; g++)
        {
            made[g] = (nint)bench.Group(in cpu, g);
            foreach (nint cache in caches) KmemBench<TC>.Warm(in cpu, (SlabCache*)cache, (Memcg*)made[g]);
        }
        int[][] wanted = [.. Enumerable.Range(0, groups).Select(_ => caches.Select(_ => random.Next(2 * objects + 1)).ToArray())];
        for (int round = 0; round < 2 * objects; round++)
            for (int g = 0; g < groups; g++)
                for (int c = 0; c < caches.Length; c++)
                    if (round < wanted[g][c]) live.Add(((nint)KmemBench<TC>.Object(in cpu, (SlabCache*)caches[c], (Memcg*)made[g]), c));
        for (int turn = 0, all = live.Count; turn < all; turn++)
        {
            int at = random.Next(all);
            (nint obj, int kind) = live[at];
            KmemObjects.Free<TC>(in cpu, (void*)obj);
            live[at] = ((nint)KmemBench<TC>.Object(in cpu, (SlabCache*)caches[kind], (Memcg*)made[random.Next(groups)]), kind);
        }
        for (int g = 0; removed && g < groups; g++) KmemBench<TC>.Remove(in cpu, (Memcg*)made[g]);
    }

    private static void RemoveChildren<TC>(in ThisCpu cpu, Memcg* parent) where TC : struct, IMemoryController
    {
        var children = new List<nint>();
        for (ListHead* at = IntrusiveList.First(&parent->Children); at != &parent->Children; at = IntrusiveList.NextOf(at))
            children.Add((nint)((byte*)at - Memcg.SiblingOffset));
        foreach (nint child in children)
            if (Css.StateOf(&((Memcg*)child)->Css) == CssState.Online) KmemBench<TC>.Remove(in cpu, (Memcg*)child);
    }
}
