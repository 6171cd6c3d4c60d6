// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using W1Books = MemcgNative.Accounting.Books<MemcgNative.Native.TicketLock, MemcgNative.Accounting.OneBook, MemcgNative.Accounting.W1,
    MemcgNative.Accounting.RcuLockWait, MemcgNative.Accounting.Pagevecs>;

namespace MemcgNative.Tests.Interleavings;

// The races of books beyond the switch itself, by the names of the specification. B12 needs the split queue of huge pages, which the port does
// not have; B13 is G3 (BookCases.cs); B14 is refused when slices are set up; B16 is no wrong state but a wait: its retries are counted.

/// <summary>B1 with four CPUs: a switcher moves the page to the other group, catchers take it and keep it.</summary>
internal readonly unsafe struct MoveAgainstKeepers<TLru, TCatchers> : ICase where TLru : struct, ILruDesign where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup() => BookScene.Begin<TLru>(Cpus);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.Page;
        if (!TLru.Isolate<OwnerWord>(self, page) || cpu != 0) return;
        var move = new StoreOwner { To = BookScene.Books.Group(1) };
        TLru.SwitchIsolated<OwnerWord, StoreOwner>(self, page, ref move);
        TLru.Putback<OwnerWord>(self, &page, 1);
        PageOps.PutAndTest(page);
    }

    public static void Final()
    {
        long listed = TLru.Count(BookScene.Books.Group(0), 0, LruList.InactiveAnon) + TLru.Count(BookScene.Books.Group(1), 0, LruList.InactiveAnon);
        int references = PageOps.Count(BookScene.Books.Page);
        if (listed + references != 2) Bug.Fail("book: the page is listed and kept, or neither (listed, references)", listed, references);
    }
}

/// <summary>B5: a page on its group's list is uncharged while a catcher wants it; then a second catch, to see where it is.</summary>
internal readonly unsafe struct UnchargeAgainstCatch<TMap, TCatchers> : ICase where TMap : struct, IBookMap where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup() => BookScene.Begin<Books<TicketLock, TMap, W1, RcuLockWait, Pagevecs>, UsedBitWord>(Cpus, pages: 2);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.PageOf(1); // the second group's: the first is the root
        if (cpu == 0) UsedBitWord.TryClear<Books<TicketLock, TMap, W1, RcuLockWait, Pagevecs>>(self, page, UnchargeType.Mapped, out _, out _);
        else if (Books<TicketLock, TMap, W1, RcuLockWait, Pagevecs>.Isolate<UsedBitWord>(self, page))
        {
            Books<TicketLock, TMap, W1, RcuLockWait, Pagevecs>.Putback<UsedBitWord>(self, &page, 1);
            PageOps.PutAndTest(page);
        }
    }

    public static void Final()
    {
        long pages = Books<TicketLock, TMap, W1, RcuLockWait, Pagevecs>.Count(BookScene.Books.Group(1), 0, LruList.InactiveAnon);
        if (pages != 1) Bug.Fail("book: pages counted by the last owner of an uncharged page", pages);
    }
}

/// <summary>What a loop over isolated pages of several books does, or a walk over their neighbours.</summary>
internal unsafe interface IManyPages
{
    /// <summary>Are the pages the worker's own, isolated, to be put back? Else they are on their lists, to be taken.</summary>
    static abstract bool PutsBack { get; }
    static abstract void Run(in ThisCpu cpu, SimulatedBooks books, Page** pages, int n);
}

/// <summary>The design's loop, which relocks for every page (L2).</summary>
internal readonly unsafe struct PutsBackBoth : IManyPages
{
    public static bool PutsBack => true;
    public static void Run(in ThisCpu cpu, SimulatedBooks books, Page** pages, int n) => W1Books.Putback<OwnerWord>(cpu, pages, n);
}

/// <summary>The walk by pfn as it is: every page under its own book's lock.</summary>
internal readonly unsafe struct CatchesEach : IManyPages
{
    public static bool PutsBack => false;
    public static void Run(in ThisCpu cpu, SimulatedBooks books, Page** pages, int n)
    {
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            if (W1Books.Catch<OwnerWord>(cpu, page) != CatchResult.Caught) continue;
            W1Books.Putback<OwnerWord>(cpu, &page, 1);
            PageOps.PutAndTest(page);
        }
    }
}

/// <summary>B6 and B7: one CPU works on two pages of two books in one loop, the others catch the second page.</summary>
internal readonly unsafe struct ManyPagesAgainstCatch<TLoop, TCatchers> : ICase where TLoop : struct, IManyPages where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup() => BookScene.Begin<W1Books>(Cpus, pages: 2);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.PageOf(1);
        if (cpu != 0)
        {
            if (!W1Books.Isolate<OwnerWord>(self, page)) return;
            W1Books.Putback<OwnerWord>(self, &page, 1);
            PageOps.PutAndTest(page);
            return;
        }
        Page** pages = stackalloc Page*[2];
        int n = 0;
        for (int i = 0; i < 2; i++)
            if (!TLoop.PutsBack || W1Books.Isolate<OwnerWord>(self, BookScene.Books.PageOf(i))) pages[n++] = BookScene.Books.PageOf(i);
        TLoop.Run(self, BookScene.Books, pages, n);
        for (int i = 0; TLoop.PutsBack && i < n; i++) PageOps.PutAndTest(pages[i]);
    }

    public static void Final()
    {
        for (int i = 0; i < 2; i++)
        {
            long listed = W1Books.Count(BookScene.Books.Group(i), 0, LruList.InactiveAnon);
            long walked = IntrusiveList.Walk(Lruvec.Head(&BookScene.Books.Book(i)->Vec, LruList.InactiveAnon));
            if (listed != 1 || walked != 1) Bug.Fail("book: pages of a group, counted and walked", listed, walked);
        }
    }
}

/// <summary>When a destroyer thinks that a group's book may go.</summary>
internal unsafe interface IEmptiness
{
    static abstract bool MayGo(Book* book, AtomicLong* usage);
}

/// <summary>D3 as shipped: no charge (here a counter, in the design the css references of charged pages) and no page listed, waiting or isolated.</summary>
internal readonly unsafe struct UsageAndBook : IEmptiness
{
    public static bool MayGo(Book* book, AtomicLong* usage) => AtomicLong.Load(usage) == 0 && Book.IsEmpty(book);
}

/// <summary>
/// B9, B10: a page of a group that is on no list for a while, and a destroyer. In a vector it is charged (usage 1, added later); isolated it
/// may be uncharged (usage 0, put back later). Its CPU passes a quiescent state meanwhile, as a vector waits across many and reclaim
/// reschedules. At the end of its life the page leaves the list and its charge goes.
/// </summary>
internal readonly unsafe struct DestroyAgainstUnlisted<TCheck, TInVector> : ICase where TCheck : struct, IEmptiness where TInVector : struct, ISize
{
    private static AtomicLong* usage;

    private static bool InVector => TInVector.N == 1;

    public static int Cpus => 2;

    public static void Setup()
    {
        BookScene.Begin<W1Books>(Cpus, listed: !InVector);
        usage = Arena.New<AtomicLong>("usage");
        AtomicLong.Init(usage, InVector ? 1 : 0);
    }

    public static void Body(int cpu)
    {
        Work(cpu, BookScene.Cpus[cpu]);
        Rcu.CpuOffline(BookScene.Cpus[cpu]);
    }

    private static void Work(int cpu, in ThisCpu self)
    {
        if (cpu == 1)
        {
            Book* book = BookScene.Books.Book(0);
            TicketLock.Acquire(self, &book->Lock); // the look of OnReleased
            bool may = TCheck.MayGo(book, usage);
            TicketLock.Release(self, &book->Lock);
            if (!may) return; // the design asks again after a grace period
            Rcu.Synchronize(self);
            RcuLockWait.Free<TicketLock>(book);
            return;
        }
        Page* page = BookScene.Books.Page;
        if (!InVector && !W1Books.Isolate<OwnerWord>(self, page)) return;
        Poll.Run(self);
        if (InVector) W1Books.Add<OwnerWord>(self, &page, 1); // the drain
        else W1Books.Putback<OwnerWord>(self, &page, 1);
        AtomicInt.Store(&page->RefCount, 0);
        W1Books.Delete<OwnerWord>(self, &page, 1);
        if (InVector) AtomicLong.Add(usage, -1);
    }
}

/// <summary>How a walker by pfn, who wants pages of the first group, takes one.</summary>
internal unsafe interface IWalk
{
    static abstract CatchResult Catch(in ThisCpu cpu, SimulatedBooks books, Page* page);
    /// <summary>Is the page looked at again once it is caught, and put back if it is another group's?</summary>
    static virtual bool FiltersCaught => true;
}

/// <summary>The design's: a reference, then the lock.</summary>
internal readonly unsafe struct ReferenceFirst : IWalk
{
    public static CatchResult Catch(in ThisCpu cpu, SimulatedBooks books, Page* page) => W1Books.Catch<OwnerWord>(cpu, page);
}

/// <summary>B11: a walker wants pages of the first group; the page it found is freed meanwhile and becomes the second group's.</summary>
internal readonly unsafe struct RecycleAgainstWalk<TWalk, TWalkers> : ICase where TWalk : struct, IWalk where TWalkers : struct, ISize
{
    public static int Cpus => 1 + TWalkers.N;

    public static void Setup() => BookScene.Begin<W1Books>(Cpus);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.Page;
        if (cpu == 0)
        {
            if (!PageOps.PutAndTest(page)) return; // a walker has it: its last put is the walker's
            W1Books.Delete<OwnerWord>(self, &page, 1);
            AtomicLong.Store(&page->Memcg, (long)BookScene.Books.Group(1)); // through the allocator to the other group
            AtomicInt.Store(&page->RefCount, 1);
            W1Books.Add<OwnerWord>(self, &page, 1);
            return;
        }
        CatchResult result = Wanted(page) ? TWalk.Catch(self, BookScene.Books, page) : CatchResult.Missed;
        if (result == CatchResult.Caught)
        {
            if (!TWalk.FiltersCaught && !Wanted(page)) Bug.Fail("walker: took a page of another group (owner)", AtomicLong.Load(&page->Memcg));
            W1Books.Putback<OwnerWord>(self, &page, 1);
        }
        if (result == CatchResult.LastReference || (result == CatchResult.Caught && PageOps.PutAndTest(page))) W1Books.Delete<OwnerWord>(self, &page, 1);
    }

    private static bool Wanted(Page* page) => AtomicLong.Load(&page->Memcg) == (long)BookScene.Books.Group(0);
}

/// <summary>B15: two pages change places between two groups at the same time.</summary>
internal readonly unsafe struct MovesAcross<TSwitch> : ICase where TSwitch : struct, ISwitchProtocol
{
    public static int Cpus => 2;

    public static void Setup() => BookScene.Begin<Books<TicketLock, OneBook, TSwitch, RcuLockWait, Pagevecs>>(Cpus, pages: 2);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.PageOf(cpu);
        if (!Books<TicketLock, OneBook, TSwitch, RcuLockWait, Pagevecs>.Isolate<OwnerWord>(self, page)) return;
        var move = new StoreOwner { To = BookScene.Books.Group(1 - cpu) };
        Books<TicketLock, OneBook, TSwitch, RcuLockWait, Pagevecs>.SwitchIsolated<OwnerWord, StoreOwner>(self, page, ref move);
        Books<TicketLock, OneBook, TSwitch, RcuLockWait, Pagevecs>.Putback<OwnerWord>(self, &page, 1);
        PageOps.PutAndTest(page);
    }
}

/// <summary>B8: a loop that holds one book's lock looks at the next page's book while that page is moved out of its group and the group is freed.</summary>
internal readonly unsafe struct DestroyAgainstRelock<TLook> : ICase where TLook : struct, ILook
{
    public static int Cpus => 2;

    public static void Setup() => BookScene.Begin<W1Books>(Cpus, pages: 2, flavour: RcuFlavour.Membarrier);

    public static void Body(int cpu)
    {
        Work(cpu, BookScene.Cpus[cpu]);
        Rcu.CpuOffline(BookScene.Cpus[cpu]); // a reader of this flavour says nothing when it leaves: whoever sleeps is woken here
    }

    private static void Work(int cpu, in ThisCpu self)
    {
        if (cpu == 0)
        {
            Machine.IrqOff();
            TicketLock.Acquire(self, &BookScene.Books.Book(0)->Lock);
            TLook.Run(self, BookScene.Books.PageOf(1));
            TicketLock.Release(self, &BookScene.Books.Book(0)->Lock);
            Machine.IrqOn();
            return;
        }
        AtomicLong.Store(&BookScene.Books.PageOf(1)->Memcg, (long)BookScene.Books.Group(0)); // the last page of the group goes to the other
        Rcu.Synchronize(self);
        Machine.OnFree(BookScene.Books.Group(1), (nuint)sizeof(Memcg));
    }
}

/// <summary>A look from a page to what its group says.</summary>
internal unsafe interface ILook
{
    static abstract void Run(in ThisCpu cpu, Page* page);
}

/// <summary>Inside RCU, as Books.Lock does; the relock of a held book compares pointers and looks into no group.</summary>
internal readonly unsafe struct LooksInsideRcu : ILook
{
    public static void Run(in ThisCpu cpu, Page* page)
    {
        Rcu.ReadLock(cpu);
        Memcg.OnNode(OwnerWord.OwnerOf(cpu, page, out _), 0);
        Rcu.ReadUnlock(cpu);
    }
}

/// <summary>Every case of this file, each right form beside its broken one (Busted/BustedBooks.cs).</summary>
internal static class BookRaceCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Kept<W1Books>("W1"),
        Kept<Books<TicketLock, OneBook, W2, RcuLockWait, Pagevecs>>("W2"),
        Kept<Books<TicketLock, OneBook, W4, RcuLockWait, Pagevecs>>("W4"),
        Kept<Books<TicketLock, OneBook, W5, RcuLockWait, Pagevecs>>("W5"),
        Kept<Lruvecs<TicketLock, ByLruBit>>("LruvecLruBit"),
        Case.Of<UnchargeAgainstCatch<OneBook, N1>>("B5", "T2", "1u1c"),
        Case.Of<UnchargeAgainstCatch<OneBook, N2>>("B5", "T2", "1u2c"),
        Case.Of<UnchargeAgainstCatch<UsedOnly, N1>>("B5", "busted-T1", "1u1c", Expect.Broken),
        Case.Of<ManyPagesAgainstCatch<PutsBackBoth, N1>>("B6", "relock", "1p1c"),
        Case.Of<ManyPagesAgainstCatch<PutsBackBoth, N2>>("B6", "relock", "1p2c", heavy: true),
        Case.Of<ManyPagesAgainstCatch<PutsBackUnderOneLock, N1>>("B6", "busted-previous-book", "1p1c", Expect.Broken),
        Case.Of<ManyPagesAgainstCatch<CatchesEach, N1>>("B7", "relock", "1w1c"),
        Case.Of<ManyPagesAgainstCatch<CatchesEach, N2>>("B7", "relock", "1w2c", heavy: true),
        Case.Of<ManyPagesAgainstCatch<TakesNeighbour, N1>>("B7", "busted-neighbour", "1w1c", Expect.Broken),
        Case.Of<DestroyAgainstRelock<LooksInsideRcu>>("B8", "relock", "1d1r"),
        Case.Of<DestroyAgainstRelock<LooksOutsideRcu>>("B8", "busted-outside-rcu", "1d1r", Expect.Broken),
        Case.Of<DestroyAgainstUnlisted<UsageAndBook, N1>>("B9", "usage", "1d1v"),
        Case.Of<DestroyAgainstUnlisted<BookOnly, N1>>("B9", "busted-no-usage", "1d1v", Expect.Broken),
        Case.Of<DestroyAgainstUnlisted<UsageAndBook, N0>>("B10", "isolated", "1d1i"),
        Case.Of<DestroyAgainstUnlisted<UsageAndLists, N0>>("B10", "busted-lists-only", "1d1i", Expect.Broken),
        Case.Of<RecycleAgainstWalk<ReferenceFirst, N1>>("B11", "reference-first", "1r1w"),
        Case.Of<RecycleAgainstWalk<ReferenceFirst, N2>>("B11", "reference-first", "1r2w", heavy: true),
        Case.Of<RecycleAgainstWalk<LockFirst, N1>>("B11", "busted-lock-first", "1r1w", Expect.Broken),
        Case.Of<RecycleAgainstWalk<FiltersFound, N1>>("B11", "busted-filter-found", "1r1w", Expect.Broken),
        Case.Of<MovesAcross<W1>>("B15", "W1", "2s"),
        Case.Of<MovesAcross<W2>>("B15", "W2", "2s"),
        Case.Of<MovesAcross<W4>>("B15", "W4", "2s"),
        Case.Of<MovesAcross<BothInAnyOrder>>("B15", "busted-any-order", "2s", Expect.Broken),
    ];

    private static Case Kept<TLru>(string name) where TLru : struct, ILruDesign => Case.Of<MoveAgainstKeepers<TLru, N3>>("B1", name, "1s3c, kept", heavy: true);
}
