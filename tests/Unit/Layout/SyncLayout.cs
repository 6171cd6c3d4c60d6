// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Sizes, offsets and lines of what src/Native/Sync shares between CPUs; stands in for static assertions.</summary>
public class SyncLayout
{
    private static int Offset<T>(string field) => (int)Marshal.OffsetOf<T>(field);

    private static int Line<T>(string field) => Offset<T>(field) / CacheLine.Size;

    private static int PairOfLines<T>(string field) => Offset<T>(field) / CacheLine.Apart;

    [Fact]
    public unsafe void Sizes_are_what_the_offsets_rely_on()
    {
        Assert.Equal(16, sizeof(ListHead));
        Assert.Equal(8, sizeof(LockWord));
        Assert.Equal(16, sizeof(RcuHead));
        Assert.Equal(24, sizeof(CpuWork));
        Assert.Equal(256, sizeof(RcuCpu));
        Assert.Equal(384, sizeof(RcuGlobal));
        Assert.Equal(512, sizeof(CpuTable));
        Assert.Equal(32, sizeof(McsNode));
        Assert.Equal(McsNodes.Levels * sizeof(McsNode), sizeof(McsNodes));
        Assert.Equal(64, sizeof(PerCpuRef));
        Assert.Equal(CpuArea.Bytes, sizeof(CpuArea));
    }

    [Fact]
    public unsafe void The_head_of_the_area_ends_before_the_rooms_above_begin()
    {
        (string Name, int Bytes)[] fields =
        [
            (nameof(CpuArea.Index), 4), (nameof(CpuArea.CpuNumber), 4), (nameof(CpuArea.NodeNumber), 4), (nameof(CpuArea.Online), 4),
            (nameof(CpuArea.Table), 8), (nameof(CpuArea.Rcu), sizeof(RcuCpu)), (nameof(CpuArea.Work), 8), (nameof(CpuArea.Irq), 8),
            (nameof(CpuArea.LockNodes), sizeof(McsNodes)),
        ];
        Assert.Equal(typeof(CpuArea).GetFields(BindingFlags.Instance | BindingFlags.Public).Length, fields.Length);
        int end = 0;
        foreach ((string name, int bytes) in fields)
        {
            Assert.True(Offset<CpuArea>(name) >= end, name);
            end = Offset<CpuArea>(name) + bytes;
        }
        Assert.True(end <= CpuArea.AllocatorOffset, $"the head is {end} bytes");
        Assert.True(CpuArea.AllocatorOffset < CpuArea.AxesOffset && CpuArea.MmOffset < CpuArea.Bytes);
        Assert.Equal(0, CpuArea.Bytes % 4096);
    }

    [Fact]
    public void What_other_cpus_write_shares_no_line_pair_with_what_this_cpu_uses_all_the_time()
    {
        int[] pairs = [PairOfLines<CpuArea>(nameof(CpuArea.Index)), PairOfLines<CpuArea>(nameof(CpuArea.Rcu)),
            PairOfLines<CpuArea>(nameof(CpuArea.Work)), PairOfLines<CpuArea>(nameof(CpuArea.LockNodes))];
        Assert.Equal(pairs.Length, pairs.Distinct().Count());
        Assert.Equal(Line<CpuArea>(nameof(CpuArea.Work)), Line<CpuArea>(nameof(CpuArea.Irq)));
    }

    [Fact]
    public void The_reader_word_shares_a_line_only_with_what_a_looker_reads_beside_it()
    {
        Assert.All([nameof(RcuCpu.Reader), nameof(RcuCpu.Seen), nameof(RcuCpu.Queued), nameof(RcuCpu.Run)], f => Assert.Equal(0, Line<RcuCpu>(f)));
        Assert.All([nameof(RcuCpu.NextFirst), nameof(RcuCpu.NextLast), nameof(RcuCpu.WaitFirst), nameof(RcuCpu.WaitFor), nameof(RcuCpu.Running)],
            f => Assert.Equal(CacheLine.Apart / CacheLine.Size, Line<RcuCpu>(f)));
    }

    [Fact]
    public void The_phase_that_every_reader_loads_the_requests_and_the_driver_are_apart()
    {
        Assert.Equal(0, PairOfLines<RcuGlobal>(nameof(RcuGlobal.Phase)));
        Assert.All([nameof(RcuGlobal.Started), nameof(RcuGlobal.Doorbell)], f => Assert.Equal(1, PairOfLines<RcuGlobal>(f)));
        Assert.All([nameof(RcuGlobal.Completed), nameof(RcuGlobal.Turns), nameof(RcuGlobal.Target), nameof(RcuGlobal.Passes), nameof(RcuGlobal.Cursor)],
            f => Assert.Equal(2, PairOfLines<RcuGlobal>(f)));
        Assert.Equal(0, PairOfLines<CpuTable>(nameof(CpuTable.Stop)));
        Assert.Equal(1, PairOfLines<CpuTable>(nameof(CpuTable.Rcu)));
    }

    [Fact]
    public unsafe void Areas_and_reference_counters_begin_on_lines_of_their_own()
    {
        using PerCpu cpus = TestCpus.Make(3);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(0, (nint)cpus.Area(i) % 4096);
            Assert.Equal(i, cpus.Witness(i).Index);
            Assert.True(CpuTable.Area(cpus.Table, i) == cpus.Area(i));
        }
        Assert.Equal((nuint)(3 * CacheLine.Apart), PerCpuRef.BytesFor(3));
        Assert.Equal(32, Offset<PerCpuRef>(nameof(PerCpuRef.Head)));
    }
}
