// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Conformance;

/// <summary>Excludes nobody.</summary>
internal readonly unsafe struct NoLock : ILockKind
{
    public static string Name => "busted-none";
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 0);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => AtomicInt.Store(&l->Low, 1);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => AtomicInt.Exchange(&l->Low, 1) == 0;
    public static void Release(in ThisCpu cpu, LockWord* l) => AtomicInt.Store(&l->Low, 0);
    public static bool IsHeld(LockWord* l) => AtomicInt.Load(&l->Low) != 0;
    public static void WaitForHolder(LockWord* l) { }
}

/// <summary>Init leaves it taken.</summary>
internal readonly unsafe struct BornHeld : ILockKind
{
    public static string Name => "busted-born-held";
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 1);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Acquire(cpu, l);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.TryAcquire(cpu, l);
    public static void Release(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Release(cpu, l);
    public static bool IsHeld(LockWord* l) => TestAndSetLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TestAndSetLock.WaitForHolder(l);
}

/// <summary>TryAcquire forgets to look.</summary>
internal readonly unsafe struct TryAlwaysSucceeds : ILockKind
{
    public static string Name => "busted-try";
    public static void Init(LockWord* l) => TestAndSetLock.Init(l);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Acquire(cpu, l);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l)
    {
        AtomicInt.Store(&l->Low, 1);
        return true;
    }
    public static void Release(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Release(cpu, l);
    public static bool IsHeld(LockWord* l) => TestAndSetLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TestAndSetLock.WaitForHolder(l);
}

/// <summary>Release clears its neighbour as well.</summary>
internal readonly unsafe struct WritesSixteenBytes : ILockKind
{
    public static string Name => "busted-wide";
    public static void Init(LockWord* l) => TestAndSetLock.Init(l);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Acquire(cpu, l);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.TryAcquire(cpu, l);
    public static void Release(in ThisCpu cpu, LockWord* l)
    {
        TestAndSetLock.Release(cpu, l);
        AtomicLong.Store(&(l + 1)->Whole, 0);
    }
    public static bool IsHeld(LockWord* l) => TestAndSetLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TestAndSetLock.WaitForHolder(l);
}
