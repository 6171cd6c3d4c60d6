// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: "usually lru_lock is very-very hot"; one lock per zone, whoever's pages they are. If the list is the
// group's, its lock can be the group's too; and a huge zone can be cut into arbitrary books without any group.
//
//   on list of book b --Isolate, Delete--> off list --Add, Putback--> on list of book b'       under the lock of the page's book
//   owner g --MoveAccount--> owner g'                                                          off list, under the switch protocol
//
//   operation   take  put  switch  destroy        X: excluded by the book's lock; W: by the switch protocol; D: by D1 to D3
//   take          X    X      W       D
//   put           X    X      W       D
//
// Page to book is read without the lock it leads to, so it is read again once the lock is held (L1). (S2) the second look: a lock taken by a
// full-fence RMW and then the owner; against the switcher's owner store and then the lock.
// Different from the mail: a page found by pfn gets its reference before the lock (see Take); an isolated count is one atomic per book and not
// a guarded one per type, because a page that changed its book while isolated is counted off where it was counted on; and what the mail
// calls lock_page_book is Lock here.
// This file is long because the lock, the catchers and the counts of what they took are one argument; life, chains and checks are in Books.Life.cs.

/// <summary>One lock per book: per group and node, or per slice of a node. Posted in 2012, never merged; mainline took the direction in 5.11.</summary>
[PatchSeries("Konstantin Khlebnikov", "2012-02-16", "mm: memory book keeping and lru_lock splitting", "RFC and v3, not merged")]
public readonly unsafe partial struct Books<TLock, TMap, TSwitch, TDestroy, TInbox> : ILruDesign
    where TLock : struct, ILockKind
    where TMap : struct, IBookMap
    where TSwitch : struct, ISwitchProtocol
    where TDestroy : struct, IBookDestroy
    where TInbox : struct, IBookInbox
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => $"Books({TLock.Name}, slices {TMap.Name}, {TSwitch.Name}, {TDestroy.Name}, pending {TInbox.Name})";

    /// <summary>page_book.</summary>
    [MethodImpl(Inline)]
    private static Book* BookOf<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign => BookFor(cpu, TMap.GroupOf<TPc>(cpu, page), page);

    /// <summary>The book of memcg (null: of the root) that a page of this node and pfn is in.</summary>
    [MethodImpl(Inline)]
    private static Book* BookFor(in ThisCpu cpu, Memcg* memcg, Page* page)
    {
        if (memcg == null) memcg = MemcgTree.Root(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree));
        int node = PageOps.NodeIndex(page);
        Book* first = First(Memcg.OnNode(memcg, node));
        return TMap.Slices ? first + ZoneBooks.SliceOf(ZoneBooks.Of(cpu, node), MemMap.PfnOf(MemMap.Of(cpu), page).Value) : first;
    }

    /// <summary>
    /// Is book, whose lock is held, the one that page's link names? Pointers are compared and no group is looked into, so no RCU is needed (B8);
    /// the lock keeps the book, and with it its place in memory, from becoming another group's.
    /// </summary>
    [MethodImpl(Inline)]
    private static bool Holds<TPc>(in ThisCpu cpu, Book* book, Page* page) where TPc : struct, IPageCgroupDesign
    {
        Memcg* group = TMap.GroupOf<TPc>(cpu, page), owner = Book.OwnerOf(book);
        int node = PageOps.NodeIndex(page);
        return (group == owner || (group == null && Memcg.IsRoot(owner))) && node == Guarded<int>.Get(&book->Node)
            && (!TMap.Slices || ZoneBooks.SliceOf(ZoneBooks.Of(cpu, node), MemMap.PfnOf(MemMap.Of(cpu), page).Value) == Guarded<int>.Get(&book->Slice));
    }

    /// <summary>
    /// L1: inside RCU, find the book, lock it, look again. The lock alone keeps the book after that (D2), so RCU is left before the return.
    /// Each further round means that somebody else took the page through a whole move meanwhile; rounds are counted.
    /// </summary>
    private static Book* Lock<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        Rcu.ReadLock(cpu);
        Machine.IrqOff();
        Book* book = BookOf<TPc>(cpu, page);
        int retries = 0;
        for (; ; retries++)
        {
            LruLock<TLock>.Acquire(cpu, &book->Lock, &book->Waits);
            if ((TSwitch.Catcher & CatchRule.Verify) == 0) break;
            if (Holds<TPc>(cpu, book, page)) break; // (S2) pairs with (S1) in ISwitchProtocol.cs
            LruLock<TLock>.Release(cpu, &book->Lock, &book->Waits);
            book = BookOf<TPc>(cpu, page);
        }
        Rcu.ReadUnlock(cpu);
        Enter(book);
        if (retries != 0) LruLockWaits.Retried(&book->Waits, retries);
        return book;
    }

    [MethodImpl(Inline)]
    private static void Enter(Book* book)
    {
        if (Book.StateOf(book) == BookState.Dead) Bug.Fail("book: locked after it was freed (book, node)", (long)book, Guarded<int>.Get(&book->Node));
        Guarded<long>.Set(&book->Acquired, Guarded<long>.Get(&book->Acquired) + 1);
    }

    /// <summary>L2: holds one book's lock across a run of pages and changes it only when the page's book is another one.</summary>
    private ref struct Hold
    {
        private Book* book;
        private long pages;

        [MethodImpl(Inline)]
        public Book* Relock<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
        {
            if (book == null || !Holds<TPc>(cpu, book, page))
            {
                Unlock(cpu);
                book = Lock<TPc>(cpu, page);
            }
            pages++;
            return book;
        }

        [MethodImpl(Inline)]
        public void Unlock(in ThisCpu cpu)
        {
            if (book == null) return;
            Leave(cpu, book, pages);
            book = null;
            pages = 0;
        }
    }

    [MethodImpl(Inline)]
    private static void Leave(in ThisCpu cpu, Book* book, long pages)
    {
        Guarded<long>.Set(&book->Pages, Guarded<long>.Get(&book->Pages) + pages);
        if (DebugVm.On && Book.StateOf(book) == BookState.Dead) Bug.Fail("book: freed under its lock's holder (book)", (long)book); // B3
        LruLock<TLock>.Release(cpu, &book->Lock, &book->Waits);
        Machine.IrqOn();
    }

    /// <summary>B-I1: the lock that is held is the lock of the book that the page's link names.</summary>
    [MethodImpl(Inline)]
    private static void Assert<TPc>(in ThisCpu cpu, Book* book, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (DebugVm.On && !Holds<TPc>(cpu, book, page)) Bug.Fail("book: list work under the lock of another book (page, book)", (long)page, (long)book);
    }

    [MethodImpl(Inline)]
    private static void Link<TPc>(in ThisCpu cpu, Book* book, Page* page) where TPc : struct, IPageCgroupDesign
    {
        Assert<TPc>(cpu, book, page);
        long flags = AtomicLong.Load(&page->Flags);
        if ((flags & PageFlags.Lru) != 0) Bug.Fail("lru: page added twice (page, flags)", (long)page, flags);
        PageOps.Set(page, PageFlags.Lru); // first, as 5.11: before the list's stores, which a locked operation would wait for; whoever sees the bit takes the lock
        Lruvec.Add(&book->Vec, page, Lruvec.ListOf(flags));
    }

    [MethodImpl(Inline)]
    private static void Unlink<TPc>(in ThisCpu cpu, Book* book, Page* page, LruList list) where TPc : struct, IPageCgroupDesign
    {
        Assert<TPc>(cpu, book, page);
        Lruvec.Delete(&book->Vec, page, list);
    }

    /// <inheritdoc/>
    public static void Add<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new Hold();
        for (int i = 0; i < n; i++) Link<TPc>(cpu, hold.Relock<TPc>(cpu, pages[i]), pages[i]);
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    public static void Delete<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new Hold();
        var done = new Returned();
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            // Nobody can isolate a page without references, so the bit does not go while we wait for the lock; it may come (a pending page).
            if (PageOps.Test(page, PageFlags.Lru) || TInbox.PerBook)
            {
                Book* book = hold.Relock<TPc>(cpu, page);
                if (TInbox.PerBook && !PageOps.Test(page, PageFlags.Lru)) CommitPending<TPc>(cpu, book);
                long flags = AtomicLong.Load(&page->Flags);
                if ((flags & PageFlags.Lru) != 0)
                {
                    Unlink<TPc>(cpu, book, page, Lruvec.ListOf(flags));
                    PageOps.ClearExclusive(page, PageFlags.Lru | PageFlags.Active | PageFlags.Unevictable);
                    continue;
                }
            }
            // Isolated and freed without a putback, or never listed. Not before the chain was committed: until then a pending page's node is the chain's.
            Book* counted = Book.UnmarkIsolated(page);
            if (done.IsOther(counted))
            {
                hold.Unlock(cpu);
                done.Flush(cpu);
            }
            done.Add(cpu, counted);
        }
        hold.Unlock(cpu);
        done.Flush(cpu);
    }

    /// <inheritdoc/>
    public static bool Isolate<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign =>
        Take<TPc>(cpu, page, referenced: true) == CatchResult.Caught;

    /// <inheritdoc/>
    public static CatchResult Catch<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign => Take<TPc>(cpu, page, referenced: false);

    /// <summary>
    /// L3, with the reference first, as compaction has it since 5.11. Without one the page could be freed and given to another group between our
    /// second look and the LRU bit, and the set bit would be that of another book (B11): nobody switches an owner through the allocator under
    /// the old book's lock. Whether the page is ours is decided by the bit under the lock.
    /// </summary>
    [MethodImpl(Inline)]
    private static CatchResult Take<TPc>(in ThisCpu cpu, Page* page, bool referenced) where TPc : struct, IPageCgroupDesign
    {
        if (!PageOps.Test(page, PageFlags.Lru) || !GetReference(page, referenced)) return CatchResult.Missed;
        bool win = TSwitch.Catcher == CatchRule.WinBit, mine = !win || PageOps.TestAndClear(page, PageFlags.Lru);
        if (mine)
        {
            var hold = new Hold();
            Book* book = hold.Relock<TPc>(cpu, page);
            mine = win || (PageOps.Test(page, PageFlags.Lru) && ((TSwitch.Catcher & CatchRule.VerifyLast) == 0 || Holds<TPc>(cpu, book, page)));
            if (mine)
            {
                if (!win) PageOps.Clear(page, PageFlags.Lru);
                Unlink<TPc>(cpu, book, page, Lruvec.ListOf(AtomicLong.Load(&page->Flags)));
                Book.MarkIsolated(book, page);
                CountIsolated(cpu, book, 1);
            }
            hold.Unlock(cpu);
        }
        if (mine) return CatchResult.Caught;
        return PageOps.PutAndTest(page) ? CatchResult.LastReference : CatchResult.Missed;
    }

    /// <summary>The isolation's own reference, put by whoever puts the page back.</summary>
    [MethodImpl(Inline)]
    private static bool GetReference(Page* page, bool referenced)
    {
        if (!referenced) return PageOps.GetUnlessZero(page);
        PageOps.Get(page);
        return true;
    }

    /// <summary>Under the book's lock, which keeps its group: a page of it was on the list.</summary>
    [MethodImpl(Inline)]
    private static void CountIsolated(in ThisCpu cpu, Book* book, int n)
    {
        AtomicLong.Add(&book->Isolated, n);
        if (TDestroy.PinsIsolated) Css.GetMany(cpu, &Book.OwnerOf(book)->Css, n); // put by Returned.Flush
    }

    /// <summary>Pages that are isolated no longer, counted off per run of one book. Outside every lock: it may be what the destroyer waits for.</summary>
    private ref struct Returned
    {
        private Book* book;
        private int n;

        [MethodImpl(Inline)]
        public void Add(in ThisCpu cpu, Book* counted)
        {
            if (counted == null) return;
            if (counted != book) Flush(cpu);
            book = counted;
            n++;
        }

        /// <summary>Would adding a page of counted end a run?</summary>
        [MethodImpl(Inline)]
        public readonly bool IsOther(Book* counted) => n != 0 && counted != book && counted != null;

        [MethodImpl(Inline)] // a call with this would keep both fields in memory
        public void Flush(in ThisCpu cpu)
        {
            if (n != 0) CountOff(cpu, book, n);
            n = 0;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void CountOff(in ThisCpu cpu, Book* book, int n)
        {
            Memcg* owner = Book.OwnerOf(book);
            long left = AtomicLong.AddReturn(&book->Isolated, -n); // the book is not touched after this
            if (left < 0) Bug.Fail("book: fewer pages isolated than come back (book, count)", (long)book, left);
            if (TDestroy.PinsIsolated) Css.PutMany(cpu, &owner->Css, n); // got by CountIsolated
        }
    }

    /// <inheritdoc/>
    public static void Putback<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new Hold();
        var done = new Returned();
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            Book* counted = Book.CountedBy(page); // the link overwrites the mark
            if (done.IsOther(counted)) // another book's run begins: count off the last one's, which is linked by now (B10)
            {
                hold.Unlock(cpu);
                done.Flush(cpu);
            }
            Link<TPc>(cpu, hold.Relock<TPc>(cpu, page), page); // for every page: a swap-in may have charged it (B4)
            done.Add(cpu, counted);
        }
        hold.Unlock(cpu);
        done.Flush(cpu);
    }

    /// <inheritdoc/>
    public static int IsolateTail<TPc>(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        MemcgNode* on = Memcg.OnNode(memcg, node);
        Book* first = First(on);
        int count = CountOf(on), taken = 0;
        for (int i = 0; i < count && taken < n; i++) // CPUs begin in different slices
            taken += IsolateTail<TPc>(cpu, first + (TMap.Slices ? (cpu.Index + i) % count : 0), list, pages + taken, n - taken);
        return taken;
    }

    private static int IsolateTail<TPc>(in ThisCpu cpu, Book* book, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        ListHead* head = Lruvec.Head(&book->Vec, list);
        int taken = 0;
        Machine.IrqOff();
        LruLock<TLock>.Acquire(cpu, &book->Lock, &book->Waits); // the caller's css reference keeps the book
        Enter(book);
        if (TInbox.PerBook) CommitPending<TPc>(cpu, book);
        for (int scanned = 0; scanned < n && !IntrusiveList.IsEmpty(head); scanned++)
        {
            Page* page = PageOps.OfLru(IntrusiveList.Last(head));
            if (!PageOps.GetUnlessZero(page)) // its last putter waits for our lock to take it off the list
            {
                IntrusiveList.Move(head, &page->Lru);
                continue;
            }
            if (TSwitch.Catcher == CatchRule.WinBit && !PageOps.TestAndClear(page, PageFlags.Lru))
            {
                // The winner waits for our lock with a reference of its own, so this one is not the last.
                if (PageOps.PutAndTest(page)) Bug.Fail("lru: an isolator without a reference (page)", (long)page);
                IntrusiveList.Move(head, &page->Lru);
                continue;
            }
            if (TSwitch.Catcher != CatchRule.WinBit) PageOps.Clear(page, PageFlags.Lru);
            Unlink<TPc>(cpu, book, page, list);
            Book.MarkIsolated(book, page);
            pages[taken++] = page;
        }
        if (taken != 0) CountIsolated(cpu, book, taken);
        Leave(cpu, book, taken);
        return taken;
    }

    /// <inheritdoc/>
    public static void Activate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign =>
        Requeue<TPc>(cpu, pages, n, PageFlags.Active, tail: false);

    /// <inheritdoc/>
    public static void Rotate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign =>
        Requeue<TPc>(cpu, pages, n, 0, tail: true);

    /// <summary>Pages on an inactive list change place; those that are active, unevictable or on no list stay where they are.</summary>
    private static void Requeue<TPc>(in ThisCpu cpu, Page** pages, int n, long set, bool tail) where TPc : struct, IPageCgroupDesign
    {
        bool win = TSwitch.Catcher == CatchRule.WinBit;
        var hold = new Hold();
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            if (!Lruvec.Requeues(AtomicLong.Load(&page->Flags)) || (win && !PageOps.TestAndClear(page, PageFlags.Lru))) continue;
            Book* book = hold.Relock<TPc>(cpu, page);
            long flags = AtomicLong.Load(&page->Flags);
            bool here = Lruvec.Requeues(win ? flags | PageFlags.Lru : flags) && ((TSwitch.Catcher & CatchRule.VerifyLast) == 0 || Holds<TPc>(cpu, book, page));
            if (here)
            {
                Unlink<TPc>(cpu, book, page, Lruvec.ListOf(flags));
                if (set != 0 && !win) PageOps.Set(page, set); // between the two, as __activate_page: the page's neighbours are fetched before a locked operation
                if (tail) Lruvec.AddTail(&book->Vec, page, Lruvec.ListOf(flags | set));
                else Lruvec.Add(&book->Vec, page, Lruvec.ListOf(flags | set));
            }
            if (win) PageOps.Set(page, PageFlags.Lru | (here ? set : 0));
        }
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    public static void SwitchIsolated<TPc, TMove>(in ThisCpu cpu, Page* page, ref TMove change) where TPc : struct, IPageCgroupDesign where TMove : struct, IOwnerMove =>
        TSwitch.Switch<TLock, TMove>(cpu, page, BookOf<TPc>(cpu, page), BookFor(cpu, change.To, page), ref change);

    /// <inheritdoc/>
    public static bool OwnerKeptByBit => TSwitch.Catcher == CatchRule.WinBit;

    /// <inheritdoc/>
    /// <remarks>
    /// The old book's lock is held around test and switch, whatever the protocol: the caller did not isolate the page, so its isolator may put
    /// it back at any time, and finds the new book by its second look (B4).
    /// </remarks>
    public static void Rehome<TPc, TChange>(in ThisCpu cpu, Page* page, ref TChange change) where TPc : struct, IPageCgroupDesign where TChange : struct, IOwnerSwitch
    {
        if (OwnerKeptByBit) Bug.Fail("book: a page that somebody may have isolated changes its owner, and the LRU bit keeps it (page)", (long)page);
        var hold = new Hold();
        Book* book = hold.Relock<TPc>(cpu, page);
        if (TInbox.PerBook) CommitPending<TPc>(cpu, book);
        long flags = AtomicLong.Load(&page->Flags);
        bool listed = (flags & PageFlags.Lru) != 0;
        if (listed)
        {
            Unlink<TPc>(cpu, book, page, Lruvec.ListOf(flags));
            PageOps.Clear(page, PageFlags.Lru);
        }
        change.Run(cpu, page);
        if (listed) Link<TPc>(cpu, hold.Relock<TPc>(cpu, page), page);
        hold.Unlock(cpu);
    }
}
