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

/// <summary>A CPU that does not get the lock by trying takes it the long way.</summary>
internal readonly unsafe struct TryThenAcquire<TLock> : ICase where TLock : struct, ILockKind
{
    private static LockWord* l;
    private static Guarded<int>* count;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;
    public static bool LocksAsCode => true;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2);
        l = Arena.New<LockWord>("lock");
        count = Arena.New<Guarded<int>>("count");
        TLock.Init(l);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (!TLock.TryAcquire(self, l)) TLock.Acquire(self, l);
        Guarded<int>.Set(count, Guarded<int>.Get(count) + 1);
        TLock.Release(self, l);
    }

    public static void Final()
    {
        if (Guarded<int>.Get(count) != 2) Bug.Fail("lost update under the lock", Guarded<int>.Get(count));
        if (TLock.IsHeld(l)) Bug.Fail("the lock is left held");
    }
}

/// <summary>
/// spin_unlock_wait's one promise: whoever holds the lock without having seen my store is gone when it returns, and I see what he wrote.
/// The store must not be in the buffer when the wait reads the lock (race B2), hence the fence.
/// </summary>
internal readonly unsafe struct StoreThenWaitForHolder<TLock, TFence, THolders> : ICase where TLock : struct, ILockKind where TFence : struct, ISize where THolders : struct, ISize
{
    private static LockWord* l;
    private static AtomicInt* closed;
    private static Guarded<int>* data;
    private static SimulatedCpus cpus;

    public static int Cpus => 1 + THolders.N;
    public static bool LocksAsCode => true;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(1 + THolders.N);
        l = Arena.New<LockWord>("lock");
        closed = Arena.New<AtomicInt>("closed");
        data = Arena.New<Guarded<int>>("data");
        TLock.Init(l);
    }

    public static void Body(int cpu)
    {
        if (cpu == 0)
        {
            AtomicInt.Store(closed, 1);
            if (TFence.N > 0) Machine.Fence();
            TLock.WaitForHolder(l);
            Guarded<int>.Set(data, -1);
            return;
        }
        ThisCpu self = cpus[cpu];
        TLock.Acquire(self, l);
        if (AtomicInt.Load(closed) == 0) Guarded<int>.Set(data, cpu);
        TLock.Release(self, l);
    }
}

/// <summary>A bit lock shares its word with data that others change without it.</summary>
internal readonly unsafe struct BitLockWithData<T> : ICase where T : struct, IBitLock
{
    private const long Data = 1 << 20;

    private static AtomicLong* word;
    private static Guarded<int>* count;

    public static int Cpus => 3;
    public static bool LocksAsCode => true;

    public static void Setup()
    {
        word = Arena.New<AtomicLong>("word");
        count = Arena.New<Guarded<int>>("count");
    }

    public static void Body(int cpu)
    {
        if (cpu == 2)
        {
            AtomicLong.Or(word, Data);
            return;
        }
        T.Acquire(word);
        Guarded<int>.Set(count, Guarded<int>.Get(count) + 1);
        T.Release(word);
    }

    public static void Final()
    {
        if (AtomicLong.Load(word) != Data) Bug.Fail("the word ends as", AtomicLong.Load(word), Data);
        if (Guarded<int>.Get(count) != 2) Bug.Fail("lost update under the lock", Guarded<int>.Get(count));
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
        Case.Of<BitLockWithData<BitLock>>("lock", BitLock.Name, "data"),
        Case.Of<BitLockWithData<ByteLock>>("lock", ByteLock.Name, "data"),
        .. Waits<TestAndSetLock>(),
        .. Waits<TicketLock>(),
        .. Waits<McsLock>(),
        Case.Of<LockAsCode<NoAtomicLock, N2, N1>>("lock", "busted-no-rmw", "2x1", Expect.Broken),
        Case.Of<LockAsCode<NoRetryLock, N3, N1>>("lock", "busted-no-retry", "3x1", Expect.Broken),
    ];

    private static Case[] Of<T>() where T : struct, ILockKind =>
    [
        Case.Of<LockAsCode<T, N2, N1>>("lock", T.Name, "2x1"),
        Case.Of<LockAsCode<T, N2, N2>>("lock", T.Name, "2x2"),
        Case.Of<LockAsCode<T, N3, N1>>("lock", T.Name, "3x1"),
        Case.Of<LockAsCode<T, N3, N2>>("lock", T.Name, "3x2", heavy: true),
        Case.Of<LockAsCode<T, N4, N1>>("lock", T.Name, "4x1"),
        Case.Of<TryThenAcquire<T>>("lock", T.Name, "try"),
    ];

    private static Case[] Waits<T>() where T : struct, ILockKind =>
    [
        Case.Of<StoreThenWaitForHolder<T, N1, N1>>("lock", T.Name, "wait"),
        Case.Of<StoreThenWaitForHolder<T, N1, N2>>("lock", T.Name, "wait2"),
        Case.Of<StoreThenWaitForHolder<T, N0, N1>>("lock", $"busted-{T.Name}-wait-without-fence", "wait", Expect.BrokenUnderTso),
    ];
}
