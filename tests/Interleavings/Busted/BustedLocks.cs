// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// Test-and-set locks, each wrong in one way.

/// <summary>Looks, then takes: two CPUs may look at once.</summary>
internal readonly unsafe struct NoAtomicLock : ILockKind
{
    public static string Name => "busted-no-rmw";
    public static void Init(LockWord* l) => TestAndSetLock.Init(l);
    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        while (AtomicInt.Load(&l->Low) != 0) AtomicInt.AwaitEqual(&l->Low, 0); // ended by the holder's Release
        AtomicInt.Store(&l->Low, 1);
    }
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.TryAcquire(cpu, l);
    public static void Release(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Release(cpu, l);
    public static bool IsHeld(LockWord* l) => TestAndSetLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TestAndSetLock.WaitForHolder(l);
}

/// <summary>Does not wait after a failed exchange: the second CPU walks in.</summary>
internal readonly unsafe struct NoRetryLock : ILockKind
{
    public static string Name => "busted-no-retry";
    public static void Init(LockWord* l) => TestAndSetLock.Init(l);
    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        if (AtomicInt.Exchange(&l->Low, 1) != 0) AtomicInt.AwaitEqual(&l->Low, 0); // ended by the holder's Release
    }
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.TryAcquire(cpu, l);
    public static void Release(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Release(cpu, l);
    public static bool IsHeld(LockWord* l) => TestAndSetLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TestAndSetLock.WaitForHolder(l);
}
