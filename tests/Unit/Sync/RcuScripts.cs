// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Grace periods played by hand: several CPUs on one thread, each polled when the script says so.</summary>
public unsafe class RcuScripts
{
    [StructLayout(LayoutKind.Sequential)]
    private struct Marked
    {
        public RcuHead Head;
        public int RanOn;
        public int Runs;
    }

    private static void Mark(in ThisCpu cpu, RcuHead* head)
    {
        ((Marked*)head)->RanOn = cpu.Index;
        ((Marked*)head)->Runs++;
    }

    [Fact]
    public void A_callback_waits_until_every_online_cpu_has_polled_and_runs_on_the_cpu_that_queued_it()
    {
        using PerCpu cpus = TestCpus.Online(3);
        Marked m = new() { RanOn = -1 };
        Rcu.Call(cpus.Witness(1), &m.Head, &Mark);
        Poll.Run(cpus.Witness(1));
        Poll.Run(cpus.Witness(0));
        Poll.Run(cpus.Witness(1));
        Assert.Equal(0, m.Runs);
        Poll.Run(cpus.Witness(2));
        Poll.Run(cpus.Witness(0));
        Poll.Run(cpus.Witness(2));
        Assert.Equal(0, m.Runs);
        Poll.Run(cpus.Witness(1));
        Assert.Equal((1, 1), (m.Runs, m.RanOn));
    }

    [Fact]
    public void A_poll_before_the_request_does_not_count()
    {
        using PerCpu cpus = TestCpus.Online(2);
        Marked m = default;
        Poll.Run(cpus.Witness(1));
        Rcu.Call(cpus.Witness(0), &m.Head, &Mark);
        for (int i = 0; i < 5; i++) Poll.Run(cpus.Witness(0));
        Assert.Equal(0, m.Runs);
    }

    [Fact]
    public void Membarrier_waits_for_the_open_section_and_not_for_polls()
    {
        using PerCpu cpus = TestCpus.Online(2, RcuFlavour.Membarrier);
        Marked m = default;
        Rcu.ReadLock(cpus.Witness(1));
        Rcu.Call(cpus.Witness(0), &m.Head, &Mark);
        for (int i = 0; i < 5; i++) Poll.Run(cpus.Witness(0));
        Assert.Equal(0, m.Runs);
        Rcu.ReadUnlock(cpus.Witness(1));
        Poll.Run(cpus.Witness(0));
        Assert.Equal(1, m.Runs);
    }

    [Fact]
    public void Membarrier_ends_although_a_new_section_has_begun()
    {
        using PerCpu cpus = TestCpus.Online(2, RcuFlavour.Membarrier);
        Marked m = default;
        for (int i = 0; i < 10 && m.Runs == 0; i++)
        {
            Rcu.ReadLock(cpus.Witness(1));
            if (i == 0) Rcu.Call(cpus.Witness(0), &m.Head, &Mark);
            Poll.Run(cpus.Witness(0));
            Rcu.ReadUnlock(cpus.Witness(1));
            Rcu.ReadLock(cpus.Witness(1)); // never seen outside a section by the poll of CPU 0
            Poll.Run(cpus.Witness(0));
            Rcu.ReadUnlock(cpus.Witness(1));
        }
        Assert.Equal(1, m.Runs);
    }

    // Race A7. While CPU 0 waits it serves its work, and that work is the script's way to let CPU 1 reach a poll point once.
    [Theory, InlineData(RcuFlavour.Qsbr), InlineData(RcuFlavour.Membarrier)]
    public void Synchronize_is_not_barrier(RcuFlavour flavour)
    {
        using PerCpu cpus = TestCpus.Online(2, flavour);
        Marked m = default;
        CpuWork poll;
        CpuWork.Init(&poll, &PollTheOther);
        other = cpus.Area(1);

        Rcu.Call(cpus.Witness(1), &m.Head, &Mark);
        if (flavour == RcuFlavour.Qsbr) CpuWork.Queue(cpus.Area(0), &poll); // the other flavour needs no poll of CPU 1
        Rcu.Synchronize(cpus.Witness(0));
        Assert.Equal(0, m.Runs);

        CpuWork.Queue(cpus.Area(0), &poll);
        Rcu.Barrier(cpus.Witness(0));
        Assert.Equal((1, 1), (m.Runs, m.RanOn));
    }

    [ThreadStatic] private static CpuArea* other;

    private static void PollTheOther(in ThisCpu cpu, CpuWork* work) => Poll.Run(new ThisCpu(other));
}
