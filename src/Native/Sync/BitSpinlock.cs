// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>
/// A spinlock inside a word that carries other data. Linux: include/linux/bit_spinlock.h on bit 0. Two encodings, because .NET has no
/// test-and-set of a bit: the first has Linux's layout and pays a compare-exchange loop, the second has Linux's cost and takes a byte.
/// </summary>
/// <remarks>
/// The explorer runs the first encoding's code for both: a lock as one step owns its cell, and this cell holds other data, which is read
/// and written in 64 bits.
/// </remarks>
public unsafe interface IBitLock
{
    /// <summary>The name users choose it by: bit, byte.</summary>
    static abstract string Name { get; }

    /// <summary>The bits of the word that belong to the lock; data must leave them alone.</summary>
    static abstract long Mask { get; }

    /// <summary>Takes the lock; waits for the holder.</summary>
    static abstract void Acquire(AtomicLong* word);

    /// <summary>Takes the lock if it is free.</summary>
    static abstract bool TryAcquire(AtomicLong* word);

    /// <summary>Frees the lock; the data bits stay as they are, whoever changes them meanwhile.</summary>
    static abstract void Release(AtomicLong* word);

    /// <summary>True while somebody holds it.</summary>
    static abstract bool IsHeld(AtomicLong* word);
}

/// <summary>Bit 0 of the word: fetch-or (a compare-exchange loop on x64, where Linux has lock bts), released by one locked and.</summary>
public readonly unsafe struct BitLock : IBitLock
{
    /// <inheritdoc/>
    public static string Name => "bit";

    /// <inheritdoc/>
    public static long Mask => 1;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Acquire(AtomicLong* word)
    {
        long seen = AtomicLong.FetchOr(word, 1); // (L1) pairs with (L2) in BitSpinlock.cs
        if ((seen & 1) != 0) AcquireSlow(word, seen);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AcquireSlow(AtomicLong* word, long seen)
    {
        do
        {
            while ((seen & 1) != 0) seen = AtomicLong.AwaitNot(word, seen); // plain re-reads; ended by the holder's Release
            seen = AtomicLong.FetchOr(word, 1);
        } while ((seen & 1) != 0);
    }

    /// <inheritdoc/>
    public static bool TryAcquire(AtomicLong* word) => (AtomicLong.Load(word) & 1) == 0 && (AtomicLong.FetchOr(word, 1) & 1) == 0;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Release(AtomicLong* word) => AtomicLong.And(word, ~1L); // (L2) pairs with (L1) in BitSpinlock.cs

    /// <inheritdoc/>
    public static bool IsHeld(AtomicLong* word) => (AtomicLong.Load(word) & 1) != 0;
}

/// <summary>The low byte of the word: one exchange, released by a byte store. Little-endian.</summary>
public readonly unsafe struct ByteLock : IBitLock
{
    /// <inheritdoc/>
    public static string Name => "byte";

    /// <inheritdoc/>
    public static long Mask => 0xff;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Acquire(AtomicLong* word)
    {
        if (Machine.LocksArePrimitive) { BitLock.Acquire(word); return; }
        if (AtomicByte.Exchange((AtomicByte*)word, 1) != 0) AcquireSlow(word); // (L3) pairs with (L4) in BitSpinlock.cs
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AcquireSlow(AtomicLong* word)
    {
        do
        {
            long seen = AtomicLong.Load(word);
            while ((seen & 0xff) != 0) seen = AtomicLong.AwaitNot(word, seen); // ended by the holder's Release
        } while (AtomicByte.Exchange((AtomicByte*)word, 1) != 0);
    }

    /// <inheritdoc/>
    public static bool TryAcquire(AtomicLong* word)
    {
        if (Machine.LocksArePrimitive) return BitLock.TryAcquire(word);
        return AtomicByte.Load((AtomicByte*)word) == 0 && AtomicByte.Exchange((AtomicByte*)word, 1) == 0;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Release(AtomicLong* word)
    {
        if (Machine.LocksArePrimitive) { BitLock.Release(word); return; }
        AtomicByte.Store((AtomicByte*)word, 0); // (L4) pairs with (L3) in BitSpinlock.cs
    }

    /// <inheritdoc/>
    public static bool IsHeld(AtomicLong* word) => (AtomicLong.Load(word) & 0xff) != 0;
}
