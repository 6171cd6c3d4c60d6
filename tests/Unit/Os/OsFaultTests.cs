// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The armed fault is one per process: these tests run alone.</summary>
[CollectionDefinition(nameof(OsFaultAlone), DisableParallelization = true)]
public sealed class OsFaultAlone;

[Collection(nameof(OsFaultAlone))]
public sealed class OsFaultTests : IDisposable
{
    private const nuint MiB = 1 << 20;

    public void Dispose() => OsFault.Disarm();

    [Theory]
    [InlineData("mmap:1:ENOMEM", "cannot map 1 MiB: no address space or memory left (mmap: ENOMEM). Look at ulimit -v and vm.overcommit_memory, or ask for less")]
    [InlineData("mmap:1:EPERM", "cannot map 1 MiB (mmap: EPERM)")]
    [InlineData("mprotect:1:ENOMEM", "cannot map 1 MiB: no address space or memory left (mprotect: ENOMEM). Look at ulimit -v and vm.overcommit_memory, or ask for less")]
    [InlineData("madvise:1:EACCES", "--pages 4K: the kernel refused the advice (madvise: EACCES)")]
    [InlineData("madvise:2:ENOMEM", "cannot commit 1 MiB: no memory left on the nodes asked for (madvise: ENOMEM). Ask for less memory")]
    [InlineData("madvise:2:EHWPOISON", "a page of the region is poisoned hardware memory (madvise: EHWPOISON). Try again; see dmesg")]
    [InlineData("mbind:1:EPERM", "--mem bind:0: a seccomp filter of this container forbids mbind (mbind: EPERM). Start it with --cap-add SYS_NICE")]
    [InlineData("mbind:1:EIO", "--mem bind:0: pages of the range are already on other nodes (mbind: EIO). Set the policy before the first touch")]
    [InlineData("mbind:1:EINVAL", "--mem bind:0: the kernel does not take this policy (mbind: EINVAL)")]
    [InlineData("mbind:1:ENOSYS", "--mem bind:0: this kernel is built without NUMA policies (mbind: ENOSYS). Say --mem local")]
    [InlineData("move_pages:1:EINVAL", "cannot ask where the pages of a region are (move_pages: EINVAL)")]
    public void The_nth_call_fails_with_one_line_that_names_cause_and_cure(string fault, string message)
    {
        if (HugePages.MemoryNodes() is not [{ Value: 0 }]) Assert.Skip("written for one memory node, 0");
        OsFault.Arm(fault);
        var e = Assert.Throws<OsException>(() =>
        {
            using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
            _ = NumaPolicy.Parse("bind:0").Apply(region);
            region.Commit();
            _ = Placement.Of(region);
        });
        Assert.Equal(message, e.Message);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Theory]
    [InlineData("mprotect:1:ENOMEM")]
    [InlineData("madvise:1:EACCES")]
    public void A_refused_reservation_leaves_nothing_mapped(string fault)
    {
        int mapped = OsFault.Count(OsCall.Mmap), unmapped = OsFault.Count(OsCall.Munmap);
        OsFault.Arm(fault);
        Assert.Throws<OsException>(() => VirtualRegion.Reserve(MiB, PageKind.Small));
        Assert.Equal(1, OsFault.Count(OsCall.Mmap) - mapped);
        // The slack on one or both sides, and then the rest.
        Assert.InRange(OsFault.Count(OsCall.Munmap) - unmapped, 2, 3);
    }

    [Fact]
    public void A_fault_strikes_once_and_disarmed_ones_never()
    {
        OsFault.Arm(OsCall.Mmap, 2, Errno.ENOMEM);
        VirtualRegion.Reserve(MiB, PageKind.Small).Dispose();
        Assert.Throws<OsException>(() => VirtualRegion.Reserve(MiB, PageKind.Small));
        VirtualRegion.Reserve(MiB, PageKind.Small).Dispose();

        OsFault.Arm(OsCall.Mmap, 1, Errno.ENOMEM);
        OsFault.Disarm();
        VirtualRegion.Reserve(MiB, PageKind.Small).Dispose();
    }

    [Fact]
    public void A_wish_list_goes_on_after_a_refusal_and_the_last_refusal_is_told()
    {
        OsFault.Arm("mmap:1:EPERM");
        NumaPolicy local = NumaPolicy.Parse("local");
        using (VirtualRegion region = VirtualRegion.Map(MiB, [PageKind.Small, PageKind.NoThp], local, out _)) Assert.Same(PageKind.NoThp, region.Pages);
        OsFault.Arm("mmap:2:EPERM");
        if (HugePages.Pools(PageKind.Huge1G) is [{ FreePages: > 0 }, ..]) Assert.Skip("this machine has 1G pages");
        Assert.Equal(Errno.EPERM, Assert.Throws<OsException>(() => VirtualRegion.Map(MiB, [PageKind.Huge1G, PageKind.Small], local, out _)).ErrorNumber);
    }

    [Fact]
    public void An_interrupted_commit_goes_on()
    {
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        OsFault.Arm("madvise:1:EINTR");
        region.Commit();
        Assert.Equal(0, Placement.Of(region).AbsentFrames);
    }

    [Fact]
    public void Where_move_pages_is_forbidden_one_node_and_mincore_still_prove_the_placement()
    {
        if (HugePages.MemoryNodes().Count != 1) Assert.Skip("several memory nodes");
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        region.Commit(0, MiB / 2);
        OsFault.Arm("move_pages:1:EPERM");
        Placement proof = Placement.Of(region);
        if (proof.Method != "one_node") Assert.Skip("Mono.Posix has no helper library here, so there is no mincore");
        Assert.Equal(128, proof.AbsentFrames);
        Assert.Equal(128, proof.Found.Single().Value);
    }

    [Theory]
    [InlineData("sched_setaffinity:1:EPERM", "--cpus: cannot pin to CPU 0 (sched_setaffinity: EPERM). A container's seccomp filter forbids it")]
    [InlineData("sched_getaffinity:1:ENOSYS", "cannot ask which CPUs this thread may use (sched_getaffinity: ENOSYS)")]
    public void Affinity_that_the_system_refuses_says_why(string fault, string message)
    {
        OsFault.Arm(fault);
        Assert.Equal(message, Assert.Throws<OsException>(() => ThreadAffinity.Pin(new CpuId(0))).Message);
    }

    [Fact]
    public void A_kernel_with_more_than_1024_CPUs_is_asked_again_with_a_longer_mask()
    {
        IReadOnlyList<CpuId> before = ThreadAffinity.Allowed();
        int calls = OsFault.Count(OsCall.SchedGetaffinity);
        OsFault.Arm("sched_getaffinity:1:EINVAL");
        Assert.Equal(before, ThreadAffinity.Allowed());
        Assert.Equal(2, OsFault.Count(OsCall.SchedGetaffinity) - calls);
    }

    [Theory]
    [InlineData(1, "page-faults", "EMFILE", "too many open files: ulimit -n (EMFILE)")]
    [InlineData(2, "context-switches", "EBUSY", "another program has the counters for itself (EBUSY)")]
    public void A_counter_that_cannot_be_opened_has_a_reason_and_no_value(int nth, string name, string errno, string reason)
    {
        OsFault.Arm($"perf_event_open:{nth}:{errno}");
        using PerfEvents events = PerfEvents.OpenForThisThread();
        PerfCount missing = events.Read().Single(c => c.Name == name);
        Assert.Null(missing.Value);
        Assert.Equal(reason, missing.Reason);
    }

    [Fact]
    public void The_environment_arms_a_fault()
    {
        Environment.SetEnvironmentVariable(OsFault.Variable, "mmap:1:ENOMEM");
        try
        {
            OsFault.ArmFromEnvironment();
            Assert.Throws<OsException>(() => VirtualRegion.Reserve(MiB, PageKind.Small));
            Environment.SetEnvironmentVariable(OsFault.Variable, null);
            OsFault.ArmFromEnvironment();
            VirtualRegion.Reserve(MiB, PageKind.Small).Dispose();
        }
        finally
        {
            Environment.SetEnvironmentVariable(OsFault.Variable, null);
        }
    }

    [Theory]
    [InlineData("mmap", "fault 'mmap' is not CALL:N:ERRNO; write for example mmap:1:ENOMEM")]
    [InlineData("fork:1:ENOMEM", "fault 'fork:1:ENOMEM': 'fork' is no call that this program makes")]
    [InlineData("3:1:ENOMEM", "fault '3:1:ENOMEM': '3' is no call that this program makes")]
    [InlineData(":1:ENOMEM", "fault ':1:ENOMEM': '' is no call that this program makes")]
    [InlineData("mmap:0:ENOMEM", "fault 'mmap:0:ENOMEM': '0' is not a count from 1")]
    [InlineData("mmap:1:EGAD", "fault 'mmap:1:EGAD': 'EGAD' is no errno")]
    public void A_fault_that_cannot_be_meant_is_refused(string text, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => OsFault.Arm(text)).Message);
}
