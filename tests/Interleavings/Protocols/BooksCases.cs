// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One page, the books of the root and of two groups. The other axes: PageCounter, OwnerWord, AtFinalPut, PinPerPage, no kmem.</summary>
internal static unsafe class OnePage<TLru, TPc> where TLru : struct, ILruDesign where TPc : struct, IPageCgroupDesign
{
    public static SimulatedAccounting Box;
    public static Page* Page;
    public static Memcg* A, B;

    /// <summary>The page is on the list of A (or of the root, uncharged), with one reference.</summary>
    public static void Setup(int cpus, bool charged = true)
    {
        Box = SimulatedAccounting.New<Controller<PageCounter<PageCounter40>, TPc, TLru, AtFinalPut, PinPerPage, NoKmem>>(cpus, 3, 1, RcuFlavour.Membarrier);
        A = Box.Group<Controller<PageCounter<PageCounter40>, TPc, TLru, AtFinalPut, PinPerPage, NoKmem>>();
        B = Box.Group<Controller<PageCounter<PageCounter40>, TPc, TLru, AtFinalPut, PinPerPage, NoKmem>>();
        Page = Box.Pages;
        if (charged) TPc.Commit<TLru>(Box[0], Page, A, anon: true);
        Page* page = Page;
        TLru.Add<TPc>(Box[0], &page, 1);
    }

    /// <summary>The catcher of the mail: off whatever list it is on, and back.</summary>
    public static void Catch(in ThisCpu cpu)
    {
        CatchResult r = TLru.Catch<TPc>(cpu, Page);
        if (r == CatchResult.LastReference) Bug.Fail("the catcher had the last reference of a page that somebody holds");
        if (r == CatchResult.Caught) Putback(cpu);
    }

    public static void Putback(in ThisCpu cpu)
    {
        Page* page = Page;
        TLru.Putback<TPc>(cpu, &page, 1);
        PageOps.PutAndTest(page);
    }

    /// <summary>The switcher: isolates, switches, puts back.</summary>
    public static void Move(in ThisCpu cpu, Memcg* other)
    {
        if (!TLru.Isolate<TPc>(cpu, Page)) return;
        Memcg* from = TPc.OwnerOf(cpu, Page, out _);
        var change = new MoveSwitch<TPc, TLru> { From = from, To = from == A ? other : A };
        TLru.SwitchIsolated<TPc, MoveSwitch<TPc, TLru>>(cpu, Page, ref change);
        if (!change.Done) Bug.Fail("the page was not its owner's any more");
        Putback(cpu);
    }

    /// <summary>The page is on the list of its owner, and on no other.</summary>
    public static void CheckPlace(bool withA = true)
    {
        Memcg* owner = TPc.OwnerOf(Box[0], Page, out _);
        if (owner == null) owner = Box.Root;
        if (!PageOps.Test(Page, PageFlags.Lru)) Bug.Fail("the page is on no list");
        for (int id = 0; id < 3; id++)
        {
            Memcg* memcg = MemcgTree.ById(Box.Tree, id);
            if (memcg == A && !withA) continue;
            long n = TLru.Count(memcg, 0, LruList.InactiveAnon);
            if (n != (memcg == owner ? 1 : 0)) Bug.Fail("pages counted by a book (group, pages)", id, n);
        }
        if (PageOps.Count(Page) != 1) Bug.Fail("references of the page", PageOps.Count(Page));
    }
}

/// <summary>B1, B2: catchers and switchers of one page, each once or twice.</summary>
internal readonly unsafe struct CatchAgainstSwitch<TSwitch, TSwitchers, TCatchers, TMoves> : ICase
    where TSwitch : struct, ISwitchProtocol where TSwitchers : struct, ISize where TCatchers : struct, ISize where TMoves : struct, ISize
{
    public static int Cpus => TSwitchers.N + TCatchers.N;

    public static void Setup() => OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Setup(Cpus);

    public static void Body(int cpu)
    {
        ThisCpu self = OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Box[cpu];
        Memcg* other = OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.B;
        if (cpu < TCatchers.N) OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Catch(self);
        else
        {
            for (int i = 0; i < TMoves.N; i++) OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Move(self, other);
        }
    }

    public static void Final() => OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.CheckPlace();
}

/// <summary>
/// B3: the last page of a group leaves, and its book is destroyed while a catcher may be on its way to the book's lock. TLook: 1, whether the
/// book is empty is asked under its lock, as shipped; 0, without.
/// </summary>
internal readonly unsafe struct DestroyAgainstCatch<TSwitch, TDestroy, TLook, TGracePeriod, TCatchers> : ICase
    where TSwitch : struct, ISwitchProtocol where TDestroy : struct, IBookDestroy where TLook : struct, ISize where TGracePeriod : struct, ISize where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup() => OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.Setup(Cpus);

    public static void Body(int cpu)
    {
        ThisCpu self = OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.Box[cpu];
        if (cpu > 0) OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.Catch(self);
        else
        {
            Memcg* doomed = OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.A;
            Memcg* heir = OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.B;
            OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.Move(self, heir);
            Memcg* owner = OwnerWord.OwnerOf(self, OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.Page, out _);
            if (owner != doomed && Unlinked(self, doomed))
            {
                if (TGracePeriod.N > 0) Rcu.Synchronize(self);
                Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>.OnFreed(self, doomed);
            }
        }
        Rcu.CpuOffline(self);
    }

    private static bool Unlinked(in ThisCpu cpu, Memcg* doomed)
    {
        if (TLook.N > 0) return Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>.OnReleased(cpu, doomed);
        var book = (Book*)((byte*)Memcg.OnNode(doomed, 0) + MemcgNode.LruSlot);
        if (!Book.IsEmpty(book)) return false;
        ZoneBooks.Unlink(cpu, ZoneBooks.Of(cpu, 0), book);
        return true;
    }

    public static void Final() => OnePage<Books<TestAndSetLock, OneBook, TSwitch, TDestroy, Pagevecs>, OwnerWord>.CheckPlace(withA: false);
}

/// <summary>How a page that was isolated goes back.</summary>
internal unsafe interface IBookPutback { static abstract void Putback<TLru>(in ThisCpu cpu, Book* cached) where TLru : struct, ILruDesign; }

internal readonly unsafe struct ShippedPutback : IBookPutback
{
    public static void Putback<TLru>(in ThisCpu cpu, Book* cached) where TLru : struct, ILruDesign => OnePage<TLru, OwnerWord>.Putback(cpu);
}

/// <summary>B4: reclaim has an uncharged page isolated when a swap-in charges it.</summary>
internal readonly unsafe struct ChargeWhileIsolated<TSwitch, TPutback> : ICase where TSwitch : struct, ISwitchProtocol where TPutback : struct, IBookPutback
{
    public static int Cpus => 2;

    public static void Setup() => OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Setup(Cpus, charged: false);

    public static void Body(int cpu)
    {
        ThisCpu self = OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Box[cpu];
        Page* page = OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Page;
        Memcg* root = OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.Box.Root;
        if (cpu == 0)
        {
            var cached = (Book*)((byte*)Memcg.OnNode(root, 0) + MemcgNode.LruSlot);
            if (Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>.IsolateTail<OwnerWord>(self, root, 0, LruList.InactiveAnon, &page, 1) == 0) return;
            TPutback.Putback<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>>(self, cached);
        }
        else
        {
            Controller<PageCounter<PageCounter40>, OwnerWord, Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, AtFinalPut, PinPerPage, NoKmem>.CommitLrucare(
                self, page, OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.A, true);
        }
    }

    public static void Final() => OnePage<Books<TestAndSetLock, OneBook, TSwitch, Recycle, Pagevecs>, OwnerWord>.CheckPlace();
}

/// <summary>B5: the page is uncharged while it is on its owner's list, and somebody catches it. Null answer: UsedBitWord.</summary>
internal readonly unsafe struct UnchargeAgainstCatch<TMap, TCatchers> : ICase where TMap : struct, IBookMap where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup() => OnePage<Books<TestAndSetLock, TMap, W1, Recycle, Pagevecs>, UsedBitWord>.Setup(Cpus);

    public static void Body(int cpu)
    {
        ThisCpu self = OnePage<Books<TestAndSetLock, TMap, W1, Recycle, Pagevecs>, UsedBitWord>.Box[cpu];
        Page* page = OnePage<Books<TestAndSetLock, TMap, W1, Recycle, Pagevecs>, UsedBitWord>.Page;
        if (cpu == 0) UsedBitWord.TryClear<Books<TestAndSetLock, TMap, W1, Recycle, Pagevecs>>(self, page, UnchargeType.Mapped, out _, out _);
        else OnePage<Books<TestAndSetLock, TMap, W1, Recycle, Pagevecs>, UsedBitWord>.Catch(self);
    }

    public static void Final() => OnePage<Books<TestAndSetLock, TMap, W1, Recycle, Pagevecs>, UsedBitWord>.CheckPlace();
}

internal static class BooksCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Matrix<W0>("B1", Expect.Broken, Expect.Broken),
        .. Matrix<W1>("B1", Expect.Exhausted, Expect.Exhausted),
        .. Matrix<W2>("B2", Expect.Exhausted, Expect.Exhausted),
        .. Matrix<W2NoFence>("B2", Expect.BrokenUnderTso, Expect.BrokenUnderTso),
        .. Matrix<W3>("B1", Expect.Exhausted, Expect.Broken),
        .. Matrix<W4>("B1", Expect.Exhausted, Expect.Exhausted),
        .. Matrix<W5>("B1", Expect.Exhausted, Expect.Exhausted),
        Case.Of<DestroyAgainstCatch<W1, RcuLockWait, N1, N1, N1>>("B3", "rfc-2012-books,lru.destroy=rcu+lockwait", "1sd1c", heavy: true),
        Case.Of<DestroyAgainstCatch<W2, RcuLockWait, N1, N1, N1>>("B3", "rfc-2012-books,lru.switch=W2,lru.destroy=rcu+lockwait", "1sd1c", heavy: true),
        Case.Of<DestroyAgainstCatch<W1, RefcountIsolated, N1, N1, N1>>("B3", "rfc-2012-books,lru.destroy=refcount", "1sd1c", heavy: true),
        Case.Of<DestroyAgainstCatch<W1, Recycle, N1, N1, N1>>("B3", "rfc-2012-books,lru.destroy=recycle", "1sd1c", heavy: true),
        Case.Of<DestroyAgainstCatch<W1, RcuOnly, N1, N1, N1>>("B3", "rfc-2012-books,lru.destroy=rcu", "1sd1c", heavy: true), // not broken: the emptiness check waits for the lock
        Case.Of<DestroyAgainstCatch<W3, RcuLockWait, N0, N1, N1>>("B3", "lru.switch=W3,lru.destroy=rcu+lockwait,unlocked-check", "1sd1c", heavy: true),
        Case.Of<DestroyAgainstCatch<W3, RcuOnly, N0, N1, N1>>("B3", "busted-unlocked-check-and-no-lock-wait", "1sd1c", Expect.Broken, heavy: true),
        Case.Of<DestroyAgainstCatch<W1, RcuLockWait, N1, N0, N1>>("B3", "busted-no-grace-period", "1sd1c", Expect.Broken),
        Case.Of<ChargeWhileIsolated<W1, ShippedPutback>>("B4", "rfc-2012-books,lru.switch=W1", "1r1s"),
        Case.Of<ChargeWhileIsolated<W2, ShippedPutback>>("B4", "rfc-2012-books,lru.switch=W2", "1r1s"),
        Case.Of<ChargeWhileIsolated<W1, PutbackToCachedBook>>("B4", "busted-cached-book", "1r1s", Expect.Broken),
        Case.Of<UnchargeAgainstCatch<OneBook, N1>>("B5", "rfc-2012-books,lru.map=T2", "1u1c"),
        Case.Of<UnchargeAgainstCatch<OneBook, N2>>("B5", "rfc-2012-books,lru.map=T2", "1u2c"),
        Case.Of<UnchargeAgainstCatch<UsedOnly, N1>>("B5", "rfc-2012-books,lru.map=T1", "1u1c", Expect.Broken),
    ];

    private static Case[] Matrix<T>(string id, Expect once, Expect abroad) where T : struct, ISwitchProtocol =>
    [
        Case.Of<CatchAgainstSwitch<T, N1, N1, N1>>(id, $"rfc-2012-books,lru.switch={T.Name}", "1s1c", once),
        Case.Of<CatchAgainstSwitch<T, N1, N2, N1>>(id, $"rfc-2012-books,lru.switch={T.Name}", "1s2c", once, heavy: once != Expect.Broken),
        Case.Of<CatchAgainstSwitch<T, N2, N1, N1>>(id, $"rfc-2012-books,lru.switch={T.Name}", "2s1c", abroad, heavy: once != Expect.Broken),
        Case.Of<CatchAgainstSwitch<T, N1, N1, N2>>(id, $"rfc-2012-books,lru.switch={T.Name}", "1s twice 1c", abroad, heavy: once == Expect.Exhausted && abroad == Expect.Broken),
    ];
}
