// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class LifeTests
{
    private static CssState State(Memcg* memcg) => Css.StateOf(&memcg->Css);

    [Fact]
    public void An_empty_group_is_freed_two_grace_periods_after_rmdir()
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* memcg = box.Group();
        long before = AtomicLong.Load(&box.Accounting.Tree->Count);
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), memcg));
        Assert.Equal(CssState.Dying, State(memcg));
        Assert.Equal(1, AtomicLong.Load(&box.Accounting.Tree->Dying));
        box.Quiesce();
        Assert.Equal(CssState.Free, State(memcg));
        Assert.Equal(0, AtomicLong.Load(&box.Accounting.Tree->Dying));
        Assert.Equal(before - 1, AtomicLong.Load(&box.Accounting.Tree->Count));
        box.AssertBalanced();
    }

    [Fact]
    public void A_group_with_a_task_or_an_online_child_is_busy()
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* parent = box.Group(), child = box.Inhabited(parent);
        Assert.Equal(RemoveResult.Busy, MemcgLife.Remove(box.Cpu(), child));
        Assert.Equal(RemoveResult.Busy, MemcgLife.Remove(box.Cpu(), parent));
        Assert.Equal(RemoveResult.Busy, MemcgLife.Remove(box.Cpu(), box.Accounting.Root));
        MemcgLife.Detach(box.Cpu(), box.Space());
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), child));
        Assert.Equal(RemoveResult.Busy, MemcgLife.Remove(box.Cpu(), parent)); // until the child is offline (H8)
        box.Quiesce();
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), parent));
        box.Quiesce();
        Assert.Equal(1, AtomicLong.Load(&box.Accounting.Tree->Count));
        box.AssertBalanced();
    }

    [Fact]
    public void A_removed_group_takes_no_task_and_no_child_and_cannot_be_removed_twice()
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* memcg = box.Group();
        MemcgLife.Remove(box.Cpu(), memcg);
        Assert.Equal(RemoveResult.Gone, MemcgLife.Remove(box.Cpu(), memcg));
        Assert.False(MemcgLife.Attach(box.Cpu(), box.Space(), memcg));
        Assert.True(MemcgLife.Create<Stock32>(box.Cpu(), memcg) == null);
    }

    [Fact]
    public void One_page_keeps_a_dead_group_and_its_parent_alive() // PinPerPage: the zombie of 3.19
    {
        using var box = new AccountingBox<Stock32>();
        Memcg* parent = box.Group(), child = box.Inhabited(parent);
        box.FaultAll(0, 1);
        MemcgLife.Attach(box.Cpu(), box.Space(), box.Accounting.Root);
        MemcgLife.Remove(box.Cpu(), child);
        box.Quiesce();
        MemcgLife.Remove(box.Cpu(), parent);
        box.Quiesce();
        Assert.Equal(CssState.Offline, State(child));
        Assert.Equal(CssState.Offline, State(parent));
        Assert.Equal(2, box.Audit().Dying);
        box.AssertBalanced();
        box.Unmap(0, 1);
        box.Quiesce();
        Assert.Equal(CssState.Free, State(child));
        Assert.Equal(CssState.Free, State(parent));
        Balance balance = box.Audit();
        Assert.Equal((1, 1, 0, 0), (balance.Charged, balance.Uncharged, balance.Resident, balance.Dying));
        Assert.True(balance.Holds, string.Join('\n', balance.Wrong));
    }

    [Fact]
    public void Offline_drains_the_stocks_of_every_cpu()
    {
        using var box = new AccountingBox<Stock32>(cpus: 3);
        Memcg* memcg = box.Group();
        for (int i = 0; i < 3; i++)
        {
            MemcgLife.Attach(box.Cpu(i), box.Space(i), memcg);
            box.FaultAll(0, 1, cpu: i);
            box.Unmap(0, 1, cpu: i);
        }
        Assert.Equal(3 * 32 - 3, AccountingBox<Stock32>.Usage(memcg));
        for (int i = 0; i < 3; i++) MemcgLife.Detach(box.Cpu(i), box.Space(i));
        MemcgLife.Remove(box.Cpu(), memcg);
        for (int turn = 0; turn < 10; turn++)
            for (int i = 0; i < 3; i++) Poll.Run(box.Cpu(i));
        Assert.Equal(CssState.Free, State(memcg));
        box.AssertBalanced();
    }

    [Fact]
    public void Ids_are_reused_and_a_full_table_refuses()
    {
        using var box = new AccountingBox<Stock32>(plan: new AccountingPlan(MaxGroups: 3));
        Memcg* a = box.Group(), b = box.Group();
        Assert.True(a != null && b != null);
        Assert.True(box.Group() == null, "the table holds the root and two more");
        int id = Guarded<int>.Get(&b->Id);
        MemcgLife.Remove(box.Cpu(), b);
        Assert.True(box.Group() == null, "the id is not free before the grace period is over");
        box.Quiesce();
        Memcg* c = box.Group();
        Assert.Equal(id, Guarded<int>.Get(&c->Id));
        Assert.Equal(0, AccountingBox<Stock32>.Usage(c));
    }

    [Fact]
    public void Moving_a_task_leaves_its_pages_charged_where_they_are()
    {
        using var box = new AccountingBox<NoStock>();
        Memcg* from = box.Inhabited(), to = box.Group();
        box.FaultAll(0, 4);
        MemcgLife.Attach(box.Cpu(), box.Space(), to);
        box.FaultAll(4, 2);
        Assert.Equal(4, AccountingBox<NoStock>.Usage(from));
        Assert.Equal(2, AccountingBox<NoStock>.Usage(to));
        box.AssertBalanced();
    }
}
