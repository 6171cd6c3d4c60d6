// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Face = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

/// <summary>The walker is shown to find what it is for: each test breaks one thing behind the allocator's back.</summary>
public sealed unsafe class AllocatorCheckTests : IDisposable
{
    private readonly AllocatorBox box = new(AllocatorBox.OneNode(8) with { Batch = 4, High = 8 });
    private readonly nint held;

    public AllocatorCheckTests()
    {
        ThisCpu cpu = box.Cpu();
        held = (nint)Face.Alloc(in cpu, Gfp.Kernel);
        Assert.Empty(AllocatorCheck.Run(box.Memory));
    }

    public void Dispose() => box.Dispose();

    private Page* Held => (Page*)held;

    private void Finds(string what) => Assert.Contains(AllocatorCheck.Run(box.Memory), line => line.Contains(what, StringComparison.Ordinal));

    [Fact]
    public void A_wrong_count_of_free_pages()
    {
        AtomicLong.Add(&box.Zone()->NrFree, 1);
        Finds("2044 free pages on the lists, 2045 counted");
    }

    [Fact]
    public void A_wrong_count_of_blocks()
    {
        Guarded<long>.Set(&Zone.Area(box.Zone(), 10)->NrBlocks, 2);
        Finds("1 blocks of order 10 on the list, 2 counted");
    }

    [Fact]
    public void A_free_block_without_its_flag()
    {
        PageOps.Clear(box.Page(1024), PageFlags.Buddy);
        Finds("pfn 1024 (flags free, private 10) is on the list of order 10, without the flag");
    }

    [Fact]
    public void A_free_block_with_another_order()
    {
        AtomicLong.Store(&box.Page(1024)->Private, 9);
        Finds("pfn 1024 (flags buddy|free, private 9) is on the list of order 10");
    }

    [Fact]
    public void A_page_on_a_per_cpu_list_that_is_in_use()
    {
        GuardedPtr<Page>.Set(PerCpuPages.Entry(List, 0), Held);
        Finds($"pfn {box.Pfn(Held)} (flags none, private 0) is in a free list");
    }

    [Fact]
    public void A_page_that_is_free_in_two_places()
    {
        GuardedPtr<Page>.Set(PerCpuPages.Entry(List, 0), GuardedPtr<Page>.Get(PerCpuPages.Entry(List, 1)));
        Finds("is free in two places");
    }

    [Fact]
    public void A_free_page_that_got_lost()
    {
        Guarded<int>.Set(&List->Count, 2);
        Finds("is not in a free list");
    }

    [Fact]
    public void A_free_page_with_a_reference_or_a_memcg_word()
    {
        Page* page = GuardedPtr<Page>.Get(PerCpuPages.Entry(List, 0));
        AtomicInt.Store(&page->RefCount, 1);
        AtomicLong.Store(&page->Memcg, 0x40);
        Finds("refcount 1");
        Finds("memcg word 40");
    }

    [Fact]
    public void A_page_that_names_another_node()
    {
        AtomicLong.Store(&Held->Flags, 1L << PageFlags.NodeShift);
        Finds("names node index 1");
    }

    [Fact]
    public void Buddies_that_have_not_merged()
    {
        // The upper half of the untouched block becomes a block of its own.
        Page* lower = box.Page(1024), upper = box.Page(1024 + 512);
        IntrusiveList.Remove(&lower->Lru);
        foreach (nint half in (nint[])[(nint)lower, (nint)upper])
        {
            Page* page = (Page*)half;
            PageOps.Set(page, PageFlags.Buddy);
            AtomicLong.Store(&page->Private, 9);
            IntrusiveList.Add(&Zone.Area(box.Zone(), 9)->Blocks, &page->Lru);
        }
        Finds("its buddy of order 9 are both free and not merged");
    }

    [Fact]
    public void A_broken_list()
    {
        GuardedPtr<ListHead>.Set(&box.Page(1024)->Lru.Prev, null);
        Finds("the list of order 10 is broken");
    }

    [Fact]
    public void Pages_that_did_not_come_back()
    {
        Assert.Contains("node 0: 1 of 2048 pages did not come back", AllocatorCheck.AllBack(box.Memory));
        Assert.Contains("node 0: 3 pages are still on per-CPU lists", AllocatorCheck.AllBack(box.Memory));
    }

    private PerCpuPages* List => GuardedPtr<PerCpuPages>.Get(&AllocatorCpu.Of(box.Cpu().Area)->Lists);
}
