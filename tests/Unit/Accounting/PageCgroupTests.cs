// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>What is particular to one answer of the PageCgroup axis; what all of them promise is in tests/Conformance.</summary>
public sealed unsafe class PageCgroupTests
{
    private static Page* PageAt<TC>(AccountingBox<TC> box, long index) where TC : struct, IMemoryController => Mm.Lookup(box.Cpu(), box.Space(), index);

    private static long Live<TC>(AccountingBox<TC> box) where TC : struct, IMemoryController => box.Accounting.PageCgroups!.LiveObjects;

    [Fact]
    public void An_object_is_40_bytes_in_2627_and_a_line_in_the_corrected_series()
    {
        Assert.Equal((40, 48, 64), (BitSpinlock<BitLock>.ObjectBytes, LocklessRcu<AsPosted, PrefetchNone>.ObjectBytes, LocklessRcu<Corrected, PrefetchNone>.ObjectBytes));
        Assert.Equal((40, 16), (FlagArray<PageCgroupEntry40, BitLock>.MetadataBytes, FlagArray<PageCgroupEntry16, BitLock>.MetadataBytes));
        Assert.Equal(16, PlainFlagArray<Plain317>.MetadataBytes);
    }

    [Fact]
    public void In_2627_an_unmap_frees_the_object_at_once()
    {
        using var box = new AccountingBox<Early27>();
        box.Inhabited();
        box.FaultAll(0, 40);
        Assert.Equal(40, Live(box));
        box.Unmap(0, 40);
        Assert.Equal(0, Live(box));
        box.AssertBalanced();
    }

    [Fact]
    public void In_the_lockless_series_sixteen_obsolete_objects_go_together_after_a_grace_period()
    {
        using var box = new AccountingBox<Lockless>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 40);
        Mm.LruAddDrain<Lockless>(box.Cpu());
        box.Unmap(0, 17);
        Assert.Equal(23, AccountingBox<Lockless>.Usage(memcg));
        Assert.Equal(40, Live(box));
        Assert.Equal(40, Lockless.LruCount(memcg, 0, LruList.InactiveAnon));
        Rcu.Barrier(box.Cpu());
        Assert.Equal(24, Live(box)); // 16 of 17; the last one waits for company
        box.AssertBalanced();
        Assert.Equal(23, Live(box));
    }

    [Fact]
    public void A_removed_group_goes_when_the_last_obsolete_object_has_gone()
    {
        using var box = new AccountingBox<Lockless>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 3);
        box.Unmap(0, 3);
        MemcgLife.Detach(box.Cpu(), box.Space());
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), memcg));
        for (int i = 0; i < 4; i++) box.Quiesce();
        Assert.Equal(1, box.Audit().Groups);
    }

    [Fact]
    public void A_drain_waits_for_callbacks_and_not_only_for_a_grace_period() // A7
    {
        using var box = new AccountingBox<Lockless>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 5);
        box.Unmap(0, 5);
        LocklessRcu<Corrected, PrefetchWrite>.DrainAndWait<TwinLists<Async, TicketLock>>(box.Cpu());
        Assert.Equal(0, Live(box));
        Assert.Equal(0, Lockless.LruCount(memcg, 0, LruList.InactiveAnon));
    }

    [Fact]
    public void A_page_keeps_its_reader_outside_every_lock()
    {
        using var box = new AccountingBox<Lockless>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Page* page = PageAt(box, 0);
        using (PageCgroupReader reader = PageCgroupReader.Begin<Lockless>(box.Cpu(), page))
        {
            Assert.True(reader.Owner == memcg);
            Assert.Equal(1, Rcu.Nesting(box.Cpu()));
        }
        Assert.Equal(0, Rcu.Nesting(box.Cpu())); // A6
        box.Unmap(0, 1);
        using PageCgroupReader after = PageCgroupReader.Begin<Lockless>(box.Cpu(), page);
        Assert.True(after.Owner == null);
    }

    [Fact]
    public void An_object_pushed_twice_fails_at_once() // A4, as posted: whoever tested before has won too
    {
        using var box = new AccountingBox<Lockless>();
        box.Inhabited();
        box.FaultAll(0, 1);
        Page* page = PageAt(box, 0);
        long word = AtomicLong.Load(&page->Memcg);
        Assert.True(Lockless.TryClear(box.Cpu(), page, UnchargeType.Force, out _, out _));
        Assert.False(Lockless.TryClear(box.Cpu(), page, UnchargeType.Force, out _, out _));
        AtomicLong.Store(&page->Memcg, word);
        AtomicLong.And(&((PageCgroupObject*)word)->Flags, ~PageCgroupObject.Obsolete);
        nint address = (nint)page;
        var bug = Assert.Throws<BugException>(() => Lockless.TryClear(box.Cpu(), (Page*)address, UnchargeType.Force, out _, out _));
        Assert.Contains("uncharged twice", bug.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_move_of_lists_that_finds_the_bit_lock_taken_leaves_the_object_where_it_is() // A1
    {
        using var box = new AccountingBox<Early27>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 2);
        Mm.LruAddDrain<Early27>(box.Cpu());
        Page* page = PageAt(box, 0);
        Assert.True(BitLock.TryAcquire(&page->Memcg));
        Early27.LruActivate(box.Cpu(), &page, 1);
        Assert.Equal(0, Early27.LruCount(memcg, 0, LruList.ActiveAnon));
        Assert.Equal(1, Early27.LruCount(box.Accounting.Root, 0, LruList.ActiveAnon));
        BitLock.Release(&page->Memcg);
        Page** taken = stackalloc Page*[4];
        Assert.Equal(1, Early27.LruIsolateTail(box.Cpu(), memcg, 0, LruList.InactiveAnon, taken, 4)); // the scanner puts the other one right
        Assert.Equal(1, Early27.LruCount(memcg, 0, LruList.ActiveAnon));
        Early27.LruPutback(box.Cpu(), taken, 1);
        Mm.ReleasePages<Early27>(box.Cpu(), taken, 1);
        box.AssertBalanced();
    }

    [Fact]
    public void An_array_never_touches_the_word_in_struct_page()
    {
        using var box = new AccountingBox<Early36>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 4);
        Page* page = PageAt(box, 2);
        Assert.Equal(0, AtomicLong.Load(&page->Memcg));
        Assert.True(Early36.OwnerOf(box.Cpu(), page, out bool used) == memcg && used);
        Mm.Get(page);
        box.Unmap(0, 4);
        Assert.True(Early36.OwnerOf(box.Cpu(), page, out used) == memcg && !used, "uncharged, and still named while it is on a list");
        Assert.True(Early36.LruIsolate(box.Cpu(), page));
        Early36.LruPutback(box.Cpu(), &page, 1);
        Assert.True(Early36.OwnerOf(box.Cpu(), page, out _) == null, "back on a list it is the root's");
        Mm.Put<Early36>(box.Cpu(), page);
        Mm.Put<Early36>(box.Cpu(), page);
        box.AssertBalanced();
    }

    [Fact]
    public void A_migrated_page_stays_named_in_the_mail_and_nobodys_in_317()
    {
        Assert.Equal(1, FlagsAfterMigration<Mailed>());
        Assert.Equal(0, FlagsAfterMigration<Late317>());
    }

    private static long FlagsAfterMigration<TC>() where TC : struct, IMemoryController
    {
        using var box = new AccountingBox<TC>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        Page* old = Mm.Follow(box.Cpu(), box.Space(), 0);
        Mm.LruAddDrain<TC>(box.Cpu());
        Assert.Equal(MigrateResult.Moved, Migration.Migrate<TC>(box.Cpu(), old, AllocatorState.Node(AllocatorState.Of(box.Cpu()), 0)));
        AccountingNode* node = AccountingCpu.Node(box.Cpu(), 0);
        byte* entry = GuardedPtr<byte>.Get(&node->PageMetadata) + MemMap.PfnOf(MemMap.Of(box.Cpu()), old).Value * PageCgroupEntry16.Bytes;
        long flags = AtomicLong.Load(PageCgroupEntry16.Flags(entry));
        TC.OwnerOf(box.Cpu(), old, out bool used);
        Assert.False(used);
        Mm.Put<TC>(box.Cpu(), old);
        Assert.Equal(0, AtomicLong.Load(PageCgroupEntry16.Flags(entry)));
        TC.DrainStocks(box.Cpu(), box.Accounting.Root);
        Assert.Equal(1, AccountingBox<TC>.Usage(memcg));
        box.AssertBalanced();
        return flags;
    }

    [Fact]
    public void The_prefetch_for_writing_is_machine_code_here_and_takes_any_address()
    {
        Assert.Equal(System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.X64, PrefetchWriteStub.IsSupported);
        long word = 7;
        PrefetchWriteStub.Line(&word);
        PrefetchWriteStub.Line(null);
        PrefetchWriteStub.Nothing(null);
        Assert.Equal(7, word);
    }

    // The audit sees what it is for.

    [Fact]
    public void An_object_that_leaked_is_seen()
    {
        using var box = new AccountingBox<Early27>();
        box.Inhabited();
        box.FaultAll(0, 3);
        box.AssertBalanced();
        PageCgroupObject.Alloc(box.Cpu());
        Assert.Contains(box.Audit().Wrong, w => w == "page_cgroup: 4 objects allocated and not freed, 3 pages are charged");
    }

    [Fact]
    public void An_object_that_names_another_page_is_seen()
    {
        using var box = new AccountingBox<Early27>();
        box.Inhabited();
        box.FaultAll(0, 3);
        box.AssertBalanced();
        var pc = (PageCgroupObject*)AtomicLong.Load(&PageAt(box, 1)->Memcg);
        GuardedPtr<Page>.Set(&pc->Page, PageAt(box, 2));
        Assert.Contains(box.Audit(quiesce: false).Wrong, w => w.Contains("names page", StringComparison.Ordinal));
    }

    [Fact]
    public void A_count_of_a_groups_own_list_that_lies_is_seen()
    {
        using var box = new AccountingBox<Early27>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 3);
        box.AssertBalanced();
        Lruvec.Resize((Lruvec*)((byte*)Memcg.OnNode(memcg, 0) + MemcgNode.LruSlot + 8), LruList.InactiveAnon, 1);
        IReadOnlyList<string> wrong = box.Audit(quiesce: false).Wrong;
        Assert.Contains(wrong, w => w.Contains("count 4, walk 3", StringComparison.Ordinal));
        Assert.Contains(wrong, w => w.Contains("3 objects allocated and not freed, 4 on the lists", StringComparison.Ordinal));
    }

    [Fact]
    public void A_lock_left_behind_is_seen()
    {
        using var box = new AccountingBox<Early36>();
        box.Inhabited();
        box.FaultAll(0, 1);
        box.AssertBalanced();
        AccountingNode* node = AccountingCpu.Node(box.Cpu(), 0);
        byte* entry = GuardedPtr<byte>.Get(&node->PageMetadata) + MemMap.PfnOf(MemMap.Of(box.Cpu()), PageAt(box, 0)).Value * PageCgroupEntry16.Bytes;
        ByteLock.Acquire(PageCgroupEntry16.Flags(entry));
        Assert.Contains(box.Audit(quiesce: false).Wrong, w => w.Contains("is held", StringComparison.Ordinal));
    }

    // Who goes with whom.

    [Theory]
    [InlineData("2.6.27,page_cgroup=LocklessRcuAsPosted", "for the explorer only")]
    [InlineData("3.19,uncharge=AtUnmap36", "needs a page_cgroup with a lock")]
    [InlineData("3.17,uncharge=AtUnmap36", "needs a page_cgroup with a lock")]
    [InlineData("2.6.27,lru=ZoneLruLock", "keeps the owner of an uncharged page on its list")]
    [InlineData("2.6.27,lru=TwinListsSync", "needs page_cgroup=FlagArray40")]
    [InlineData("2.6.27,uncharge=AtUnmap33", "has no place for the mark")]
    [InlineData("2.6.27,uncharge=AtUnmap36", "has no place for the mark")]
    [InlineData("2.6.27,kmem=PerCachePin", "no kernel had both. Choose kmem=None")]
    [InlineData("rfc-2008-lockless,kmem=ObjCgroup", "no kernel had both. Choose kmem=None")]
    [InlineData("3.3,lru=TwinListsAsync", "needs page_cgroup=BitSpinlock or LocklessRcu")]
    [InlineData("3.3,residents=PinPerPage", "needs residents=MoveToParent or ForceEmpty")]
    [InlineData("rfc-2014-uncharge,residents=PinPerPage", "needs residents=MoveToParent")]
    public void What_does_not_go_together_is_refused_with_the_reason(string model, string reason) =>
        Assert.Contains(reason, Eras.WhyNot(Model.Parse(model)), StringComparison.Ordinal);

    [Fact]
    public void Every_era_goes_together() => Assert.All(Eras.All, era => Assert.Null(Eras.WhyNot(Model.Parse(era.Name))));
}
