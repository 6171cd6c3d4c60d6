// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The historical sizes and offsets of counters and page_cgroups, and that each axis' state fits its slot.</summary>
public sealed unsafe class AccountingLayout
{
    private static int Offset<T>(string field) => Layout.Fields(typeof(T)).Single(f => f.Name == field).Offset;

    [Fact]
    public void Counters_have_the_bytes_they_had() =>
        Assert.Equal((40, 56, 40, 192), (sizeof(ResCounter40), sizeof(ResCounter56), sizeof(PageCounter40), sizeof(PageCounter192)));

    [Theory]
    [InlineData(typeof(ResCounter40), "usage", 0, "maxUsage", 8, "limit", 16, "failCount", 24, "lock", 32)]
    [InlineData(typeof(ResCounter56), "usage", 0, "softLimit", 24, "failCount", 32, "lock", 40, "parent", 48)]
    [InlineData(typeof(PageCounter40), "usage", 0, "limit", 8, "parent", 16, "watermark", 24, "failCount", 32)]
    [InlineData(typeof(PageCounter112), "usage", 0, "limit", 32, "parent", 40, "watermark", 96, "failCount", 104)]
    [InlineData(typeof(PageCounter112Apart), "usage", 0, "limit", 32, "watermark", 88, "failCount", 96, "parent", 104)]
    [InlineData(typeof(PageCounter192Legacy), "usage", 0, "watermark", 112, "failCount", 120, "limit", 152, "parent", 160)]
    [InlineData(typeof(PageCounter256), "usage", 0, "watermark", 112, "failCount", 128, "limit", 216, "parent", 224)]
    [InlineData(typeof(PageCounter192), "usage", 0, "failCount", 8, "watermark", 112, "limit", 160, "parent", 168)]
    [InlineData(typeof(PageCgroupObject), "Lru", 0, "Page", 16, "Memcg", 24, "Flags", 32, "Next", 40)]
    [InlineData(typeof(PageCgroupEntry40), "flags", 0, "owner", 8, "page", 16, "lru", 24, "lru", 24)]
    [InlineData(typeof(PageCgroupEntry16), "flags", 0, "owner", 8, "owner", 8, "owner", 8, "owner", 8)]
    public void Fields_lie_where_they_lay(Type type, string a, int atA, string b, int atB, string c, int atC, string d, int atD, string e, int atE)
    {
        Dictionary<string, int> at = Layout.Fields(type).ToDictionary(f => f.Name, f => f.Offset);
        Assert.Equal((atA, atB, atC, atD, atE), (at[a], at[b], at[c], at[d], at[e]));
    }

    [Fact]
    public void In_the_192_byte_counter_what_is_written_shares_no_line_with_what_is_read()
    {
        Assert.Equal(0, Offset<PageCounter192>("usage") / CacheLine.Size);
        Assert.Equal(2, Offset<PageCounter192>("limit") / CacheLine.Size);
        Assert.Equal(2, Offset<PageCounter192>("parent") / CacheLine.Size);
    }

    [Theory]
    [InlineData(40, 4)]
    [InlineData(16, 0)]
    public void Of_eight_array_entries_this_many_lie_on_two_lines(int bytes, int straddling) =>
        Assert.Equal(straddling, Enumerable.Range(0, 8).Count(i => i * bytes / CacheLine.Size != (i * bytes + bytes - 1) / CacheLine.Size));

    [Fact]
    public void Objects_have_the_bytes_they_had() =>
        Assert.Equal((40, 16, 64, 24), (sizeof(PageCgroupEntry40), sizeof(PageCgroupEntry16), sizeof(PageCgroupObject), sizeof(SinkItem)));

    [Fact]
    public void Every_axis_fits_its_slot_of_a_group()
    {
        Assert.Equal(Memcg.Bytes, sizeof(Memcg));
        foreach (int counter in (int[])[sizeof(ResCounter40), sizeof(ResCounter56), sizeof(PageCounter40), sizeof(PageCounter112), sizeof(PageCounter192), sizeof(PageCounter256)])
            Assert.True(3 * counter <= Memcg.CounterSlotBytes);
        Assert.True(sizeof(MoverState) <= Memcg.ResidentsSlotBytes);
        (int At, int Bytes)[] slots =
        [
            (Memcg.CounterSlot, Memcg.CounterSlotBytes), (Memcg.PageCgroupSlot, Memcg.PageCgroupSlotBytes), (Memcg.LruSlot, Memcg.LruSlotBytes),
            (Memcg.ResidentsSlot, Memcg.ResidentsSlotBytes), (Memcg.KmemSlot, Memcg.KmemSlotBytes),
        ];
        AssertApart(slots, Layout.Fields(typeof(Memcg)).Max(f => f.Offset + f.Size), Memcg.Bytes);
    }

    [Fact]
    public void Every_axis_fits_its_slot_of_a_group_on_a_node()
    {
        Assert.Equal(MemcgNode.Bytes, sizeof(MemcgNode));
        Assert.True(sizeof(Lruvec) <= MemcgNode.LruSlotBytes);
        Assert.True(sizeof(TwinListState) <= MemcgNode.LruSlotBytes);
        AssertApart([(MemcgNode.LruSlot, MemcgNode.LruSlotBytes), (MemcgNode.KmemSlot, MemcgNode.KmemSlotBytes), (MemcgNode.ResidentsSlot, MemcgNode.ResidentsSlotBytes)],
            Layout.Fields(typeof(MemcgNode)).Max(f => f.Offset + f.Size), MemcgNode.Bytes);
    }

    [Fact]
    public void Every_axis_fits_its_slot_of_a_node()
    {
        Assert.Equal(AccountingNode.Bytes, sizeof(AccountingNode));
        Assert.True(sizeof(ZoneLruState) <= AccountingNode.LruSlotBytes);
        Assert.True(sizeof(TwinZoneState) <= AccountingNode.LruSlotBytes);
        AssertApart([(AccountingNode.LruSlot, AccountingNode.LruSlotBytes), (AccountingNode.PageCgroupSlot, AccountingNode.PageCgroupSlotBytes),
            (AccountingNode.KmemSlot, AccountingNode.KmemSlotBytes)], Layout.Fields(typeof(AccountingNode)).Max(f => f.Offset + f.Size), AccountingNode.Bytes);
    }

    [Fact]
    public void Every_axis_fits_its_range_of_the_cpu_area()
    {
        Assert.True(sizeof(SingleSlot) <= StockDrain.Offset - CpuArea.AxesOffset);
        Assert.True(sizeof(SevenSlotLine) <= StockDrain.Offset - CpuArea.AxesOffset);
        Assert.True(StockDrain.Offset + sizeof(StockDrain) <= CpuArea.AxesOffset + CpuArea.AxisBytes);
        Assert.Equal(CpuArea.AxesOffset + CpuArea.AxisBytes, PageCgroupSink.Offset);
        Assert.True(sizeof(PageCgroupSink) <= CpuArea.AxisBytes);
        Assert.True(sizeof(UnchargeBatch) <= CpuArea.AxisBytes);
        Assert.Equal(CacheLine.Apart, Offset<PageCgroupSink>(nameof(PageCgroupSink.Work)));
    }

    [Fact]
    public void Hot_words_of_different_cpus_are_a_pair_of_lines_apart()
    {
        Assert.True(Offset<ZoneLruState>(nameof(ZoneLruState.Acquired)) - Offset<ZoneLruState>(nameof(ZoneLruState.Lock)) >= CacheLine.Apart);
        Assert.Equal(CacheLine.Apart, MemcgStatCpu.Bytes);
    }

    private static void AssertApart((int At, int Bytes)[] slots, int headEnd, int total)
    {
        int end = headEnd;
        foreach ((int at, int bytes) in slots)
        {
            Assert.Equal(0, at % CacheLine.Size);
            Assert.True(at >= end, $"the slot at {at} begins before {end}");
            end = at + bytes;
        }
        Assert.True(end <= total);
    }
}
