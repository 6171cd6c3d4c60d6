// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Each check of the books sees the damage it is for.</summary>
public sealed unsafe class BooksChecks
{
    private static Book* BookAt(Memcg* memcg) => (Book*)((byte*)Memcg.OnNode(memcg, 0) + MemcgNode.LruSlot);

    private delegate void Damage<TC>(AccountingBox<TC> box, Memcg* memcg) where TC : struct, IMemoryController;

    private static void Expect<TC>(string text, Damage<TC> damage) where TC : struct, IMemoryController
    {
        using var box = new AccountingBox<TC>(plan: LruModels.Plan);
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 20);
        box.AssertBalanced();
        damage(box, memcg);
        Assert.Contains(box.Audit(quiesce: false).Wrong, w => w.Contains(text, StringComparison.Ordinal));
    }

    [Fact]
    public void A_page_that_never_came_back_is_seen() =>
        Expect<BooksW1>("1 pages isolated at quiescence", (box, memcg) => BooksW1.LruIsolate(box.Cpu(), Mm.Lookup(box.Cpu(), box.Space(), 3)));

    [Fact]
    public void A_lock_left_held_is_seen() =>
        Expect<BooksW1>("lock held at quiescence", (box, memcg) => TicketLock.Acquire(box.Cpu(), &BookAt(memcg)->Lock));

    [Fact]
    public void A_lock_of_a_lruvec_left_held_is_seen() =>
        Expect<Rechecked>("lock held at quiescence", (box, memcg) => TicketLock.Acquire(box.Cpu(), (LockWord*)((byte*)BookAt(memcg) + 120)));

    [Fact]
    public void A_page_that_still_waits_is_seen() =>
        Expect<PendingW1>("pages wait at quiescence", (box, memcg) => box.FaultAll(20, 1));

    [Fact]
    public void A_book_missing_on_its_zones_list_is_seen() =>
        Expect<BooksW1>("zone 0 lists 1 books, 2 are alive", (box, memcg) => RcuList.Remove(&BookAt(memcg)->List));

    [Fact]
    public void A_dead_book_on_its_zones_list_is_seen() =>
        Expect<BooksW1>("lists a book that is Unlinked", (box, memcg) => AtomicInt.Store(&BookAt(memcg)->State, (int)BookState.Unlinked));

    [Fact]
    public void A_list_length_that_lies_is_seen() =>
        Expect<BooksW1>("count 21, walk 20", (box, memcg) => Lruvec.Resize(&BookAt(memcg)->Vec, LruList.InactiveAnon, 1));

    [Fact]
    public void A_page_in_the_book_of_another_slice_is_seen() =>
        Expect<SlicedW1>("is of another book", (box, memcg) =>
        {
            var books = (Book*)MemcgTree.Extra(box.Accounting.Tree, memcg, 0, out _);
            Page* page = Mm.Lookup(box.Cpu(), box.Space(), 3);
            int home = 0;
            while (Lruvec.Count(&books[home].Vec, LruList.InactiveAnon) == 0) home++;
            Lruvec.Delete(&books[home].Vec, page, LruList.InactiveAnon);
            Lruvec.Add(&books[(home + 1) % 3].Vec, page, LruList.InactiveAnon);
        });

    [Fact]
    public void A_freed_book_that_is_not_empty_is_seen()
    {
        using var box = new AccountingBox<BooksW1>();
        Memcg* memcg = box.Group();
        MemcgLife.Remove(box.Cpu(), memcg);
        box.AssertBalanced();
        AtomicLong.Store(&BookAt(memcg)->Isolated, 1);
        Assert.Contains(box.Audit(quiesce: false).Wrong, w => w.Contains("is not empty", StringComparison.Ordinal));
        AtomicLong.Store(&BookAt(memcg)->Isolated, 0);
        AtomicInt.Store(&BookAt(memcg)->State, (int)BookState.Live);
        Assert.Contains(box.Audit(quiesce: false).Wrong, w => w.Contains("is Live", StringComparison.Ordinal));
    }

    [Fact]
    public void Tests_run_with_the_checks_of_list_work() => Assert.True(DebugVm.On);

    /// <summary>The group's list is taken off page by page after the damage.</summary>
    private static void ExpectAtListWork<TC>(string text, Damage<TC> damage) where TC : struct, IMemoryController
    {
        var box = new AccountingBox<TC>(plan: LruModels.Plan); // left as it fails: a lock held, a section open
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 20);
        box.AssertBalanced();
        damage(box, memcg);
        Page** pages = stackalloc Page*[1];
        string caught = "";
        for (int i = 0; i < 20 && caught.Length == 0; i++)
        {
            try
            {
                TC.LruIsolateTail(box.Cpu(), memcg, 0, LruList.InactiveAnon, pages, 1);
            }
            catch (BugException e)
            {
                caught = e.Message;
            }
        }
        Assert.Contains(text, caught, StringComparison.Ordinal);
    }

    private static void SwitchWithoutProtocol<TC>(AccountingBox<TC> box, Memcg* memcg) where TC : struct, IMemoryController =>
        AtomicLong.Store(&Mm.Lookup(box.Cpu(), box.Space(), 3)->Memcg, (long)box.Group());

    [Fact]
    public void A_page_whose_owner_changed_under_its_lists_lock_is_seen_by_the_next_list_work()
    {
        ExpectAtListWork<BooksW1>("list work under the lock of another book", SwitchWithoutProtocol);
        ExpectAtListWork<Rechecked>("list work under the lock of another group", SwitchWithoutProtocol);
    }

    [Fact]
    public void A_list_length_that_lies_is_seen_by_list_work_soon_after()
    {
        ExpectAtListWork<BooksW1>("a list's length is not its walk (length, walk) (15, 14)", (box, memcg) => Lruvec.Resize(&BookAt(memcg)->Vec, LruList.InactiveAnon, 1));
        ExpectAtListWork<Stock32>("a list's length is not its walk (length, walk) (15, 14)", (box, memcg) =>
            Lruvec.Resize((Lruvec*)BookAt(memcg), LruList.InactiveAnon, 1));
    }

    [Fact]
    public void Locking_a_freed_book_fails_at_once()
    {
        using var box = new AccountingBox<BooksW1>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 1);
        box.Quiesce();
        nint page = (nint)Mm.Lookup(box.Cpu(), box.Space(), 0);
        AtomicInt.Store(&BookAt(memcg)->State, (int)BookState.Dead);
        Assert.Contains("locked after it was freed", Assert.Throws<BugException>(() => BooksW1.LruIsolate(box.Cpu(), (Page*)page)).Message, StringComparison.Ordinal);
        AtomicInt.Store(&BookAt(memcg)->State, (int)BookState.Live);
    }

    [Fact]
    public void A_freed_book_is_poisoned_and_a_recycled_one_keeps_its_lists()
    {
        Assert.Equal((BookState.Dead, true), After<RcuLockWait>());
        Assert.Equal((BookState.Idle, false), After<Recycle>());

        static (BookState State, bool Poisoned) After<TDestroy>() where TDestroy : struct, IBookDestroy
        {
            using var box = new AccountingBox<Controller<
                PageCounter<PageCounter40>, OwnerWord, Books<TicketLock, OneBook, W1, TDestroy, Pagevecs>, AtFinalPut, PinPerPage, NoKmem>>();
            Memcg* memcg = box.Group();
            MemcgLife.Remove(box.Cpu(), memcg);
            box.Quiesce();
            return (Book.StateOf(BookAt(memcg)), IntrusiveList.First(Lruvec.Head(&BookAt(memcg)->Vec, LruList.InactiveAnon)) == IntrusiveList.Poison);
        }
    }

    /// <summary>A page cgroup whose link outlives its charge, as before 3.19: the low bit says used.</summary>
    private readonly struct LinkStays : IPageCgroupDesign
    {
        public static string Name => "LinkStays";
        public static int MetadataBytes => 0;
        public static bool WordClearAtFree => false;
        public static void InitMemcg(Memcg* memcg) { }
        public static void InitCpu(CpuArea* area) { }
        public static void InitNode(AccountingNode* node) { }
        public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
        {
            long word = AtomicLong.Load(&page->Memcg);
            used = (word & 1) != 0;
            return (Memcg*)(word & ~1L);
        }

        public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
        {
            AtomicLong.Store(&page->Memcg, (long)memcg | 1);
            return true;
        }

        public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
        {
            owner = OwnerOf(cpu, page, out bool used);
            charge = new ClearedCharge(1, 1, 1, 1);
            if (used) AtomicLong.Store(&page->Memcg, (long)owner);
            return used;
        }
    }

    [Fact]
    public void With_T1_an_uncharged_page_is_taken_off_its_list_under_the_wrong_lock_and_with_T2_it_is_not()
    {
        Assert.True(IsolatesAfterUncharge<OneBook>());
        Assert.False(IsolatesAfterUncharge<UsedOnly>()); // B5

        static bool IsolatesAfterUncharge<TMap>() where TMap : struct, IBookMap
        {
            var box = new AccountingBox<Controller<PageCounter<PageCounter40>, LinkStays, Books<TicketLock, TMap, W1, RcuLockWait, Pagevecs>, AtFinalPut, PinPerPage, NoKmem>>();
            box.Inhabited();
            box.FaultAll(0, 2);
            box.Quiesce();
            Page* page = Mm.Lookup(box.Cpu(), box.Space(), 0);
            Assert.True(LinkStays.TryClear<ZoneLruLock<TicketLock>>(box.Cpu(), page, UnchargeType.Mapped, out Memcg* owner, out _));
            try
            {
                Books<TicketLock, TMap, W1, RcuLockWait, Pagevecs>.Isolate<LinkStays>(box.Cpu(), page);
            }
            catch (BugException e)
            {
                Assert.Contains("list shorter", e.Message, StringComparison.Ordinal); // the root's count, for a page of the group's
                return false;
            }
            return Lruvec.Count(&BookAt(owner)->Vec, LruList.InactiveAnon) == 1;
        }
    }
}
