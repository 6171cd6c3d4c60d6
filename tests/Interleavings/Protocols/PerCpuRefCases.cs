// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What references are held on.</summary>
internal unsafe struct RefObject
{
    public PerCpuRef Ref;
    public RcuHead Free;
    public Guarded<long> Value;

    /// <summary>Bytes in front of <see cref="Free"/>, for container_of.</summary>
    public const int FreeOffset = 64;

    public static RefObject* New(SimulatedCpus cpus, int count, delegate*<in ThisCpu, PerCpuRef*, void> release)
    {
        var o = Arena.New<RefObject>("object");
        Guarded<long>.Set(&o->Value, 42);
        PerCpuRef.Init(&o->Ref, Arena.Block((int)PerCpuRef.BytesFor(count), "counters", typeof(long)), release);
        return o;
    }

    public static void Use(RefObject* o)
    {
        if (Guarded<long>.Get(&o->Value) != 42) Bug.Fail("the holder saw", Guarded<long>.Get(&o->Value));
    }
}

/// <summary>How the base reference is dropped.</summary>
internal unsafe interface IRefKill { static abstract void Kill(in ThisCpu cpu, PerCpuRef* r); }

internal readonly unsafe struct ShippedKill : IRefKill
{
    public static void Kill(in ThisCpu cpu, PerCpuRef* r) => PerCpuRef.Kill(cpu, r);
}

/// <summary>The base reference goes while others who have one get, use and put; the last one frees at once.</summary>
internal readonly unsafe struct KillAgainstHolders<TKill, THolders> : ICase where TKill : struct, IRefKill where THolders : struct, ISize
{
    private static RefObject* o;
    private static AtomicInt* released;
    private static SimulatedCpus cpus;

    public static int Cpus => 1 + THolders.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        o = RefObject.New(cpus, Cpus, &Release);
        released = Arena.New<AtomicInt>("released");
        for (int c = 1; c < Cpus; c++) PerCpuRef.Get(cpus[c], &o->Ref);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu == 0) TKill.Kill(self, &o->Ref);
        else
        {
            PerCpuRef.Get(self, &o->Ref);
            PerCpuRef.Put(self, &o->Ref);
            RefObject.Use(o);
            PerCpuRef.Put(self, &o->Ref);
        }
        Rcu.CpuOffline(self);
    }

    private static void Release(in ThisCpu cpu, PerCpuRef* r)
    {
        AtomicInt.Add(released, 1);
        Machine.OnFree(r, (nuint)sizeof(RefObject));
    }

    public static void Final()
    {
        if (AtomicInt.Load(released) != 1) Bug.Fail("released so many times", AtomicInt.Load(released));
    }
}

/// <summary>Somebody who has no reference finds the object inside RCU and tries to get one.</summary>
internal readonly unsafe struct KillAgainstTryGet<TLive> : ICase where TLive : struct, ISize
{
    private static AtomicPtr<RefObject>* published;
    private static AtomicInt* released;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2, RcuFlavour.Membarrier);
        published = Arena.New<AtomicPtr<RefObject>>("published");
        AtomicPtr<RefObject>.Init(published, RefObject.New(cpus, 2, &Release));
        released = Arena.New<AtomicInt>("released");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu == 0) PerCpuRef.Kill(self, &AtomicPtr<RefObject>.Exchange(published, null)->Ref);
        else
        {
            Rcu.ReadLock(self);
            RefObject* o = AtomicPtr<RefObject>.Load(published);
            bool got = o != null && (TLive.N > 0 ? PerCpuRef.TryGetLiveRcu(self, &o->Ref) : PerCpuRef.TryGet(self, &o->Ref));
            Rcu.ReadUnlock(self);
            if (got)
            {
                RefObject.Use(o);
                PerCpuRef.Put(self, &o->Ref);
            }
        }
        Rcu.CpuOffline(self);
    }

    private static void Release(in ThisCpu cpu, PerCpuRef* r)
    {
        AtomicInt.Add(released, 1);
        Rcu.Call(cpu, &((RefObject*)r)->Free, &Free);
    }

    private static void Free(in ThisCpu cpu, RcuHead* head)
    {
        var o = (RefObject*)((byte*)head - RefObject.FreeOffset);
        PerCpuRef.Exit(&o->Ref);
        Machine.OnFree(o, (nuint)sizeof(RefObject));
    }

    public static void Final()
    {
        if (AtomicInt.Load(released) != 1) Bug.Fail("released so many times", AtomicInt.Load(released));
    }
}

/// <summary>What is left in a reference count whose object is dead and will live again in the same place.</summary>
internal unsafe interface IRefExit { static abstract void Exit(PerCpuRef* r); }

internal readonly unsafe struct ShippedExit : IRefExit
{
    public static void Exit(PerCpuRef* r) => PerCpuRef.Exit(r);
}

/// <summary>A group is recycled in place while somebody who found it by its id tries to get a reference; the next life starts with one and keeps it.</summary>
internal readonly unsafe struct TryGetAgainstRecycling<TExit> : ICase where TExit : struct, IRefExit
{
    private static RefObject* o;
    private static AtomicLong* counters;
    private static AtomicInt* lives;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2, RcuFlavour.Membarrier);
        o = RefObject.New(cpus, 2, &Release);
        counters = (AtomicLong*)AtomicLong.Load(&o->Ref.CountersAndMode);
        lives = Arena.New<AtomicInt>("lives");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu == 0) PerCpuRef.Kill(self, &o->Ref);
        else if (PerCpuRef.TryGet(self, &o->Ref)) PerCpuRef.Put(self, &o->Ref);
        Rcu.CpuOffline(self);
    }

    private static void Release(in ThisCpu cpu, PerCpuRef* r) => Rcu.Call(cpu, &o->Free, &Recycle);
    private static void ReleaseAgain(in ThisCpu cpu, PerCpuRef* r) => Bug.Fail("the second life ended, whose base reference nobody dropped");

    private static void Recycle(in ThisCpu cpu, RcuHead* head)
    {
        TExit.Exit(&o->Ref);
        for (int c = 0; c < 2; c++) AtomicLong.Init(Counter(c), 0);
        PerCpuRef.Init(&o->Ref, counters, &ReleaseAgain);
        AtomicInt.Add(lives, 1);
    }

    private static AtomicLong* Counter(int cpu) => (AtomicLong*)((byte*)counters + cpu * CacheLine.Apart);

    public static void Final()
    {
        if (AtomicInt.Load(lives) != 1) Bug.Fail("recycled so many times", AtomicInt.Load(lives));
        long sum = AtomicLong.Load(&o->Ref.Count) - long.MinValue;
        for (int c = 0; c < 2; c++) sum += AtomicLong.Load(Counter(c));
        if (sum != 1) Bug.Fail("the second life has so many references", sum);
    }
}

internal static class PerCpuRefCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<KillAgainstHolders<ShippedKill, N1>>("percpu_ref", "kill", "1k1h"),
        Case.Of<KillAgainstHolders<ShippedKill, N2>>("percpu_ref", "kill", "1k2h", heavy: true),
        Case.Of<KillAgainstHolders<KillWithoutGracePeriod, N1>>("percpu_ref", "busted-kill-no-grace-period", "1k1h", Expect.Broken),
        Case.Of<KillAgainstTryGet<N0>>("percpu_ref", "tryget", "1k1t", heavy: true),
        Case.Of<KillAgainstTryGet<N1>>("percpu_ref", "tryget_live", "1k1t", heavy: true),
        Case.Of<TryGetAgainstRecycling<ShippedExit>>("percpu_ref", "exit", "1r1t", heavy: true),
        Case.Of<TryGetAgainstRecycling<ExitAtABias>>("percpu_ref", "busted-exit-at-a-bias", "1r1t", Expect.Broken, heavy: true),
    ];
}
