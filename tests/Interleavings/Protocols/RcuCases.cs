// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How the updater waits before it frees.</summary>
internal unsafe interface IReclaim
{
    static abstract RcuFlavour Flavour { get; }
    static abstract void Free(in ThisCpu cpu, RcuObject* o);
}

/// <summary>What readers look at.</summary>
internal struct RcuObject
{
    public RcuHead Head;
    public Guarded<long> Value;
}

/// <summary>An object is unpublished and freed while others read it under RCU. Needs nothing but Native.</summary>
internal readonly unsafe struct RcuCase<TReclaim, TReaders> : ICase where TReclaim : struct, IReclaim where TReaders : struct, ISize
{
    private static AtomicPtr<RcuObject>* published;
    private static RcuObject* o;
    private static SimulatedCpus cpus;

    public static int Cpus => 1 + TReaders.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(1 + TReaders.N, TReclaim.Flavour);
        o = Arena.New<RcuObject>("object");
        Guarded<long>.Set(&o->Value, 42);
        published = Arena.New<AtomicPtr<RcuObject>>("published");
        AtomicPtr<RcuObject>.Init(published, o);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu == 0)
        {
            RcuObject* old = AtomicPtr<RcuObject>.Exchange(published, null);
            TReclaim.Free(self, old);
        }
        else
        {
            Rcu.ReadLock(self);
            RcuObject* p = AtomicPtr<RcuObject>.Load(published);
            if (p != null && Guarded<long>.Get(&p->Value) != 42) Bug.Fail("the reader saw", Guarded<long>.Get(&p->Value));
            Rcu.ReadUnlock(self);
        }
        Rcu.CpuOffline(self);
    }
}

internal readonly unsafe struct BySynchronize<TFlavour> : IReclaim where TFlavour : struct, ISize
{
    public static RcuFlavour Flavour => (RcuFlavour)TFlavour.N;
    public static void Free(in ThisCpu cpu, RcuObject* o)
    {
        Rcu.Synchronize(in cpu);
        Machine.OnFree(o, (nuint)sizeof(RcuObject));
    }
}

internal readonly unsafe struct ByCallback<TFlavour> : IReclaim where TFlavour : struct, ISize
{
    public static RcuFlavour Flavour => (RcuFlavour)TFlavour.N;
    public static void Free(in ThisCpu cpu, RcuObject* o) => Rcu.Call(in cpu, &o->Head, &Callback);
    private static void Callback(in ThisCpu cpu, RcuHead* head) => Machine.OnFree(head, (nuint)sizeof(RcuObject));
}

/// <summary>Does not wait.</summary>
internal readonly unsafe struct ByNothing : IReclaim
{
    public static RcuFlavour Flavour => RcuFlavour.Qsbr;
    public static void Free(in ThisCpu cpu, RcuObject* o) => Machine.OnFree(o, (nuint)sizeof(RcuObject));
}

/// <summary>Two CPUs wait for each other's grace period, each a reader of what the other frees.</summary>
internal readonly unsafe struct TwoUpdaters<TReclaim> : ICase where TReclaim : struct, IReclaim
{
    private static AtomicPtr<RcuObject>* published;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2, TReclaim.Flavour);
        published = Arena.Array<AtomicPtr<RcuObject>>(2, "published");
        RcuObject* objects = Arena.Array<RcuObject>(2, "object");
        for (int c = 0; c < 2; c++)
        {
            Guarded<long>.Set(&objects[c].Value, 42);
            AtomicPtr<RcuObject>.Init(published + c, objects + c);
        }
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        Rcu.ReadLock(self);
        RcuObject* p = AtomicPtr<RcuObject>.Load(published + 1 - cpu);
        if (p != null && Guarded<long>.Get(&p->Value) != 42) Bug.Fail("the reader saw", Guarded<long>.Get(&p->Value));
        Rcu.ReadUnlock(self);
        RcuObject* mine = AtomicPtr<RcuObject>.Exchange(published + cpu, null);
        TReclaim.Free(self, mine);
        Rcu.CpuOffline(self);
    }
}

/// <summary>The reader comes by its poll point between two sections, and does not leave.</summary>
internal readonly unsafe struct PollingReader<TReclaim> : ICase where TReclaim : struct, IReclaim
{
    private static AtomicPtr<RcuObject>* published;
    private static AtomicInt* done;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2, TReclaim.Flavour);
        published = Arena.New<AtomicPtr<RcuObject>>("published");
        done = Arena.New<AtomicInt>("done");
        RcuObject* o = Arena.New<RcuObject>("object");
        Guarded<long>.Set(&o->Value, 42);
        AtomicPtr<RcuObject>.Init(published, o);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu == 0)
        {
            TReclaim.Free(self, AtomicPtr<RcuObject>.Exchange(published, null));
            return;
        }
        for (int i = 0; i < 2; i++)
        {
            using (new RcuReadGuard(self))
            {
                RcuObject* p = AtomicPtr<RcuObject>.Load(published);
                if (p != null && Guarded<long>.Get(&p->Value) != 42) Bug.Fail("the reader saw", Guarded<long>.Get(&p->Value));
            }
            Poll.Run(self);
        }
        Rcu.CpuOffline(self);
    }
}

/// <summary>A7: rcu_barrier waits for the callbacks, rcu_synchronize does not.</summary>
internal readonly unsafe struct BarrierAfterCall<TBarrier> : ICase where TBarrier : struct, ISize
{
    private static RcuObject* o;
    private static AtomicInt* ran;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2);
        o = Arena.New<RcuObject>("object");
        ran = Arena.New<AtomicInt>("ran");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu == 0)
        {
            Rcu.Call(self, &o->Head, &Callback);
            AtomicInt.Store(ran, 1); // queued; the callback runs on this CPU, later
        }
        else
        {
            AtomicInt.AwaitNot(ran, 0); // ended by CPU 0
            if (TBarrier.N > 0) Rcu.Barrier(self);
            else Rcu.Synchronize(self);
            if (AtomicInt.Load(ran) != 2) Bug.Fail("a callback queued before the wait has not run");
        }
        Rcu.CpuOffline(self);
    }

    private static void Callback(in ThisCpu cpu, RcuHead* head) => AtomicInt.Store(ran, 2);
}

internal static class RcuCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<RcuCase<BySynchronize<N0>, N1>>("rcu", "qsbr,synchronize", "1r"),
        Case.Of<RcuCase<BySynchronize<N1>, N1>>("rcu", "membarrier,synchronize", "1r"),
        Case.Of<RcuCase<ByCallback<N0>, N1>>("rcu", "qsbr,call", "1r"),
        Case.Of<RcuCase<ByCallback<N1>, N1>>("rcu", "membarrier,call", "1r"),
        Case.Of<PollingReader<BySynchronize<N0>>>("rcu", "qsbr,synchronize", "polling"),
        Case.Of<PollingReader<BySynchronize<N1>>>("rcu", "membarrier,synchronize", "polling", heavy: true),
        Case.Of<TwoUpdaters<BySynchronize<N0>>>("rcu", "qsbr,synchronize", "2u", heavy: true),
        Case.Of<TwoUpdaters<BySynchronize<N1>>>("rcu", "membarrier,synchronize", "2u", heavy: true),
        Case.Of<RcuCase<BySynchronize<N0>, N2>>("rcu", "qsbr,synchronize", "2r"),
        Case.Of<RcuCase<BySynchronize<N0>, N3>>("rcu", "qsbr,synchronize", "3r", heavy: true),
        Case.Of<RcuCase<BySynchronize<N1>, N2>>("rcu", "membarrier,synchronize", "2r", heavy: true),
        Case.Of<RcuCase<ByNothing, N1>>("rcu", "busted-no-grace-period", "1r", Expect.Broken),
        Case.Of<BarrierAfterCall<N1>>("A7", "barrier", "1q1b", heavy: true),
        Case.Of<BarrierAfterCall<N0>>("A7", "busted-synchronize", "1q1b", Expect.Broken),
    ];
}
