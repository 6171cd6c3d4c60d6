// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>Eight bytes that any kind of spinlock can live in; what they mean is the kind's.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 8)]
public struct LockWord
{
    /// <summary>A: the whole word (MCS: the queue's tail).</summary>
    [FieldOffset(0)] public AtomicLong Whole;
    /// <summary>A: low half (test-and-set: 1 = held; ticket: next ticket).</summary>
    [FieldOffset(0)] public AtomicInt Low;
    /// <summary>A: high half (ticket: now serving).</summary>
    [FieldOffset(4)] public AtomicInt High;
}

/// <summary>How a spinlock waits. Linux: bit lock and test-and-set (2008), ticket (2.6.25 to 4.1), queued (today).</summary>
/// <remarks>The holder of a lock may be descheduled here; a waiter yields after a while (Machine), which no kernel spinlock has to.</remarks>
public unsafe interface ILockKind
{
    /// <summary>The name users choose it by: tas, ticket, mcs.</summary>
    static abstract string Name { get; }

    /// <summary>Makes l free.</summary>
    static abstract void Init(LockWord* l);

    /// <summary>Takes l; waits for the holder.</summary>
    static abstract void Acquire(in ThisCpu cpu, LockWord* l);

    /// <summary>Takes l if it is free.</summary>
    static abstract bool TryAcquire(in ThisCpu cpu, LockWord* l);

    /// <summary>Frees l; the caller holds it.</summary>
    static abstract void Release(in ThisCpu cpu, LockWord* l);

    /// <summary>True when somebody holds or queues for l; stale at once unless the caller excludes others.</summary>
    static abstract bool IsHeld(LockWord* l);

    /// <summary>
    /// spin_unlock_wait: returns when whoever held l at the call has released it. Orders nothing by itself: a store that must be seen
    /// by the next holder needs Machine.Fence() before the call (race B2).
    /// </summary>
    static abstract void WaitForHolder(LockWord* l);
}

/// <summary>Test-and-test-and-set: one locked exchange, unfair.</summary>
public readonly unsafe struct TestAndSetLock : ILockKind
{
    /// <inheritdoc/>
    public static string Name => "tas";

    /// <inheritdoc/>
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 0);

    /// <inheritdoc/>
    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Acquire(l); return; }
        while (AtomicInt.Exchange(&l->Low, 1) != 0) AtomicInt.AwaitEqual(&l->Low, 0); // ended by the holder's Release
    }

    /// <inheritdoc/>
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) return LockModel.TryAcquire(l);
        return AtomicInt.Load(&l->Low) == 0 && AtomicInt.Exchange(&l->Low, 1) == 0;
    }

    /// <inheritdoc/>
    public static void Release(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Release(l); return; }
        AtomicInt.Store(&l->Low, 0);
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

/// <summary>A lock as one blocking step of the explorer; each kind's own algorithm is explored as code elsewhere.</summary>
public static unsafe class LockModel
{
    /// <summary>Blocks until free, then takes it.</summary>
    public static void Acquire(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AcquirePrimitive(l, file, line);
    /// <summary>Takes it if free.</summary>
    public static bool TryAcquire(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.TryAcquirePrimitive(l, file, line);
    /// <summary>Frees it.</summary>
    public static void Release(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.ReleasePrimitive(l, file, line);
    /// <summary>Blocks until it is free.</summary>
    public static void WaitForHolder(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AwaitUnheldPrimitive(l, file, line);
}
