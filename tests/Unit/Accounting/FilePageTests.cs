// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

/// <summary>Page cache, writeback, migration and replacement; each for late and early uncharge where both have something to lose.</summary>
public sealed unsafe class FilePageTests
{
    private static readonly AccountingPlan Plan = new(MaxGroups: 32, SwapAccounting: true, SwapEntries: 64);

    private static AccountingBox<TC> Box<TC>() where TC : struct, IMemoryController => new(mib: 4, plan: Plan);

    private static long Usage<TC>(AccountingBox<TC> box, Memcg* memcg) where TC : struct, IMemoryController
    {
        TC.DrainStocks(box.Cpu(), box.Accounting.Root);
        return AccountingBox<TC>.Usage(memcg);
    }

    private static Page* Read<TC>(AccountingBox<TC> box, FileSpace* file, long index, bool write = false) where TC : struct, IMemoryController
    {
        Assert.Equal(FaultResult.Mapped, MmFile.Read<TC>(box.Cpu(), box.Space(), file, index, write, out Page* page));
        return page;
    }

    private static MigrateResult Migrate<TC>(AccountingBox<TC> box, Page* page) where TC : struct, IMemoryController
    {
        Mm.LruAddDrain<TC>(box.Cpu());
        return Migration.Migrate<TC>(box.Cpu(), page, AllocatorState.Node(AllocatorState.Of(box.Cpu()), 0));
    }

    [Fact] public void A_truncated_page_gives_everything_back_late() => Truncate<NoStock>();
    [Fact] public void A_truncated_page_gives_everything_back_in_2627() => Truncate<Early27>();
    [Fact] public void A_truncated_page_gives_everything_back_in_36() => Truncate<Early36>();

    private static void Truncate<TC>() where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        long frames = box.FramesInUse;
        Memcg* memcg = box.Inhabited();
        FileSpace* file = box.File();
        Assert.True(FileSpace.TryMap(file, box.Space(), 100, 0, 50));
        for (int i = 0; i < 40; i++) Mm.Put<TC>(box.Cpu(), Read(box, file, i, write: i % 2 == 0));
        for (int i = 0; i < 20; i++) Assert.Equal(FaultResult.Mapped, MmFile.Fault<TC>(box.Cpu(), box.Space(), 100 + i, file, i, write: false));
        Assert.Equal((40, TC.CountsPageState ? 20 : 0, 40), (Usage(box, memcg), MemcgStat.Read(memcg, MemcgStatItem.FileMapped), AtomicLong.Load(&file->Pages)));
        box.AssertBalanced();
        Assert.Equal(40, MmFile.Truncate<TC>(box.Cpu(), file, 0, 100));
        Assert.Equal((0, 0, 0), (Usage(box, memcg), MemcgStat.Read(memcg, MemcgStatItem.FileMapped), AtomicLong.Load(&file->Pages)));
        Assert.True(Mm.Lookup(box.Cpu(), box.Space(), 105) == null);
        box.AssertBalanced();
        Assert.Equal(frames, box.FramesInUse);
    }

    [Fact]
    public void A_truncated_page_that_is_held_is_uncharged_at_once_early_and_at_its_last_put_late()
    {
        Held<NoStock>(chargedWhileHeld: 1);
        Held<Early36>(chargedWhileHeld: 0);
    }

    private static void Held<TC>(long chargedWhileHeld) where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        Memcg* memcg = box.Inhabited();
        FileSpace* file = box.File();
        Page* page = Read(box, file, 0);
        MmFile.Truncate<TC>(box.Cpu(), file, 0, 1);
        Assert.Equal(chargedWhileHeld, Usage(box, memcg));
        Mm.Put<TC>(box.Cpu(), page);
        Assert.Equal(0, Usage(box, memcg));
        box.AssertBalanced();
    }

    [Fact]
    public void Dirty_file_pages_at_the_limit_are_written_and_then_freed()
    {
        using AccountingBox<NoStock> box = Box<NoStock>();
        Memcg* memcg = box.Inhabited();
        FileSpace* file = box.File();
        NoStock.TrySetLimit(memcg, CounterKind.Memory, 64);
        for (int i = 0; i < 300; i++) Mm.Put<NoStock>(box.Cpu(), Read(box, file, i, write: true));
        Assert.True(Usage(box, memcg) <= 64);
        box.AssertBalanced();
    }

    [Fact]
    public void Writeback_is_counted_from_the_submission_to_the_irq_that_ends_it()
    {
        using AccountingBox<NoStock> box = Box<NoStock>();
        Memcg* memcg = box.Inhabited();
        Page* page = Read(box, box.File(), 0, write: true);
        PageOps.Lock(page);
        Writeback.Start<NoStock>(box.Cpu(), page);
        PageOps.Unlock(page);
        Assert.Equal((1, true), (MemcgStat.Read(memcg, MemcgStatItem.Writeback), PageOps.Test(page, PageFlags.Writeback)));
        Assert.Equal(MigrateResult.Busy, Migrate(box, page)); // C6: migration keeps off
        Poll.Run(box.Cpu());
        Assert.Equal((0, false), (MemcgStat.Read(memcg, MemcgStatItem.Writeback), PageOps.Test(page, PageFlags.Writeback)));
        Mm.Put<NoStock>(box.Cpu(), page);
        box.AssertBalanced();
    }

    [Fact] public void Migration_moves_an_anonymous_page_and_its_charge_late() => MigrateAnon<NoStock>(); // C9
    [Fact] public void Migration_moves_an_anonymous_page_and_its_charge_in_2627() => MigrateAnon<Early27>();
    [Fact] public void Migration_moves_an_anonymous_page_and_its_charge_in_2629() => MigrateAnon<Early29>();
    [Fact] public void Migration_moves_an_anonymous_page_and_its_charge_in_33() => MigrateAnon<Early33>();
    [Fact] public void Migration_moves_an_anonymous_page_and_its_charge_in_36() => MigrateAnon<Early36>();

    private static void MigrateAnon<TC>() where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        long frames = box.FramesInUse;
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Page* old = Mm.Follow(box.Cpu(), box.Space(), 0);
        *(long*)MemMap.FrameOf(MemMap.Of(box.Cpu()), old) = 4711;
        Assert.Equal(MigrateResult.Moved, Migrate(box, old));
        Assert.Equal(1, Usage(box, memcg));
        Mm.Put<TC>(box.Cpu(), old); // its last: a second uncharge would take the counter below zero
        Page* page = Mm.Lookup(box.Cpu(), box.Space(), 0);
        Assert.True(page != null && page != old);
        Assert.Equal(4711, *(long*)MemMap.FrameOf(MemMap.Of(box.Cpu()), page));
        Assert.Equal(1, Usage(box, memcg));
        box.AssertBalanced();
        box.Unmap(0, 1);
        Assert.Equal((0, frames), (Usage(box, memcg), box.FramesInUse));
        box.AssertBalanced();
    }

    [Theory]
    [InlineData("late", 1)]
    [InlineData("2.6.27", 0)] // C1: mapped back, in use, and paid by nobody
    [InlineData("2.6.29", 0)]
    [InlineData("3.3", 1)]
    [InlineData("3.6", 1)]
    public void A_migration_that_fails_maps_the_page_back_and_keeps_the_charge_where_the_design_can(string era, long usage)
    {
        switch (era)
        {
            case "late": MigrateFails<NoStock>(usage); break;
            case "2.6.27": MigrateFails<Early27>(usage); break;
            case "2.6.29": MigrateFails<Early29>(usage); break;
            case "3.3": MigrateFails<Early33>(usage); break;
            default: MigrateFails<Early36>(usage); break;
        }
    }

    private static void MigrateFails<TC>(long usage) where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        long frames = box.FramesInUse;
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Page* old = Mm.Follow(box.Cpu(), box.Space(), 0);
        Mm.Get(old); // somebody else's: the count can not come down to the isolation's
        Assert.Equal(MigrateResult.Busy, Migrate(box, old));
        Assert.True(Mm.Lookup(box.Cpu(), box.Space(), 0) == old, "the old page is mapped again");
        Assert.Equal(usage, Usage(box, memcg));
        Mm.Put<TC>(box.Cpu(), old);
        Mm.Put<TC>(box.Cpu(), old);
        box.AssertBalanced();
        box.Unmap(0, 1);
        Assert.Equal((0, frames), (Usage(box, memcg), box.FramesInUse));
        box.AssertBalanced();
    }

    [Fact] public void A_migration_in_a_group_at_its_limit_is_charged_twice_and_fails_in_33() => MigrateAtLimit<Early33>(MigrateResult.NoMemory); // C1
    [Fact] public void A_migration_in_a_group_at_its_limit_needs_no_room_in_36() => MigrateAtLimit<Early36>(MigrateResult.Moved);

    /// <summary>The page that migrates is the group's only one: there is nothing to reclaim. The mark of a refused migration is gone: the last unmap uncharges.</summary>
    private static void MigrateAtLimit<TC>(MigrateResult expected) where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        long frames = box.FramesInUse;
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        box.Quiesce();
        Assert.Equal(1, Usage(box, memcg)); // the stock is drained: its pages would be room
        Assert.True(TC.TrySetLimit(memcg, CounterKind.Memory, 1));
        Page* old = Mm.Follow(box.Cpu(), box.Space(), 0);
        Assert.Equal(expected, Migrate(box, old));
        Assert.Equal(expected != MigrateResult.Moved, Mm.Lookup(box.Cpu(), box.Space(), 0) == old);
        Mm.Put<TC>(box.Cpu(), old);
        Assert.Equal(1, Usage(box, memcg));
        box.AssertBalanced();
        box.Unmap(0, 1);
        Assert.Equal((0, frames), (Usage(box, memcg), box.FramesInUse));
        box.AssertBalanced();
    }

    [Fact] public void Migration_moves_a_file_page_and_its_mapped_statistic_late() => MigrateFile<NoStock>();
    [Fact] public void Migration_moves_a_file_page_and_its_mapped_statistic_in_2627() => MigrateFile<Early27>();
    [Fact] public void Migration_moves_a_file_page_and_its_mapped_statistic_in_33() => MigrateFile<Early33>();
    [Fact] public void Migration_moves_a_file_page_and_its_mapped_statistic_in_36() => MigrateFile<Early36>();

    private static void MigrateFile<TC>() where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        Memcg* memcg = box.Inhabited();
        FileSpace* file = box.File();
        FileSpace.TryMap(file, box.Space(), 0, 0, 8);
        MmFile.Fault<TC>(box.Cpu(), box.Space(), 3, file, 3, write: false);
        Page* old = Mm.Follow(box.Cpu(), box.Space(), 3);
        Assert.Equal(MigrateResult.Moved, Migrate(box, old));
        Assert.Equal((1, TC.CountsPageState ? 1 : 0), (Usage(box, memcg), MemcgStat.Read(memcg, MemcgStatItem.FileMapped)));
        Mm.Put<TC>(box.Cpu(), old);
        Page* page = Mm.Lookup(box.Cpu(), box.Space(), 3);
        Assert.True(page != null && page != old);
        Assert.Equal((1, TC.CountsPageState ? 1 : 0), (Usage(box, memcg), MemcgStat.Read(memcg, MemcgStatItem.FileMapped)));
        box.AssertBalanced();
        MmFile.Truncate<TC>(box.Cpu(), file, 0, 8);
        Assert.Equal(0, Usage(box, memcg));
        box.AssertBalanced();
    }

    [Fact]
    public void A_page_nobody_was_charged_for_migrates_without_a_charge() // C16
    {
        using AccountingBox<NoStock> box = Box<NoStock>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Mm.LruAddDrain<NoStock>(box.Cpu());
        Reclaim.Shrink<NoStock>(box.Cpu(), memcg, 1);
        Reclaim.Shrink<NoStock>(box.Cpu(), memcg, 1);
        Page* old = MmSwap.ReadAsync<NoStock>(box.Cpu(), box.Swap, Pte.SwapOf(GuardedPtr<Page>.Get(MmStruct.Entry(box.Space(), 0))), out _);
        Assert.Equal(MigrateResult.Moved, Migrate(box, old));
        Mm.Put<NoStock>(box.Cpu(), old);
        Assert.Equal(0, Usage(box, memcg));
        box.Touch(0);
        Assert.Equal(1, Usage(box, memcg));
        box.AssertBalanced();
    }

    [Fact] public void A_page_that_replaces_another_takes_its_charge_late() => Replace<NoStock>(fresh: true);
    [Fact] public void A_page_that_replaces_another_is_charged_beside_it_where_the_lru_bit_keeps_the_owner() => Replace<Rechecked>(fresh: true);
    [Fact] public void A_page_that_replaces_another_takes_its_charge_early() => Replace<Early36>(fresh: true);
    [Fact] public void A_page_that_was_page_cache_before_keeps_one_charge_late() => Replace<NoStock>(fresh: false); // C8
    [Fact] public void A_page_that_was_page_cache_before_keeps_one_charge_early() => Replace<Early36>(fresh: false);

    private static void Replace<TC>(bool fresh) where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        Memcg* memcg = box.Inhabited();
        FileSpace* file = box.File(), other = box.File();
        Page* old = Read(box, file, 5), page;
        if (fresh)
        {
            page = Frames.Alloc(box.Cpu(), Gfp.Kernel);
            AtomicInt.Init(&page->MapCount, 0);
        }
        else
        {
            page = Read(box, other, 9);
            Mm.LruAddDrain<TC>(box.Cpu());
            MmFile.Truncate<TC>(box.Cpu(), other, 9, 1);
        }
        Assert.True(MmFile.Replace<TC>(box.Cpu(), old, page));
        Mm.Put<TC>(box.Cpu(), old);
        if (TC.LruBitKeepsOwner) Mm.LruAddDrain<TC>(box.Cpu()); // its final put, which ends its own charge
        Assert.Equal(1, Usage(box, memcg));
        Page* found = PageCache.Find(box.Cpu(), file, 5);
        Assert.True(found == page, "the cache finds the new page");
        Mm.Put<TC>(box.Cpu(), found);
        Mm.Put<TC>(box.Cpu(), page);
        box.AssertBalanced();
        MmFile.Truncate<TC>(box.Cpu(), file, 0, 8);
        Assert.Equal(0, Usage(box, memcg));
        box.AssertBalanced();
    }

    [Fact]
    public void The_final_put_of_a_page_nobody_pays_for_leaves_its_list_node_alone() // C7
    {
        using AccountingBox<NoStock> box = Box<NoStock>();
        ListHead own;
        IntrusiveList.Init(&own);
        Page* page = Frames.Alloc(box.Cpu(), Gfp.Kernel);
        IntrusiveList.Add(&own, &page->Lru);
        NoStock.OnFinalPut(box.Cpu(), &page, 1);
        Assert.Equal(1, IntrusiveList.Walk(&own));
        PageOps.PutAndTest(page);
        Frames.Free(box.Cpu(), page);
    }

    [Fact]
    public void A_device_page_is_mapped_once_and_charged_to_nobody()
    {
        using AccountingBox<NoStock> box = Box<NoStock>();
        Memcg* memcg = box.Inhabited();
        Page* page = Frames.Alloc(box.Cpu(), Gfp.Kernel);
        AtomicInt.Init(&page->MapCount, 0);
        Assert.True(MmFile.InsertPage<NoStock>(box.Cpu(), box.Space(), 7, page));
        Assert.False(MmFile.InsertPage<NoStock>(box.Cpu(), box.Space(), 7, page));
        Assert.Equal(0, Usage(box, memcg));
        box.Unmap(7, 1);
        Mm.Put<NoStock>(box.Cpu(), page);
        box.AssertBalanced();
    }

    [Fact] public void The_pages_of_a_dead_group_become_its_parents_late() => Move<LateMove>();
    [Fact] public void The_pages_of_a_dead_group_become_its_parents_early() => Move<Early36>();

    private static void Move<TC>() where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Box<TC>();
        Memcg* parent = box.Group(), child = box.Inhabited(parent);
        FileSpace* file = box.File();
        FileSpace.TryMap(file, box.Space(), 100, 0, 10);
        box.FaultAll(0, 30);
        for (int i = 0; i < 10; i++) MmFile.Fault<TC>(box.Cpu(), box.Space(), 100 + i, file, i, write: false);
        MemcgLife.Detach(box.Cpu(), box.Space());
        MemcgLife.Remove(box.Cpu(), child);
        for (int i = 0; i < 4; i++) box.Quiesce();
        Assert.Equal(CssState.Free, Css.StateOf(&child->Css));
        Assert.Equal((40, 30), (Usage(box, parent), MemcgStat.Read(parent, MemcgStatItem.Rss)));
        Assert.Equal((10, 10), (MemcgStat.Read(parent, MemcgStatItem.Cache), MemcgStat.Read(parent, MemcgStatItem.FileMapped)));
        Assert.Equal(40, AccountingBox<TC>.Memsw(parent));
        box.AssertBalanced();
        box.Unmap(0, 200);
        MmFile.Truncate<TC>(box.Cpu(), file, 0, 10);
        Assert.Equal(0, Usage(box, parent));
        box.AssertBalanced();
    }

    [Fact]
    public void The_pages_of_a_dead_group_are_forced_out_in_2627_and_keep_their_frames() // A18: no reference is left behind
    {
        using var box = new AccountingBox<Early27>(mib: 4, plan: new AccountingPlan(MaxGroups: 8));
        long frames = box.FramesInUse;
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 30);
        Assert.Equal(30, ForceEmpty.ReferencesOf(memcg));
        MemcgLife.Detach(box.Cpu(), box.Space());
        MemcgLife.Remove(box.Cpu(), memcg);
        for (int i = 0; i < 4; i++) box.Quiesce();
        Assert.Equal((CssState.Free, 0), (Css.StateOf(&memcg->Css), ForceEmpty.ReferencesOf(memcg)));
        Assert.Equal(frames + 30, box.FramesInUse);
        box.AssertBalanced();
        Assert.Equal(30, box.Unmap(0, 30));
        Assert.Equal(frames, box.FramesInUse);
        box.AssertBalanced();
    }
}
