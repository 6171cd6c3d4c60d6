// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Where a book is in its life.</summary>
public enum BookState
{
    /// <summary>Never used, or recycled: its lock and lists are good, and a late catcher may still take the lock.</summary>
    Idle,
    /// <summary>On its zone's list of books.</summary>
    Live,
    /// <summary>Off that list; readers inside RCU may still find it.</summary>
    Unlinked,
    /// <summary>Freed: whoever locks it now has broken the protocol.</summary>
    Dead,
}

/// <summary>
/// The lists of one group on one node (or one slice of it), and the lock that guards them. Source: struct book of the 2012 series, the
/// lruvec enlarged; lock first, as in v3, and in the same lines as the list heads.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct Book
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 512;
    /// <summary>Offset of <see cref="List"/>, for container_of.</summary>
    public const int ListOffset = 32;

    /// <summary>Guards the lists, the counts and the statistics.</summary>
    [FieldOffset(0)] public LockWord Lock;
    /// <summary>I: the group (Memcg*).</summary>
    [FieldOffset(8)] public Guarded<nint> Owner;
    /// <summary>I: dense index of the node.</summary>
    [FieldOffset(16)] public Guarded<int> Node;
    /// <summary>I: which slice of it.</summary>
    [FieldOffset(20)] public Guarded<int> Slice;
    /// <summary>O: <see cref="BookState"/>; written by whoever creates or destroys.</summary>
    [FieldOffset(24)] public AtomicInt State;
    /// <summary>R: place on the zone's list of books.</summary>
    [FieldOffset(ListOffset)] public RcuList List;
    /// <summary>L: acquisitions.</summary>
    [FieldOffset(48)] public Guarded<long> Acquired;
    /// <summary>L: pages handled in them.</summary>
    [FieldOffset(56)] public Guarded<long> Pages;
    /// <summary>L: five lists and their lengths.</summary>
    [FieldOffset(64)] public Lruvec Vec;
    /// <summary>A: pages taken off the lists by somebody who will put them back or free them; counted off where they were counted on.</summary>
    [FieldOffset(192)] public AtomicLong Isolated;
    /// <summary>A: new pages that wait, newest first, linked by lru.next.</summary>
    [FieldOffset(256)] public AtomicPtr<Page> Pending;
    /// <summary>L: what waiting cost.</summary>
    [FieldOffset(384)] public LruLockWaits Waits;

    /// <summary>A book's first use, or its use after it was freed. Lock and lists of a recycled one are good and stay as they are.</summary>
    public static void Init<TLock>(Book* book, Memcg* owner, int node, int slice) where TLock : struct, ILockKind
    {
        if (Guarded<nint>.Get(&book->Owner) == 0 || StateOf(book) == BookState.Dead)
        {
            TLock.Init(&book->Lock);
            Lruvec.Init(&book->Vec);
            AtomicLong.Init(&book->Isolated, 0);
            AtomicPtr<Page>.Init(&book->Pending, null);
        }
        if (!IsEmpty(book)) Bug.Fail("book: a new life begins with pages of the last one (book, isolated)", (long)book, AtomicLong.Load(&book->Isolated));
        Guarded<nint>.Set(&book->Owner, (nint)owner);
        Guarded<int>.Set(&book->Node, node);
        Guarded<int>.Set(&book->Slice, slice);
        AtomicInt.Store(&book->State, (int)BookState.Live);
    }

    /// <summary>The group whose pages it holds.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* OwnerOf(Book* book) => (Memcg*)Guarded<nint>.Get(&book->Owner);

    /// <summary>Where it is in its life; stale at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static BookState StateOf(Book* book) => (BookState)AtomicInt.Load(&book->State);

    /// <summary>No page on a list, waiting for one, or isolated. Exact only when nobody can find the book any more.</summary>
    public static bool IsEmpty(Book* book)
    {
        for (LruList list = 0; list <= LruList.Unevictable; list++)
            if (Lruvec.Count(&book->Vec, list) != 0) return false;
        return AtomicPtr<Page>.Load(&book->Pending) == null && AtomicLong.Load(&book->Isolated) == 0;
    }

    // An isolated page's list node is its isolator's. Its prev names the book that counts it, beside the poisoned next: no page that is on
    // a list, or fresh from the allocator, looks like that.

    /// <summary>page was just taken off one of book's lists, which counts it as isolated from now on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void MarkIsolated(Book* book, Page* page) => GuardedPtr<ListHead>.Set(&page->Lru.Prev, (ListHead*)book);

    /// <summary>The book that counts page as isolated, or null. The caller is the isolator.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Book* CountedBy(Page* page)
    {
        ListHead* prev = GuardedPtr<ListHead>.Get(&page->Lru.Prev);
        return GuardedPtr<ListHead>.Get(&page->Lru.Next) == IntrusiveList.Poison && prev != IntrusiveList.Poison ? (Book*)prev : null;
    }

    /// <summary>The same; the mark is taken off.</summary>
    public static Book* UnmarkIsolated(Page* page)
    {
        Book* book = CountedBy(page);
        if (book != null) GuardedPtr<ListHead>.Set(&page->Lru.Prev, IntrusiveList.Poison);
        return book;
    }
}
