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
    // Sub-choices of lru=Books. They come last: eras that do not name them have the default.

    /// <summary>How does an isolated page change its book?</summary>
    LruSwitch,
    /// <summary>How does a group's book end?</summary>
    LruDestroy,
    /// <summary>Into how many books is a node cut?</summary>
    LruSlice,
    /// <summary>Do new pages wait in their book?</summary>
    LruPending,
}

/// <summary>One answer on one axis, as users name it.</summary>
/// <param name="Axis">The question.</param>
/// <param name="Name">What -M axis=name takes.</param>
/// <param name="What">One line for `memcgnative list axes`.</param>
/// <param name="Refused">Why a normal run refuses it, or null: known to be wrong, or not yet shown to be right.</param>
public sealed record Answer(Axis Axis, string Name, string What, string? Refused = null);

/// <summary>A named point in the space of answers.</summary>
/// <param name="Name">What -M takes.</param>
/// <param name="Author">Who wrote what gave the era its face.</param>
/// <param name="Date">ISO date, or year and month.</param>
/// <param name="Subject">The series.</param>
/// <param name="Fate">What became of it.</param>
/// <param name="Named">One name per <see cref="Axis"/>, in its order; the axes left out at the end have <see cref="Eras.DefaultOf"/>.</param>
public sealed record Era(string Name, string Author, string Date, string Subject, string Fate, IReadOnlyList<string> Named)
{
    /// <summary>One name per axis.</summary>
    public IReadOnlyList<string> Answers { get; } = [.. Named, .. Enum.GetValues<Axis>().Skip(Named.Count).Select(Eras.DefaultOf)];

    /// <summary>Which counters the era has: memory+swap came with 2.6.29, kernel memory with 3.8 as far as the era counts any.</summary>
    public bool Declares(CounterKind kind) => kind switch
    {
        CounterKind.Memsw => Answers[(int)Axis.Uncharge] != "AtUnmap27",
        CounterKind.Kmem => Answers[(int)Axis.Kmem] != "None",
        _ => true,
    };
}

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
        Axis.LruSwitch => "lru.switch",
        Axis.LruDestroy => "lru.destroy",
        Axis.LruSlice => "lru.slice",
        Axis.LruPending => "lru.pending",
        _ => throw new ArgumentOutOfRangeException(nameof(axis)),
    };

    /// <summary>The answer of an axis that an era does not name.</summary>
    public static string DefaultOf(Axis axis) => axis switch
    {
        Axis.LruSwitch => "W1",
        Axis.LruDestroy => "rcu+lockwait",
        Axis.LruSlice => "none",
        Axis.LruPending => "off",
        _ => throw new ArgumentOutOfRangeException(nameof(axis), axis, "an era names this axis"),
    };

    /// <summary>Answers that are made of parts, or that have always been here; others announce themselves.</summary>
    private static readonly Answer[] named =
    [
        new(Axis.Counter, "PageCounter40", "atomic add per level, five words in 40 bytes (3.19)"),
        new(Axis.Counter, "PageCounter112", "atomic add per level, 112 bytes, limit and parent on usage's line (5.8 to 5.11)"),
        new(Axis.Counter, "PageCounter112Apart", "the same, parent away from usage (5.12 to 6.0)"),
        new(Axis.Counter, "PageCounter192Legacy", "atomic add per level, three lines, usage alone (6.1 to 6.11)"),
        new(Axis.Counter, "PageCounter256", "the same, a fourth line by accident (6.12 to 6.14)"),
        new(Axis.Counter, "PageCounter192", "atomic add per level, usage alone on its line, 192 bytes (6.18)"),
        new(Axis.Counter, "ResCounter40", "spinlock per level, ticket, 40 bytes (2.6.25)"),
        new(Axis.Counter, "ResCounter40Tas", "the same, test and set"),
        new(Axis.Counter, "ResCounter56", "spinlock per level, ticket, with soft limit and parent, 56 bytes (2.6.31 to 3.18)"),
        new(Axis.Counter, "ResCounter56Tas", "the same, test and set"),
        new(Axis.Stock, "None", "every charge goes to the counter"),
        new(Axis.Stock, "SingleSlot32", "one group per CPU, 32 pages at a time (2.6.33 to 6.0)"),
        new(Axis.Stock, "SingleSlot64", "one group per CPU, 64 pages at a time (6.1 to 6.15)"),
        new(Axis.Stock, "SevenSlot64", "seven groups per CPU in one line, 64 pages at a time (6.16)"),
        new(Axis.PageCgroup, "OwnerWord", "one plain word in struct page (3.19)"),
        new(Axis.PageCgroup, "ObjcgWord", "one plain word in struct page names an obj_cgroup (7.1)"),
        new(Axis.PageCgroup, "BitSpinlock", "a slab object behind a word with a bit lock (2.6.25 to 2.6.27)"),
        new(Axis.PageCgroup, "BitSpinlockByte", "the same, the lock a byte: one exchange instead of a compare-exchange loop"),
        new(Axis.PageCgroup, "LocklessRcu", "a slab object freed by RCU, corrected, prefetchw of the list's line (2008 series)"),
        new(Axis.PageCgroup, "LocklessRcuRead", "the same, the line prefetched for reading"),
        new(Axis.PageCgroup, "LocklessRcuNone", "the same without prefetch"),
        new(Axis.PageCgroup, "LocklessRcuAsPosted", "the 2008 series with its races; for the explorer only"),
        new(Axis.PageCgroup, "FlagArray40", "an array per node, 40 bytes a frame, bit lock (2.6.28 to 3.2)"),
        new(Axis.PageCgroup, "FlagArray40Byte", "the same with a byte lock"),
        new(Axis.PageCgroup, "FlagArray16", "an array per node, 16 bytes a frame, bit lock (3.3 to 3.16)"),
        new(Axis.PageCgroup, "FlagArray16Byte", "the same with a byte lock"),
        new(Axis.PageCgroup, "PlainFlagArrayMail", "16 bytes a frame, no lock; a migrated page stays named (2014 mail)"),
        new(Axis.PageCgroup, "PlainFlagArray", "16 bytes a frame, no lock (3.17)"),
        new(Axis.Lru, "TwinListsAsync", "a list of page_cgroups per group beside the zone's, following the charge (2.6.25 to 2.6.28)"),
        new(Axis.Lru, "TwinListsSync", "the same, following the zone's list (2.6.29 to 3.2)"),
        new(Axis.Lru, "ZoneLruLock", "one lock per zone for every group's lists (3.3)"),
        new(Axis.Lru, "Books", "a lock per group and node, or per slice (2012 RFC)"),
        new(Axis.Lru, "LruvecLruBit", "a lock per group and node; the LRU bit pins the group (5.11 to 6.18)"),
        new(Axis.Lru, "LruvecRecheck", "the same, looked at again under the lock (7.1)"),
        new(Axis.LruLock, "tas", "test and set"),
        new(Axis.LruLock, "ticket", "ticket (2.6.25 to 4.1)"),
        new(Axis.LruLock, "mcs", "queued (today's idea)"),
        new(Axis.LruLock, "tas-timed", "test and set, holds timed: two clock reads more"),
        new(Axis.LruLock, "ticket-timed", "ticket, holds timed"),
        new(Axis.LruLock, "mcs-timed", "queued, holds timed"),
        new(Axis.Uncharge, "AtFinalPut", "after the last reference is gone, gathered per owner (3.17)"),
        new(Axis.Uncharge, "AtUnmap27", "at unmap and cache removal (2.6.27)"),
        new(Axis.Uncharge, "AtUnmap29", "the same with memory+swap (2.6.29)"),
        new(Axis.Uncharge, "AtUnmap33", "the same in batches; a migrating page is marked, and its copy charged as well (2.6.35 to 3.5)"),
        new(Axis.Uncharge, "AtUnmap36", "the same, the copy without a second charge (3.6 to 3.16)"),
        new(Axis.Residents, "ForceEmpty", "uncharged by force, then nobody's (2.6.27)"),
        new(Axis.Residents, "MoveToParent", "become the parent's at offline (2.6.29 to 3.18)"),
        new(Axis.Residents, "PinPerPage", "a css reference per counted page (3.19)"),
        new(Axis.Residents, "SpliceToParent", "become the parent's in one step per node (7.1)"),
        new(Axis.Kmem, "None", "kernel objects are charged to nobody (nokmem)"),
        new(Axis.Kmem, "PerCachePin", "a copy of each cache per group, which holds the group until it is empty (3.14)"),
        new(Axis.Kmem, "ReparentCaches", "copies become the parent's at offline (2014, not merged)"),
        new(Axis.Kmem, "ReparentCachesAsPosted", "the same as the mail had it",
            "an allocation uses a copy that it holds no reference on, and a free looks at it after its last (D4, D6)"),
        new(Axis.Kmem, "ReparentCachesRef", "the same, a percpu_ref per copy (5.3)"),
        new(Axis.Kmem, "ReparentPointerByPage", "slab pages name a counted pointer to the group (2019, patch 2)"),
        new(Axis.Kmem, "ReparentPointer", "objects name it, caches are shared (2019, whole series)"),
        new(Axis.Kmem, "ReparentPointerAsPosted", "the same as the mail had it",
            "the pointer is killed before the css reference that it owes is taken, so the group may be released online (E3)"),
        new(Axis.Kmem, "ObjCgroup", "objects name an obj_cgroup, bytes are stocked per CPU (5.9 to 6.18)"),
        new(Axis.Kmem, "ObjCgroupPerNode", "the same, one per group and node, user pages name it too (7.1)"),
        new(Axis.LruSwitch, "W1", "the old book's lock held around the switch"),
        new(Axis.LruSwitch, "W2", "store, full fence, wait for the old lock's holder"),
        new(Axis.LruSwitch, "W0", "store only", "the catcher takes the page off the new list under the old lock (B1)"),
        new(Axis.LruSwitch, "W2-nofence", "W2 as the mail wrote it", "the store may wait in a buffer while the lock is found free (B2)"),
        new(Axis.LruSwitch, "W3", "the catcher looks again after the LRU bit", "right for one move, wrong for a page that is on its way back (ABA)"),
        new(Axis.LruSwitch, "W4", "both locks, in the order of addresses"),
        new(Axis.LruSwitch, "W5", "the LRU bit as a lock; a swap-in is charged before it is on a list"),
        new(Axis.LruDestroy, "refcount", "a css reference per isolated page"),
        new(Axis.LruDestroy, "rcu+lockwait", "a grace period, then wait for the lock's holder"),
        new(Axis.LruDestroy, "recycle", "never freed, used again after a grace period"),
        new(Axis.LruDestroy, "rcu", "a grace period and no wait for the lock", "a holder's release writes into the freed book (B3)"),
        new(Axis.LruSlice, "none", "one book per group and node"),
        new(Axis.LruSlice, "256M", "a book per 256 MiB; any power of two from 2M on"),
        new(Axis.LruSlice, "interleave:4", "4 books in turns of 2^12 frames; any interleave:N@order"),
        new(Axis.LruPending, "off", "new pages wait in the CPU's pagevec"),
        new(Axis.LruPending, "on", "new pages wait in their book, pushed without a lock"),
    ];

    /// <summary>Every answer that is built, by axis.</summary>
    public static IReadOnlyList<Answer> Answers { get; } = [.. named.Concat(Announced.All.Select(a => a.Answer)).OrderBy(a => a.Axis)];

    /// <summary>Every era all of whose answers are built.</summary>
    public static IReadOnlyList<Era> All { get; } =
    [
        new("2.6.27", "Balbir Singh", "2008-10", "Memory controller; memcg: lock_page_cgroup and page_cgroup ref", "released",
            ["ResCounter40", "None", "BitSpinlock", "TwinListsAsync", "ticket", "AtUnmap27", "ForceEmpty", "None"]),
        new("rfc-2008-lockless", "KAMEZAWA Hiroyuki", "2008-08-20", "memcg: lockless page_cgroup v1", "not merged: put off in favour of page_cgroup arrays (2.6.28)",
            ["ResCounter40", "None", "LocklessRcu", "TwinListsAsync", "ticket", "AtUnmap27", "ForceEmpty", "None"]),
        new("2.6.29", "KAMEZAWA Hiroyuki", "2009-03", "memcg: mem+swap controller; synchronized LRU; allocate all page_cgroup at boot", "released",
            ["ResCounter56", "None", "FlagArray40", "TwinListsSync", "ticket", "AtUnmap29", "MoveToParent", "None"]),
        new("3.3", "Johannes Weiner", "2012-03", "mm: make per-memcg LRU lists exclusive", "released",
            ["ResCounter56", "SingleSlot32", "FlagArray16", "ZoneLruLock", "ticket", "AtUnmap33", "MoveToParent", "None"]),
        new("3.14", "Glauber Costa, Vladimir Davydov", "2014-03", "kmem accounting with a cache per group", "released",
            ["ResCounter56", "SingleSlot32", "FlagArray16", "ZoneLruLock", "ticket", "AtUnmap36", "MoveToParent", "PerCachePin"]),
        new("rfc-2014-kmemcg", "Vladimir Davydov", "2014-02-26", "kmemcg reparenting", "not merged; parts in 3.16, the idea again in 5.3",
            ["ResCounter56", "SingleSlot32", "FlagArray16", "ZoneLruLock", "ticket", "AtUnmap36", "MoveToParent", "ReparentCaches"]),
        new("rfc-2014-uncharge", "Johannes Weiner", "2014-04-30", "mm: memcontrol: rewrite uncharge API", "merged in 3.17 with all bits cleared at migration",
            ["ResCounter56", "SingleSlot32", "PlainFlagArrayMail", "ZoneLruLock", "ticket", "AtFinalPut", "MoveToParent", "None"]),
        new("3.17", "Johannes Weiner", "2014-10", "mm: memcontrol: rewrite uncharge API", "released",
            ["ResCounter56", "SingleSlot32", "PlainFlagArray", "ZoneLruLock", "ticket", "AtFinalPut", "MoveToParent", "None"]),
        new("3.19", "Johannes Weiner", "2015-02", "mm: memcontrol: lockless page counters; page->mem_cgroup", "released",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "ticket", "AtFinalPut", "PinPerPage", "None"]),
        new("5.3", "Roman Gushchin", "2019-09", "mm: reparent slab memory on cgroup removal", "released",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "mcs", "AtFinalPut", "PinPerPage", "ReparentCachesRef"]),
        new("rfc-2019-ptr", "Roman Gushchin", "2019-09-05", "mm: memcg: introduce mem_cgroup_ptr", "RFC; became obj_cgroup in 5.9",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "mcs", "AtFinalPut", "PinPerPage", "ReparentPointer"]),
        new("5.9", "Roman Gushchin", "2020-10", "The new cgroup slab memory controller", "released",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "ZoneLruLock", "mcs", "AtFinalPut", "PinPerPage", "ObjCgroup"]),
        new("rfc-2012-books", "Konstantin Khlebnikov", "2012-02-16", "mm: memory book keeping and lru_lock splitting", "RFC and v3, not merged",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "Books", "ticket", "AtFinalPut", "PinPerPage", "None", "W2", "rcu+lockwait"]),
        new("5.11", "Alex Shi, Hugh Dickins", "2021-02", "per memcg lru lock", "released",
            ["PageCounter40", "SingleSlot32", "OwnerWord", "LruvecLruBit", "mcs", "AtFinalPut", "PinPerPage", "None"]),
        new("6.1", "Shakeel Butt", "2022-12", "memcg: optimize charge codepath", "released",
            ["PageCounter192Legacy", "SingleSlot64", "OwnerWord", "LruvecLruBit", "mcs", "AtFinalPut", "PinPerPage", "ObjCgroup"]),
        new("6.12", "Roman Gushchin, Shakeel Butt", "2024-11", "mm: memcg: separate legacy cgroup v1 code", "released",
            ["PageCounter256", "SingleSlot64", "OwnerWord", "LruvecLruBit", "mcs", "AtFinalPut", "PinPerPage", "ObjCgroup"]),
        new("6.18", "Shakeel Butt, Roman Gushchin and many", "2025-11", "multi-memcg percpu charge cache; obj_cgroup", "released",
            ["PageCounter192", "SevenSlot64", "OwnerWord", "LruvecLruBit", "mcs", "AtFinalPut", "PinPerPage", "ObjCgroup"]),
        new("7.1", "Muchun Song, Qi Zheng", "2026", "Eliminate Dying Memory Cgroup", "released",
            ["PageCounter192", "SevenSlot64", "ObjcgWord", "LruvecRecheck", "mcs", "AtFinalPut", "SpliceToParent", "ObjCgroupPerNode"]),
    ];

    /// <summary>Why the answers of model do not go together, with the cure; null when they do.</summary>
    public static string? WhyNot(Model model)
    {
        string pc = model[Axis.PageCgroup], lru = model[Axis.Lru], uncharge = model[Axis.Uncharge], residents = model[Axis.Residents], kmem = model[Axis.Kmem];
        bool early = uncharge.StartsWith("AtUnmap", StringComparison.Ordinal), array = pc.StartsWith("FlagArray", StringComparison.Ordinal);
        bool made = pc.StartsWith("BitSpinlock", StringComparison.Ordinal) || pc.StartsWith("LocklessRcu", StringComparison.Ordinal);
        bool bit = lru.StartsWith("Lruvec", StringComparison.Ordinal) || (lru == "Books" && model[Axis.LruSwitch] == "W5");
        return pc switch
        {
            _ when early && bit => $"{(lru == "Books" ? "lru.switch=W5" : $"lru={lru}")} needs uncharge=AtFinalPut, because a page on a list has to keep its owner, "
                + $"and {uncharge} lets the next swap-in charge it to another group",
            _ when lru == "Books" && pc.Contains("FlagArray", StringComparison.Ordinal) => $"lru=Books needs page_cgroup=OwnerWord, because {pc} still names the group of a page "
                + "that nobody pays for and that is on no list, and that group's book may be gone; 3.3 names the root when the page is added, under the lock of all groups",
            "LocklessRcuAsPosted" => "page_cgroup=LocklessRcuAsPosted is for the explorer only, because it has the races of the posting; choose page_cgroup=LocklessRcu",
            "PlainFlagArrayMail" when residents == "PinPerPage" =>
                $"page_cgroup={pc} needs residents=MoveToParent, because a migrated page stays on its group's list and pins nothing",
            _ when lru == "TwinListsAsync" && !made => $"lru={lru} needs page_cgroup=BitSpinlock or LocklessRcu, because it links the object that a charge makes; {pc} makes none",
            _ when lru == "TwinListsSync" && !pc.StartsWith("FlagArray40", StringComparison.Ordinal) =>
                $"lru={lru} needs page_cgroup=FlagArray40, because it links the node in each frame's entry; {pc} has none",
            _ when early && !made && !array => $"uncharge={uncharge} needs a page_cgroup with a lock and a group that stays named, because a page is uncharged "
                + $"while others use it; {pc} does not have them. Choose uncharge=AtFinalPut",
            _ when early && made && lru != "TwinListsAsync" => $"uncharge={uncharge} with lru={lru} needs a page_cgroup that keeps the owner of an uncharged page on its list, "
                + $"because it is taken off later; {pc} does not. Choose page_cgroup=FlagArray16 or lru=TwinListsAsync",
            _ when made && uncharge is ("AtUnmap33" or "AtUnmap36") => $"uncharge={uncharge} needs page_cgroup=FlagArray16 or FlagArray40, because a page is marked "
                + $"while it migrates; {pc} has no place for the mark. Choose uncharge=AtUnmap29",
            _ when made && kmem != "None" => $"kmem={kmem} needs a page_cgroup that leaves the words of kernel pages alone, because kmem keeps their owners there; {pc} keeps "
                + "its object in every page's word, and no kernel had both. Choose kmem=None",
            _ when early && array && residents == "PinPerPage" => $"uncharge={uncharge} needs residents=MoveToParent or ForceEmpty, because an uncharged page stays "
                + "on its group's list and pins nothing; only they wait until the lists are empty",
            "ObjcgWord" when kmem != "ObjCgroupPerNode" => $"page_cgroup={pc} needs kmem=ObjCgroupPerNode, because pages name its objcgs; {kmem} has none per node",
            "ObjcgWord" when residents != "SpliceToParent" =>
                $"page_cgroup={pc} needs residents=SpliceToParent, because a removed group's pages become its parent's when its objcgs do; {residents} moves or holds single pages",
            _ when residents == "SpliceToParent" && pc != "ObjcgWord" =>
                $"residents={residents} needs page_cgroup=ObjcgWord, because all pages of a group change hands by one store; with {pc} each page names its group",
            _ when residents == "SpliceToParent" && lru != "LruvecRecheck" =>
                $"residents={residents} needs lru=LruvecRecheck, because lists are joined while others look for their lock; {lru} does not look again",
            _ when kmem == "ObjCgroupPerNode" && residents != "SpliceToParent" =>
                $"kmem={kmem} needs residents=SpliceToParent, which switches the objcgs of a node together with its lists; {residents} does not. Choose kmem=ObjCgroup",
            _ => null,
        };
    }

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
    public static Model Parse(string text) => Parse(text, explorer: false);

    /// <summary>The same for the explorer: answers that a normal run refuses are allowed.</summary>
    /// <exception cref="UsageException">As <see cref="Parse(string)"/>.</exception>
    public static Model ParseForExplorer(string text) => Parse(text, explorer: true);

    private static Model Parse(string text, bool explorer)
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
            answers[(int)axes[0]] = Answer(axes[0], answer, explorer);
        }
        var model = new Model(era.Name, answers);
        if (model[Axis.Lru] == "Books") return model;
        foreach (Axis axis in (Axis[])[Axis.LruSwitch, Axis.LruDestroy, Axis.LruSlice, Axis.LruPending])
            if (model[axis] != era.Answers[(int)axis])
                throw new UsageException($"{Eras.NameOf(axis)}={model[axis]} is a choice of lru=Books, and the model has lru={model[Axis.Lru]}; add lru=Books or leave it out");
        return model;
    }

    private static string Answer(Axis axis, string answer, bool explorer)
    {
        if (axis == Axis.LruSlice) return SlicePlan.Parse(answer).ToString();
        IEnumerable<Answer> known = Eras.Answers.Where(a => a.Axis == axis);
        Answer found = known.FirstOrDefault(a => Same(a.Name, answer))
            ?? throw Unknown($"answer of axis {Eras.NameOf(axis)}", answer, known.Where(a => explorer || a.Refused is null).Select(a => a.Name));
        return explorer || found.Refused is null ? found.Name
            : throw new UsageException($"{Eras.NameOf(axis)}={found.Name} is for the explorer only: {found.Refused}; choose "
                + string.Join(" or ", known.Where(a => a.Refused is null).Select(a => a.Name)));
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
