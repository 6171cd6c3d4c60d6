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

internal static class RcuCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<RcuCase<BySynchronize<N0>, N1>>("rcu", "qsbr,synchronize", "1r"),
        Case.Of<RcuCase<BySynchronize<N1>, N1>>("rcu", "membarrier,synchronize", "1r"),
        Case.Of<RcuCase<ByCallback<N0>, N1>>("rcu", "qsbr,call", "1r"),
        Case.Of<RcuCase<ByNothing, N1>>("rcu", "busted-no-grace-period", "1r", Expect.Broken),
    ];
}
