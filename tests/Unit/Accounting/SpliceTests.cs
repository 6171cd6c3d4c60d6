// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>7.1: a removed group's pages are its parent's at once, with their lists and their statistics (G3, H7, E6).</summary>
public sealed unsafe class SpliceTests
{
    private static long Rss(Memcg* memcg) => MemcgStat.Read(memcg, MemcgStatItem.Rss);

    [Fact]
    public void Pages_lists_and_statistics_are_the_parents_and_nothing_pins_the_group()
    {
        using var box = new AccountingBox<PagesAndObjects>(nodes: 2, cpus: 2);
        Memcg* parent = box.Group(), child = box.Inhabited(parent);
        box.FaultAll(0, 100);
        MemcgLife.Detach(box.Cpu(), box.Space());
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), child));
        box.Quiesce();
        Assert.Equal((0, 2), (AtomicLong.Load(&box.Accounting.Tree->Dying), AtomicLong.Load(&box.Accounting.Tree->Count)));
        Assert.Equal(100, Rss(parent));
        Assert.Equal(100, AccountingBox<PagesAndObjects>.Usage(parent));
        box.AssertBalanced();
        Assert.Equal(100, box.Unmap(0, 100));
        box.AssertBalanced();
        Assert.Equal((0, 0), (Rss(parent), AccountingBox<PagesAndObjects>.Usage(parent)));
    }

    [Fact]
    public void Pages_climb_to_the_root_and_leave_its_counter_as_it_was()
    {
        using var box = new AccountingBox<PagesAndObjects>();
        Memcg* root = box.Accounting.Root;
        long before = AccountingBox<PagesAndObjects>.Usage(root);
        Memcg* top = box.Group(), leaf = box.Inhabited(top);
        box.FaultAll(0, 50);
        MemcgLife.Detach(box.Cpu(), box.Space());
        foreach (nint group in (nint[])[(nint)leaf, (nint)top])
        {
            Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), (Memcg*)group));
            box.Quiesce();
        }
        Assert.Equal(1, AtomicLong.Load(&box.Accounting.Tree->Count));
        box.AssertBalanced();
        box.Unmap(0, 50);
        box.AssertBalanced();
        Assert.Equal(before, AccountingBox<PagesAndObjects>.Usage(root));
    }

    [Fact]
    public void The_roots_own_pages_are_counted_nowhere()
    {
        using var box = new AccountingBox<PagesAndObjects>();
        Assert.True(MemcgLife.Attach(box.Cpu(), box.Space(), box.Accounting.Root));
        box.FaultAll(0, 10);
        Assert.Equal(0, AccountingBox<PagesAndObjects>.Usage(box.Accounting.Root));
        box.AssertBalanced();
        box.Unmap(0, 10);
        box.AssertBalanced();
        Assert.Equal(0, AccountingBox<PagesAndObjects>.Usage(box.Accounting.Root));
        MemcgLife.Detach(box.Cpu(), box.Space());
    }

    [Fact]
    public void A_page_that_waits_in_a_pagevec_follows_too()
    {
        using var box = new AccountingBox<PagesAndObjects>();
        Memcg* parent = box.Group(), child = box.Inhabited(parent);
        box.FaultAll(0, 3); // not yet on a list
        MemcgLife.Detach(box.Cpu(), box.Space());
        MemcgLife.Remove(box.Cpu(), child);
        for (int i = 0; i < 4; i++) Rcu.Barrier(box.Cpu());
        Mm.LruAddDrain<PagesAndObjects>(box.Cpu());
        Assert.Equal(3, PagesAndObjects.LruCount(parent, 0, LruList.InactiveAnon) + PagesAndObjects.LruCount(parent, 0, LruList.ActiveAnon));
        box.AssertBalanced();
        box.Unmap(0, 3);
        box.AssertBalanced();
    }

    [Fact]
    public void A_stock_filled_after_the_drain_is_all_that_holds_the_group() // F6
    {
        using var box = new AccountingBox<PagesAndObjects>();
        Memcg* memcg = box.Group();
        Css.Get(box.Cpu(), &memcg->Css); // a charge in flight
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), memcg));
        box.Quiesce();
        Refusal refused = default;
        Assert.True(PagesAndObjects.TryCharge(box.Cpu(), memcg, 1, ref refused));
        PagesAndObjects.Cancel(box.Cpu(), memcg, 1);
        Css.Put(box.Cpu(), &memcg->Css);
        DyingGroup zombie = Assert.Single(DyingGroups.Explain<PagesAndObjects>(box.Cpu(), box.Accounting.Tree));
        Assert.Equal((1, 0), (zombie.Stocks, zombie.Other));
        Assert.Equal(new Dictionary<string, long> { ["stock"] = 1 }, DyingGroups.Breakdown([zombie]));
        box.Quiesce();
        Assert.Equal(0, AtomicLong.Load(&box.Accounting.Tree->Dying));
        box.AssertBalanced();
    }

    [Theory]
    [InlineData("3.19,page_cgroup=ObjcgWord", "kmem=ObjCgroupPerNode")]
    [InlineData("6.18,residents=SpliceToParent", "page_cgroup=ObjcgWord")]
    [InlineData("7.1,lru=LruvecLruBit", "lru=LruvecRecheck")]
    [InlineData("7.1,residents=PinPerPage", "residents=SpliceToParent")]
    [InlineData("6.18,kmem=ObjCgroupPerNode", "residents=SpliceToParent")]
    public void What_does_not_mean_something_is_refused_with_what_it_needs(string model, string needs) =>
        Assert.Contains(needs, Eras.WhyNot(Model.Parse(model)), StringComparison.Ordinal);

    [Fact]
    public void Every_era_means_something() => Assert.All(Eras.All, e => Assert.Null(Eras.WhyNot(Model.Parse(e.Name))));
}
