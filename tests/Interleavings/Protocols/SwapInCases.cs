// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How a swap-in binds a page that it did not isolate.</summary>
internal unsafe interface ISwapIn
{
    /// <summary>Is the page on a list before?</summary>
    static abstract bool Listed { get; }
    static abstract void Run<TLru>(in ThisCpu cpu, Page* page, Memcg* to) where TLru : struct, ILruDesign;
}

/// <summary>lrucare, to 5.7: the owner changes under the lock of the page's list.</summary>
internal readonly unsafe struct Lrucare : ISwapIn
{
    public static bool Listed => true;
    public static void Run<TLru>(in ThisCpu cpu, Page* page, Memcg* to) where TLru : struct, ILruDesign
    {
        var change = new StoreOwner { To = to };
        TLru.Rehome<OwnerWord, StoreOwner>(cpu, page, ref change);
    }
}

/// <summary>5.8: charged before it can be on a list.</summary>
internal readonly unsafe struct BeforeTheList : ISwapIn
{
    public static bool Listed => false;
    public static void Run<TLru>(in ThisCpu cpu, Page* page, Memcg* to) where TLru : struct, ILruDesign
    {
        OwnerWord.Commit<TLru>(cpu, page, to, anon: true);
        TLru.Add<OwnerWord>(cpu, &page, 1);
    }
}

/// <summary>How reclaim puts back what it isolated from the root's list.</summary>
internal unsafe interface IPutback
{
    static abstract void Run<TLru>(in ThisCpu cpu, Page* page, Book* isolatedFrom) where TLru : struct, ILruDesign;
}

/// <summary>The design's own, which looks the book up for every page.</summary>
internal readonly unsafe struct Relocks : IPutback
{
    public static void Run<TLru>(in ThisCpu cpu, Page* page, Book* isolatedFrom) where TLru : struct, ILruDesign => TLru.Putback<OwnerWord>(cpu, &page, 1);
}

/// <summary>
/// B4: reclaim isolates a page from the root's list, where nobody's pages are (or from its owner's, where it is charged first); a swap-in
/// charges it meanwhile; reclaim puts it back, and a catcher takes it off whatever list it is on.
/// At rest the page is on its owner's list and nowhere else.
/// </summary>
internal readonly unsafe struct SwapInAgainstReclaim<TLru, TSwapIn, TPutback, TCatchers> : ICase
    where TLru : struct, ILruDesign where TSwapIn : struct, ISwapIn where TPutback : struct, IPutback where TCatchers : struct, ISize
{
    private static SimulatedCpus cpus;
    private static SimulatedBooks books;

    public static int Cpus => 2 + TCatchers.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        books = SimulatedBooks.New<TLru>(cpus, Cpus, owned: false, TSwapIn.Listed);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        Page* page = books.Page;
        if (cpu == 0) TSwapIn.Run<TLru>(self, page, books.Group(1));
        else if (cpu == 1)
        {
            if (TLru.IsolateTail<OwnerWord>(self, books.Group(TSwapIn.Listed ? 0 : 1), 0, LruList.InactiveAnon, &page, 1) == 0) return;
            TPutback.Run<TLru>(self, page, books.Book(0));
            PageOps.PutAndTest(page);
        }
        else if (TLru.Isolate<OwnerWord>(self, page))
        {
            TLru.Putback<OwnerWord>(self, &page, 1);
            PageOps.PutAndTest(page);
        }
    }

    public static void Final()
    {
        long root = TLru.Count(books.Group(0), 0, LruList.InactiveAnon), owner = TLru.Count(books.Group(1), 0, LruList.InactiveAnon);
        if (root != 0 || owner != 1) Bug.Fail("swap-in: pages counted by the root and by the owner", root, owner);
        if (PageOps.Count(books.Page) != 1) Bug.Fail("swap-in: references of the page", PageOps.Count(books.Page));
    }
}

/// <summary>A charge of a page that somebody else has, or may have, isolated.</summary>
internal static class SwapInCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Right<Books<TicketLock, OneBook, W1, RcuLockWait, Pagevecs>, Lrucare>("W1"),
        .. Right<Books<TicketLock, OneBook, W2, RcuLockWait, Pagevecs>, Lrucare>("W2"),
        .. Right<Books<TicketLock, OneBook, W5, RcuLockWait, Pagevecs>, BeforeTheList>("W5"),
        .. Right<ZoneLruLock<TicketLock>, Lrucare>("ZoneLruLock"),
        .. Right<Lruvecs<TicketLock, ByLruBit>, BeforeTheList>("LruvecLruBit"),
        .. Right<Lruvecs<TicketLock, ByRecheck>, BeforeTheList>("LruvecRecheck"),
        Case.Of<SwapInAgainstReclaim<Books<TicketLock, OneBook, W2, RcuLockWait, Pagevecs>, Lrucare, Relocks, N2>>("B4", "W2", "si,re,2c", heavy: true),
        Case.Of<SwapInAgainstReclaim<Books<TicketLock, OneBook, W5, RcuLockWait, Pagevecs>, BeforeTheList, Relocks, N2>>("B4", "W5", "si,re,2c", heavy: true),
        Case.Of<SwapInAgainstReclaim<Lruvecs<TicketLock, ByLruBit>, BeforeTheList, Relocks, N2>>("B4", "LruvecLruBit", "si,re,2c"),
        Case.Of<SwapInAgainstReclaim<Lruvecs<TicketLock, ByRecheck>, BeforeTheList, Relocks, N2>>("B4", "LruvecRecheck", "si,re,2c"),
        Case.Of<SwapInAgainstReclaim<Books<TicketLock, OneBook, W1, RcuLockWait, Pagevecs>, Lrucare, ToWhereItWas, N0>>("B4", "busted-cached-book", "si,re", Expect.Broken),
        Case.Of<SwapInAgainstReclaim<Lruvecs<TicketLock, ByLruBit>, WinsBitIfItCan, Relocks, N0>>("B4", "busted-lrubit-lrucare", "si,re", Expect.Broken),
        Case.Of<SwapInAgainstReclaim<Lruvecs<TicketLock, ByRecheck>, WinsBitIfItCan, Relocks, N1>>("B4", "busted-recheck-lrucare", "si,re,1c", Expect.Broken),
        Case.Of<SwapInAgainstReclaim<Books<TicketLock, OneBook, W5, RcuLockWait, Pagevecs>, WinsBitIfItCan, Relocks, N1>>("B4", "busted-W5-lrucare", "si,re,1c", Expect.Broken),
    ];

    private static Case[] Right<TLru, TSwapIn>(string name) where TLru : struct, ILruDesign where TSwapIn : struct, ISwapIn =>
    [
        Case.Of<SwapInAgainstReclaim<TLru, TSwapIn, Relocks, N0>>("B4", name, "si,re"),
        Case.Of<SwapInAgainstReclaim<TLru, TSwapIn, Relocks, N1>>("B4", name, "si,re,1c"),
    ];
}
