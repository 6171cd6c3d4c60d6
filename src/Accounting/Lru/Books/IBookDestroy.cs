// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// When may a book go? D1: off the zone's list, then a grace period, because catchers find it inside RCU. D2: a catcher that found the book
// right has left RCU and still holds its lock, which a grace period does not wait for. D3: pages of the group keep it alive by their charge;
// pages that are isolated without one (their link outlives their charge, T2) do not (B10).
//
// Where D2 is done. The callback's wait is the third of its kind: W1, W2 and W4 wait for the old lock when the last page leaves, and the look
// at emptiness is taken under the lock. After either, nobody can hold the lock outside RCU: a catcher that gets it finds that no page
// names the book. So B3 needs a switch without a wait, a look without the lock and a free without a wait, all three (busted.books-destroy).

/// <summary>How a group's books end.</summary>
public unsafe interface IBookDestroy
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Does an isolated page hold a reference on its group?</summary>
    static abstract bool PinsIsolated { get; }
    /// <summary>Is a book's memory given away, so that its next life begins from nothing?</summary>
    static abstract bool Frees { get; }
    /// <summary>Is the look at emptiness taken under the book's lock? It waits for a holder like the free does.</summary>
    static virtual bool LooksUnderLock => true;
    /// <summary>A grace period after the unlinking.</summary>
    static abstract void Free<TLock>(Book* book) where TLock : struct, ILockKind;
}

/// <summary>The author's first form: a css reference per isolated page. Two counts more per batch; "it looks ugly".</summary>
public readonly unsafe struct RefcountIsolated : IBookDestroy
{
    /// <inheritdoc/>
    public static string Name => "refcount";
    /// <inheritdoc/>
    public static bool PinsIsolated => true;
    /// <inheritdoc/>
    public static bool Frees => true;
    /// <inheritdoc/>
    public static void Free<TLock>(Book* book) where TLock : struct, ILockKind => RcuLockWait.Free<TLock>(book);
}

/// <summary>The mail's last word: empty of charged and isolated pages, unlinked, a grace period, and the callback waits for the lock.</summary>
public readonly unsafe struct RcuLockWait : IBookDestroy
{
    /// <inheritdoc/>
    public static string Name => "rcu+lockwait";
    /// <inheritdoc/>
    public static bool PinsIsolated => false;
    /// <inheritdoc/>
    public static bool Frees => true;
    /// <inheritdoc/>
    public static void Free<TLock>(Book* book) where TLock : struct, ILockKind
    {
        TLock.WaitForHolder(&book->Lock); // D2; ended by that holder's release
        AtomicInt.Store(&book->State, (int)BookState.Dead);
        Poison(book);
        Machine.Fence(); // the marks are in memory before the book is somebody else's
        Machine.OnFree(book, Book.Bytes);
    }

    /// <summary>Whatever walks the lists of a dead book falls over the first step.</summary>
    private static void Poison(Book* book)
    {
        for (LruList list = 0; list <= LruList.Unevictable; list++)
        {
            ListHead* head = Lruvec.Head(&book->Vec, list);
            if (!IntrusiveList.IsEmpty(head)) Bug.Fail("book: freed with pages on a list (book, list)", (long)book, (long)list);
            GuardedPtr<ListHead>.Set(&head->Next, IntrusiveList.Poison);
            GuardedPtr<ListHead>.Set(&head->Prev, IntrusiveList.Poison);
        }
    }
}

/// <summary>Never freed: after a grace period the book waits, lock and lists intact, for the next group. A late holder of its lock harms nobody.</summary>
public readonly unsafe struct Recycle : IBookDestroy
{
    /// <inheritdoc/>
    public static string Name => "recycle";
    /// <inheritdoc/>
    public static bool PinsIsolated => false;
    /// <inheritdoc/>
    public static bool Frees => false;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free<TLock>(Book* book) where TLock : struct, ILockKind => AtomicInt.Store(&book->State, (int)BookState.Idle);
}

/// <summary>A grace period and no wait for the lock, nowhere: the holder's release writes into freed memory (B3). For the explorer and the torture.</summary>
public readonly unsafe struct RcuOnly : IBookDestroy
{
    /// <inheritdoc/>
    public static string Name => "rcu";
    /// <inheritdoc/>
    public static bool PinsIsolated => false;
    /// <inheritdoc/>
    public static bool Frees => true;
    /// <inheritdoc/>
    public static bool LooksUnderLock => false;
    /// <inheritdoc/>
    public static void Free<TLock>(Book* book) where TLock : struct, ILockKind
    {
        AtomicInt.Store(&book->State, (int)BookState.Dead);
        Machine.Fence(); // the marks are in memory before the book is somebody else's
        Machine.OnFree(book, Book.Bytes);
    }
}
