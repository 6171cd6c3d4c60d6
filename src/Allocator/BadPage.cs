// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// What is wrong with a page that comes or goes, with the values. Linux: bad_page and page_bad_reason, mm/page_alloc.c; there it goes on,
/// here it ends the run.
/// </summary>
/// <remarks>Each is a bare throw: so the JIT knows that the call does not return and keeps nothing alive across it.</remarks>
internal static unsafe class BadPage
{
    [DoesNotReturn]
    public static void AtAlloc(Page* page)
        => throw new BugException($"page allocator: a free page was changed by somebody else (struct page {(nint)page:x}): {Values(page)}");

    [DoesNotReturn]
    public static void Foreign(AllocatorCpu* own, Page* page)
        => throw new BugException(ForeignText(own, page));

    [DoesNotReturn]
    public static void WrongOrder(AllocatorCpu* own, Page* page, Order order)
        => throw new BugException(PageOps.Test(page, PageFlags.Free)
            ? $"page allocator: double free of pfn {PfnOf(own, page)} as a block of order {order}: {Values(page)}"
            : $"page allocator: pfn {PfnOf(own, page)} is no block of order {order}: {Values(page)}");

    [DoesNotReturn]
    public static void AtFree(AllocatorCpu* own, Page* page)
        => throw new BugException($"page allocator: {Reason(page)}, pfn {PfnOf(own, page)}: {Values(page)}");

    private static string ForeignText(AllocatorCpu* own, Page* page)
        => $"page allocator: {(nint)page:x} is no struct page of the mem_map at {(nint)GuardedPtr<Page>.Get(&own->Pages):x} "
            + $"({Guarded<long>.Get(&own->NrPages)} pages)";

    private static string Reason(Page* page)
    {
        long flags = AtomicLong.Load(&page->Flags);
        return (flags & PageFlags.Free) != 0 ? "double free"
            : AtomicInt.Load(&page->RefCount) != 0 ? "free with references"
            : AtomicInt.Load(&page->MapCount) != 0 ? "free of a mapped page"
            : AtomicLong.Load(&page->Memcg) != 0 ? "free with a memcg word set"
            : (flags & (PageFlags.Head | PageFlags.Tail)) != 0 ? "free of part of a block"
            : (flags & PageFlags.CheckAtFree) != 0 ? "free with flags that must be clear"
            : "free with a file mapping";
    }

    private static Pfn PfnOf(AllocatorCpu* own, Page* page) => new(((nint)page - (nint)GuardedPtr<Page>.Get(&own->Pages)) >> Page.Shift);

    private static string Values(Page* page)
    {
        long flags = AtomicLong.Load(&page->Flags);
        return $"node index {PageFlags.NodeIndex(flags)}, flags {PageFlags.Describe(flags)}, refcount {AtomicInt.Load(&page->RefCount)}, "
            + $"mapcount {AtomicInt.Load(&page->MapCount)}, private {AtomicLong.Load(&page->Private)}, "
            + $"mapping {AtomicLong.Load(&page->Mapping):x}, memcg word {AtomicLong.Load(&page->Memcg):x}";
    }
}
