// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// Three kinds of players meet at a page (source mail): the catcher, who wants it off whatever list it is on; the switcher, who isolated it
// and changes whose it is; the destroyer of the book it came from. The race (B1): the catcher locks the old book and finds it right; the
// switcher stores the new owner, puts the page on the new list and sets the LRU bit; the catcher sees the bit and takes the page off the
// new list under the old lock. Each answer below is what the switcher does, and what it needs of the catcher.

/// <summary>What a catcher does between finding a book and touching the page, beside locking it and testing the LRU bit under the lock.</summary>
[Flags]
public enum CatchRule
{
    /// <summary>Nothing more, as the mail quotes it. For the explorer.</summary>
    Naive = 0,
    /// <summary>Verify page to book under the lock, before the LRU bit; retry if it changed (L1).</summary>
    Verify = 1,
    /// <summary>Verify again after the LRU bit (W3).</summary>
    VerifyLast = 2,
    /// <summary>Win the LRU bit, then lock: whoever won it is alone with the page (W5).</summary>
    WinBit = 4,
}

/// <summary>How the owner of an isolated page changes.</summary>
public unsafe interface ISwitchProtocol
{
    /// <summary>Name users choose it by: W0 to W5.</summary>
    static abstract string Name { get; }
    /// <summary>What it needs of catchers.</summary>
    static abstract CatchRule Catcher { get; }
    /// <summary>Runs change for a page that this CPU isolated. old: the page's book; fresh: the one it will be in.</summary>
    static abstract void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove;
}

/// <summary>
/// The old book's lock is held around the switch. A catcher who got that lock before sees the LRU bit clear as long as it holds it; one who
/// gets it afterwards finds that the page is elsewhere. Source mail; OpenVZ's kernel; the lrucare commit.
/// </summary>
public readonly unsafe struct W1 : ISwitchProtocol
{
    /// <inheritdoc/>
    public static string Name => "W1";
    /// <inheritdoc/>
    public static CatchRule Catcher => CatchRule.Verify;
    /// <inheritdoc/>
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove
    {
        Machine.IrqOff();
        TLock.Acquire(cpu, &old->Lock);
        change.Run(cpu, page);
        TLock.Release(cpu, &old->Lock);
        Machine.IrqOn();
    }
}

/// <summary>
/// Store, full fence, wait until whoever holds the old lock has let go: the mail's favourite, no read-modify-write on a hot line. Without the
/// fence the store may still be in this CPU's buffer when the lock is found free, and the next holder verifies against the old owner (B2).
/// </summary>
public readonly unsafe struct W2 : ISwitchProtocol
{
    /// <inheritdoc/>
    public static string Name => "W2";
    /// <inheritdoc/>
    public static CatchRule Catcher => CatchRule.Verify;
    /// <inheritdoc/>
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove
    {
        change.Run(cpu, page);
        Machine.Fence(); // (S1) pairs with (S2) in Books.cs: owner store before lock load, against lock RMW before owner load
        TLock.WaitForHolder(&old->Lock); // ended by that holder's release; a descheduled one prolongs it
    }
}

/// <summary>Both locks, the lower address first (Kamezawa 2008, 7.1's splice). Held for one store only, so it is W1 with a second lock.</summary>
public readonly unsafe struct W4 : ISwitchProtocol
{
    /// <inheritdoc/>
    public static string Name => "W4";
    /// <inheritdoc/>
    public static CatchRule Catcher => CatchRule.Verify;
    /// <inheritdoc/>
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove
    {
        Book* first = old < fresh ? old : fresh, second = old < fresh ? fresh : old; // one order for all, or G to H meets H to G (B15)
        Machine.IrqOff();
        TLock.Acquire(cpu, &first->Lock);
        if (second != first) TLock.Acquire(cpu, &second->Lock);
        change.Run(cpu, page);
        if (second != first) TLock.Release(cpu, &second->Lock);
        TLock.Release(cpu, &first->Lock);
        Machine.IrqOn();
    }
}

/// <summary>The LRU bit is the lock: the switcher won it when it isolated the page, and nobody looks further without it (5.11 to 6.18).</summary>
public readonly unsafe struct W5 : ISwitchProtocol
{
    /// <inheritdoc/>
    public static string Name => "W5";
    /// <inheritdoc/>
    public static CatchRule Catcher => CatchRule.WinBit;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove => change.Run(cpu, page);
}
