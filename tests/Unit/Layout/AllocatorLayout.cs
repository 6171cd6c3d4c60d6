// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Size, offset and line of every struct that CPUs share in the allocator.</summary>
public sealed unsafe class AllocatorLayout
{
    private static int Offset<T>(string field) => Layout.Fields(typeof(T)).Single(f => f.Name == field).Offset;

    [Theory]
    [InlineData(nameof(Page.Flags), 0)]
    [InlineData(nameof(Page.RefCount), 8)]
    [InlineData(nameof(Page.MapCount), 12)]
    [InlineData(nameof(Page.Private), 16)]
    [InlineData(nameof(Page.Mapping), 24)]
    [InlineData(nameof(Page.Index), 32)]
    [InlineData(nameof(Page.Lru), Page.LruOffset)]
    [InlineData(nameof(Page.Memcg), 56)]
    public void A_struct_page_has_its_fields_where_Linux_has_them(string field, int offset) => Assert.Equal(offset, Offset<Page>(field));

    [Fact]
    public void A_struct_page_is_one_line_and_a_64th_of_its_frame()
    {
        Assert.Equal(CacheLine.Size, sizeof(Page));
        Assert.Equal((Page.Bytes, 1 << Page.Shift, MemMap.FrameBytes / 64), (sizeof(Page), sizeof(Page), sizeof(Page)));
    }

    [Fact]
    public void What_the_zone_lock_guards_is_apart_from_what_everybody_reads()
    {
        Assert.Equal(Zone.Bytes, sizeof(Zone));
        Assert.True(Offset<Zone>(nameof(Zone.NodeIndex)) + sizeof(int) <= CacheLine.Size);
        Assert.Equal(CacheLine.Apart, Offset<Zone>(nameof(Zone.Lock)));
        Zone zone;
        Assert.True((byte*)Zone.Area(&zone, 0) == (byte*)&zone + Offset<Zone>(nameof(Zone.FreeArea)));
        Assert.True((byte*)Zone.Area(&zone, Order.Count) <= (byte*)&zone + sizeof(Zone));
        Assert.Equal(FreeArea.Bytes, sizeof(FreeArea));
    }

    [Fact]
    public void A_node_starts_with_its_zone_and_its_zonelist_fits_its_page()
    {
        Assert.Equal(0, Offset<Node>(nameof(Node.Zone)));
        byte* node = stackalloc byte[Node.Bytes];
        Assert.True((byte*)Node.Fallback((Node*)node, 0) >= node + sizeof(Node));
        Assert.True((byte*)Node.Fallback((Node*)node, Node.MaxCount) <= node + Node.Bytes);
        Assert.True((byte*)AllocatorState.NodeSlot((AllocatorState*)node, Node.MaxCount) <= node + MemMap.FrameBytes);
        Assert.True((byte*)AllocatorState.NodeSlot((AllocatorState*)node, 0) >= node + sizeof(AllocatorState));
        Assert.True(Node.MaxCount <= 1 << (64 - PageFlags.NodeShift));
    }

    [Fact]
    public void The_allocators_part_of_the_cpu_area_fits_its_range()
    {
        Assert.True(sizeof(AllocatorCpu) <= CpuArea.AxesOffset - CpuArea.AllocatorOffset);
        Assert.Equal(CacheLine.Apart, Offset<AllocatorCpu>(nameof(AllocatorCpu.Drain)));
        Assert.True(Offset<AllocatorCpu>(nameof(AllocatorCpu.HomeNode)) + 8 <= CacheLine.Size);
    }

    [Fact]
    public void A_per_cpu_list_with_all_its_entries_fills_its_stride()
    {
        PerCpuPages* list = (PerCpuPages*)4096;
        Assert.Equal(4096 + sizeof(PerCpuPages), (nint)PerCpuPages.Entry(list, 0));
        Assert.Equal(4096 + PerCpuPages.Bytes, (nint)PerCpuPages.Entry(list, PerCpuPages.Capacity));
        Assert.Equal(4096 + 3 * PerCpuPages.Bytes, (nint)PerCpuPages.At(list, 3));
        KmemCpu* objects = (KmemCpu*)4096;
        Assert.Equal(4096 + KmemCpu.Bytes, (nint)KmemCpu.Entry(objects, KmemCpu.Capacity));
        Assert.Equal(120, KmemCpu.Capacity);
    }

    [Fact]
    public void Flags_and_node_share_the_word_without_overlap()
    {
        Assert.Equal(0, (PageFlags.CheckAtFree | PageFlags.SwapBacked | PageFlags.Dirty) & PageFlags.NodeMask);
        Assert.Equal(1023, PageFlags.NodeIndex(-1));
        Assert.Equal("locked|buddy|free", PageFlags.Describe(PageFlags.Locked | PageFlags.Buddy | PageFlags.Free));
    }
}
