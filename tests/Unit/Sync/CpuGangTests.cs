// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public unsafe class CpuGangTests
{
    [StructLayout(LayoutKind.Sequential)]
    private struct Freed
    {
        public RcuHead Head;
        public int Runs;
    }

    private static void Count(in ThisCpu cpu, void* perCpu) => ((int*)perCpu)[cpu.Index]++;

    private static void Throw(in ThisCpu cpu, void* who)
    {
        if (cpu.Index == *(int*)who) throw new BugException("books broken on purpose");
        while (!CpuGang.ShouldStop(in cpu)) Poll.Run(in cpu);
    }

    private static void ThrowInsideSection(in ThisCpu cpu, void* heads)
    {
        Rcu.ReadLock(in cpu);
        Rcu.Call(in cpu, &((Freed*)heads + cpu.Index)->Head, &Ran);
        if (cpu.Index == 0) throw new BugException("inside a section");
        Rcu.ReadUnlock(in cpu);
    }

    private static void LeaveOpen(in ThisCpu cpu, void* nothing) => Rcu.ReadLock(in cpu);

    private static void Defer(in ThisCpu cpu, void* heads) => Rcu.Call(in cpu, &((Freed*)heads + cpu.Index)->Head, &Ran);

    private static void Ran(in ThisCpu cpu, RcuHead* head) => ((Freed*)head)->Runs++;

    private static void RunUntilStopped(in ThisCpu cpu, void* nothing)
    {
        while (!CpuGang.ShouldStop(in cpu)) Poll.Run(in cpu);
    }

    [Fact]
    public void Every_worker_runs_each_phase_once_on_the_same_threads()
    {
        using PerCpu cpus = TestCpus.Make(3);
        using CpuGang gang = new(cpus, new PretendPinner());
        int* runs = stackalloc int[3];
        for (int phase = 0; phase < 20; phase++) gang.Run(&Count, runs);
        Assert.Equal([20, 20, 20], new Span<int>(runs, 3).ToArray());
        Assert.Equal(0, gang.Migrations);
        Assert.Equal(0, gang.Oversubscribed);
    }

    [Fact]
    public void A_phase_of_fewer_workers_leaves_the_others_parked()
    {
        using PerCpu cpus = TestCpus.Make(4);
        using CpuGang gang = new(cpus, new PretendPinner());
        int* runs = stackalloc int[4];
        gang.Run(&Count, runs, 2);
        gang.Run(&Count, runs, 3);
        gang.Run(&Count, runs, 1);
        Assert.Equal([3, 2, 1, 0], new Span<int>(runs, 4).ToArray());
    }

    [Fact]
    public void The_stop_flag_ends_a_phase_and_the_next_one_begins_without_it()
    {
        using PerCpu cpus = TestCpus.Make(2);
        using CpuGang gang = new(cpus, new PretendPinner());
        for (int i = 0; i < 3; i++)
        {
            gang.Start(&RunUntilStopped, null);
            Assert.False(gang.Wait(TimeSpan.FromMilliseconds(5)));
            gang.RequestStop();
            Assert.True(gang.Wait());
        }
    }

    [Fact]
    public void An_exception_in_one_worker_stops_all_and_reaches_the_controller()
    {
        using PerCpu cpus = TestCpus.Make(3);
        using CpuGang gang = new(cpus, new PretendPinner());
        int* who = stackalloc int[] { 1 };
        BugException e = Assert.Throws<BugException>(() => gang.Run(&Throw, who));
        Assert.Equal("books broken on purpose", e.Message);
        Assert.Throws<InvalidOperationException>(() => gang.Run(&RunUntilStopped, null));
        gang.Dispose();
        Assert.Equal(0, gang.Stuck);
    }

    [Fact]
    public void A_worker_that_fails_inside_a_section_does_not_hold_up_the_others()
    {
        using PerCpu cpus = TestCpus.Make(2, RcuFlavour.Membarrier);
        using CpuGang gang = new(cpus, new PretendPinner());
        Freed* heads = stackalloc Freed[2];
        Assert.Throws<BugException>(() => gang.Run(&ThrowInsideSection, heads));
        gang.Dispose();
        Assert.Equal((0, 1, 0), (heads[0].Runs, heads[1].Runs, gang.Stuck));
    }

    [Fact]
    public void A_section_left_open_at_the_end_of_a_phase_is_a_bug_that_names_its_depth()
    {
        using PerCpu cpus = TestCpus.Make(1);
        using CpuGang gang = new(cpus, new PretendPinner());
        BugException e = Assert.Throws<BugException>(() => gang.Run(&LeaveOpen, null));
        Assert.Contains("nesting depth (1)", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_worker_runs_its_callbacks_before_it_parks()
    {
        using PerCpu cpus = TestCpus.Make(3);
        using CpuGang gang = new(cpus, new PretendPinner());
        Freed* heads = stackalloc Freed[3];
        gang.Run(&Defer, heads);
        Assert.Equal((1, 1, 1), (heads[0].Runs, heads[1].Runs, heads[2].Runs));
    }

    [Fact]
    public void Cpus_past_1024_and_more_threads_than_cpus_work_and_are_reported()
    {
        using PerCpu cpus = new([(new CpuId(4095), new NodeId(7)), (new CpuId(70), new NodeId(0)), (new CpuId(4095), new NodeId(7))]);
        using CpuGang gang = new(cpus, new PretendPinner());
        int* runs = stackalloc int[3];
        gang.Run(&Count, runs);
        Assert.Equal([1, 1, 1], new Span<int>(runs, 3).ToArray());
        Assert.Equal(1, gang.Oversubscribed);
        Assert.Equal(new NodeId(7), cpus.Witness(2).Node);
    }

    private sealed class WrongCpu : IThreadPinner
    {
        public void Pin(CpuId cpu) { }

        public CpuId Current() => new(5);
    }

    [Fact]
    public void A_thread_that_is_not_where_it_was_put_is_refused_at_the_start()
    {
        using PerCpu cpus = TestCpus.Make(2);
        InvalidOperationException e = Assert.Throws<InvalidOperationException>(() => new CpuGang(cpus, new WrongCpu()));
        Assert.Contains("runs on CPU 5", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Closing_a_gang_in_the_middle_of_a_phase_ends_it()
    {
        for (int turn = 0; turn < 20; turn++)
        {
            using PerCpu cpus = TestCpus.Make(3);
            CpuGang gang = new(cpus, new PretendPinner());
            gang.Start(&RunUntilStopped, null);
            Thread close = new(gang.Dispose);
            close.Start();
            Assert.True(close.Join(TimeSpan.FromSeconds(20)), "a worker stays at the gate");
            Assert.Equal(0, gang.Stuck);
        }
    }

    private static void Switches(in ThisCpu cpu, void* perCpu) => ((long*)perCpu)[cpu.Index] = ThreadUsage.Now().VoluntarySwitches ?? 0;

    [Fact]
    public void Workers_beyond_those_wanted_sleep_through_a_phase()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("switches are counted on Linux");
        using PerCpu cpus = TestCpus.Make(2);
        using CpuGang gang = new(cpus, new PretendPinner());
        long* before = stackalloc long[2], after = stackalloc long[2];
        gang.Run(&Switches, before);
        after[0] = before[0];
        // On a busy machine the worker may find the next phase begun before it has gone to sleep.
        for (int phase = 0; phase < 1_000_000 && after[0] - before[0] <= 200; phase++) gang.Run(&Switches, after, 1);
        Assert.True(after[0] - before[0] > 200, "the one that works blocks between phases");
        gang.Run(&Switches, after);
        Assert.InRange(after[1] - before[1], 0, 60); // its own two phases, and a lock or two it met held
    }

    private sealed class Wanderer : IThreadPinner
    {
        [ThreadStatic] private static int asked;
        [ThreadStatic] private static CpuId home;

        public void Pin(CpuId cpu) => home = cpu;

        public CpuId Current() => asked++ == 0 ? home : new CpuId(home.Value + 1);
    }

    [Fact]
    public void A_migration_is_counted_at_the_end_of_the_phase()
    {
        using PerCpu cpus = TestCpus.Make(2);
        using CpuGang gang = new(cpus, new Wanderer());
        int* runs = stackalloc int[2];
        gang.Run(&Count, runs);
        Assert.Equal(2, gang.Migrations);
    }
}
