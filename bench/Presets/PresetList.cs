// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>
/// The experiments of mails and commit messages that a port can repeat. Figures are quoted as published (spec sections 1.6, 3.6, 4.2); which model
/// stands for which kernel is said by the row, and what it leaves out by the preset.
/// </summary>
internal static class PresetList
{
    private const double Down = 0;

    public static IReadOnlyList<Preset> All { get; } =
    [
        new("2008-lockless", "KAMEZAWA Hiroyuki, 2008-09-09, lockless page_cgroup v2 on 2.6.27-rc5-mm1 (results mail)", "2 CPUs, 1 socket, x86-64; UnixBench",
        [
            new("bit lock", "execl 3006.5 lps, C compiler 1006.7 lpm, dc 124804.9 lpm", null, "fault", "2.6.27"),
            new("lockless", "execl 3035.5 (+1.0 %), C compiler 1010.3 (+0.4 %), dc 125437.9 (+0.5 %)", 1.004, "fault", "rfc-2008-lockless"),
            new("lockless, no prefetch", "", null, "fault", "rfc-2008-lockless,page_cgroup=LocklessRcuNone"),
        ], "shell 1/8/16 (+0.4 to +0.5 %): the author distrusts them"),
        new("2009-stock", "KAMEZAWA Hiroyuki, 2009, memcg: coalesce uncharge during unmap/truncate; coalesce charge via percpu storage (569b846df54f, cdec2e4265df)",
            "8 CPUs, x86-64; one pinned faulter per CPU in one child group, 60 s",
        [
            new("before", "18 444 157 faults, 69.96 cache misses/fault", null, "exit-storm", "2.6.29"),
            new("coalesced uncharge", "27 133 719 faults, 47.16", 27_133_719.0 / 18_444_157, "exit-storm", "2.6.29,uncharge=AtUnmap33"),
            new("+ per-CPU stock of 64 pages", "34 224 709 faults, 34.69", 34_224_709.0 / 18_444_157, "exit-storm", "2.6.29,stock=SingleSlot64,uncharge=AtUnmap33"),
            new("root group", "36 659 599 faults, 31.58", 36_659_599.0 / 18_444_157, "exit-storm-root", "2.6.29"),
        ], "memcg not configured: 40 156 968 faults, 27.67"),
        new("2014-page-counter", "Johannes Weiner, 2014-11-05, mm: memcontrol: lockless page counters (3e32cb2e0a12)", "4 sockets, 144 threads; page faults in 288 groups",
        [
            new("res_counter", "132.47 s; 18 631 648 ms task clock", null, "many-memcgs", "3.17"),
            new("page_counter", "91.4 s (computed); 12 195 979 ms task clock (-34.5 %)", 132.47 / 91.4, "many-memcgs", "3.17,counter=PageCounter40"),
        ]),
        new("2014-root-counter", "Dave Hansen, 2014-09, regression in 3.17-rc: page_fault2 with no group in use", "large multi-core, more than 30 threads",
        [
            new("root not charged (3.16, and after the revert)", "35.92 % of cycles in spin locks", null, "fault-root", "3.17"),
            new("one counter charged by all (3.17-rc)", "34.56 % of cycles in spin locks, 78.1 % of it in counter charge; massive regression", Down, "fault", "3.17"),
            new("the same without a stock", "", null, "fault", "3.17,stock=None"),
        ], "here a group that all threads share stands for the charged root"),
        new("2020-layout", "LKP, 2020, page_counter moved in mem_cgroup (bd0b230fe1, mended by 4df910620beb)", "4 sockets, 144 CPUs; page_fault2",
        [
            new("before", "187 K ops", null, "fault", "5.11,counter=PageCounter40,stock=None"),
            new("hot members in lines 2N and 2N+1", "145 K ops (-22.7 %)", 145.0 / 187, "fault", "5.11,counter=PageCounter112,stock=None"),
        ], "relayout: 200 K ops; the port has the counter's lines, not the whole of struct mem_cgroup", Depth: 3, Layout: true),
        new("2021-parent", "Feng Tang, 2021, mm: page_counter: re-layout structure to reduce false sharing (5.12)", "several Xeon generations; page_fault2",
        [
            new("parent beside usage", "", null, "fault", "5.11,counter=PageCounter112,stock=None"),
            new("parent at the end", "about +2 % to +20 %", 1.02, "fault", "5.11,counter=PageCounter112Apart,stock=None"),
        ], Depth: 3, Layout: true),
        new("2022-charge-path", "Shakeel Butt, 2022-08, memcg: optimize charge codepath (6.1)", "72 CPUs, 36 netperf TCP_SENDFILE pairs, 3 levels of groups",
        [
            new("6.0-rc1", "10 482.7 Mbit/s", null, "fault", "6.1,counter=PageCounter112Apart,stock=SingleSlot32"),
            new("+ layout", "12 413.7", 12_413.7 / 10_482.7, "fault", "6.1,stock=SingleSlot32"),
            new("+ batch 64", "17 063.7", 17_063.7 / 10_482.7, "fault", "6.1,counter=PageCounter112Apart"),
            new("both", "20 120.3, with the first step too", 20_120.3 / 10_482.7, "fault", "6.1"),
        ], "root group 21 694.8; no needless exchange for min and low 14 542.5: the port has no protection", Depth: 3, Layout: true),
        new("2024-padding", "Shakeel Butt, 2025-02, page_counter: reduce struct page_counter size (6.15)", "none given: 64 bytes of padding saved",
        [
            new("6.12 to 6.14, 256 bytes", "", null, "fault", "6.12,stock=None"),
            new("6.15, 192 bytes, failcnt beside usage", "", null, "fault", "6.12,counter=PageCounter192,stock=None"),
        ], "the statistics arrays of 2024 (-11.9 %) are not modelled", Depth: 3, Layout: true),
        new("kmem", "one object of 32 bytes allocated and freed, by every answer to the kmem question, side by side", "no table was published",
        [
            .. Accounting.Eras.Answers.Where(a => a.Axis == Accounting.Axis.Kmem && a.Refused is null && a.Name != "ObjCgroupPerNode")
                .Select(a => new PresetRow(a.Name, "", null, "kmalloc-32", a.Name == "ObjCgroup" ? "5.9" : $"5.9,kmem={a.Name}")),
            new("ObjCgroup, stocks of 6.18", "", null, "kmalloc-32", "6.18"),
            new("ObjCgroupPerNode", "", null, "kmalloc-32", "7.1"),
        ]),
        new("eras", "charge and uncharge of one page in every era, side by side", "no table was published",
        [
            .. Accounting.Eras.All.Select(e => new PresetRow(e.Name, "", null, "charge-uncharge", e.Name)),
        ]),
    ];
}
