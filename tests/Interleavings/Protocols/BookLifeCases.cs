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

/// <summary>The list of pages that wait: one CPU pushes a page and drops it, the other takes the chain for reclaim.</summary>
internal readonly unsafe struct PendAgainstReclaim<TPut> : ICase where TPut : struct, ILastPut
{
    public static int Cpus => 2;

    public static void Setup() => BookScene.Begin<Waiting>(Cpus, listed: false);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.Page;
        if (cpu == 0) Waiting.Pend<OwnerWord>(self, page);
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

/// <summary>D1: a walker of the zone's list of books, who commits what waits, while a book leaves that list and is freed, after a grace period or at once.</summary>
internal readonly unsafe struct DestroyAgainstZoneWalk<TGracePeriods> : ICase where TGracePeriods : struct, ISize
{
    public static int Cpus => 2;

    public static void Setup()
    {
        BookScene.Begin<Waiting>(Cpus, listed: false);
        ThisCpu cpu = BookScene.Cpus[0];
        for (int c = 0; c < Cpus; c++) Guarded<int>.Set(&AccountingCpu.Of(BookScene.Cpus[c])->NodeCount, 1);
        Waiting.Configure(AccountingCpu.Node(cpu, 0), new AccountingPlan(MaxGroups: 2));
        for (int i = 0; i < 2; i++) Waiting.OnOnline(cpu, BookScene.Books.Group(i));
        Waiting.Pend<OwnerWord>(cpu, BookScene.Books.Page);
    }

    public static void Body(int cpu)
    {
        Work(cpu, BookScene.Cpus[cpu]);
        Rcu.CpuOffline(BookScene.Cpus[cpu]);
    }

    private static void Work(int cpu, in ThisCpu self)
    {
        if (cpu == 0)
        {
            Waiting.DrainPending<OwnerWord>(self);
            return;
        }
        Memcg* group = BookScene.Books.Group(1);
        if (!Waiting.OnReleased(self, group)) Bug.Fail("book: a group that never had a page is not empty");
        if (TGracePeriods.N != 0) Rcu.Synchronize(self);
        Waiting.OnFreed(self, group);
    }

    public static void Final()
    {
        long listed = Waiting.Count(BookScene.Books.Group(0), 0, LruList.InactiveAnon);
        if (listed != 1) Bug.Fail("book: pages of the root listed after its chain was taken", listed);
    }
}

/// <summary>Where books begin and end, and the pages that wait in them.</summary>
internal static class BookLifeCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<PendAgainstReclaim<CommitsFirst>>("pending", "commit-first", "1p1r"),
        Case.Of<PendAgainstReclaim<BelievesTheBit>>("pending", "busted-believes-the-bit", "1p1r", Expect.Broken),
        Case.Of<DestroyAgainstZoneWalk<N1>>("zone-books", "grace-period", "1d1w"),
        Case.Of<DestroyAgainstZoneWalk<N0>>("zone-books", "busted-no-grace-period", "1d1w", Expect.Broken),
    ];
}
