// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class PerfEventsTests
{
    [Fact]
    public void A_hundred_first_touches_are_a_hundred_page_faults()
    {
        using VirtualRegion region = VirtualRegion.Reserve(100 * SystemFacts.PageBytes, PageKind.NoThp);
        using PerfEvents events = PerfEvents.OpenForThisThread();
        byte* p = region.Base;
        nuint page = SystemFacts.PageBytes;
        events.Start();
        for (nuint i = 0; i < 100; i++) p[i * page] = 1;
        events.Stop();
        PerfCount faults = events.Read()[0];
        if (faults.Value is null) Assert.Skip(faults.Reason!);
        Assert.InRange(faults.Value.Value, 100, 110);
    }

    [Fact]
    public void Each_counter_has_a_value_or_a_reason_and_never_both()
    {
        using PerfEvents events = PerfEvents.OpenForThisThread();
        events.Start();
        events.Stop();
        IReadOnlyList<PerfCount> counts = events.Read();
        Assert.Equal(8, counts.Count);
        foreach (PerfCount c in counts) Assert.True(c.Value is null != (c.Reason is null), c.ToString());
        Assert.Equal(!counts.Any(c => c.Value is null), PerfEvents.Warnings(counts).Count == 0);
    }

    [Fact]
    public void A_counter_that_was_never_started_has_no_value()
    {
        using PerfEvents events = PerfEvents.OpenForThisThread();
        Assert.All(events.Read(), c => Assert.Null(c.Value));
    }

    [Fact]
    public void A_closed_counter_says_so()
    {
        PerfEvents events = PerfEvents.OpenForThisThread();
        events.Dispose();
        events.Dispose();
        Assert.All(events.Read(), c => Assert.Null(c.Value));
    }

    [Fact]
    public void A_multiplexed_counter_is_scaled_by_its_running_share()
    {
        Assert.Equal(new PerfCount("cycles", 400, 0.25, null), PerfEvents.Scale("cycles", 100, 1000, 250));
        Assert.Equal(new PerfCount("cycles", 100, 1, null), PerfEvents.Scale("cycles", 100, 1000, 1000));
        Assert.Null(PerfEvents.Scale("cycles", 0, 1000, 0).Value);
        Assert.Equal("no counter register was free while it was enabled", PerfEvents.Scale("cycles", 0, 1000, 0).Reason);
    }

    [Theory]
    [InlineData(2, false, 2L, "this CPU or virtual machine exposes no such counter (ENOENT)")]
    [InlineData(95, false, 2L, "this CPU or virtual machine exposes no such counter (EOPNOTSUPP)")]
    [InlineData(13, false, 3L, "kernel.perf_event_paranoid is 3; for your own threads 2 is enough: sysctl -w kernel.perf_event_paranoid=2 (EACCES)")]
    [InlineData(13, true, 2L, "kernel.perf_event_paranoid is 2; events inside the kernel need 1: sysctl -w kernel.perf_event_paranoid=1 (EACCES)")]
    [InlineData(1, false, 2L, "a seccomp filter or security module forbids perf_event_open (EPERM)")]
    [InlineData(24, false, 2L, "too many open files: ulimit -n (EMFILE)")]
    [InlineData(16, false, 2L, "another program has the counters for itself (EBUSY)")]
    [InlineData(38, false, null, "this kernel is built without perf events (ENOSYS)")]
    [InlineData(5, false, null, "perf_event_open failed (EIO)")]
    public void A_missing_counter_says_why(int errno, bool kernelSide, long? paranoid, string reason) =>
        Assert.Equal(reason, PerfEvents.Why(errno, kernelSide, paranoid));

    [Fact]
    public void Counters_that_lack_for_one_reason_share_a_warning()
    {
        PerfCount[] counts = [new("page-faults", 3, 1, null), new("cycles", null, 0, "no PMU (ENOENT)"), new("instructions", null, 0, "no PMU (ENOENT)")];
        Assert.Equal(["counters: cycles, instructions not available: no PMU (ENOENT). Continuing without."], PerfEvents.Warnings(counts));
    }

    [Fact]
    public void The_attribute_is_the_64_bytes_of_its_first_version() => Assert.Equal(64, sizeof(PerfEventAttr));
}
