// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The broken twins of what the audit says of page_cgroups and of the two lists of 2008 (spec 1.8, 3.8): each test damages one thing.</summary>
public sealed unsafe class PageCgroupAuditTests
{
    private const int Pages = 3;

    private static Page* PageAt<TC>(AccountingBox<TC> box, long index) where TC : struct, IMemoryController => Mm.Lookup(box.Cpu(), box.Space(), index);

    private static AccountingBox<TC> Charged<TC>() where TC : struct, IMemoryController
    {
        var box = new AccountingBox<TC>();
        box.Inhabited();
        box.FaultAll(0, Pages);
        box.AssertBalanced();
        return box;
    }

    private static void Expect<TC>(string text, Action<AccountingBox<TC>> damage) where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Charged<TC>();
        damage(box);
        Assert.Contains(box.Audit(quiesce: false).Wrong, w => w.Contains(text, StringComparison.Ordinal));
    }

    /// <summary>For damage that the walk over all frames would trip over: only the page_cgroup of page 1 is looked at.</summary>
    private static void ExpectOfPage<TC>(string text, Action<AccountingBox<TC>> damage) where TC : struct, IMemoryController
    {
        using AccountingBox<TC> box = Charged<TC>();
        damage(box);
        var wrong = new List<string>();
        TC.PageCgroupCheck(box.Cpu(), PageAt(box, 1), wrong);
        Assert.Contains(wrong, w => w.Contains(text, StringComparison.Ordinal));
    }

    private static PageCgroupObject* ObjectAt<TC>(AccountingBox<TC> box, long index) where TC : struct, IMemoryController =>
        (PageCgroupObject*)AtomicLong.Load(&PageAt(box, index)->Memcg);

    private static byte* EntryAt<TC>(AccountingBox<TC> box, long index) where TC : struct, IMemoryController
    {
        AccountingNode* node = AccountingCpu.Node(box.Cpu(), 0);
        return GuardedPtr<byte>.Get(&node->PageMetadata) + MemMap.PfnOf(MemMap.Of(box.Cpu()), PageAt(box, index)).Value * PageCgroupEntry16.Bytes;
    }

    // The zone's own list beside the groups' (2.6.27).

    [Fact]
    public void A_count_of_the_zones_list_that_lies_is_seen() => // A-I2
        Expect<Early27>("lru: zone of node 0 InactiveAnon: count 4, walk 3",
            box => Lruvec.Resize(&TwinZoneState.Of(AccountingCpu.Node(box.Cpu(), 0))->Lists, LruList.InactiveAnon, 1));

    [Fact]
    public void A_page_on_the_zones_list_without_its_bit_is_seen() =>
        Expect<Early27>("without the LRU bit", box => PageOps.Clear(PageAt(box, 1), PageFlags.Lru));

    [Fact]
    public void A_page_on_the_wrong_list_of_the_zone_is_seen() =>
        Expect<Early27>("belongs on ActiveAnon", box => PageOps.Set(PageAt(box, 1), PageFlags.Active));

    [Fact]
    public void A_page_on_the_zones_list_of_another_node_is_seen() =>
        Expect<Early27>("is of node 1", box => PageOps.Set(PageAt(box, 1), 1L << PageFlags.NodeShift));

    [Fact]
    public void An_object_on_the_list_of_another_group_is_seen() =>
        Expect<Early27>("belongs to group", box => GuardedPtr<Memcg>.Set(&ObjectAt(box, 1)->Memcg, box.Group()));

    [Fact]
    public void An_object_that_says_it_is_on_another_list_is_seen() =>
        Expect<Early27>("says it is on ActiveFile", box => PageCgroupObject.SetListPlain(ObjectAt(box, 1), LruList.ActiveFile));

    [Fact]
    public void An_obsolete_object_that_is_still_linked_is_seen() => // A-I1, A-I4
        Expect<Lockless>("is obsolete and linked", box => AtomicLong.Or(&ObjectAt(box, 1)->Flags, PageCgroupObject.Obsolete));

    // The page_cgroup of one page.

    [Fact]
    public void A_bit_lock_left_behind_is_seen() => ExpectOfPage<Early27>("is held", box => BitLock.Acquire(&PageAt(box, 1)->Memcg));

    [Fact]
    public void An_object_of_the_series_that_names_another_page_is_seen() => // A-I6
        ExpectOfPage<Lockless>("names page", box => GuardedPtr<Page>.Set(&ObjectAt(box, 1)->Page, PageAt(box, 2)));

    [Fact]
    public void A_page_that_shows_an_obsolete_object_is_seen() =>
        ExpectOfPage<Lockless>("shows an obsolete one", box => AtomicLong.Or(&ObjectAt(box, 1)->Flags, PageCgroupObject.Obsolete));

    [Fact]
    public void A_live_object_in_a_sink_is_seen() => // A-I4
        ExpectOfPage<Lockless>("on its way out", box => Guarded<nint>.Set(&ObjectAt(box, 1)->Next, PageCgroupObject.SinkEnd));

    [Fact]
    public void A_used_entry_without_a_group_is_seen() =>
        ExpectOfPage<Early36>("is used by nobody", box => AtomicPtr<Memcg>.Store(PageCgroupEntry16.Owner(EntryAt(box, 1)), null));

    [Fact]
    public void A_word_beside_an_array_is_seen() => ExpectOfPage<Early36>("has a word, which no array sets", box => AtomicLong.Store(&PageAt(box, 1)->Memcg, 4096));

    [Fact]
    public void A_memsw_bit_without_a_memory_bit_is_seen() => // C-I9
        ExpectOfPage<Late317>("MEMSW needs MEM", box =>
            AtomicLong.Store(PageCgroupEntry16.Flags(EntryAt(box, 1)), PlainFlagArray<Plain317>.Used | PlainFlagArray<Plain317>.Memsw));

    [Fact]
    public void Plain_flags_without_a_group_are_seen() =>
        ExpectOfPage<Late317>("is used by nobody", box => AtomicPtr<Memcg>.Store(PageCgroupEntry16.Owner(EntryAt(box, 1)), null));

    [Fact]
    public void Plain_flags_of_a_free_page_are_seen() => // C-I6
        ExpectOfPage<Late317>("is free and has flags", box => AtomicInt.Store(&PageAt(box, 1)->RefCount, 0));

    [Fact]
    public void A_word_beside_plain_flags_is_seen() => ExpectOfPage<Late317>("has a word, which no array sets", box => AtomicLong.Store(&PageAt(box, 1)->Memcg, 4096));
}
