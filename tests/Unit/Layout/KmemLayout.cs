// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class KmemLayout
{
    [Fact]
    public void The_kmem_axis_fits_its_slots()
    {
        Assert.True(sizeof(MemcgKmem) <= Memcg.KmemSlotBytes);
        Assert.True(sizeof(NodeObjcg) <= MemcgNode.KmemSlotBytes);
        Assert.True(sizeof(SlabCpu) <= CpuArea.AxisBytes);
        Assert.True(sizeof(SlabState) % CacheLine.Size == 0, "records of caches follow it");
        Assert.True(Layout.OffsetOf<SlabState>(p => &p->Kmalloc) + 2 * KmallocSizes.Count * sizeof(nint) <= sizeof(SlabState));
    }

    [Fact]
    public void An_objcg_and_a_cache_begin_where_their_callbacks_look_for_them()
    {
        Assert.Equal(0, Layout.OffsetOf<Objcg>(p => &p->Ref));
        Assert.Equal(Objcg.Bytes, sizeof(Objcg));
        Assert.Equal(SlabCache.Bytes, sizeof(SlabCache));
        Assert.Equal(0, Layout.OffsetOf<SlabCache>(p => &p->Ref) % CacheLine.Size);
    }

    [Fact]
    public void The_byte_stock_is_on_a_line_that_only_its_cpu_writes()
    {
        Assert.Equal(Layout.LineOf<SlabCpu>(p => &p->Stocked), Layout.LineOf<SlabCpu>(p => &p->Bytes));
        Assert.NotEqual(Layout.LineOf<SlabCpu>(p => &p->Stocked), Layout.LineOf<SlabCpu>(p => &p->Drain));
        Assert.NotEqual(Layout.LineOf<SlabCpu>(p => &p->Stocked), Layout.LineOf<SlabCpu>(p => &p->Create));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(4096, 0)]
    [InlineData(4097, 1)]
    [InlineData(8192, 1)]
    [InlineData(8193, 2)]
    [InlineData(16384, 2)]
    [InlineData(16385, 3)]
    public void A_large_request_takes_the_smallest_block_that_holds_it(int bytes, int order) => Assert.Equal(order, Kmalloc.OrderOf(bytes).Value);
}
