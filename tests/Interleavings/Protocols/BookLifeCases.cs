// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Waiting = MemcgNative.Accounting.Books<MemcgNative.Native.TicketLock, MemcgNative.Accounting.OneBook, MemcgNative.Accounting.W1,
    MemcgNative.Accounting.RcuLockWait, MemcgNative.Accounting.PendingLists>;
using W1Books = MemcgNative.Accounting.Books<MemcgNative.Native.TicketLock, MemcgNative.Accounting.OneBook, MemcgNative.Accounting.W1,
    MemcgNative.Accounting.RcuLockWait, MemcgNative.Accounting.Pagevecs>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How the last putter of a page takes it off whatever it is on.</summary>
internal unsafe interface ILastPut
{
    static abstract void Delete(in ThisCpu cpu, Page* page);
}

/// <summary>The design's: a page that waits has no reference there, so the chain is committed first.</summary>
internal readonly unsafe struct CommitsFirst : ILastPut
{
    public static void Delete(in ThisCpu cpu, Page* page) => Waiting.Delete<OwnerWord>(cpu, &page, 1);
}

/// <summary>What is right with pagevecs, whose pages have a reference: without the LRU bit there is nothing to do.</summary>
internal readonly unsafe struct BelievesTheBit : ILastPut
{
    public static void Delete(in ThisCpu cpu, Page* page) => W1Books.Delete<OwnerWord>(cpu, &page, 1);
}

/// <summary>The list of pages that wait: some CPUs push a page each and drop it, the others take the chain for reclaim.</summary>
internal readonly unsafe struct PendAgainstReclaim<TPut, TPenders, TReclaimers> : ICase
    where TPut : struct, ILastPut where TPenders : struct, ISize where TReclaimers : struct, ISize
{
    public static int Cpus => TPenders.N + TReclaimers.N;

    public static void Setup() => BookScene.Begin<Waiting>(Cpus, listed: false, pages: 2 * TPenders.N - 1);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.PageOf(2 * cpu); // every other one is the first group's
        if (cpu < TPenders.N) Waiting.Pend<OwnerWord>(self, page);
        else
        {
            if (Waiting.IsolateTail<OwnerWord>(self, BookScene.Books.Group(0), 0, LruList.InactiveAnon, &page, 1) == 0) return;
            Waiting.Putback<OwnerWord>(self, &page, 1);
        }
        if (PageOps.PutAndTest(page)) TPut.Delete(self, page);
    }

    public static void Final()
    {
        Book* book = BookScene.Books.Book(0);
        if (!Book.IsEmpty(book)) Bug.Fail("book: a freed page is listed or waits (listed, waits)", Waiting.Count(BookScene.Books.Group(0), 0, LruList.InactiveAnon),
            (long)AtomicPtr<Page>.Load(&book->Pending));
    }
}

internal static unsafe class ZoneWalkScene
{
    /// <summary>Two groups, the books of the first ones in the zone's list, and a page that waits in the root's.</summary>
    public static void Begin(int cpus, int online)
    {
        BookScene.Begin<Waiting>(cpus, listed: false);
        ThisCpu cpu = BookScene.Cpus[0];
        for (int c = 0; c < cpus; c++) Guarded<int>.Set(&AccountingCpu.Of(BookScene.Cpus[c])->NodeCount, 1);
        Waiting.Configure(AccountingCpu.Node(cpu, 0), new AccountingPlan(MaxGroups: 2));
        for (int i = 0; i < online; i++) Waiting.OnOnline(cpu, BookScene.Books.Group(i));
        Waiting.Pend<OwnerWord>(cpu, BookScene.Books.Page);
    }
}

/// <summary>D1: a walker of the zone's list of books, who commits what waits, while a book leaves that list and is freed, after a grace period (1), at once (0), or when all have
/// walked (2): without the steps of a grace period more walkers can be tried.</summary>
internal readonly unsafe struct DestroyAgainstZoneWalk<TGracePeriods, TWalkers> : ICase where TGracePeriods : struct, ISize where TWalkers : struct, ISize
{
    public static int Cpus => TWalkers.N + 1;

    public static void Setup() => ZoneWalkScene.Begin(Cpus, online: 2);

    public static void Body(int cpu)
    {
        Work(cpu, BookScene.Cpus[cpu]);
        if (TGracePeriods.N < 2) Rcu.CpuOffline(BookScene.Cpus[cpu]);
    }

    private static void Work(int cpu, in ThisCpu self)
    {
        if (cpu < TWalkers.N)
        {
            Waiting.DrainPending<OwnerWord>(self);
            return;
        }
        Memcg* group = BookScene.Books.Group(1);
        if (!Waiting.OnReleased(self, group)) Bug.Fail("book: a group that never had a page is not empty");
        if (TGracePeriods.N == 1) Rcu.Synchronize(self);
        if (TGracePeriods.N < 2) Waiting.OnFreed(self, group);
    }

    public static void Final()
    {
        if (TGracePeriods.N == 2) Waiting.OnFreed(BookScene.Cpus[0], BookScene.Books.Group(1));
        long listed = Waiting.Count(BookScene.Books.Group(0), 0, LruList.InactiveAnon);
        if (listed != 1) Bug.Fail("book: pages of the root listed after its chain was taken", listed);
    }
}

/// <summary>
/// D2 alone: catchers found the book right and have left RCU, each with the book's lock in its hands; when all have left, the grace period is over, and
/// the book is freed, while the last of them still holds the lock.
/// </summary>
internal readonly unsafe struct FreeAgainstHolders<TDestroy, THolders> : ICase where TDestroy : struct, IBookDestroy where THolders : struct, ISize
{
    private static AtomicInt* left;

    public static int Cpus => THolders.N + 1;

    public static void Setup()
    {
        BookScene.Begin<Waiting>(Cpus, listed: false);
        left = Arena.New<AtomicInt>("left");
    }

    public static void Body(int cpu)
    {
        Book* book = BookScene.Books.Book(1);
        if (cpu == THolders.N)
        {
            AtomicInt.AwaitEqual(left, THolders.N); // the grace period
            TDestroy.Free<TicketLock>(book);
            return;
        }
        ThisCpu self = BookScene.Cpus[cpu];
        TicketLock.Acquire(self, &book->Lock);
        AtomicInt.Add(left, 1);
        if (!IntrusiveList.IsEmpty(Lruvec.Head(&book->Vec, LruList.InactiveAnon))) Bug.Fail("book: a page of a group that has none");
        TicketLock.Release(self, &book->Lock);
    }
}

/// <summary>D1, the other end: a book comes to the zone's list while the list is walked; who walks commits the root's chain, whether they see the new book or not.</summary>
internal readonly unsafe struct OnlineAgainstZoneWalk<TWalkers> : ICase where TWalkers : struct, ISize
{
    public static int Cpus => TWalkers.N + 1;

    public static void Setup() => ZoneWalkScene.Begin(Cpus, online: 1);

    public static void Body(int cpu)
    {
        if (cpu < TWalkers.N) Waiting.DrainPending<OwnerWord>(BookScene.Cpus[cpu]);
        else Waiting.OnOnline(BookScene.Cpus[cpu], BookScene.Books.Group(1));
    }

    public static void Final()
    {
        long listed = Waiting.Count(BookScene.Books.Group(0), 0, LruList.InactiveAnon);
        if (listed != 1) Bug.Fail("book: pages of the root listed after its chain was taken", listed);
        Page* late = BookScene.Books.Page; // a page that waits in the new book is found by the next walk
        if (!Waiting.Isolate<OwnerWord>(BookScene.Cpus[0], late)) Bug.Fail("book: the page is not on its list");
        PageOps.PutAndTest(late); // isolation's
        AtomicLong.Store(&late->Memcg, (long)BookScene.Books.Group(1));
        Waiting.Pend<OwnerWord>(BookScene.Cpus[0], late);
        Waiting.DrainPending<OwnerWord>(BookScene.Cpus[0]);
        if (Waiting.Count(BookScene.Books.Group(1), 0, LruList.InactiveAnon) != 1) Bug.Fail("book: a walk of the zone's books does not find the new one");
    }
}

/// <summary>Where books begin and end, and the pages that wait in them.</summary>
internal static class BookLifeCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<PendAgainstReclaim<CommitsFirst, N1, N1>>("pending", "commit-first", "1p1r"),
        Case.Of<PendAgainstReclaim<CommitsFirst, N2, N1>>("pending", "commit-first", "2p1r"),
        Case.Of<PendAgainstReclaim<CommitsFirst, N1, N2>>("pending", "commit-first", "1p2r"),
        Case.Of<PendAgainstReclaim<CommitsFirst, N1, N3>>("pending", "commit-first", "1p3r"),
        Case.Of<PendAgainstReclaim<CommitsFirst, N3, N1>>("pending", "commit-first", "3p1r", heavy: true),
        Case.Of<PendAgainstReclaim<BelievesTheBit, N1, N1>>("pending", "busted-believes-the-bit", "1p1r", Expect.Broken),
        Case.Of<DestroyAgainstZoneWalk<N1, N1>>("zone-books", "grace-period", "1d1w"),
        Case.Of<DestroyAgainstZoneWalk<N1, N2>>("zone-books", "grace-period", "1d2w", heavy: true),
        Case.Of<DestroyAgainstZoneWalk<N0, N1>>("zone-books", "busted-no-grace-period", "1d1w", Expect.Broken),
        Case.Of<DestroyAgainstZoneWalk<N2, N1>>("zone-books", "unlink", "1u1w"),
        Case.Of<DestroyAgainstZoneWalk<N2, N3>>("zone-books", "unlink", "1u3w"),
        Case.Of<FreeAgainstHolders<RcuLockWait, N2>>("book-free", "rcu+lockwait", "1f2h"),
        Case.Of<FreeAgainstHolders<RcuLockWait, N3>>("book-free", "rcu+lockwait", "1f3h"),
        Case.Of<FreeAgainstHolders<RcuOnly, N2>>("book-free", "busted-rcu", "1f2h", Expect.Broken),
        Case.Of<OnlineAgainstZoneWalk<N1>>("zone-books", "online", "1o1w"),
        Case.Of<OnlineAgainstZoneWalk<N3>>("zone-books", "online", "1o3w"),
    ];
}
