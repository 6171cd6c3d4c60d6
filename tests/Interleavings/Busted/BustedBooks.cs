// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The relock helper of the first posting: same zone, so the lock is kept, and the book is the page's before (B6).</summary>
internal readonly unsafe struct PutsBackUnderOneLock : IManyPages
{
    public static bool PutsBack => true;
    public static void Run(in ThisCpu cpu, SimulatedBooks books, Page** pages, int n)
    {
        Machine.IrqOff();
        TicketLock.Acquire(cpu, &books.Book(0)->Lock);
        for (int i = 0; i < n; i++)
        {
            Lruvec.Add(&books.Book(0)->Vec, pages[i], LruList.InactiveAnon);
            PageOps.Set(pages[i], PageFlags.Lru);
        }
        TicketLock.Release(cpu, &books.Book(0)->Lock);
        Machine.IrqOn();
    }
}

/// <summary>Lumpy isolation as posted: a neighbour is taken under the lock of the page it is next to (B7).</summary>
internal readonly unsafe struct TakesNeighbour : IManyPages
{
    public static bool PutsBack => false;
    public static void Run(in ThisCpu cpu, SimulatedBooks books, Page** pages, int n)
    {
        Page* neighbour = pages[1];
        Machine.IrqOff();
        TicketLock.Acquire(cpu, &books.Book(0)->Lock);
        bool mine = PageOps.Test(neighbour, PageFlags.Lru);
        if (mine)
        {
            Lruvec.Delete(&books.Book(1)->Vec, neighbour, LruList.InactiveAnon);
            PageOps.Clear(neighbour, PageFlags.Lru);
        }
        TicketLock.Release(cpu, &books.Book(0)->Lock);
        Machine.IrqOn();
        if (mine) Books<TicketLock, OneBook, W1, RcuLockWait, Pagevecs>.Putback<OwnerWord>(cpu, &neighbour, 1);
    }
}

/// <summary>The fast path of the RFC: compares the held book with the page's before it enters RCU (B8).</summary>
internal readonly unsafe struct LooksOutsideRcu : ILook
{
    public static void Run(in ThisCpu cpu, Page* page) => Memcg.OnNode(OwnerWord.OwnerOf(cpu, page, out _), 0);
}

/// <summary>A page in a vector is on no list (B9).</summary>
internal readonly unsafe struct BookOnly : IEmptiness
{
    public static bool MayGo(Book* book, AtomicLong* usage) => Book.IsEmpty(book);
}

/// <summary>An isolated page without a charge is on no list either (B10).</summary>
internal readonly unsafe struct UsageAndLists : IEmptiness
{
    public static bool MayGo(Book* book, AtomicLong* usage) => AtomicLong.Load(usage) == 0 && Lruvec.Count(&book->Vec, LruList.InactiveAnon) == 0;
}

/// <summary>
/// L3 as v3 had it: lock, verify, test the LRU bit, and only then a reference. Between the second look and the bit the page can be freed and be
/// on another book's list (B11).
/// </summary>
internal readonly unsafe struct LockFirst : IWalk
{
    public static CatchResult Catch(in ThisCpu cpu, SimulatedBooks books, Page* page)
    {
        if (!PageOps.Test(page, PageFlags.Lru)) return CatchResult.Missed;
        Book* book = books.Book(0);
        Machine.IrqOff();
        TicketLock.Acquire(cpu, &book->Lock);
        bool mine = AtomicLong.Load(&page->Memcg) == (long)books.Group(0) && PageOps.Test(page, PageFlags.Lru) && PageOps.GetUnlessZero(page);
        if (mine)
        {
            Lruvec.Delete(&book->Vec, page, LruList.InactiveAnon);
            PageOps.Clear(page, PageFlags.Lru);
        }
        TicketLock.Release(cpu, &book->Lock);
        Machine.IrqOn();
        return mine ? CatchResult.Caught : CatchResult.Missed;
    }
}

/// <summary>What was read of the page before the lock is believed after it (B11).</summary>
internal readonly unsafe struct FiltersFound : IWalk
{
    public static CatchResult Catch(in ThisCpu cpu, SimulatedBooks books, Page* page) => ReferenceFirst.Catch(cpu, books, page);
    public static bool FiltersCaught => false;
}

/// <summary>Both locks, the old one first, whichever that is (B15).</summary>
internal readonly unsafe struct BothInAnyOrder : ISwitchProtocol
{
    public static string Name => "busted";
    public static CatchRule Catcher => CatchRule.Verify;
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove
    {
        Machine.IrqOff();
        TLock.Acquire(cpu, &old->Lock);
        if (fresh != old) TLock.Acquire(cpu, &fresh->Lock);
        change.Run(cpu, page);
        if (fresh != old) TLock.Release(cpu, &fresh->Lock);
        TLock.Release(cpu, &old->Lock);
        Machine.IrqOn();
    }
}

/// <summary>One switch protocol with another catcher: the rows of the mail's matrix.</summary>
internal readonly unsafe struct Pairing<TSwitch, TCatch> : ISwitchProtocol where TSwitch : struct, ISwitchProtocol where TCatch : struct, ICatch
{
    public static string Name => $"{TSwitch.Name}/{TCatch.Rule}";
    public static CatchRule Catcher => TCatch.Rule;
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove => TSwitch.Switch<TLock, TMove>(cpu, page, old, fresh, ref change);
}

internal interface ICatch
{
    static abstract CatchRule Rule { get; }
}

/// <summary>As the mail quotes it.</summary>
internal readonly struct Quoted : ICatch { public static CatchRule Rule => CatchRule.Naive; }
/// <summary>"Recheck page book after PageLRU".</summary>
internal readonly struct RechecksLast : ICatch { public static CatchRule Rule => CatchRule.VerifyLast; }
/// <summary>Both looks.</summary>
internal readonly struct LooksTwice : ICatch { public static CatchRule Rule => CatchRule.Verify | CatchRule.VerifyLast; }
/// <summary>The shipped catcher.</summary>
internal readonly struct Verifies : ICatch { public static CatchRule Rule => CatchRule.Verify; }
