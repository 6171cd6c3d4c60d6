// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Face = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

/// <summary>What must not be freed is refused with the pfn and the values.</summary>
public sealed unsafe class BadPageTests
{
    private delegate void Damage(Page* page);

    private static string Refused(Damage damage, int order = 0, int freeAs = -1)
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        nint page = Take(box, order);
        AtomicInt.Store(&((Page*)page)->RefCount, 0);
        damage((Page*)page);
        string message = Assert.Throws<BugException>(() => Free(box, page, freeAs < 0 ? order : freeAs)).Message;
        Assert.Contains($"pfn {box.Pfn((Page*)page)}", message);
        return message;
    }

    private static nint Take(AllocatorBox box, int order)
    {
        ThisCpu cpu = box.Cpu();
        return (nint)Face.Alloc(in cpu, Gfp.Kernel, order);
    }

    private static void Free(AllocatorBox box, nint page, int order)
    {
        ThisCpu cpu = box.Cpu();
        Face.Free(in cpu, (Page*)page, order);
    }

    [Fact]
    public void A_double_free_from_the_per_cpu_list() => Assert.Contains("double free", RefusedTwice(drain: false, 0));

    [Fact]
    public void A_double_free_after_the_page_merged_into_a_larger_block() => Assert.Contains("double free", RefusedTwice(drain: true, 0));

    [Fact]
    public void A_double_free_of_a_block() => Assert.Contains("double free", RefusedTwice(drain: false, 3));

    private static string RefusedTwice(bool drain, int order)
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        nint page = Take(box, order);
        AtomicInt.Store(&((Page*)page)->RefCount, 0);
        Free(box, page, order);
        if (drain) box.DrainAll();
        return Assert.Throws<BugException>(() => Free(box, page, order)).Message;
    }

    [Fact]
    public void A_free_with_a_memcg_word_set()
        => Assert.Contains("memcg word abc0", Refused(static page => AtomicLong.Store(&page->Memcg, 0xabc0)));

    [Fact]
    public void A_free_with_references() => Assert.Contains("refcount 2", Refused(static page => AtomicInt.Store(&page->RefCount, 2)));

    [Fact]
    public void A_free_of_a_mapped_page() => Assert.Contains("mapcount 1", Refused(static page => AtomicInt.Store(&page->MapCount, 1)));

    [Fact]
    public void A_free_of_a_locked_page() => Assert.Contains("flags locked", Refused(static page => PageOps.Set(page, PageFlags.Locked)));

    [Fact]
    public void A_free_of_a_page_on_an_lru_list() => Assert.Contains("active", Refused(static page => PageOps.Set(page, PageFlags.Lru | PageFlags.Active)));

    [Fact]
    public void A_free_with_a_file_mapping() => Assert.Contains("mapping 1000", Refused(static page => AtomicLong.Store(&page->Mapping, 0x1000)));

    [Fact]
    public void A_free_of_a_block_as_a_single_page() => Assert.Contains("part of a block", Refused(static page => { }, order: 2, freeAs: 0));

    [Fact]
    public void A_free_of_a_block_with_another_order() => Assert.Contains("no block of order 1", Refused(static page => { }, order: 2, freeAs: 1));

    [Fact]
    public void A_tail_with_a_memcg_word_set() => Assert.Contains("memcg word", RefusedTail());

    private static string RefusedTail()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        nint page = Take(box, 2);
        AtomicInt.Store(&((Page*)page)->RefCount, 0);
        AtomicLong.Store(&((Page*)page + 3)->Memcg, 8);
        return Assert.Throws<BugException>(() => Free(box, page, 2)).Message;
    }

    [Theory, InlineData(-64), InlineData(32), InlineData(1024 * 64), InlineData(1L << 40)]
    public void A_pointer_outside_or_between_the_struct_pages(long offset)
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        nint foreign = (nint)box.Page(0) + (nint)offset;
        Assert.Contains("no struct page", Assert.Throws<BugException>(() => Free(box, foreign, 0)).Message);
    }

    [Fact]
    public void A_free_page_that_was_written_to_is_found_when_it_is_handed_out()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        nint page = Take(box, 0);
        AtomicInt.Store(&((Page*)page)->RefCount, 0);
        Free(box, page, 0);
        PageOps.Set((Page*)page, PageFlags.Dirty);
        Assert.Contains("dirty", Assert.Throws<BugException>(() => Take(box, 0)).Message);
    }

    [Fact]
    public void An_anonymous_mapping_and_harmless_flags_are_cleared()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        nint page = Take(box, 0);
        AtomicInt.Store(&((Page*)page)->RefCount, 0);
        AtomicLong.Store(&((Page*)page)->Mapping, 0x1001);
        PageOps.Set((Page*)page, PageFlags.SwapBacked | PageFlags.Dirty | PageFlags.Uptodate | PageFlags.Referenced);
        Free(box, page, 0);
        Assert.Equal(page, Take(box, 0));
        Assert.Equal(0, AtomicLong.Load(&((Page*)page)->Mapping));
        Assert.Equal(0, AtomicLong.Load(&((Page*)page)->Flags));
    }
}
