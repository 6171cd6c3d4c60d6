// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>
/// Ticket lock: Low is the next ticket, High the one being served; first come, first served. Linux: x86 spinlocks, 2.6.25 to 4.1.
/// </summary>
/// <remarks>
/// High only moves on after its ticket was drawn, so High never passes Low, and "Low equals a value High had" means: free at the
/// moment Low was read. TryAcquire, IsHeld and WaitForHolder rest on that; tickets would have to wrap (2^32) in between to break it.
/// <para>All waiters poll one line, and a descheduled waiter holds up everyone behind it; a kernel's waiter is not preempted.</para>
/// </remarks>
public readonly unsafe struct TicketLock : ILockKind
{
    /// <inheritdoc/>
    public static string Name => "ticket";

    /// <inheritdoc/>
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 0);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Acquire(l); return; }
        int ticket = AtomicInt.AddReturn(&l->Low, 1) - 1;
        AtomicInt.AwaitEqual(&l->High, ticket); // (K1) pairs with (K2) in TicketLock.cs; ended by the Release of the ticket before ours
    }

    /// <inheritdoc/>
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) return LockModel.TryAcquire(l);
        int serving = AtomicInt.Load(&l->High); // (K3) pairs with (K2) in TicketLock.cs
        return AtomicInt.CompareExchange(&l->Low, serving + 1, serving) == serving;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Release(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Release(l); return; }
        AtomicInt.Store(&l->High, AtomicInt.Load(&l->High) + 1); // only the holder writes High; (K2) pairs with (K1) in TicketLock.cs; (K2) pairs with (K3) in TicketLock.cs
    }

    /// <inheritdoc/>
    public static bool IsHeld(LockWord* l)
    {
        if (Machine.LocksArePrimitive) return LockModel.IsHeld(l);
        int serving = AtomicInt.Load(&l->High);
        return AtomicInt.Load(&l->Low) != serving;
    }

    /// <inheritdoc/>
    /// <remarks>Waits for one ticket only: later holders do not prolong it.</remarks>
    public static void WaitForHolder(LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.WaitForHolder(l); return; }
        int serving = AtomicInt.Load(&l->High);
        if (AtomicInt.Load(&l->Low) == serving) return; // free just now
        AtomicInt.AwaitNot(&l->High, serving); // ended by that ticket's Release, (K2)
    }
}
