// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>The questions, in the order they are printed. Stock and lock are sub-choices of Counter and Lru.</summary>
public enum Axis
{
    /// <summary>How is a hierarchy of limits charged?</summary>
    Counter,
    /// <summary>What stands in front of the counter on each CPU?</summary>
    Stock,
    /// <summary>How do two CPUs agree on who owns a page?</summary>
    PageCgroup,
    /// <summary>Which lock guards a page's place on a list?</summary>
    Lru,
    /// <summary>How does that lock wait?</summary>
    LruLock,
    /// <summary>When does a page stop being charged?</summary>
    Uncharge,
    /// <summary>What becomes of a dead group's user pages?</summary>
    Residents,
    /// <summary>What holds a dead group's kernel objects?</summary>
    Kmem,
}

/// <summary>One answer on one axis, as users name it.</summary>
/// <param name="Axis">The question.</param>
/// <param name="Name">What -M axis=name takes.</param>
/// <param name="What">One line for `memcgnative list axes`.</param>
public sealed record Answer(Axis Axis, string Name, string What);

/// <summary>A named point in the space of answers.</summary>
/// <param name="Name">What -M takes.</param>
/// <param name="Author">Who wrote what gave the era its face.</param>
/// <param name="Date">ISO date, or year and month.</param>
/// <param name="Subject">The series.</param>
/// <param name="Fate">What became of it.</param>
/// <param name="Answers">One name per <see cref="Axis"/>, in its order.</param>
public sealed record Era(string Name, string Author, string Date, string Subject, string Fate, IReadOnlyList<string> Answers);

/// <summary>What exists: every answer and every era that is built. Matrix (bench) turns a choice into type arguments.</summary>
public static class Eras
{
    /// <summary>How users spell the axes.</summary>
    public static string NameOf(Axis axis) => axis switch
    {
        Axis.Counter => "counter",
        Axis.Stock => "stock",
        Axis.PageCgroup => "page_cgroup",
        Axis.Lru => "lru",
        Axis.LruLock => "lru.lock",
        Axis.Uncharge => "uncharge",
        Axis.Residents => "residents",
        Axis.Kmem => "kmem",
        _ => throw new ArgumentOutOfRangeException(nameof(axis)),
    };

    /// <summary>Every answer that is built.</summary>
    public static IReadOnlyList<Answer> Answers { get; } =
    [
        new(Axis.Counter, "PageCounter40", "atomic add per level, five words in 40 bytes (3.19)"),
        new(Axis.Counter, "PageCounter192", "atomic add per level, usage alone on its line, 192 bytes (6.18)"),
        new(Axis.Stock, "None", "every charge goes to the counter"),
        new(Axis.Stock, "SingleSlot32", "one group per CPU, 32 pages at a time (2.6.33 to 6.0)"),
        new(Axis.Stock, "SingleSlot64", "one group per CPU, 64 pages at a time (6.1 to 6.15)"),
        new(Axis.Stock, "SevenSlot64", "seven groups per CPU in one line, 64 pages at a time (6.16)"),
        new(Axis.PageCgroup, "OwnerWord", "one plain word in struct page (3.19)"),
        new(Axis.Lru, "ZoneLruLock", "one lock per zone for every group's lists (3.3)"),
        new(Axis.LruLock, "tas", "test and set"),
        new(Axis.LruLock, "ticket", "ticket (2.6.25 to 4.1)"),
        new(Axis.LruLock, "mcs", "queued (today's idea)"),
        new(Axis.Uncharge, "AtFinalPut", "after the last reference is gone, gathered per owner (3.17)"),
        new(Axis.Uncharge, "AtUnmap27", "at unmap and cache removal (2.6.27)"),
        new(Axis.Uncharge, "AtUnmap29", "the same with memory+swap (2.6.29)"),
        new(Axis.Uncharge, "AtUnmap32", "the same in batches (3.2 to 3.16)"),
        new(Axis.Residents, "ForceEmpty", "uncharged by force, then nobody's (2.6.27)"),
        new(Axis.Residents, "MoveToParent", "become the parent's at offline (2.6.29 to 3.18)"),
        new(Axis.Residents, "PinPerPage", "a css reference per counted page (3.19)"),
        new(Axis.Kmem, "None", "kernel objects are charged to nobody (nokmem)"),
        new(Axis.Kmem, "PerCachePin", "a copy of each cache per group, which holds the group until it is empty (3.14)"),
        new(Axis.Kmem, "ReparentCaches", "copies become the parent's at offline (2014, not merged)"),
        new(Axis.Kmem, "ReparentCachesRef", "the same, a percpu_ref per copy (5.3)"),
        new(Axis.Kmem, "ReparentPointerByPage", "slab pages name a counted pointer to the group (2019, patch 2)"),
        new(Axis.Kmem, "ReparentPointer", "objects name it, caches are shared (2019, whole series)"),
        new(Axis.Kmem, "ObjCgroup", "objects name an obj_cgroup, bytes are stocked per CPU (5.9 to 6.18)"),
    ];

    /// <summary>Every era all of whose answers are built.</summary>
    public static IReadOnlyList<Era> All { get; } =
    [
        new("3.19", "Johannes Weiner", "2015-02", "mm: memcontrol: lockless page counters; page->mem_cgroup", "released",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "ticket", "AtFinalPut", "PinPerPage", "None"]),
        new("5.3", "Roman Gushchin", "2019-09", "mm: reparent slab memory on cgroup removal", "released",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "mcs", "AtFinalPut", "PinPerPage", "ReparentCachesRef"]),
        new("rfc-2019-ptr", "Roman Gushchin", "2019-09-05", "mm: memcg: introduce mem_cgroup_ptr", "RFC; became obj_cgroup in 5.9",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "mcs", "AtFinalPut", "PinPerPage", "ReparentPointer"]),
        new("5.9", "Roman Gushchin", "2020-10", "The new cgroup slab memory controller", "released",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "mcs", "AtFinalPut", "PinPerPage", "ObjCgroup"]),
    ];

    /// <summary>The era of this name, or null.</summary>
    public static Era? Find(string name) => All.FirstOrDefault(e => e.Name == name);
}

/// <summary>A complete choice: an era, then single axes overridden. Text form: -M 3.19,stock=SevenSlot64.</summary>
public sealed record Model(string Era, IReadOnlyList<string> Answers)
{
    /// <summary>The answer on one axis.</summary>
    public string this[Axis axis] => Answers[(int)axis];

    /// <summary>The text -M takes: the era and what differs from it.</summary>
    public override string ToString()
    {
        Era era = Eras.Find(Era)!;
        var parts = new List<string> { Era };
        for (int i = 0; i < Answers.Count; i++)
            if (Answers[i] != era.Answers[i]) parts.Add($"{Eras.NameOf((Axis)i)}={Answers[i]}");
        return string.Join(',', parts);
    }

    /// <summary>Reads era[,axis=answer]...; names are matched without regard to case.</summary>
    /// <exception cref="UsageException">Names the element that is not known, the nearest one that is, and all of them.</exception>
    public static Model Parse(string text)
    {
        string[] parts = text.Split(',');
        Era era = Eras.All.FirstOrDefault(e => Same(e.Name, parts[0].Trim()))
            ?? throw Unknown("era", parts[0].Trim(), Eras.All.Select(e => e.Name));
        string[] answers = [.. era.Answers];
        foreach (string part in parts.Skip(1))
        {
            int eq = part.IndexOf('=', StringComparison.Ordinal);
            if (eq < 0) throw new UsageException($"'{part.Trim()}' is not axis=answer; write for example {era.Name},stock=None");
            string name = part[..eq].Trim(), answer = part[(eq + 1)..].Trim();
            Axis[] axes = [.. Enum.GetValues<Axis>().Where(a => Same(Eras.NameOf(a), name))];
            if (axes.Length == 0) throw Unknown("axis", name, Enum.GetValues<Axis>().Select(Eras.NameOf));
            IEnumerable<Answer> known = Eras.Answers.Where(a => a.Axis == axes[0]);
            answers[(int)axes[0]] = known.FirstOrDefault(a => Same(a.Name, answer))?.Name
                ?? throw Unknown($"answer of axis {Eras.NameOf(axes[0])}", answer, known.Select(a => a.Name));
        }
        return new Model(era.Name, answers);
    }

    private static bool Same(string a, string b) => string.Equals(a, b, StringComparison.OrdinalIgnoreCase);

    private static UsageException Unknown(string what, string given, IEnumerable<string> known)
    {
        string[] all = [.. known];
        string nearest = all.MinBy(k => Distance(k.ToUpperInvariant(), given.ToUpperInvariant()))!;
        string hint = Distance(nearest.ToUpperInvariant(), given.ToUpperInvariant()) <= Math.Max(1, nearest.Length / 3) ? $"; did you mean {nearest}?" : ".";
        return new UsageException($"{what} '{given}' is not known{hint} Known: {string.Join(", ", all)}");
    }

    /// <summary>Levenshtein distance.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int cost = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + (a[i - 1] == b[j - 1] ? 0 : 1));
                diagonal = row[j];
                row[j] = cost;
            }
        }
        return row[^1];
    }
}
