// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class CoreTests
{
    [Fact]
    public void A_page_is_charged_from_fault_to_final_put()
    {
        using var box = new AccountingBox<NoStock>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 40);
        Assert.Equal(40, AccountingBox<NoStock>.Usage(memcg));
        Assert.Equal(40, MemcgStat.Read(memcg, MemcgStatItem.Rss));
        box.AssertBalanced();
        Assert.Equal(40, box.Unmap(0, 40));
        Assert.Equal(0, AccountingBox<NoStock>.Usage(memcg));
        box.AssertBalanced();
    }

    [Fact]
    public void A_page_that_somebody_still_holds_stays_charged_after_unmap()
    {
        using var box = new AccountingBox<NoStock>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Page* page = Mm.Lookup(box.Cpu(), box.Space(), 0);
        Mm.Get(page);
        box.Unmap(0, 1);
        Assert.Equal(1, AccountingBox<NoStock>.Usage(memcg));
        Mm.Put<NoStock>(box.Cpu(), page);
        Assert.Equal(0, AccountingBox<NoStock>.Usage(memcg));
        box.AssertBalanced();
    }

    [Theory]
    [InlineData(1, 32)]
    [InlineData(32, 32)]
    [InlineData(33, 64)]
    [InlineData(400, 416)]
    public void Usage_moves_in_batches_of_the_stock(int pages, int usage) // oracle O1 with k = 0
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, pages);
        Assert.Equal(usage, AccountingBox<Stock32>.Usage(memcg));
        Assert.Equal(usage - pages, Stock32.StockedPages(box.Cpus.Area(0), memcg));
        box.AssertBalanced();
        Assert.Equal(pages, AccountingBox<Stock32>.Usage(memcg));
    }

    [Fact]
    public void Two_groups_taking_turns_empty_a_single_slot_each_time() // oracle O2
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* a = box.Group(), b = box.Group();
        for (int i = 0; i < 10; i++)
        {
            MemcgLife.Attach(box.Cpu(), box.Space(), i % 2 == 0 ? a : b);
            box.FaultAll(i, 1);
        }
        Assert.Equal(5, AccountingBox<Stock32>.Usage(a));
        Assert.Equal(5 + 31, AccountingBox<Stock32>.Usage(b));
        box.AssertBalanced();
    }

    [Fact]
    public void Seven_groups_taking_turns_keep_their_stocks_and_an_eighth_evicts_in_turn() // oracle O3, 7.1
    {
        using var box = new AccountingBox<SevenSlots>(plan: new AccountingPlan(MaxGroups: 16));
        Memcg*[] groups = new Memcg*[8];
        for (int i = 0; i < 8; i++) groups[i] = box.Group();
        for (int round = 0, page = 0; round < 3; round++)
            for (int i = 0; i < 7; i++)
            {
                MemcgLife.Attach(box.Cpu(), box.Space(), groups[i]);
                box.FaultAll(page++, 1);
            }
        for (int i = 0; i < 7; i++) Assert.Equal(64, AccountingBox<SevenSlots>.Usage(groups[i]));
        MemcgLife.Attach(box.Cpu(), box.Space(), groups[7]);
        box.FaultAll(100, 1);
        Assert.Equal(3, AccountingBox<SevenSlots>.Usage(groups[0]));
        Assert.Equal(64, AccountingBox<SevenSlots>.Usage(groups[1]));
        Assert.Equal(64, AccountingBox<SevenSlots>.Usage(groups[7]));
        box.AssertBalanced();
    }

    [Fact]
    public void Every_ancestor_counts_what_a_leaf_is_charged()
    {
        using var box = new AccountingBox<NoStock>();
        Memcg* top = box.Group(), middle = box.Group(top), leaf = box.Inhabited(middle);
        box.FaultAll(0, 10);
        Assert.Equal(10, AccountingBox<NoStock>.Usage(top));
        Assert.Equal(10, AccountingBox<NoStock>.Usage(middle));
        Assert.Equal(10, AccountingBox<NoStock>.Usage(leaf));
        Assert.Equal(10, AccountingBox<NoStock>.Usage(box.Accounting.Root));
        box.AssertBalanced();
    }

    [Fact]
    public void Dirty_pages_at_the_limit_fail_the_fault_after_five_fruitless_rounds()
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* memcg = box.Inhabited();
        Assert.True(Stock32.TrySetLimit(memcg, CounterKind.Memory, 100));
        box.FaultAll(0, 100);
        Assert.Equal(FaultResult.OverLimit, box.Fault(100));
        Assert.Equal(5, AtomicLong.Load(&memcg->ReclaimRounds));
        Assert.Equal(1, AtomicLong.Load(&memcg->ChargesFailed));
        Assert.True(Stock32.FailCount(memcg, CounterKind.Memory) > 0);
        Assert.Equal(100, AccountingBox<Stock32>.Usage(memcg));
        box.AssertBalanced();
    }

    [Fact]
    public void Clean_pages_at_the_limit_make_room_from_the_tail()
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* memcg = box.Inhabited();
        Assert.True(Stock32.TrySetLimit(memcg, CounterKind.Memory, 64));
        box.FaultAll(0, 200, write: false);
        Assert.True(AccountingBox<Stock32>.Usage(memcg) <= 64);
        Assert.True(Mm.Lookup(box.Cpu(), box.Space(), 0) == null, "the oldest page is gone");
        Assert.True(Mm.Lookup(box.Cpu(), box.Space(), 199) != null, "the youngest page is there");
        Assert.Equal(200, MemcgStat.Read(memcg, MemcgStatItem.PgpgIn));
        Assert.True(MemcgStat.Read(memcg, MemcgStatItem.PgReclaimed) >= 136);
        box.AssertBalanced();
    }

    [Fact]
    public void The_limit_of_a_parent_reclaims_from_its_children_only()
    {
        using var box = new AccountingBox<NoStock>(cpus: 2);
        Memcg* parent = box.Group(), child = box.Inhabited(parent), stranger = box.Inhabited(cpu: 1);
        box.FaultAll(0, 50, write: false, cpu: 1);
        Assert.True(NoStock.TrySetLimit(parent, CounterKind.Memory, 40));
        box.FaultAll(0, 80, write: false);
        Assert.True(AccountingBox<NoStock>.Usage(child) <= 40);
        Assert.Equal(50, AccountingBox<NoStock>.Usage(stranger));
        box.AssertBalanced();
    }

    [Fact]
    public void A_limit_below_usage_is_refused_and_changes_nothing()
    {
        using var box = new AccountingBox<NoStock>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 10);
        Assert.False(NoStock.TrySetLimit(memcg, CounterKind.Memory, 9));
        Assert.Equal(PageCounter<PageCounter40>.Unlimited, NoStock.Limit(memcg, CounterKind.Memory));
        Assert.True(NoStock.TrySetLimit(memcg, CounterKind.Memory, 10));
    }

    [Fact]
    public void A_charge_refused_by_an_ancestor_leaves_no_trace_below()
    {
        using var box = new AccountingBox<NoStock>();
        Memcg* top = box.Group(), leaf = box.Group(top);
        NoStock.TrySetLimit(top, CounterKind.Memory, 3);
        Refusal refused = default;
        Assert.False(NoStock.TryCharge(box.Cpu(), leaf, 4, ref refused));
        Assert.True(refused.Memcg == top, "the level that refused is named (S8)");
        Assert.Equal(0, AccountingBox<NoStock>.Usage(leaf));
        Assert.Equal(0, AccountingBox<NoStock>.Usage(top));
        Assert.Equal(1, NoStock.FailCount(top, CounterKind.Memory));
        Assert.Equal(0, NoStock.FailCount(leaf, CounterKind.Memory));
    }

    [Fact]
    public void With_swap_accounting_memsw_is_charged_first_and_given_back_when_memory_refuses()
    {
        using var box = new AccountingBox<NoStock>(plan: new AccountingPlan(MaxGroups: 8, SwapAccounting: true));
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 5);
        Assert.Equal(5, NoStock.Usage(memcg, CounterKind.Memsw));
        NoStock.TrySetLimit(memcg, CounterKind.Memory, 5);
        Assert.Equal(FaultResult.OverLimit, box.Fault(5));
        Assert.Equal(5, NoStock.Usage(memcg, CounterKind.Memsw));
        box.Unmap(0, 5);
        Assert.Equal(0, NoStock.Usage(memcg, CounterKind.Memsw));
        box.AssertBalanced();
    }

    [Fact]
    public void Pages_of_the_root_are_not_counted()
    {
        using var box = new AccountingBox<Stock32>();
        Assert.True(MemcgLife.Attach(box.Cpu(), box.Space(), box.Accounting.Root));
        box.FaultAll(0, 40);
        Assert.Equal(0, AccountingBox<Stock32>.Usage(box.Accounting.Root));
        box.AssertBalanced();
        box.Unmap(0, 40);
        box.AssertBalanced();
    }

    [Fact]
    public void Faults_fail_cleanly_when_there_is_no_frame()
    {
        using var box = new AccountingBox<Stock32>(mib: 4);
        Memcg* memcg = box.Inhabited();
        long mapped = 0;
        while (box.Fault(mapped) == FaultResult.Mapped) mapped++;
        Assert.Equal(FaultResult.NoMemory, box.Fault(mapped));
        Assert.Equal(1024, mapped);
        box.AssertBalanced();
        Assert.Equal(mapped, box.Unmap(0, mapped));
        box.AssertBalanced();
        Assert.Equal(0, AccountingBox<Stock32>.Usage(memcg));
    }
}
