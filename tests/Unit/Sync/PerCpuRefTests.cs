// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public unsafe class PerCpuRefTests
{
    [StructLayout(LayoutKind.Sequential)]
    private struct Tracked
    {
        public PerCpuRef Ref;
        public int Released, Confirmed;
    }

    /// <summary>A reference count with its counters on two scripted CPUs.</summary>
    private sealed class Bench : IDisposable
    {
        public readonly PerCpu Cpus = TestCpus.Online(2);
        public readonly Tracked* T = (Tracked*)NativeMemory.AllocZeroed((nuint)sizeof(Tracked));
        public readonly void* Counters = NativeMemory.AlignedAlloc(PerCpuRef.BytesFor(2), 128);

        public Bench(bool atomic = false)
        {
            NativeMemory.Clear(Counters, PerCpuRef.BytesFor(2));
            PerCpuRef.Init(&T->Ref, atomic ? null : Counters, &Release);
        }

        public PerCpuRef* Ref => &T->Ref;

        public ThisCpu Cpu(int i) => Cpus.Witness(i);

        public void GracePeriod()
        {
            for (int i = 0; i < 4; i++) Poll.Run(Cpu(i % 2));
        }

        public void Dispose()
        {
            NativeMemory.AlignedFree(Counters);
            NativeMemory.Free(T);
            Cpus.Dispose();
        }
    }

    private static void Release(in ThisCpu cpu, PerCpuRef* r) => ((Tracked*)r)->Released++;

    private static void Confirm(in ThisCpu cpu, PerCpuRef* r) => ((Tracked*)r)->Confirmed++;

    [Theory, InlineData(false), InlineData(true)]
    public void The_last_put_after_kill_releases_exactly_once(bool atomic)
    {
        using Bench b = new(atomic);
        PerCpuRef.Get(b.Cpu(0), b.Ref);
        PerCpuRef.Get(b.Cpu(0), b.Ref);
        PerCpuRef.Put(b.Cpu(1), b.Ref); // taken on one CPU, put on the other
        PerCpuRef.Kill(b.Cpu(0), b.Ref, &Confirm);
        b.GracePeriod();
        Assert.Equal((0, 1), (b.T->Released, b.T->Confirmed));
        Assert.False(PerCpuRef.IsZero(b.Ref));
        PerCpuRef.Put(b.Cpu(1), b.Ref);
        Assert.Equal((1, 1), (b.T->Released, b.T->Confirmed));
        Assert.True(PerCpuRef.IsZero(b.Ref));
        Assert.True(PerCpuRef.Exit(b.Ref) == (atomic ? null : b.Counters));
    }

    [Fact]
    public void Without_other_references_kill_releases_after_the_grace_period_and_not_before()
    {
        using Bench b = new();
        PerCpuRef.Kill(b.Cpu(0), b.Ref, &Confirm);
        Poll.Run(b.Cpu(0));
        Assert.Equal((0, 0), (b.T->Released, b.T->Confirmed));
        Poll.Run(b.Cpu(1));
        Poll.Run(b.Cpu(0));
        Assert.Equal((1, 1), (b.T->Released, b.T->Confirmed));
    }

    // Zero is not seen before a full grace period, even if the sum of what is visible passes through it.
    [Fact]
    public void Puts_between_kill_and_the_grace_period_do_not_release()
    {
        using Bench b = new();
        for (int i = 0; i < 3; i++) PerCpuRef.Get(b.Cpu(1), b.Ref);
        PerCpuRef.Kill(b.Cpu(0), b.Ref);
        for (int i = 0; i < 3; i++) PerCpuRef.Put(b.Cpu(1), b.Ref);
        Assert.Equal(0, b.T->Released);
        b.GracePeriod();
        Assert.Equal(1, b.T->Released);
    }

    [Fact]
    public void A_section_that_chose_its_own_counter_before_kill_is_waited_for()
    {
        using PerCpu cpus = TestCpus.Online(2, RcuFlavour.Membarrier);
        using Bench b = new();
        Rcu.ReadLock(cpus.Witness(1)); // stands for a get caught between its load of the mode and its add
        PerCpuRef.Kill(cpus.Witness(0), b.Ref);
        for (int i = 0; i < 5; i++) Poll.Run(cpus.Witness(0));
        Assert.Equal(0, b.T->Released);
        Rcu.ReadUnlock(cpus.Witness(1));
        Poll.Run(cpus.Witness(0));
        Assert.Equal(1, b.T->Released);
    }

    [Fact]
    public void TryGet_succeeds_after_kill_until_zero_and_TryGetLive_does_not()
    {
        using Bench b = new();
        Assert.True(PerCpuRef.TryGetLive(b.Cpu(0), b.Ref));
        PerCpuRef.Kill(b.Cpu(0), b.Ref);
        Assert.True(PerCpuRef.IsDying(b.Ref));
        Assert.True(PerCpuRef.TryGet(b.Cpu(1), b.Ref));
        Assert.False(PerCpuRef.TryGetLive(b.Cpu(1), b.Ref));
        b.GracePeriod();
        Assert.True(PerCpuRef.TryGet(b.Cpu(1), b.Ref));
        for (int i = 0; i < 3; i++) PerCpuRef.Put(b.Cpu(0), b.Ref);
        Assert.Equal(1, b.T->Released);
        Assert.False(PerCpuRef.TryGet(b.Cpu(0), b.Ref));
    }

    [Fact]
    public void A_second_kill_and_a_put_too_many_are_bugs()
    {
        using Bench b = new(atomic: true);
        PerCpuRef.Kill(b.Cpu(0), b.Ref);
        Assert.Throws<BugException>(() => PerCpuRef.Kill(b.Cpu(0), b.Ref));
        Assert.Throws<BugException>(() => PerCpuRef.Put(b.Cpu(0), b.Ref));
        using Bench c = new();
        PerCpuRef.Put(c.Cpu(0), c.Ref); // the base reference, by somebody who did not have it
        PerCpuRef.Put(c.Cpu(0), c.Ref);
        PerCpuRef.Kill(c.Cpu(0), c.Ref);
        Assert.Throws<BugException>(c.GracePeriod);
    }

    private struct Race
    {
        public Tracked* T;
        public AtomicLong Refused;
    }

    // Every worker gets and puts; worker 0 kills half way; all stop taking when TryGetLive refuses.
    private static void GetAndPut(in ThisCpu cpu, void* arg)
    {
        var race = (Race*)arg;
        for (int i = 0; ; i++)
        {
            if (cpu.Index == 0 && i == 2000) PerCpuRef.Kill(in cpu, &race->T->Ref, &Confirm);
            if (!PerCpuRef.TryGetLive(in cpu, &race->T->Ref)) break;
            Poll.Run(in cpu);
            if (race->T->Released != 0) AtomicLong.Add(&race->Refused, 1); // released while we hold one
            PerCpuRef.Put(in cpu, &race->T->Ref);
        }
    }

    [Theory, InlineData(RcuFlavour.Qsbr), InlineData(RcuFlavour.Membarrier)]
    public void Gets_and_puts_of_many_cpus_race_with_kill_and_release_comes_once_and_last(RcuFlavour flavour)
    {
        using PerCpu cpus = TestCpus.Make(3, flavour);
        using CpuGang gang = new(cpus, new PretendPinner());
        for (int round = 0; round < 5; round++)
        {
            void* counters = NativeMemory.AlignedAlloc(PerCpuRef.BytesFor(3), 128);
            NativeMemory.Clear(counters, PerCpuRef.BytesFor(3));
            Tracked t = default;
            Race race = new() { T = &t };
            PerCpuRef.Init(&t.Ref, counters, &Release);
            gang.Run(&GetAndPut, &race);
            Assert.Equal((1, 1), (t.Released, t.Confirmed));
            Assert.Equal(0, AtomicLong.Load(&race.Refused));
            PerCpuRef.Exit(&t.Ref);
            NativeMemory.AlignedFree(counters);
        }
    }
}
