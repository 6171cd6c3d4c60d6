// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Text;

namespace MemcgNative.Tests.Unit;

/// <summary>An invariant of kernel-memory accounting: what holds, who checks it, what was broken to see that he does.</summary>
/// <param name="Id">I1 to I26.</param>
/// <param name="What">What holds.</param>
/// <param name="Checkers">File below src, a colon, a text that the checker says and its file has.</param>
/// <param name="Twins">Class.Method of a unit test, `torture NAME` or `explore CASE`: each breaks the invariant and is caught.</param>
/// <param name="Not">Why there is nothing to check here, or what is left out.</param>
internal sealed record KmemInvariant(string Id, string What, string[] Checkers, string[] Twins, string? Not = null);

/// <summary>tests/INVARIANTS-KMEM.md, and whether what it says exists.</summary>
internal static class KmemInvariants
{
    private const string Audit = "Accounting/Audit.cs: ", Books = "Accounting/Kmem/KmemBooks.cs: ";

    public static IReadOnlyList<KmemInvariant> All { get; } =
    [
        new("I1", "usage of an online group = pages and stocks of its subtree + kernel memory of its subtree; a removed one may count more (residue, printed), never less",
            [Audit + "its pages and stocks are", Audit + "its kernel pages are", Audit + "pages are counted by removed groups alone"],
            ["AuditTests.A_counter_that_lost_a_page_is_seen", "KmemAuditTests.A_kmem_counter_that_lost_a_page_is_seen", "torture busted.counter-loses"]),
        new("I1b", "the root's kmem counter = charged kernel pages of the machine + what was freed as the root's own (it drifts upwards, as in Linux)",
            [Audit + "were freed as the root's (I1b)"], ["KmemAuditTests.A_drift_of_the_root_that_is_more_than_what_was_freed_is_seen"],
            "the root's memory counter has no such law: its own pages look like those it inherited"),
        new("I2", "bytes of an objcg's objects + its residue + its stocked bytes = whole pages", [Books + "no multiple of a page (I2)", Audit + "no multiple of a page (I2)"],
            ["KmemAuditTests.An_object_that_lost_its_owner_is_seen_by_its_bytes"]),
        new("I3", "a stock holds at most a batch, none of nobody, a group once; a byte stock none of nobody",
            ["Accounting/Counter/SevenSlotStock.cs: pages of nobody", "Accounting/Counter/SingleSlotStock.cs: pages, at most", Books + "bytes of nobody (I3)"],
            ["KmemAuditTests.A_slot_of_the_stock_with_pages_of_nobody_is_seen", "KmemAuditTests.A_group_in_two_slots_of_a_stock_is_seen",
                "KmemAuditTests.A_single_slot_with_more_than_a_batch_is_seen", "KmemAuditTests.A_stock_of_nobody_is_seen"]),
        new("I4", "no counter is ever below 0, of a dying group neither; nothing repairs one", ["Accounting/Counter/PageCounter.cs: below zero", Audit + "below zero"],
            ["AuditTests.Uncharging_more_than_was_charged_fails_at_once", "torture busted.counter-repair"]),
        new("I5", "peak >= usage", [Audit + "below usage"], ["AuditTests.A_peak_below_usage_is_seen"]),
        new("I6", "sums of protection", [], [], "min and low are not built"),
        new("I7", "usage <= limit at rest; a charge that failed left nothing", [Audit + "over limit"], ["AuditTests.A_counter_over_its_limit_is_seen"]),
        new("I8", "kmem <= memory <= memsw (the first follows from I1: both are exact)", [Audit + "below memory"], ["AuditTests.Memsw_below_memory_is_seen"]),
        new("I9", "events are counted once", [Audit + "pgpgin - pgpgout is"], ["AuditTests.An_event_counted_twice_is_seen"], "no OOM kill, no memory.events"),
        new("I10", "an owner is the group that created, or an ancestor; after offline nothing names the group as its owner",
            [Books + "still hands out its objcg (I10)", Books + "still owns copies of caches (I10)", Books + ", which is "],
            ["KmemAuditTests.An_offline_group_that_hands_out_an_objcg_is_seen", "KmemAuditTests.An_offline_group_that_owns_a_copy_is_seen",
                "KmemAuditTests.An_objcg_whose_owner_is_freed_is_seen"]),
        new("I11", "an objcg, or a copy, is on the list of the group it names", [Books + "names another owner (I11)", Books + "belongs to another (I11)"],
            ["KmemAuditTests.An_objcg_on_the_wrong_list_is_seen", "KmemAuditTests.A_copy_whose_owner_is_not_whose_list_it_is_on_is_seen"]),
        new("I12", "an objcg is released once, a grace period after its kill, with whole pages and without objects, never online",
            ["Accounting/Kmem/ObjCgroup.cs: released with a part of a page charged", "Accounting/Kmem/Objcg.cs: released while its group is online",
                "Native/Sync/PerCpuRef.cs: exit while references are held", "Native/Sync/PerCpuRef.cs: killed twice"],
            ["KmemAuditTests.An_objcg_released_with_a_part_of_a_page_fails_at_once", "KmemAuditTests.An_objcg_released_while_its_group_is_online_fails_at_once",
                "KmemAuditTests.A_pointer_released_while_its_group_is_online_fails_at_once", "torture busted.percpuref-early", "explore D5/no-patch3/1r1o"]),
        new("I13", "references of an objcg = its objects + pages + stocks + 1 while it is handed out", [Books + "holders are found (I13)"],
            ["KmemAuditTests.An_object_that_lost_its_owner_is_seen_by_the_references", "KmemAuditTests.A_leaked_reference_on_a_pointer_is_seen",
                "KmemAuditTests.A_leaked_reference_on_the_objcg_of_a_node_is_seen"]),
        new("I14", "a slot names its id's copy; one living copy per cache and group, each on its root's and its owner's list; none is made for an offline group; each ends once",
            [Books + "holds a cache of group", Books + "two living copies of one cache (I14)", Books + "on lists of groups (I14)", Books + "still has a cache in its slot (I14)",
                Books + "a copy is still to be made for offline group"],
            ["KmemAuditTests.A_slot_with_another_groups_cache_is_seen", "KmemAuditTests.A_second_living_copy_for_one_group_is_seen",
                "KmemAuditTests.A_copy_that_is_on_no_groups_list_is_seen", "KmemAuditTests.A_cache_in_the_slot_of_an_offline_group_is_seen",
                "KmemAuditTests.A_request_for_an_offline_group_is_seen", "explore D2/no-patch1/1c1o", "explore D3/no-patch2/1f1w"]),
        new("I15", "a slab's owner is its cache's; an object's is in its slot; a freed object's slot is empty",
            [Books + "names another owner than its cache (I15)", Books + "objects out (I15)", "Accounting/Kmem/ObjVector.cs: still has an owner"],
            ["KmemAuditTests.A_slab_that_names_another_owner_than_its_cache_is_seen", "KmemAuditTests.An_empty_slab_with_an_owner_left_in_its_vector_fails_at_once",
                "torture busted.kmem-keeps-owner", "explore D7/no-patch7/1a1m"]),
        new("I16", "an allocation that is refused leaves nothing charged", [Audit + "its kernel pages are"],
            ["KmemAuditTests.A_charge_of_a_refused_allocation_that_stays_is_seen"]),
        new("I17", "nothing of a group is freed while somebody may look at it", ["Accounting/MemcgLife.cs: the last reference is gone before the group is offline",
                "Native/Sync/PerCpuRef.cs: put below zero", "Native/Sync/PerCpuRef.cs: exit while references are held"],
            ["KmemAuditTests.A_group_whose_last_reference_goes_while_it_is_online_fails_at_once", "torture busted.css-batch", "torture busted.kmem-unpinned"]),
        new("I18", "children go offline before their parent", ["Accounting/MemcgLife.cs: offline before its children (I18)"],
            ["KmemAuditTests.A_group_that_goes_offline_before_its_children_fails_at_once"]),
        new("I19", "a dying group is held by what its design lets hold it, and by nothing else", ["Accounting/Kmem/DyingGroups.cs: other"],
            ["KmemAuditTests.A_leaked_reference_on_a_group_is_a_pin_that_nobody_explains"]),
        new("I20", "each id is one group's, or free", [Audit + "counted (I20)", Audit + "believes that it is"],
            ["KmemAuditTests.An_id_that_is_neither_used_nor_free_is_seen", "KmemAuditTests.A_group_that_believes_to_be_another_is_seen"]),
        new("I21", "sizes of LRU lists = their pages; a page with the LRU bit is on its owner's", ["Accounting/Audit.cs: frames have the LRU bit, the lists count"],
            ["AuditTests.A_list_length_that_lies_is_seen", "AuditTests.A_listed_page_without_its_bit_is_seen", "AuditTests.A_page_on_the_list_of_another_group_is_seen",
                "torture busted.lru-unlocked"]),
        new("I22", "list_lru: counts = lists, totals = sums; no lists for an offline group",
            ["Accounting/Kmem/ListLru.Life.cs: , walk ", "Accounting/Kmem/ListLru.Life.cs: and still has lists (I22)", "Accounting/Kmem/ListLru.Life.cs: , the groups have "],
            ["ListLruTests.The_audit_sees_a_count_that_differs_from_its_list", "explore G1/busted-erase-first/1d1o", "explore G2/busted-no-look/1p1o"]),
        new("I23", "generations", [], [], "MGLRU is not built"),
        new("I24", "a group's statistics = the sum over CPUs, and what the frames say", [Audit + "; the frames say "],
            ["AuditTests.A_statistic_that_drifted_is_seen", "explore H7/busted-no-look/1c1o"],
            "no rstat tree: nothing is pending, readers sum"),
        new("I25", "staleness", [], [], "statistics are summed when they are read"),
        new("I26", "anon + file + kernel <= usage, apart by stocks only", [Audit + "its pages and stocks are"],
            ["AuditTests.A_counter_that_lost_a_page_is_seen"], "follows from I1 and I24"),
    ];

    public static string Text()
    {
        var o = new StringBuilder("# Invariants of kernel-memory accounting\n\nGenerated by KmemInvariantTests (MEMCGNATIVE_REGENERATE=1), ");
        o.Append("which also look that every checker and every twin is there. The checkers run\nat the end of every run (exit 5), in every test that ends with ");
        o.Append("AssertBalanced, and twice a second under torture; what fails \"at once\" is checked in running code.\nA twin breaks the invariant on purpose ");
        o.Append("and is caught.\n\n| | what holds | checked in | caught twins |\n|---|---|---|---|\n");
        foreach (KmemInvariant i in All)
        {
            string checkers = string.Join(", ", i.Checkers.Select(c => c.Split(": ")[0]).Distinct());
            string twins = string.Join("<br>", i.Twins.Select(t => t.Replace('_', ' ')));
            o.Append($"| {i.Id} | {i.What}{(i.Not is null ? "" : $"; {i.Not}")} | {(checkers.Length == 0 ? "-" : checkers)} | {(twins.Length == 0 ? "-" : twins)} |\n");
        }
        return o.ToString();
    }

    public static string Root([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "..", "..", ".."));
}
