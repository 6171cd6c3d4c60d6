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

    [Fact]
    public void A_poll_inside_a_section_is_a_bug_that_names_the_depth()
    {
        using PerCpu cpus = TestCpus.Online(1);
        Rcu.ReadLock(cpus.Witness(0));
        Rcu.ReadLock(cpus.Witness(0));
        Assert.Contains("(2)", Assert.Throws<BugException>(() => Poll.Run(cpus.Witness(0))).Message, StringComparison.Ordinal);
        Assert.Throws<BugException>(() => Rcu.Synchronize(cpus.Witness(0)));
        Rcu.ReadUnlock(cpus.Witness(0));
        Rcu.ReadUnlock(cpus.Witness(0));
        Assert.Throws<BugException>(() => Rcu.ReadUnlock(cpus.Witness(0)));
        using (new RcuReadGuard(cpus.Witness(0))) Assert.Equal(1, Rcu.Nesting(cpus.Witness(0)));
        Assert.Equal(0, Rcu.Nesting(cpus.Witness(0)));
    }

    [Fact]
    public void An_offline_cpu_is_not_waited_for_and_an_online_one_is_again()
    {
        using PerCpu cpus = TestCpus.Online(2);
        Marked m = default;
        Rcu.CpuOffline(cpus.Witness(1));
        Rcu.Call(cpus.Witness(0), &m.Head, &Mark);
        Poll.Run(cpus.Witness(0));
        Assert.Equal(1, m.Runs);
        Rcu.CpuOnline(cpus.Witness(1));
        Rcu.Call(cpus.Witness(0), &m.Head, &Mark);
        Poll.Run(cpus.Witness(0));
        Assert.Equal(1, m.Runs);
        Poll.Run(cpus.Witness(1));
        Poll.Run(cpus.Witness(0));
        Assert.Equal(2, m.Runs);
        Assert.Throws<BugException>(() => Rcu.CpuOnline(cpus.Witness(1)));
    }

    [Theory, InlineData(RcuFlavour.Qsbr), InlineData(RcuFlavour.Membarrier)]
    public void A_cpu_that_leaves_runs_its_work_and_callbacks_first(RcuFlavour flavour)
    {
        using PerCpu cpus = TestCpus.Online(2, flavour);
        Marked m = default;
        CpuWork call, poll;
        CpuWork.Init(&call, &CallMark);
        CpuWork.Init(&poll, &PollTheOtherUntilRun);
        other = cpus.Area(0);
        marked = &m;
        CpuWork.Queue(cpus.Area(1), &call);
        CpuWork.Queue(cpus.Area(1), &poll);
        Rcu.CpuOffline(cpus.Witness(1));
        Assert.Equal((1, 1), (m.Runs, m.RanOn));
        Rcu.Barrier(cpus.Witness(0)); // finds nothing left behind
    }

    [ThreadStatic] private static Marked* marked;

    private static void CallMark(in ThisCpu cpu, CpuWork* work) => Rcu.Call(in cpu, &marked->Head, &Mark);

    private static void PollTheOtherUntilRun(in ThisCpu cpu, CpuWork* work)
    {
        Poll.Run(new ThisCpu(other));
        if (marked->Runs == 0) CpuWork.Queue(cpu.Area, work);
    }

    private static void WaitInCallback(in ThisCpu cpu, RcuHead* head) => Rcu.Barrier(in cpu);

    [Fact]
    public void A_callback_must_not_wait()
    {
        using PerCpu cpus = TestCpus.Online(1);
        RcuHead head;
        Rcu.Call(cpus.Witness(0), &head, &WaitInCallback);
        Assert.Throws<BugException>(() => Poll.Run(cpus.Witness(0)));
    }

    private static void CallAgain(in ThisCpu cpu, RcuHead* head)
    {
        if (++((Marked*)head)->Runs < 3) Rcu.Call(in cpu, head, &CallAgain);
    }

    [Fact]
    public void A_callback_that_queues_itself_gets_a_grace_period_each_time_and_leaving_waits_for_all()
    {
        using PerCpu cpus = TestCpus.Online(1);
        Marked m = default;
        Rcu.Call(cpus.Witness(0), &m.Head, &CallAgain);
        Poll.Run(cpus.Witness(0));
        Assert.Equal(1, m.Runs);
        Rcu.CpuOffline(cpus.Witness(0));
        Assert.Equal(3, m.Runs);
    }
}
