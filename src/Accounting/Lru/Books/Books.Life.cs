// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// Where books lie, how they begin and end, the list of pages that wait, and the checks.
public readonly unsafe partial struct Books<TLock, TMap, TSwitch, TDestroy, TInbox>
{
    private static BookArray* Array(MemcgNode* on) => (BookArray*)((byte*)on + MemcgNode.LruSlot);

    /// <summary>The book of slice 0. One book lies in the group's slot; several lie behind a pointer there.</summary>
    [MethodImpl(Inline)]
    private static Book* First(MemcgNode* on) => TMap.Slices ? (Book*)Guarded<nint>.Get(&Array(on)->First) : (Book*)((byte*)on + MemcgNode.LruSlot);

    [MethodImpl(Inline)]
    private static int CountOf(MemcgNode* on) => TMap.Slices ? Guarded<int>.Get(&Array(on)->Count) : 1;

    /// <inheritdoc/>
    public static long MemcgNodeExtraBytes(AccountingPlan plan, long nodeBytes) => TMap.Slices ? (long)plan.Slices.BooksOn(nodeBytes) * Book.Bytes : 0;

    /// <inheritdoc/>
    public static void Configure(AccountingNode* node, AccountingPlan plan) => ZoneBooks.Init(node, TMap.Slices ? plan : plan with { Slices = SlicePlan.Whole });

    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node) { }
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) => Guarded<int>.Set(&InboxOf(area)->Pushed, 0);
    /// <inheritdoc/>
    public static void OnOwned(in ThisCpu cpu, Page* page, Memcg* memcg) { }
    /// <inheritdoc/>
    public static void OnDisowned(in ThisCpu cpu, Page* page, Memcg* memcg) { }

    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode)
    {
        Memcg* memcg = GuardedPtr<Memcg>.Get(&memcgNode->Memcg);
        int node = Guarded<int>.Get(&memcgNode->Node);
        if (TMap.Slices)
        {
            Guarded<nint>.Set(&Array(memcgNode)->First, (nint)MemcgTree.Extra(Memcg.TreeOf(memcg), memcg, node, out int bytes));
            Guarded<int>.Set(&Array(memcgNode)->Count, bytes / Book.Bytes);
        }
        for (int i = 0; i < CountOf(memcgNode); i++)
        {
            Book* book = First(memcgNode) + i;
            if (TDestroy.Frees) Machine.OnReuse(book, Book.Bytes);
            Book.Init<TLock>(book, memcg, node, i);
        }
    }

    /// <inheritdoc/>
    public static void OnOnline(in ThisCpu cpu, Memcg* memcg)
    {
        for (int node = 0; node < Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes); node++)
        {
            MemcgNode* on = Memcg.OnNode(memcg, node);
            for (int i = 0; i < CountOf(on); i++) ZoneBooks.Link(cpu, ZoneBooks.Of(cpu, node), First(on) + i);
        }
    }

    /// <inheritdoc/>
    public static bool OnReleased(in ThisCpu cpu, Memcg* memcg)
    {
        int nodes = Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes);
        for (int node = 0; node < nodes; node++)
        {
            MemcgNode* on = Memcg.OnNode(memcg, node);
            for (int i = 0; i < CountOf(on); i++)
                if (!IsEmpty(cpu, First(on) + i)) return false; // D3
        }
        for (int node = 0; node < nodes; node++)
        {
            MemcgNode* on = Memcg.OnNode(memcg, node);
            for (int i = 0; i < CountOf(on); i++) ZoneBooks.Unlink(cpu, ZoneBooks.Of(cpu, node), First(on) + i); // D1
        }
        return true;
    }

    private static bool IsEmpty(in ThisCpu cpu, Book* book)
    {
        if (!TDestroy.LooksUnderLock) return Book.IsEmpty(book);
        Machine.IrqOff();
        TLock.Acquire(cpu, &book->Lock);
        bool empty = Book.IsEmpty(book);
        TLock.Release(cpu, &book->Lock);
        Machine.IrqOn();
        return empty;
    }

    /// <inheritdoc/>
    public static void OnFreed(in ThisCpu cpu, Memcg* memcg)
    {
        for (int node = 0; node < Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes); node++)
        {
            MemcgNode* on = Memcg.OnNode(memcg, node);
            for (int i = 0; i < CountOf(on); i++) TDestroy.Free<TLock>(First(on) + i);
        }
    }

    // Pages that wait. A page in the chain has no reference there: whoever drops its last one commits the chain first (Delete). All pages of a
    // chain are the book's: their owner does not change while the LRU bit is clear, but in Rehome, which commits first.

    private static BookInbox* InboxOf(CpuArea* area) => (BookInbox*)((byte*)area + CpuArea.AxesOffset + 2 * CpuArea.AxisBytes);

    /// <inheritdoc/>
    public static bool Pends { [MethodImpl(Inline)] get => TInbox.PerBook; }

    /// <inheritdoc/>
    public static void Pend<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        Rcu.ReadLock(cpu);
        Book* book = BookOf<TPc>(cpu, page);
        GuardedPtr<ListHead>.Set(&page->Lru.Prev, IntrusiveList.Poison);
        for (Page* head = AtomicPtr<Page>.Load(&book->Pending); ;)
        {
            GuardedPtr<ListHead>.Set(&page->Lru.Next, (ListHead*)head);
            Page* was = AtomicPtr<Page>.CompareExchange(&book->Pending, page, head); // (P) publishes the link; the exchange below takes it
            if (was == head) break;
            head = was; // another CPU's success, so the loop makes progress as a whole
        }
        Rcu.ReadUnlock(cpu);
        Guarded<int>* pushed = &InboxOf(cpu.Area)->Pushed;
        int n = Guarded<int>.Get(pushed) + 1;
        if (n == Pagevec.Size) // as often as a pagevec would be drained
        {
            n = 0;
            var hold = new Hold();
            CommitPending<TPc>(cpu, hold.Relock<TPc>(cpu, page));
            hold.Unlock(cpu);
        }
        Guarded<int>.Set(pushed, n);
    }

    /// <summary>Takes the whole chain and links its pages, oldest first. The book's lock is held: a page is in the chain or on the list, never between.</summary>
    private static void CommitPending<TPc>(in ThisCpu cpu, Book* book) where TPc : struct, IPageCgroupDesign
    {
        if (AtomicPtr<Page>.Load(&book->Pending) == null) return;
        Page* newest = AtomicPtr<Page>.Exchange(&book->Pending, null), oldest = null;
        while (newest != null)
        {
            Page* page = newest;
            newest = (Page*)GuardedPtr<ListHead>.Get(&page->Lru.Next);
            GuardedPtr<ListHead>.Set(&page->Lru.Next, (ListHead*)oldest);
            oldest = page;
        }
        while (oldest != null)
        {
            Page* page = oldest;
            oldest = (Page*)GuardedPtr<ListHead>.Get(&page->Lru.Next);
            Link<TPc>(cpu, book, page);
        }
    }

    /// <inheritdoc/>
    public static void DrainPending<TPc>(in ThisCpu cpu) where TPc : struct, IPageCgroupDesign
    {
        using var rcu = new RcuReadGuard(cpu); // keeps the books that the walk stands on
        for (int node = 0; node < Guarded<int>.Get(&AccountingCpu.Of(cpu)->NodeCount); node++)
        {
            ZoneBooks* zone = ZoneBooks.Of(cpu, node);
            for (Book* book = ZoneBooks.Next(zone, null); book != null; book = ZoneBooks.Next(zone, book))
            {
                if (AtomicPtr<Page>.Load(&book->Pending) == null) continue;
                Machine.IrqOff();
                LruLock<TLock>.Acquire(cpu, &book->Lock, &book->Waits);
                Enter(book);
                CommitPending<TPc>(cpu, book);
                Leave(cpu, book, 0);
            }
        }
    }

    /// <inheritdoc/>
    public static long Count(Memcg* memcg, int node, LruList list)
    {
        MemcgNode* on = Memcg.OnNode(memcg, node);
        long pages = 0;
        for (int i = 0; i < CountOf(on); i++) pages += Lruvec.Count(&First(on)[i].Vec, list);
        return pages;
    }

    /// <inheritdoc/>
    public static void AddLocks(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks)
    {
        MemcgNode* on = Memcg.OnNode(memcg, node);
        if (GuardedPtr<Memcg>.Get(&on->Memcg) == null) return; // never used
        for (int i = 0; i < CountOf(on); i++)
        {
            Book* book = First(on) + i;
            string name = $"group {Guarded<int>.Get(&memcg->Id)} node {node}{(TMap.Slices ? $" slice {i}" : "")}";
            locks.Add(LruLockTotals.Of(name, Guarded<long>.Get(&book->Acquired), Guarded<long>.Get(&book->Pages), &book->Waits));
        }
    }

    /// <inheritdoc/>
    public static void Check<TPc>(in ThisCpu cpu, Memcg* memcg, int node, ICollection<string> wrong) where TPc : struct, IPageCgroupDesign
    {
        MemcgNode* on = Memcg.OnNode(memcg, node);
        for (int i = 0; i < CountOf(on); i++)
        {
            Book* book = First(on) + i;
            string name = $"book: group {Guarded<int>.Get(&memcg->Id)} node {node} slice {i}";
            if (TLock.IsHeld(&book->Lock)) { wrong.Add($"{name}: lock held at quiescence"); continue; }
            if (AtomicLong.Load(&book->Isolated) is not 0 and var isolated) wrong.Add($"{name}: {isolated} pages isolated at quiescence"); // B-I5
            if (AtomicPtr<Page>.Load(&book->Pending) != null) wrong.Add($"{name}: pages wait at quiescence");
            Lruvec.Check<TPc>(cpu, &book->Vec, memcg, node, wrong); // B-I2, B-I3
            CheckPlaces<TPc>(cpu, book, name, wrong);
        }
        if (Memcg.IsRoot(memcg)) CheckZone(cpu, Memcg.TreeOf(memcg), node, wrong);
    }

    /// <summary>B-I7: every page on book's lists translates to book, slice and all.</summary>
    private static void CheckPlaces<TPc>(in ThisCpu cpu, Book* book, string name, ICollection<string> wrong) where TPc : struct, IPageCgroupDesign
    {
        for (LruList list = 0; list <= LruList.Unevictable; list++)
        {
            ListHead* head = Lruvec.Head(&book->Vec, list);
            for (ListHead* at = IntrusiveList.First(head); at != head; at = IntrusiveList.NextOf(at))
                if (BookOf<TPc>(cpu, PageOps.OfLru(at)) != book) wrong.Add($"{name} {list}: page {(nint)PageOps.OfLru(at):x} is of another book");
        }
    }

    /// <summary>B-I8: the zone's list holds every live book once, so its total is the sum over groups.</summary>
    private static void CheckZone(in ThisCpu cpu, MemcgTree* tree, int node, ICollection<string> wrong)
    {
        long listed = 0, live = 0;
        ZoneBooks* zone = ZoneBooks.Of(cpu, node);
        for (Book* book = ZoneBooks.Next(zone, null); book != null; book = ZoneBooks.Next(zone, book), listed++)
            if (Book.StateOf(book) != BookState.Live) wrong.Add($"book: zone {node} lists a book that is {Book.StateOf(book)}");
        for (int id = 0; id < Guarded<int>.Get(&tree->Capacity); id++)
        {
            MemcgNode* on = Memcg.OnNode(MemcgTree.ById(tree, id), node);
            if (GuardedPtr<Memcg>.Get(&on->Memcg) == null) continue; // never used
            for (int i = 0; i < CountOf(on); i++)
                if (Book.StateOf(First(on) + i) == BookState.Live) live++;
        }
        if (listed != live) wrong.Add($"book: zone {node} lists {listed} books, {live} are alive");
    }

    /// <inheritdoc/>
    public static void CheckFreed(Memcg* memcg, int node, ICollection<string> wrong)
    {
        MemcgNode* on = Memcg.OnNode(memcg, node);
        if (GuardedPtr<Memcg>.Get(&on->Memcg) == null) return; // never used
        for (int i = 0; i < CountOf(on); i++)
        {
            Book* book = First(on) + i;
            string name = $"book: freed group {Guarded<int>.Get(&memcg->Id)} node {node} slice {i}";
            if (Book.StateOf(book) is BookState.Live or BookState.Unlinked) wrong.Add($"{name} is {Book.StateOf(book)}");
            if (TLock.IsHeld(&book->Lock)) wrong.Add($"{name}: lock held");
            if (!Book.IsEmpty(book)) wrong.Add($"{name} is not empty");
        }
    }
}

/// <summary>A group's books on one node, when there are several.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct BookArray
{
    /// <summary>I: the first (Book*).</summary>
    [FieldOffset(0)] public Guarded<nint> First;
    /// <summary>I: how many.</summary>
    [FieldOffset(8)] public Guarded<int> Count;
}

/// <summary>What a CPU remembers of the pages it pushed.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct BookInbox
{
    /// <summary>C: pages since it last committed a chain.</summary>
    [FieldOffset(0)] public Guarded<int> Pushed;
}
