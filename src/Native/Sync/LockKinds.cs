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

    /// <summary>Are holds to be timed (<see cref="Timed{TLock}"/>)?</summary>
    static virtual bool IsTimed => false;

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
    /// spin_unlock_wait: returns when whoever held l at the call has released it, after that holder's section. A store that must be seen
    /// by the next holder needs Machine.Fence() before the call (race B2): the wait only loads, and a load may pass an older store.
    /// </summary>
    static abstract void WaitForHolder(LockWord* l);
}

/// <summary>A lock as one blocking step of the explorer; each kind's own algorithm is explored as code elsewhere.</summary>
public static unsafe class LockModel
{
    /// <summary>Blocks until free, then takes it.</summary>
    public static void Acquire(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AcquirePrimitive(l, file, line);
    /// <summary>Takes it if free.</summary>
    public static bool TryAcquire(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.TryAcquirePrimitive(l, file, line);
    /// <summary>True while somebody holds it: the model keeps the low half non-zero then.</summary>
    public static bool IsHeld(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => AtomicInt.Load(&l->Low, file, line) != 0;
    /// <summary>Frees it.</summary>
    public static void Release(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.ReleasePrimitive(l, file, line);
    /// <summary>Blocks until it is free.</summary>
    public static void WaitForHolder(LockWord* l, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Machine.AwaitUnheldPrimitive(l, file, line);
}
