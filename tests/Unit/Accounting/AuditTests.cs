// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>A checker is believed only after its broken twin was caught: each test damages one thing and reads what the audit says.</summary>
public sealed unsafe class AuditTests
{
    private static void Expect(string text, Action<AccountingBox<NoStock>> damage)
    {
        using var box = new AccountingBox<NoStock>();
        box.Inhabited();
        box.FaultAll(0, 20);
        box.AssertBalanced();
        damage(box);
        Balance balance = box.Audit(quiesce: false);
        Assert.Contains(balance.Wrong, w => w.Contains(text, StringComparison.Ordinal));
    }

    private static Memcg* GroupOf(AccountingBox<NoStock> box) => AtomicPtr<Memcg>.Load(&box.Space()->Memcg);
    private static Page* PageAt(AccountingBox<NoStock> box, long index) => Mm.Lookup(box.Cpu(), box.Space(), index);

    [Fact]
    public void A_counter_that_lost_a_page_is_seen() =>
        Expect("usage 19, its pages and stocks are 20", box => NoStock.UnchargeCounters(box.Cpu(), GroupOf(box), 1, 1));

    [Fact]
    public void A_counter_over_its_limit_is_seen() =>
        Expect("usage 20 over limit 10", box => AtomicLong.Store(PageCounter40.Limit(PageCounter<PageCounter40>.Of(GroupOf(box), CounterKind.Memory)), 10));

    [Fact]
    public void A_peak_below_usage_is_seen() =>
        Expect("peak 3 below usage 20", box => AtomicLong.Store(PageCounter40.Watermark(PageCounter<PageCounter40>.Of(GroupOf(box), CounterKind.Memory)), 3));

    [Fact]
    public void A_page_whose_owner_vanished_is_seen() =>
        Expect("its pages and stocks are 19", box => AtomicLong.Store(&PageAt(box, 3)->Memcg, 0));

    [Fact]
    public void A_statistic_that_drifted_is_seen() =>
        Expect("rss 21, cache 0; the frames say 20, 0", box => MemcgStatCpu.Add(Memcg.OnCpu(box.Cpu(), GroupOf(box)), MemcgStatItem.Rss, 1));

    [Fact]
    public void An_event_counted_twice_is_seen() =>
        Expect("charged 21 is not uncharged 0 + resident 20", box => MemcgStatCpu.Add(Memcg.OnCpu(box.Cpu(), GroupOf(box)), MemcgStatItem.PgpgIn, 1));

    [Fact]
    public void A_list_length_that_lies_is_seen() =>
        Expect("count 21, walk 20", box => Lruvec.Resize((Lruvec*)((byte*)Memcg.OnNode(GroupOf(box), 0) + MemcgNode.LruSlot), LruList.InactiveAnon, 1));

    [Fact]
    public void A_listed_page_without_its_bit_is_seen() =>
        Expect("without the LRU bit", box => PageOps.Clear(PageAt(box, 5), PageFlags.Lru));

    [Fact]
    public void A_page_on_the_wrong_list_is_seen() =>
        Expect("belongs on ActiveAnon", box => PageOps.Set(PageAt(box, 5), PageFlags.Active));

    [Fact]
    public void A_page_on_the_list_of_another_group_is_seen() =>
        Expect("belongs to group", box =>
        {
            Memcg* other = box.Group();
            AtomicLong.Store(&PageAt(box, 5)->Memcg, (long)other);
        });

    [Fact]
    public void A_free_page_that_is_paid_for_is_seen() =>
        Expect("has no reference, yet group", box => AtomicInt.Store(&PageAt(box, 5)->RefCount, 0));

    [Fact]
    public void A_page_that_names_a_freed_group_is_seen() =>
        Expect("group 7 is freed, yet 1 pages name it", box => AtomicLong.Store(&PageAt(box, 5)->Memcg, (long)MemcgTree.ById(box.Accounting.Tree, 7)));

    [Fact]
    public void A_bit_of_a_page_on_no_list_is_seen() => // 5.7, 6
        Expect("21 frames have the LRU bit, the lists count 20", box =>
        {
            Page* page = MemMap.PageOf(MemMap.Of(box.Cpu()), new Pfn(0));
            while (PageOps.Count(page) != 0 || PageOps.Test(page, PageFlags.Lru)) page++;
            PageOps.Set(page, PageFlags.Lru);
        });

    [Fact]
    public void A_page_on_a_list_of_another_node_is_seen() =>
        Expect("is of node 1", box => PageOps.Set(PageAt(box, 5), 1L << PageFlags.NodeShift));

    [Fact]
    public void A_group_that_died_with_pages_counted_is_seen() =>
        Expect("1 pages are counted by removed groups alone", box => AtomicLong.Add(&box.Accounting.Tree->DeadResidue, 1));

    [Fact]
    public void A_page_that_left_without_its_event_is_seen() => // 5.7, 12
        Expect("pgpgin - pgpgout is 19, 20 pages are charged", box => MemcgStatCpu.Add(Memcg.OnCpu(box.Cpu(), GroupOf(box)), MemcgStatItem.PgpgOut, 1));

    [Fact]
    public void A_usage_below_zero_is_seen() => // I4
        Expect("usage -1 below zero", box => AtomicLong.Store(PageCounter40.Usage(PageCounter<PageCounter40>.Of(GroupOf(box), CounterKind.Memory)), -1));

    [Fact]
    public void A_broken_link_ends_the_walk_at_once()
    {
        using var box = new AccountingBox<NoStock>();
        box.Inhabited();
        box.FaultAll(0, 20);
        box.AssertBalanced();
        GuardedPtr<ListHead>.Set(&PageAt(box, 5)->Lru.Prev, &PageAt(box, 9)->Lru);
        Assert.Throws<BugException>(() => box.Audit(quiesce: false));
    }

    [Fact]
    public void Uncharging_more_than_was_charged_fails_at_once()
    {
        using var box = new AccountingBox<NoStock>();
        Memcg* memcg = box.Group();
        nint address = (nint)memcg;
        Assert.Contains("below zero", Assert.Throws<BugException>(() => NoStock.UnchargeCounters(box.Cpu(), (Memcg*)address, 1, 1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_res_counter_fails_at_once_too()
    {
        using var box = new AccountingBox<Early27>();
        nint address = (nint)box.Group();
        Assert.Contains("below zero", Assert.Throws<BugException>(() => Early27.UnchargeCounters(box.Cpu(), (Memcg*)address, 1, 1)).Message, StringComparison.Ordinal);
        Rcu.ReadUnlock(box.Cpu()); // the uncharge ended inside its section
    }

    private static void ExpectSwapped(string text, Action<AccountingBox<NoStock>> damage)
    {
        using var box = new AccountingBox<NoStock>(plan: new AccountingPlan(MaxGroups: 8, SwapAccounting: true, SwapEntries: 16));
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 4);
        Mm.LruAddDrain<NoStock>(box.Cpu());
        Reclaim.Shrink<NoStock>(box.Cpu(), memcg, 4);
        Assert.Equal(4, Reclaim.Shrink<NoStock>(box.Cpu(), memcg, 4));
        Assert.Equal(FaultResult.Mapped, MmFile.Read<NoStock>(box.Cpu(), box.Space(), box.File(), 0, false, out Page* page));
        Mm.Put<NoStock>(box.Cpu(), page);
        box.AssertBalanced();
        damage(box);
        Balance balance = box.Audit(quiesce: false);
        Assert.Contains(balance.Wrong, w => w.Contains(text, StringComparison.Ordinal));
    }

    private static void Count(AccountingBox<NoStock> box, MemcgStatItem item, long n) => MemcgStatCpu.Add(Memcg.OnCpu(box.Cpu(), GroupOf(box)), item, n);

    [Fact]
    public void A_memsw_counter_that_lost_an_entry_is_seen() => // C-I2
        ExpectSwapped("memsw 4, its pages, stocks and swap entries are 5", box => NoStock.UnchargeCounters(box.Cpu(), GroupOf(box), 0, 1));

    [Fact]
    public void Memsw_below_memory_is_seen() => // C-I4
        ExpectSwapped("memsw 0 below memory 1", box => NoStock.UnchargeCounters(box.Cpu(), GroupOf(box), 0, 5));

    [Fact]
    public void Memsw_over_its_limit_is_seen() =>
        ExpectSwapped("memsw 5 over limit 2", box => AtomicLong.Store(PageCounter40.Limit(PageCounter<PageCounter40>.Of(GroupOf(box), CounterKind.Memsw)), 2));

    [Fact]
    public void A_swap_record_that_vanished_is_seen() => // C-I7
        ExpectSwapped("swap 4, the swap map says 3", box => SwapRecord.Exchange(box.Swap, new SwapEntry(0), 0));

    [Fact]
    public void A_record_of_a_free_entry_is_seen() =>
        ExpectSwapped("entry 9 is free, yet group", box => SwapRecord.Exchange(box.Swap, new SwapEntry(9), Guarded<int>.Get(&GroupOf(box)->Id)));

    [Fact]
    public void A_record_of_a_group_that_does_not_exist_is_seen() =>
        ExpectSwapped("records group 5, which does not exist", box => SwapRecord.Exchange(box.Swap, new SwapEntry(0), 5));

    [Fact]
    public void An_entry_in_use_and_on_the_free_stack_is_seen() =>
        ExpectSwapped("3 entries are in use, the free stack says 4", box => Guarded<byte>.Set(SwapDevice.Uses(box.Swap, new SwapEntry(0)), 0));

    [Fact]
    public void A_cache_slot_that_names_a_stranger_is_seen() =>
        ExpectSwapped("which does not name it", box => GuardedPtr<Page>.Set(SwapDevice.CacheSlot(box.Swap, new SwapEntry(2)), MemMap.PageOf(MemMap.Of(box.Cpu()), new Pfn(1))));

    [Fact]
    public void A_mapped_statistic_that_drifted_is_seen() => // C-I8, C15
        ExpectSwapped("mapped 1, the frames say 0", box => Count(box, MemcgStatItem.FileMapped, 1));

    [Fact]
    public void A_writeback_statistic_that_never_came_down_is_seen() => // C-I8, C6
        ExpectSwapped("writeback 1, the frames say 0", box => Count(box, MemcgStatItem.Writeback, 1));
}
