// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public unsafe class LayoutTests
{
    /// <summary>Every shared struct of src that is not generic.</summary>
    public static TheoryData<Type> SharedStructs => [.. SourceAssemblies.Types().Where(SharedStates.IsMarked).Where(t => !t.ContainsGenericParameters)];

    [Theory, MemberData(nameof(SharedStructs))]
    public void Every_field_of_a_shared_struct_is_aligned_and_lies_on_one_line(Type type)
    {
        ArgumentNullException.ThrowIfNull(type);
        Offences.None(Misplaced(type));
    }

    [Fact]
    public void A_field_across_two_lines_is_caught()
    {
        Assert.Equal("Across at 60, 8 bytes", Assert.Single(Misplaced(typeof(BustedLayout))));
    }

    [Fact]
    public void Offsets_by_pointer_and_by_reflection_agree()
    {
        FieldPlace work = Layout.Fields(typeof(CpuArea)).Single(f => f.Name == nameof(CpuArea.Work));
        Assert.Equal(work.Offset, Layout.OffsetOf<CpuArea>(p => &p->Work));
        Assert.Equal(work.Line, Layout.LineOf<CpuArea>(p => &p->Work));
        Assert.Equal(Layout.SizeOf<CpuArea>(), Layout.BytesOf(typeof(CpuArea)));
    }

    [Fact]
    public void The_head_of_a_per_cpu_area_ends_before_the_allocators_range_and_the_axes_end_with_the_area()
    {
        FieldPlace last = Layout.Fields(typeof(CpuArea))[^1];
        Assert.True(last.Offset + last.Size <= CpuArea.AllocatorOffset, $"{last.Name} ends at {last.Offset + last.Size}");
        Assert.True(CpuArea.MmOffset < CpuArea.Bytes);
        Assert.Equal(0, CpuArea.Bytes % 4096);
    }

    [Fact]
    public void What_a_waiter_reads_of_rcu_is_apart_from_what_the_cpu_writes_for_itself()
    {
        Assert.Equal(Layout.LineOf<RcuCpu>(p => &p->Reader), Layout.LineOf<RcuCpu>(p => &p->Seen));
        Assert.True(Layout.OffsetOf<RcuCpu>(p => &p->NextFirst) - Layout.OffsetOf<RcuCpu>(p => &p->Reader) >= CacheLine.Apart);
    }

    [Fact]
    public void A_lock_is_eight_bytes_and_a_list_node_sixteen()
    {
        Assert.Equal(8, Layout.SizeOf<LockWord>());
        Assert.Equal(16, Layout.SizeOf<ListHead>());
    }

    // A cell of 8 bytes or less must not straddle a line; a nested struct is judged by its own fields.
    private static IEnumerable<string> Misplaced(Type type) =>
        from f in Layout.Fields(type)
        where f.Size <= 8 && (f.Offset % f.Size != 0 || f.Straddles)
        select $"{f.Name} at {f.Offset}, {f.Size} bytes";

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct BustedLayout
    {
        [FieldOffset(0)] public AtomicInt Aligned;
        [FieldOffset(60)] public AtomicLong Across;
    }
}
