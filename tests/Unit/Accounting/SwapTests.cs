// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The memory and memory+swap of one page on its way out and in, for late and early uncharge.</summary>
public sealed unsafe class SwapTests
{
    private static readonly AccountingPlan Plan = new(MaxGroups: 32, SwapAccounting: true, SwapEntries: 64);

    private static AccountingBox<TC> Box<TC>(int cpus = 1) where TC : struct, IMemoryController => new(cpus, mib: 4, plan: Plan);

    private static void Expect<TC>(AccountingBox<TC> box, Memcg* memcg, long memory, long memsw) where TC : struct, IMemoryController
    {
        for (int i = 0; i < box.Cpus.Count; i++) TC.DrainStocks(box.Cpu(i), box.Accounting.Root);
        Assert.Equal((memory, memsw), (AccountingBox<TC>.Usage(memcg), AccountingBox<TC>.Memsw(memcg)));
    }

    /// <summary>The first turn writes the dirty page to the device, the second frees it.</summary>
    private static void SwapOut<TC>(AccountingBox<TC> box, Memcg* memcg) where TC : struct, IMemoryController
    {
        Mm.LruAddDrain<TC>(box.Cpu());
        Assert.Equal(0, Reclaim.Shrink<TC>(box.Cpu(), memcg, 1));
        Assert.True(Reclaim.Shrink<TC>(box.Cpu(), memcg, 1) > 0, "the second turn freed nothing");
    }

    private static Page* RawPte<TC>(AccountingBox<TC> box, long index, int cpu = 0) where TC : struct, IMemoryController =>
        GuardedPtr<Page>.Get(MmStruct.Entry(box.Space(cpu), index));

    [Fact] public void Out_and_in_moves_the_charge_as_the_equations_say_when_uncharged_late() => OutAndIn<NoStock>();
    [Fact] public void Out_and_in_moves_the_charge_as_the_equations_say_when_uncharged_late_and_moved() => OutAndIn<LateMove>();
    [Fact] public void Out_and_in_moves_the_charge_as_the_equations_say_when_charged_at_read() => OutAndIn<Rechecked>();
    [Fact] public void Out_and_in_moves_the_charge_as_the_equations_say_in_2629() => OutAndIn<Early29>();
    [Fact] public void Out_and_in_moves_the_charge_as_the_equations_say_in_36() => OutAndIn<Early36>();

    private static void OutAndIn<TC>() where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        long frames = box.FramesInUse;
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Expect(box, memcg, 1, 1);
        SwapOut(box, memcg);
        Expect(box, memcg, 0, 1);
        Assert.Equal(1, MemcgStat.Read(memcg, MemcgStatItem.Swap));
        box.AssertBalanced();
        Assert.Equal(FaultResult.Mapped, box.Touch(0, write: false));
        Expect(box, memcg, 1, 1);
        box.AssertBalanced();
        Assert.Equal(1, box.Unmap(0, 1));
        Expect(box, memcg, 0, 0);
        box.AssertBalanced();
        Assert.Equal((0, frames), (SwapDevice.Used(box.Swap), box.FramesInUse));
    }

    [Theory]
    [InlineData('A')]
    [InlineData('B')]
    [InlineData('C')]
    [InlineData('D')]
    public void Every_column_of_the_swap_in_table_ends_at_one_and_one(char column)
    {
        Column<NoStock>(column);
        Column<LateMove>(column);
        Column<Early29>(column);
        Column<Early36>(column);
    }

    /// <summary>A: not charged before, stays in the swap cache; B: not charged, leaves it; C, D: the same for a page still charged since before it was unmapped.</summary>
    private static void Column<TC>(char column) where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        bool charged = column is 'C' or 'D', write = column is 'B' or 'D';
        if (charged)
        {
            Mm.LruAddDrain<TC>(box.Cpu());
            Reclaim.Shrink<TC>(box.Cpu(), memcg, 1); // unmapped and written, not yet out of the swap cache
            Writeback.CompleteOwn<TC>(box.Cpu());
            Expect(box, memcg, 1, 1);
        }
        else
        {
            SwapOut(box, memcg);
            Expect(box, memcg, 0, 1);
        }
        Assert.Equal(FaultResult.Mapped, box.Touch(0, write));
        Assert.Equal(!write, PageOps.Test(RawPte(box, 0), PageFlags.SwapCache));
        Expect(box, memcg, 1, 1);
        box.AssertBalanced();
        box.Unmap(0, 1);
        Expect(box, memcg, 0, 0);
        Assert.Equal(0, SwapDevice.Used(box.Swap));
    }

    [Fact]
    public void In_2627_an_unmapped_swap_cache_page_is_uncharged_and_charged_again()
    {
        using var box = new AccountingBox<Early27>(mib: 4, plan: new AccountingPlan(MaxGroups: 8, SwapEntries: 8));
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Mm.LruAddDrain<Early27>(box.Cpu());
        Reclaim.Shrink<Early27>(box.Cpu(), memcg, 1);
        Assert.Equal(0, AccountingBox<Early27>.Usage(memcg));
        Assert.Equal(0, ForceEmpty.ReferencesOf(memcg));
        Writeback.CompleteOwn<Early27>(box.Cpu());
        Assert.Equal(FaultResult.Mapped, box.Touch(0));
        Assert.Equal(1, AccountingBox<Early27>.Usage(memcg));
        Assert.Equal(1, ForceEmpty.ReferencesOf(memcg));
        box.Unmap(0, 1);
        box.AssertBalanced();
        Assert.Equal((0, 0), (AccountingBox<Early27>.Usage(memcg), SwapDevice.Used(box.Swap)));
    }

    [Fact] public void A_page_read_ahead_and_never_mapped_is_never_charged_late() => Readahead<NoStock>();
    [Fact] public void A_page_read_ahead_and_never_mapped_is_never_charged_early() => Readahead<Early36>();

    private static void Readahead<TC>() where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        SwapOut(box, memcg);
        Page* page = MmSwap.ReadAsync<TC>(box.Cpu(), box.Swap, Pte.SwapOf(RawPte(box, 0)), out _);
        Mm.Put<TC>(box.Cpu(), page);
        Expect(box, memcg, 0, 1);
        Reclaim.Shrink<TC>(box.Cpu(), box.Accounting.Root, 1);
        Expect(box, memcg, 0, 1);
        box.AssertBalanced();
        box.Unmap(0, 1);
        Expect(box, memcg, 0, 0);
        Assert.Equal(0, SwapDevice.Used(box.Swap));
    }

    [Fact]
    public void Where_the_lru_bit_keeps_the_owner_a_page_read_ahead_is_charged_to_the_places_payer_before_it_is_on_a_list()
    {
        using AccountingBox<Rechecked> box = Box<Rechecked>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        SwapOut(box, memcg);
        Assert.True(Rechecked.TrySetLimit(memcg, CounterKind.Memory, 0));
        SwapEntry place = Pte.SwapOf(RawPte(box, 0));
        Assert.True(MmSwap.ReadAsync<Rechecked>(box.Cpu(), box.Swap, place, out bool raced) == null && !raced, "no room, no page");
        Expect(box, memcg, 0, 1);
        box.AssertBalanced();
        Assert.True(Rechecked.TrySetLimit(memcg, CounterKind.Memory, 8));
        Page* page = MmSwap.ReadAsync<Rechecked>(box.Cpu(), box.Swap, place, out _);
        Assert.True(Rechecked.OwnerOf(box.Cpu(), page, out _) == memcg);
        Expect(box, memcg, 1, 1);
        Mm.LruAddDrain<Rechecked>(box.Cpu());
        Assert.Equal(1, Rechecked.LruCount(memcg, 0, LruList.InactiveAnon));
        Mm.Put<Rechecked>(box.Cpu(), page);
        Reclaim.Shrink<Rechecked>(box.Cpu(), memcg, 1); // never mapped, clean
        Expect(box, memcg, 0, 1);
        box.AssertBalanced();
        box.Unmap(0, 1);
        Expect(box, memcg, 0, 0);
    }

    [Fact] public void A_place_shared_by_two_spaces_is_paid_once_until_both_are_gone_at_read() => Shared<Rechecked>();
    [Fact] public void A_place_shared_by_two_spaces_is_paid_once_until_both_are_gone_late() => Shared<NoStock>();
    [Fact] public void A_place_shared_by_two_spaces_is_paid_once_until_both_are_gone_early() => Shared<Early36>();

    private static void Shared<TC>() where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>(cpus: 2);
        Memcg* memcg = box.Inhabited();
        Assert.True(MemcgLife.Attach(box.Cpu(1), box.Space(1), memcg));
        MmStruct.Join(box.Space(0), box.Space(1));
        box.FaultAll(0, 1);
        MmSwap.Share(box.Cpu(), box.Space(0), box.Space(1), 0);
        SwapOut(box, memcg);
        Assert.True(RawPte(box, 0) == RawPte(box, 0, cpu: 1), "both entries hold the same");
        Assert.Equal(FaultResult.Mapped, box.Touch(0, write: true));
        Expect(box, memcg, 1, 1);
        Assert.Equal(FaultResult.Mapped, box.Touch(0, write: true, cpu: 1));
        Expect(box, memcg, 1, 1);
        Assert.True(RawPte(box, 0) == RawPte(box, 0, cpu: 1), "both entries hold the same");
        box.Unmap(0, 1);
        Expect(box, memcg, 1, 1);
        box.Unmap(0, 1, cpu: 1);
        Expect(box, memcg, 0, 0);
        box.AssertBalanced();
        Assert.Equal(0, SwapDevice.Used(box.Swap));
    }

    [Fact]
    public void Swap_out_of_an_offline_group_is_paid_by_its_nearest_online_ancestor() // C13
    {
        using AccountingBox<NoStock> box = Box<NoStock>(cpus: 2);
        Memcg* parent = box.Group(), child = box.Inhabited(parent);
        box.FaultAll(0, 1);
        MemcgLife.Detach(box.Cpu(), box.Space());
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), child));
        box.Quiesce();
        Assert.Equal(CssState.Offline, Css.StateOf(&child->Css));
        SwapOut(box, parent);
        Assert.Equal(Guarded<int>.Get(&parent->Id), SwapRecord.Id(box.Swap, Pte.SwapOf(RawPte(box, 0))));
        Expect(box, parent, 0, 1);
        box.AssertBalanced();
        Assert.Equal(CssState.Free, Css.StateOf(&child->Css)); // nothing keeps it: the record is the parent's
        box.Unmap(0, 1);
        Expect(box, parent, 0, 0);
        box.AssertBalanced();
    }

    [Fact]
    public void A_swap_record_keeps_its_dead_group_until_the_entry_is_freed()
    {
        using AccountingBox<Early36> box = Box<Early36>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        SwapOut(box, memcg);
        MemcgLife.Detach(box.Cpu(), box.Space());
        MemcgLife.Remove(box.Cpu(), memcg);
        box.Quiesce();
        Assert.Equal(CssState.Offline, Css.StateOf(&memcg->Css));
        box.Unmap(0, 1);
        box.Quiesce();
        Assert.Equal(CssState.Free, Css.StateOf(&memcg->Css));
        box.AssertBalanced();
    }

    [Fact]
    public void A_full_device_leaves_dirty_pages_where_they_are()
    {
        using AccountingBox<NoStock> box = new(mib: 4, plan: Plan with { SwapEntries = 2 });
        Memcg* memcg = box.Inhabited();
        NoStock.TrySetLimit(memcg, CounterKind.Memory, 4);
        box.FaultAll(0, 6);
        Assert.Equal(FaultResult.OverLimit, box.Fault(6));
        Assert.Equal(2, SwapDevice.Used(box.Swap));
        box.AssertBalanced();
    }

    [Fact]
    public void A_group_at_its_memsw_limit_cannot_swap_its_way_out()
    {
        using AccountingBox<NoStock> box = Box<NoStock>();
        Memcg* memcg = box.Inhabited();
        NoStock.TrySetLimit(memcg, CounterKind.Memory, 4);
        NoStock.TrySetLimit(memcg, CounterKind.Memsw, 6);
        box.FaultAll(0, 6);
        Assert.Equal(FaultResult.OverLimit, box.Fault(6));
        Assert.Equal(6, AccountingBox<NoStock>.Memsw(memcg));
        box.AssertBalanced();
    }

    [Fact]
    public void Two_ids_in_one_word_do_not_disturb_each_other()
    {
        using AccountingBox<NoStock> box = Box<NoStock>();
        SwapEntry even = new(6), odd = new(7);
        Assert.Equal(0, SwapRecord.Exchange(box.Swap, even, 0xffff));
        Assert.Equal(0, SwapRecord.Exchange(box.Swap, odd, 0x8001));
        Assert.Equal((0xffff, 0x8001), (SwapRecord.Id(box.Swap, even), SwapRecord.Id(box.Swap, odd)));
        Assert.Equal(0xffff, SwapRecord.Exchange(box.Swap, even, 0));
        Assert.Equal((0, 0x8001), (SwapRecord.Id(box.Swap, even), SwapRecord.Id(box.Swap, odd)));
    }
}
