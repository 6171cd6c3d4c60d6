// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Two groups, a book each on one node, and one page on the first one's list (or pages on the lists of both in turn).</summary>
internal readonly unsafe struct SimulatedBooks
{
    private readonly Memcg* groups;

    private SimulatedBooks(Memcg* groups, Page* page)
    {
        this.groups = groups;
        Page = page;
    }

    /// <summary>Page i, which began on the list of group i modulo 2.</summary>
    public Page* PageOf(int i) => Page + i;

    public Page* Page { get; }

    public Memcg* Group(int i) => groups + i;

    /// <summary>The lock, lists and counts of a group; only where the design is Books with one book per node.</summary>
    public Book* Book(int i) => (Book*)((byte*)Memcg.OnNode(groups + i, 0) + MemcgNode.LruSlot);

    /// <summary>The first group is the root: it has the pages that nobody owns.</summary>
    public static SimulatedBooks New<TLru>(SimulatedCpus cpus, int count, bool owned = true, bool listed = true, int pages = 1) where TLru : struct, ILruDesign =>
        New<TLru, OwnerWord>(cpus, count, owned, listed, pages);

    public static SimulatedBooks New<TLru, TPc>(SimulatedCpus cpus, int count, bool owned = true, bool listed = true, int pages = 1)
        where TLru : struct, ILruDesign where TPc : struct, IPageCgroupDesign
    {
        MemcgTree* tree = Arena.New<MemcgTree>("tree");
        Memcg* groups = Arena.Array<Memcg>(2, "group");
        MemcgNode* nodes = Arena.Array<MemcgNode>(2, "books");
        Guarded<nint>.Set(&tree->Groups, (nint)groups);
        Guarded<nint>.Set(&tree->NodeBases, (nint)nodes);
        Guarded<int>.Set(&tree->Nodes, 1);
        for (int i = 0; i < 2; i++)
        {
            Guarded<nint>.Set(&groups[i].Tree, (nint)tree);
            Guarded<int>.Set(&groups[i].Id, i);
            GuardedPtr<Memcg>.Set(&nodes[i].Memcg, groups + i);
            TLru.InitMemcgNode(nodes + i);
        }
        AccountingNode* node = Arena.New<AccountingNode>("node");
        TLru.InitNode(node);
        Guarded<nint>* table = Arena.New<Guarded<nint>>("nodes");
        Guarded<nint>.Set(table, (nint)node);
        for (int c = 0; c < count; c++)
        {
            GuardedPtr<MemcgTree>.Set(&AccountingCpu.Of(cpus[c])->Tree, tree);
            GuardedPtr<Guarded<nint>>.Set(&AccountingCpu.Of(cpus[c])->Nodes, table);
        }
        Page* first = pages == 1 ? Arena.New<Page>("page") : Arena.Array<Page>(pages, "page");
        for (int i = 0; i < pages; i++)
        {
            Page* page = first + i;
            AtomicInt.Init(&page->RefCount, 1);
            AtomicLong.Init(&page->Flags, PageFlags.SwapBacked);
            AtomicLong.Init(&page->Memcg, 0);
            if (owned) TPc.Commit<TLru>(cpus[0], page, groups + i % 2, anon: true);
            if (listed) TLru.Add<TPc>(cpus[0], &page, 1);
        }
        return new SimulatedBooks(groups, first);
    }
}

/// <summary>The CPUs and books of the case that is being explored: there is one at a time.</summary>
internal static class BookScene
{
    public static SimulatedCpus Cpus { get; private set; }
    public static SimulatedBooks Books { get; private set; }

    public static void Begin<TLru>(int cpus, bool listed = true, int pages = 1, RcuFlavour flavour = RcuFlavour.Qsbr) where TLru : struct, ILruDesign =>
        Begin<TLru, OwnerWord>(cpus, listed, pages, flavour);

    public static void Begin<TLru, TPc>(int cpus, bool listed = true, int pages = 1, RcuFlavour flavour = RcuFlavour.Qsbr)
        where TLru : struct, ILruDesign where TPc : struct, IPageCgroupDesign
    {
        Cpus = SimulatedCpus.New(cpus, flavour);
        Books = SimulatedBooks.New<TLru, TPc>(Cpus, cpus, listed: listed, pages: pages);
    }
}

/// <summary>The owner switch alone; charges are not part of the protocol.</summary>
internal unsafe struct StoreOwner : IOwnerMove
{
    public Memcg* To { get; set; }

    public readonly void Run(in ThisCpu cpu, Page* page) => AtomicLong.Store(&page->Memcg, (long)To);
}

/// <summary>Switchers move the page to the other group, as often as TMoves says; catchers take it off its list and put it back. At rest it is on its owner's list.</summary>
internal readonly unsafe struct MoveAgainstCatch<TLru, TSwitchers, TCatchers, TMoves> : ICase
    where TLru : struct, ILruDesign where TSwitchers : struct, ISize where TCatchers : struct, ISize where TMoves : struct, ISize
{
    public static int Cpus => TSwitchers.N + TCatchers.N;

    public static void Setup() => BookScene.Begin<TLru>(Cpus);

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.Page;
        for (int i = 0; i < (cpu < TSwitchers.N ? TMoves.N : 1); i++)
        {
            if (!TLru.Isolate<OwnerWord>(self, page)) continue;
            if (cpu < TSwitchers.N)
            {
                var move = new StoreOwner { To = BookScene.Books.Group(AtomicLong.Load(&page->Memcg) == (long)BookScene.Books.Group(0) ? 1 : 0) };
                TLru.SwitchIsolated<OwnerWord, StoreOwner>(self, page, ref move);
            }
            TLru.Putback<OwnerWord>(self, &page, 1);
            PageOps.PutAndTest(page);
        }
    }

    public static void Final()
    {
        int owner = AtomicLong.Load(&BookScene.Books.Page->Memcg) == (long)BookScene.Books.Group(0) ? 0 : 1;
        long here = TLru.Count(BookScene.Books.Group(owner), 0, LruList.InactiveAnon), there = TLru.Count(BookScene.Books.Group(1 - owner), 0, LruList.InactiveAnon);
        if (here != 1 || there != 0) Bug.Fail("book: pages counted by the owner and by the other", here, there);
        if (!PageOps.Test(BookScene.Books.Page, PageFlags.Lru)) Bug.Fail("book: the page is left isolated", AtomicLong.Load(&BookScene.Books.Page->Flags));
        if (PageOps.Count(BookScene.Books.Page) != 1) Bug.Fail("book: references of the page", PageOps.Count(BookScene.Books.Page));
    }
}

/// <summary>B3: the switcher moves the last page out of a group and ends the group's book, while a catcher found that book just before.</summary>
internal readonly unsafe struct DestroyAgainstCatch<TSwitch, TDestroy, TCatchers, TFlavour> : ICase where TFlavour : struct, ISize
    where TSwitch : struct, ISwitchProtocol where TDestroy : struct, IBookDestroy where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup() =>
        BookScene.Begin<Books<TicketLock, OneBook, TSwitch, TDestroy, Pagevecs>>(Cpus, flavour: TFlavour.N == 0 ? RcuFlavour.Qsbr : RcuFlavour.Membarrier);

    public static void Body(int cpu)
    {
        Work(cpu, BookScene.Cpus[cpu]);
        Rcu.CpuOffline(BookScene.Cpus[cpu]);
    }

    private static void Work(int cpu, in ThisCpu self)
    {
        Page* page = BookScene.Books.Page;
        if (!Books<TicketLock, OneBook, TSwitch, TDestroy, Pagevecs>.Isolate<OwnerWord>(self, page)) return;
        if (cpu == 0)
        {
            var move = new StoreOwner { To = BookScene.Books.Group(1) };
            Books<TicketLock, OneBook, TSwitch, TDestroy, Pagevecs>.SwitchIsolated<OwnerWord, StoreOwner>(self, page, ref move);
        }
        Books<TicketLock, OneBook, TSwitch, TDestroy, Pagevecs>.Putback<OwnerWord>(self, &page, 1);
        PageOps.PutAndTest(page);
        if (cpu != 0) return;
        Book* book = (Book*)((byte*)Memcg.OnNode(BookScene.Books.Group(0), 0) + MemcgNode.LruSlot);
        // D3: a catcher has not counted its page off yet; the group would ask again. Without the lock, which would be the wait of D2.
        if (AtomicLong.Load(&book->Isolated) != 0) return;
        Rcu.Synchronize(self);
        TDestroy.Free<TicketLock>(book);
    }
}

/// <summary>G3: all lists go to the parent in one step, whoever has a page isolated; catchers found the child's lock just before.</summary>
internal readonly unsafe struct SpliceAgainstCatch<TFind, TCatchers> : ICase where TFind : struct, ILruvecFind where TCatchers : struct, ISize
{
    public static int Cpus => 1 + TCatchers.N;

    public static void Setup() => BookScene.Begin<Lruvecs<TicketLock, TFind>>(Cpus, flavour: RcuFlavour.Membarrier);

    private struct ToParent : ISpliceSwitch
    {
        public readonly void Run(in ThisCpu cpu, Memcg* child, Memcg* parent, int node) => AtomicLong.Store(&BookScene.Books.Page->Memcg, (long)parent);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = BookScene.Cpus[cpu];
        Page* page = BookScene.Books.Page;
        var change = new ToParent();
        if (cpu == 0) Lruvecs<TicketLock, TFind>.TrySplice(self, BookScene.Books.Group(0), BookScene.Books.Group(1), 0, ref change);
        else if (Lruvecs<TicketLock, TFind>.Isolate<OwnerWord>(self, page))
        {
            Lruvecs<TicketLock, TFind>.Putback<OwnerWord>(self, &page, 1);
            PageOps.PutAndTest(page);
        }
    }

    public static void Final()
    {
        long child = Lruvecs<TicketLock, TFind>.Count(BookScene.Books.Group(0), 0, LruList.InactiveAnon);
        long parent = Lruvecs<TicketLock, TFind>.Count(BookScene.Books.Group(1), 0, LruList.InactiveAnon);
        if (child != 0 || parent != 1) Bug.Fail("lruvec: pages of the child and of the parent after the splice", child, parent);
    }
}

/// <summary>Splices, and does not look again.</summary>
internal readonly struct LooksOnce : ILruvecFind
{
    public static string Name => "busted";
    public static bool Rechecks => false;
    public static bool Splices => true;
}

/// <summary>The switch protocols of 2012 and after, against catchers that run the shipped code.</summary>
internal static class BookCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Right<Books<TicketLock, OneBook, W1, RcuLockWait, Pagevecs>>("W1"),
        .. Right<Books<TicketLock, OneBook, W2, RcuLockWait, Pagevecs>>("W2"),
        .. Right<Books<TicketLock, OneBook, W4, RcuLockWait, Pagevecs>>("W4"),
        .. Right<Books<TicketLock, OneBook, W5, RcuLockWait, Pagevecs>>("W5"),
        .. Right<Lruvecs<TicketLock, ByLruBit>>("LruvecLruBit"),
        Case.Of<MoveAgainstCatch<Books<TicketLock, OneBook, W0, RcuLockWait, Pagevecs>, N1, N1, N1>>("B1", "W0", "1s1c", Expect.Broken),
        Case.Of<MoveAgainstCatch<Books<TicketLock, OneBook, W2NoFence, RcuLockWait, Pagevecs>, N1, N1, N1>>("B2", "W2-nofence", "1s1c", Expect.BrokenUnderTso),
        Case.Of<MoveAgainstCatch<Books<TicketLock, OneBook, W2, RcuLockWait, Pagevecs>, N1, N1, N1>>("B2", "W2", "1s1c"),
        Case.Of<MoveAgainstCatch<Books<TicketLock, OneBook, W3, RcuLockWait, Pagevecs>, N1, N1, N1>>("B1", "W3", "1s1c"),
        Case.Of<MoveAgainstCatch<Books<TicketLock, OneBook, W3, RcuLockWait, Pagevecs>, N1, N1, N2>>("B1", "W3", "1s1c, two moves", Expect.Broken, heavy: true),
        Case.Of<DestroyAgainstCatch<W1, RcuLockWait, N1, N0>>("B3", "W1,rcu+lockwait,qsbr", "1d1c"),
        Case.Of<DestroyAgainstCatch<W2, RcuLockWait, N1, N0>>("B3", "W2,rcu+lockwait,qsbr", "1d1c"),
        Case.Of<DestroyAgainstCatch<W2, Recycle, N1, N0>>("B3", "W2,recycle,qsbr", "1d1c"),
        Case.Of<DestroyAgainstCatch<W4, RcuLockWait, N1, N0>>("B3", "W4,rcu+lockwait,qsbr", "1d1c"),
        Case.Of<DestroyAgainstCatch<W3, RcuLockWait, N1, N0>>("B3", "W3,rcu+lockwait,qsbr", "1d1c"),
        Case.Of<DestroyAgainstCatch<W3, RcuOnly, N1, N1>>("B3", "W3,rcu,membarrier", "1d1c", Expect.Broken, heavy: true),
        Case.Of<DestroyAgainstCatch<W3, RcuLockWait, N1, N1>>("B3", "W3,rcu+lockwait,membarrier", "1d1c", heavy: true),
        Case.Of<DestroyAgainstCatch<W1, RcuLockWait, N2, N0>>("B3", "W1,rcu+lockwait,qsbr", "1d2c", heavy: true),
        Case.Of<DestroyAgainstCatch<W2, RcuLockWait, N2, N0>>("B3", "W2,rcu+lockwait,qsbr", "1d2c", heavy: true),
        Case.Of<SpliceAgainstCatch<ByRecheck, N1>>("G3", "LruvecRecheck", "1s1c"),
        Case.Of<SpliceAgainstCatch<ByRecheck, N2>>("G3", "LruvecRecheck", "1s2c", heavy: true),
        Case.Of<SpliceAgainstCatch<LooksOnce, N1>>("G3", "busted-looks-once", "1s1c", Expect.Broken),
    ];

    private static Case[] Right<TLru>(string name) where TLru : struct, ILruDesign =>
    [
        Case.Of<MoveAgainstCatch<TLru, N1, N1, N1>>("B1", name, "1s1c"),
        Case.Of<MoveAgainstCatch<TLru, N1, N1, N2>>("B1", name, "1s1c, two moves"),
        Case.Of<MoveAgainstCatch<TLru, N1, N2, N1>>("B1", name, "1s2c", heavy: true),
        Case.Of<MoveAgainstCatch<TLru, N2, N1, N1>>("B1", name, "2s1c", heavy: true),
    ];
}
