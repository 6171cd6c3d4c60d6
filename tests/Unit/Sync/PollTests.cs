// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public unsafe class PollTests
{
    [StructLayout(LayoutKind.Sequential)]
    private struct Job
    {
        public CpuWork Work;
        public int Number;
    }

    [ThreadStatic] private static List<int>? ran;

    private static void Note(in ThisCpu cpu, CpuWork* work) => ran!.Add(10 * cpu.Index + ((Job*)work)->Number);

    private static void NoteAndRequeue(in ThisCpu cpu, CpuWork* work)
    {
        Note(in cpu, work);
        Assert.True(CpuWork.Queue(cpu.Area, work)); // pending fell before the function began
    }

    [Fact]
    public void The_irq_role_runs_before_work_and_both_in_the_order_of_asking()
    {
        using PerCpu cpus = TestCpus.Online(2);
        ran = [];
        Job* jobs = stackalloc Job[5];
        for (int i = 0; i < 5; i++)
        {
            CpuWork.Init(&jobs[i].Work, &Note);
            jobs[i].Number = i;
        }
        for (int i = 0; i < 3; i++) Assert.True(CpuWork.Queue(cpus.Area(1), &jobs[i].Work));
        for (int i = 3; i < 5; i++) Assert.True(Irq.Raise(cpus.Area(1), &jobs[i].Work));
        Poll.Run(cpus.Witness(0));
        Assert.Empty(ran);
        Poll.Run(cpus.Witness(1));
        Assert.Equal([13, 14, 10, 11, 12], ran);
    }

    [Fact]
    public void Pending_work_is_not_queued_twice_and_may_queue_itself_for_the_next_poll()
    {
        using PerCpu cpus = TestCpus.Online(1);
        ran = [];
        Job job;
        CpuWork.Init(&job.Work, &NoteAndRequeue);
        job.Number = 1;
        Assert.True(CpuWork.Queue(cpus.Area(0), &job.Work));
        Assert.False(CpuWork.Queue(cpus.Area(0), &job.Work));
        Poll.Run(cpus.Witness(0));
        Assert.Equal([1], ran);
        Poll.Run(cpus.Witness(0));
        Assert.Equal([1, 1], ran);
    }

    private struct Ping
    {
        public fixed byte Works[4 * 64];
        public AtomicLong Ran;
    }

    private static void Pong(in ThisCpu cpu, CpuWork* work) => AtomicLong.Add((AtomicLong*)*(nint*)(work + 1), 1);

    // Every CPU asks every other one for work, then all wait for grace periods and barriers at once: nobody may wait for ever.
    private static void AskAndWait(in ThisCpu cpu, void* arg)
    {
        var ping = (Ping*)arg;
        for (int i = 0; i < 50; i++)
        {
            for (int other = 0; other < 3; other++) CpuWork.Queue(CpuTable.Area(cpu.Table, other), (CpuWork*)(ping->Works + 64 * cpu.Index));
            if (((i + cpu.Index) & 1) == 0) Rcu.Synchronize(in cpu);
            else Rcu.Barrier(in cpu);
        }
    }

    [Theory, InlineData(RcuFlavour.Qsbr), InlineData(RcuFlavour.Membarrier)]
    public void Cpus_that_wait_serve_each_other(RcuFlavour flavour)
    {
        using PerCpu cpus = TestCpus.Make(3, flavour);
        using CpuGang gang = new(cpus, new PretendPinner());
        Ping ping = default;
        for (int i = 0; i < 3; i++)
        {
            var work = (CpuWork*)(ping.Works + 64 * i);
            CpuWork.Init(work, &Pong);
            *(nint*)(work + 1) = (nint)(&ping.Ran);
        }
        gang.Start(&AskAndWait, &ping);
        Assert.True(gang.Wait(TimeSpan.FromSeconds(20)));
        Assert.InRange(AtomicLong.Load(&ping.Ran), 3, 3 * 3 * 50);
    }
}
