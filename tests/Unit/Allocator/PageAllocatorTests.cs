// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Face = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class PageAllocatorTests
{
    [Fact]
    public void A_page_comes_with_one_reference_and_clean_flags_and_its_frame_can_be_written()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        Page* page = Face.Alloc(in cpu, Gfp.Kernel);
        Assert.Equal(1, PageOps.Count(page));
        Assert.Equal(0, AtomicLong.Load(&page->Flags));
        byte* frame = MemMap.FrameOf(&box.State->Map, page);
        frame[4095] = 7;
        Assert.True(MemMap.PageOfAddress(&box.State->Map, frame + 4095) == page);
        Assert.Equal(page - box.Page(0), box.Pfn(page));
        AllocatorBox.PutAndFree(in cpu, page);
    }

    [Fact]
    public void The_page_freed_last_is_handed_out_first()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        Page* first = Face.Alloc(in cpu, Gfp.Kernel);
        Page* second = Face.Alloc(in cpu, Gfp.Kernel);
        Assert.Equal(box.Pfn(first) + 1, box.Pfn(second));
        AllocatorBox.PutAndFree(in cpu, first);
        Assert.True(Face.Alloc(in cpu, Gfp.Kernel) == first);
    }

    [Fact]
    public void Splitting_an_order_3_block_leaves_one_buddy_per_order()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        Page* page = Face.Alloc(in cpu, Gfp.Kernel, 3);
        Assert.Equal(1024 - 8, box.Free());
        for (int order = 0; order < Order.Count; order++) Assert.Equal(order is >= 3 and < 10 ? 1 : 0, box.Blocks(order));
        AllocatorBox.PutAndFree(in cpu, page, 3);
        for (int order = 0; order < Order.Count; order++) Assert.Equal(order == 10 ? 1 : 0, box.Blocks(order));
    }

    [Fact]
    public void A_refill_takes_a_batch_and_a_drain_gives_the_oldest_batch_back()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4) with { Batch = 4, High = 8 });
        ThisCpu cpu = box.Cpu();
        Page*[] pages = new Page*[8];
        for (int i = 0; i < 8; i++) pages[i] = Face.Alloc(in cpu, Gfp.Kernel);
        Assert.Equal(1024 - 8, box.Free());
        for (int i = 0; i < 7; i++) AllocatorBox.PutAndFree(in cpu, pages[i]);
        Assert.Equal(1024 - 8, box.Free());
        AllocatorBox.PutAndFree(in cpu, pages[7]);
        Assert.Equal(1024 - 4, box.Free());
        for (int i = 7; i >= 4; i--) Assert.True(Face.Alloc(in cpu, Gfp.Kernel) == pages[i]);
    }

    [Fact]
    public void An_exhausted_allocator_returns_null_and_recovers()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        List<nint> pages = [];
        for (Page* page; (page = Face.Alloc(in cpu, Gfp.Kernel)) != null;) pages.Add((nint)page);
        Assert.Equal(1024, pages.Distinct().Count());
        Assert.True(Face.Alloc(in cpu, Gfp.Kernel, 3) == null);
        foreach (nint page in pages) AllocatorBox.PutAndFree(in cpu, (Page*)page);
        box.DrainAll();
        Assert.Equal(1, box.Blocks(10));
    }
}
