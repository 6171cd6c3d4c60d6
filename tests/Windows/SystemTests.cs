// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Windows;

/// <summary>The system itself: Windows, or Wine in its place.</summary>
public sealed unsafe class SystemTests
{
    private const nuint MiB = 1 << 20;

    public SystemTests()
    {
        if (!OperatingSystem.IsWindows()) Assert.Skip("this is not Windows");
    }

    [Fact]
    public void Reserved_memory_becomes_present_where_it_is_committed_and_nowhere_else()
    {
        using VirtualRegion region = VirtualRegion.Reserve(16 * MiB, PageKind.Small);
        region.Commit(4 * MiB, 2 * MiB);
        Placement found = Placement.Of(region);
        Assert.Equal((4096, 4096 - 512), (found.Frames, found.AbsentFrames));
        Assert.Equal("0:512", string.Join(' ', found.Found.Select(f => $"{f.Key}:{f.Value}")));
        for (nuint i = 0; i < 2 * MiB; i += 8) Assert.Equal(0ul, *(ulong*)(region.Base + 4 * MiB + i));
        Assert.Equal(0, Placement.Of(region, 4 * MiB, 2 * MiB).AbsentFrames);
    }

    [Theory]
    [InlineData(64u << 10)]
    [InlineData(2u << 20)]
    [InlineData(1u << 30)]
    public void A_region_begins_where_its_alignment_says(uint alignment)
    {
        using VirtualRegion region = VirtualRegion.Reserve(4 * MiB, PageKind.Small, alignment);
        Assert.Equal(0u, (nuint)region.Base % alignment);
        region.Commit();
    }

    [Fact]
    public void Address_space_is_had_without_memory()
    {
        using VirtualRegion region = VirtualRegion.Reserve((nuint)16 << 30, PageKind.Small);
        region.Commit((nuint)8 << 30, MiB);
        Assert.Equal(256, Placement.Of(region, (nuint)8 << 30, MiB).Found.Sum(f => f.Value));
    }

    [Fact]
    public void A_range_of_several_reservations_is_used_as_one()
    {
        using VirtualRegion region = VirtualRegion.Reserve(4 * MiB, PageKind.Small);
        byte* start = region.Base;
        for (nuint at = 0; at < 4 * MiB; at += MiB) region.RebindWindows(at, MiB, new NodeId(0));
        Assert.True(start == region.Base);
        region.Commit();
        new Span<byte>(start, (int)(4 * MiB)).Fill(0x5a);
        Assert.Equal(0, Placement.Of(region).AbsentFrames);
    }

    [Fact]
    public void A_pinned_thread_runs_on_its_CPU_and_one_that_is_not_there_is_refused()
    {
        var thread = new Thread(() =>
        {
            IReadOnlyList<CpuId> all = ThreadAffinity.Allowed();
            Assert.Equal(Environment.ProcessorCount, all.Count);
            foreach (CpuId cpu in all)
            {
                ThreadAffinity.Pin(cpu);
                Assert.Equal(cpu, ThreadAffinity.Current());
            }
            ThreadAffinity.Allow(all);
            Assert.StartsWith("--cpus: CPU 60 does not exist here or is not allowed (SetThreadGroupAffinity: error ",
                Assert.Throws<OsException>(() => ThreadAffinity.Pin(new CpuId(60))).Message, StringComparison.Ordinal);
        });
        thread.Start();
        thread.Join();
    }

    [Fact]
    public void Large_pages_are_had_or_the_privilege_is_named()
    {
        try
        {
            using VirtualRegion region = VirtualRegion.Map(4 * MiB, [PageKind.Huge2M], NumaPolicy.Parse("local"), out _);
            Assert.Equal((2, 4 * (long)MiB), (Placement.Of(region).Frames, Placement.Of(region).BytesInKind));
        }
        catch (OsException e)
        {
            Assert.StartsWith("--pages 2M: this user does not hold SeLockMemoryPrivilege (error 1300)", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_topology_is_the_one_the_runtime_sees()
    {
        Topology here = Topology.Current();
        Assert.Equal(Environment.ProcessorCount, here.AllowedCpus.Length);
        Assert.NotEmpty(here.Nodes);
        Assert.NotEmpty(here.ProcessorGroups);
    }

    [Fact]
    public void The_process_wide_barrier_is_trusted_on_Windows_and_refused_under_Wine()
    {
        MembarrierVerdict verdict = MembarrierProbe.Run(TimeSpan.FromMilliseconds(50));
        bool wine = System.Runtime.InteropServices.NativeLibrary.TryLoad("ntdll.dll", out nint ntdll)
            && System.Runtime.InteropServices.NativeLibrary.TryGetExport(ntdll, "wine_get_version", out _);
        Assert.Equal(!wine, verdict.Usable);
        if (wine) Assert.Equal("--rcu membarrier refused: under Wine the process-wide barrier does nothing; qsbr takes over", verdict.Reason);
    }
}
