// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>
/// An event count in one word: odd = somebody sleeps on it. A CPU that waits for one thing while it must serve others (its own irq and
/// work) arms the bell, looks at everything, and sleeps until the bell changes; whoever makes an event rings.
/// </summary>
/// <remarks>
/// <code>
///   waiter                          event
///   Arm     (D1, full fence)        make it visible
///   look for the event              full fence
///   sleep while bell == armed       Ring    (D2)
/// </code>
/// D1 and D2 are store;load on both sides: either the waiter sees the event or Ring sees the bell armed. Linux: wait queues, with
/// set_current_state() against wake_up().
/// </remarks>
internal static unsafe class Doorbell
{
    /// <summary>Marks the bell; returns what <see cref="AtomicLong.AwaitNot"/> has to wait on.</summary>
    public static long Arm(AtomicLong* bell) => AtomicLong.FetchOr(bell, 1) | 1; // (D1) pairs with (D2) in Doorbell.cs

    /// <summary>Wakes every sleeper. The caller's event and a full fence come before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Ring(AtomicLong* bell)
    {
        long seen = AtomicLong.Load(bell); // (D2) pairs with (D1) in Doorbell.cs
        if ((seen & 1) != 0) RingSlow(bell, seen);
    }

    // A lost exchange means that somebody else rang, or armed after us and then sees our event.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RingSlow(AtomicLong* bell, long seen) => AtomicLong.CompareExchange(bell, seen + 1, seen);
}
