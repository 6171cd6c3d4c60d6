// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>Test-and-test-and-set: one locked exchange, unfair. Low = 1 while held.</summary>
public readonly unsafe struct TestAndSetLock : ILockKind
{
    /// <inheritdoc/>
    public static string Name => "tas";

    /// <inheritdoc/>
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 0);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Acquire(l); return; }
        if (AtomicInt.Exchange(&l->Low, 1) != 0) AcquireSlow(l); // (T1) pairs with (T2) in TestAndSetLock.cs
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AcquireSlow(LockWord* l)
    {
        do AtomicInt.AwaitEqual(&l->Low, 0); // ended by the holder's Release
        while (AtomicInt.Exchange(&l->Low, 1) != 0);
    }

    /// <inheritdoc/>
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) return LockModel.TryAcquire(l);
        return AtomicInt.Load(&l->Low) == 0 && AtomicInt.Exchange(&l->Low, 1) == 0;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Release(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Release(l); return; }
        AtomicInt.Store(&l->Low, 0); // (T2) pairs with (T1) in TestAndSetLock.cs, release to acquire
    }

    /// <inheritdoc/>
    public static bool IsHeld(LockWord* l) => AtomicInt.Load(&l->Low) != 0;

    /// <inheritdoc/>
    public static void WaitForHolder(LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.WaitForHolder(l); return; }
        AtomicInt.AwaitEqual(&l->Low, 0); // ended by any holder's Release; a stream of later holders can prolong it
    }
}
