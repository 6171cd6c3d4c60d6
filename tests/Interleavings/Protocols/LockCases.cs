// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How many CPUs and rounds a case has, as a type.</summary>
internal interface ISize { static abstract int N { get; } }
internal readonly struct N1 : ISize { public static int N => 1; }
internal readonly struct N2 : ISize { public static int N => 2; }
internal readonly struct N3 : ISize { public static int N => 3; }
internal readonly struct N4 : ISize { public static int N => 4; }

/// <summary>CPUs add to a plain counter under a lock that runs as the code it is.</summary>
internal readonly unsafe struct LockAsCode<TLock, TCpus, TRounds> : ICase where TLock : struct, ILockKind where TCpus : struct, ISize where TRounds : struct, ISize
{
    private static LockWord* l;
    private static Guarded<int>* count;
    private static SimulatedCpus cpus;

    public static int Cpus => TCpus.N;
    public static bool LocksAsCode => true;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(TCpus.N);
        l = Arena.New<LockWord>("lock");
        count = Arena.New<Guarded<int>>("count");
        TLock.Init(l);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        for (int i = 0; i < TRounds.N; i++)
        {
            TLock.Acquire(self, l);
            Guarded<int>.Set(count, Guarded<int>.Get(count) + 1);
            TLock.Release(self, l);
        }
    }

    public static void Final()
    {
        if (Guarded<int>.Get(count) != TCpus.N * TRounds.N) Bug.Fail("lost update under the lock", Guarded<int>.Get(count), TCpus.N * TRounds.N);
        if (TLock.IsHeld(l)) Bug.Fail("the lock is left held");
    }
}

/// <summary>The CPU that does not get the lock by trying waits for its holder, then must see what the holder wrote.</summary>
internal readonly unsafe struct TryThenWait<TLock> : ICase where TLock : struct, ILockKind
{
    private static LockWord* l;
    private static AtomicInt* inside;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;
    public static bool LocksAsCode => true;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2);
        l = Arena.New<LockWord>("lock");
        inside = Arena.New<AtomicInt>("inside");
        TLock.Init(l);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (TLock.TryAcquire(self, l))
        {
            if (AtomicInt.AddReturn(inside, 1) != 1) Bug.Fail("two holders");
            AtomicInt.Store(inside, 0);
            TLock.Release(self, l);
        }
        else TLock.WaitForHolder(l);
    }

    public static void Final()
    {
        if (TLock.IsHeld(l)) Bug.Fail("the lock is left held");
    }
}

/// <summary>Each lock kind of src in its shapes; the broken ones are in Busted/.</summary>
internal static class LockCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Of<TestAndSetLock>(),
        .. Of<TicketLock>(),
        .. Of<McsLock>(),
        .. Of<BitLockKind<BitLock>>(),
        .. Of<BitLockKind<ByteLock>>(),
        Case.Of<LockAsCode<NoAtomicLock, N2, N1>>("lock", "busted-no-rmw", "2x1", Expect.Broken),
        Case.Of<LockAsCode<NoRetryLock, N3, N1>>("lock", "busted-no-retry", "3x1", Expect.Broken),
    ];

    private static Case[] Of<T>() where T : struct, ILockKind =>
    [
        Case.Of<LockAsCode<T, N2, N1>>("lock", T.Name, "2x1"),
        Case.Of<LockAsCode<T, N2, N2>>("lock", T.Name, "2x2"),
        Case.Of<LockAsCode<T, N3, N1>>("lock", T.Name, "3x1"),
        Case.Of<LockAsCode<T, N3, N2>>("lock", T.Name, "3x2"),
        Case.Of<LockAsCode<T, N4, N1>>("lock", T.Name, "4x1"),
        Case.Of<TryThenWait<T>>("lock", T.Name, "try"),
    ];
}
