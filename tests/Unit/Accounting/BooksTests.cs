// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>What every list design has to do, by hand and on one CPU at a time.</summary>
public sealed unsafe class BooksTests
{
    public static TheoryData<string> Designs => [.. LruModels.Names];

    private static Page* PageAt<TC>(AccountingBox<TC> box, long index, int cpu = 0) where TC : struct, IMemoryController =>
        Mm.Lookup(box.Cpu(cpu), box.Space(cpu), index);

    private static long Listed<TC>(Memcg* memcg) where TC : struct, IMemoryController
    {
        long pages = 0;
        for (int node = 0; node < Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes); node++)
            for (LruList list = 0; list <= LruList.Unevictable; list++) pages += TC.LruCount(memcg, node, list);
        return pages;
    }

    private sealed class Moves : IWithLru
    {
        public void Use<TLru>() where TLru : struct, ILruDesign => Body<Controller<PageCounter<PageCounter40>, OwnerWord, TLru, AtFinalPut, PinPerPage, NoKmem>>();

        private static void Body<TC>() where TC : struct, IMemoryController
        {
            using var box = new AccountingBox<TC>(plan: LruModels.Plan);
            Memcg* from = box.Inhabited(), to = box.Group();
            box.FaultAll(0, 20);
            Mm.LruAddDrain<TC>(box.Cpu());
            for (int i = 0; i < 20; i += 2) Assert.Equal(MoveResult.Moved, MoveAccount.TryMove<TC>(box.Cpu(), PageAt(box, i), from, to));
            Assert.Equal((10, 10), (TC.Usage(from, CounterKind.Memory), TC.Usage(to, CounterKind.Memory)));
            Assert.Equal((10, 10), (Listed<TC>(from), Listed<TC>(to)));
            Assert.Equal(MoveResult.Busy, MoveAccount.TryMove<TC>(box.Cpu(), PageAt(box, 0), from, to)); // it is there already
            Assert.Equal(MoveResult.Moved, MoveAccount.TryMove<TC>(box.Cpu(), PageAt(box, 0), to, box.Accounting.Root));
            box.AssertBalanced();
            TC.TrySetLimit(to, CounterKind.Memory, 9);
            Assert.Equal(MoveResult.OverLimit, MoveAccount.TryMove<TC>(box.Cpu(), PageAt(box, 1), from, to));
            box.AssertBalanced();
            box.Unmap(0, 20);
            box.AssertBalanced();
        }
    }

    [Theory, MemberData(nameof(Designs))]
    public void A_moved_page_is_on_the_targets_list_and_on_its_counter(string design) => LruModels.Run(design, new Moves());

    private sealed class Isolation : IWithLru
    {
        public void Use<TLru>() where TLru : struct, ILruDesign => Body<Controller<PageCounter<PageCounter40>, OwnerWord, TLru, AtFinalPut, PinPerPage, NoKmem>>();

        private static void Body<TC>() where TC : struct, IMemoryController
        {
            using var box = new AccountingBox<TC>(plan: LruModels.Plan, nodes: 2, mib: 8);
            Memcg* memcg = box.Inhabited();
            box.FaultAll(0, 40);
            Mm.LruAddDrain<TC>(box.Cpu());
            Page** pages = stackalloc Page*[Reclaim.Batch];
            ThisCpu cpu = box.Cpu();

            int n = TC.LruIsolateTail(cpu, memcg, 0, LruList.InactiveAnon, pages, 10);
            Assert.Equal(10, n);
            Assert.Equal(30, Listed<TC>(memcg));
            Assert.False(TC.LruIsolate(cpu, pages[0]), "somebody has it");
            Assert.False(Mm.Catch<TC>(cpu, pages[0]));
            TC.LruPutback(cpu, pages, n);
            Mm.ReleasePages<TC>(cpu, pages, n);
            Assert.Equal(40, Listed<TC>(memcg));

            Page* page = PageAt(box, 7);
            Assert.True(Mm.Catch<TC>(cpu, page)); // by pfn, no reference
            Assert.Equal(2, PageOps.Count(page));
            TC.LruPutback(cpu, &page, 1);
            Mm.Put<TC>(cpu, page);

            TC.LruActivate(cpu, &page, 1);
            Assert.Equal((39, 1), (TC.LruCount(memcg, 0, LruList.InactiveAnon), TC.LruCount(memcg, 0, LruList.ActiveAnon)));
            TC.LruRotate(cpu, &page, 1); // active: stays
            Assert.Equal(1, TC.LruCount(memcg, 0, LruList.ActiveAnon));
            Page* other = PageAt(box, 30);
            TC.LruRotate(cpu, &other, 1); // the next to be taken, of its book
            box.AssertBalanced();

            n = TC.LruIsolateTail(cpu, memcg, 0, LruList.InactiveAnon, pages, 5);
            box.Unmap(0, 40);
            Assert.Equal(0, Listed<TC>(memcg));
            Mm.ReleasePages<TC>(cpu, pages, n); // isolated and freed without a putback
            box.AssertBalanced();
        }
    }

    [Theory, MemberData(nameof(Designs))]
    public void Isolated_pages_are_nobody_elses_and_come_back_or_are_freed(string design) => LruModels.Run(design, new Isolation());

    private struct Give : IOwnerSwitch
    {
        public Memcg* To;
        public void Run(in ThisCpu cpu, Page* page) => AtomicLong.Store(&page->Memcg, (long)To);
    }

    private sealed class Rehomes : IWithLru
    {
        public void Use<TLru>() where TLru : struct, ILruDesign
        {
            using var box = new AccountingBox<Controller<PageCounter<PageCounter40>, OwnerWord, TLru, AtFinalPut, PinPerPage, NoKmem>>(plan: LruModels.Plan);
            box.Inhabited();
            Memcg* to = box.Group();
            box.FaultAll(0, 4);
            box.Quiesce();
            if (TLru.OwnerKeptByBit)
            {
                Assert.Throws<BugException>(() => { var refused = new Give { To = to }; TLru.Rehome<OwnerWord, Give>(box.Cpu(), PageAt(box, 0), ref refused); });
                return;
            }
            Page* listed = PageAt(box, 0), isolated = PageAt(box, 1);
            ThisCpu cpu = box.Cpu();
            Memcg* from = AtomicPtr<Memcg>.Load(&box.Space()->Memcg);
            Assert.True(TLru.Isolate<OwnerWord>(cpu, isolated));
            var give = new Give { To = to };
            TLru.Rehome<OwnerWord, Give>(cpu, listed, ref give);
            TLru.Rehome<OwnerWord, Give>(cpu, isolated, ref give);
            Assert.Equal((2, 1), (TLru.Count(from, 0, LruList.InactiveAnon), TLru.Count(to, 0, LruList.InactiveAnon)));
            TLru.Putback<OwnerWord>(cpu, &isolated, 1); // relocks: the owner changed while it was isolated (B4)
            Assert.Equal((2, 2), (TLru.Count(from, 0, LruList.InactiveAnon), TLru.Count(to, 0, LruList.InactiveAnon)));
            PageOps.PutAndTest(isolated);
            var wrong = new List<string>();
            TLru.Check<OwnerWord>(cpu, from, 0, wrong);
            TLru.Check<OwnerWord>(cpu, to, 0, wrong);
            Assert.Empty(wrong);
            give.To = from; // so that the books balance at the end
            TLru.Rehome<OwnerWord, Give>(cpu, listed, ref give);
            TLru.Rehome<OwnerWord, Give>(cpu, isolated, ref give);
            box.AssertBalanced();
        }
    }

    [Theory, MemberData(nameof(Designs))]
    public void A_page_charged_while_somebody_has_it_isolated_comes_back_to_its_new_owner(string design) => LruModels.Run(design, new Rehomes());

    private sealed class Deaths : IWithLru
    {
        public void Use<TLru>() where TLru : struct, ILruDesign => Body<Controller<PageCounter<PageCounter40>, OwnerWord, TLru, AtFinalPut, PinPerPage, NoKmem>>();

        private static void Body<TC>() where TC : struct, IMemoryController
        {
            using var box = new AccountingBox<TC>(plan: LruModels.Plan);
            ThisCpu cpu = box.Cpu();
            Page** pages = stackalloc Page*[8];
            for (int life = 0; life < 5; life++)
            {
                Memcg* memcg = box.Inhabited();
                box.FaultAll(0, 8);
                Mm.LruAddDrain<TC>(cpu);
                Assert.Equal(8, TC.LruIsolateTail(cpu, memcg, 0, LruList.InactiveAnon, pages, 8));
                MemcgLife.Attach(cpu, box.Space(), box.Accounting.Root);
                Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(cpu, memcg));
                box.Unmap(0, 8);
                box.Quiesce();
                Assert.NotEqual(CssState.Free, Css.StateOf(&memcg->Css)); // isolated pages keep it
                TC.LruPutback(cpu, pages, 8);
                Mm.ReleasePages<TC>(cpu, pages, 8);
                box.Quiesce();
                Assert.Equal(CssState.Free, Css.StateOf(&memcg->Css));
                box.AssertBalanced();
            }
        }
    }

    [Theory, MemberData(nameof(Designs))]
    public void A_group_whose_pages_are_isolated_dies_after_they_came_back_and_its_place_is_used_again(string design) => LruModels.Run(design, new Deaths());

    [Fact]
    public void Pages_that_wait_in_a_book_hold_no_reference_and_the_last_put_commits_them_first()
    {
        using var box = new AccountingBox<PendingW1>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 5);
        Assert.Equal(1, PageOps.Count(PageAt(box, 0)));
        Assert.Equal(0, Listed<PendingW1>(memcg));
        box.Unmap(0, 2);
        Assert.Equal(3, Listed<PendingW1>(memcg));
        box.FaultAll(5, Pagevec.Size);
        Assert.True(Listed<PendingW1>(memcg) >= Pagevec.Size - 2, "a full turn commits");
        box.AssertBalanced();
        box.Unmap(0, 20);
        box.AssertBalanced();
    }

    [Fact]
    public void A_slice_of_the_node_has_the_pages_whose_pfn_falls_into_it()
    {
        using var box = new AccountingBox<SlicedW1>(mib: 16, plan: LruModels.Plan);
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 2000);
        box.Quiesce();
        var books = (Book*)MemcgTree.Extra(box.Accounting.Tree, memcg, 0, out int bytes);
        Assert.Equal(3 * Book.Bytes, bytes);
        MemMap* map = MemMap.Of(box.Cpu());
        var expected = new long[3];
        for (long i = 0; i < 2000; i++) expected[MemMap.PfnOf(map, PageAt(box, i)).Value / 512 % 3]++;
        for (int i = 0; i < 3; i++) Assert.Equal(expected[i], Lruvec.Count(&books[i].Vec, LruList.InactiveAnon));
        Assert.All(expected, n => Assert.True(n > 0));
        box.AssertBalanced();
    }

    [Fact]
    public void Locks_count_their_holds_and_pages_and_leave_no_trace_of_waits_on_one_cpu()
    {
        using var box = new AccountingBox<BooksW1>();
        Memcg* memcg = box.Inhabited();
        box.FaultAll(0, 2 * Pagevec.Size);
        var locks = new List<LruLockTotals>();
        BooksW1.LruLocks(box.Cpu(), memcg, 0, locks);
        LruLockTotals totals = Assert.Single(locks);
        Assert.Equal((2, 2 * Pagevec.Size, 0), (totals.Acquired, totals.Pages, totals.Contended));
        Assert.Equal(0, totals.Retries.Sum());
        Assert.Equal(0, totals.WaitNs);
    }

    private struct Splice : ISpliceSwitch
    {
        public void Run(in ThisCpu cpu, Memcg* child, Memcg* parent, int node)
        {
            for (LruList list = 0; list <= LruList.Unevictable; list++)
            {
                ListHead* head = Lruvec.Head((Lruvec*)((byte*)Memcg.OnNode(child, node) + MemcgNode.LruSlot), list);
                for (ListHead* at = IntrusiveList.First(head); at != head; at = IntrusiveList.NextOf(at))
                    AtomicLong.Store(&PageOps.OfLru(at)->Memcg, (long)parent);
            }
        }
    }

    [Fact]
    public void Splicing_moves_all_lists_to_the_parent_in_one_step_where_the_lock_is_rechecked()
    {
        using var box = new AccountingBox<Rechecked>();
        Memcg* parent = box.Group(), child = box.Inhabited(parent);
        box.FaultAll(0, 30);
        box.Quiesce();
        var change = new Splice();
        Assert.True(Rechecked.LruSplice(box.Cpu(), child, parent, 0, ref change));
        Assert.Equal((0, 30), (Listed<Rechecked>(child), Listed<Rechecked>(parent)));
        var wrong = new List<string>();
        Rechecked.LruCheck(box.Cpu(), parent, 0, wrong);
        Assert.Empty(wrong);
        Assert.False(BooksW1.LruSplice(box.Cpu(), child, parent, 0, ref change), "books move page by page");
    }

    [Theory]
    [InlineData("256M", 16, 0), InlineData("2M", 9, 0), InlineData("1g", 18, 0), InlineData("interleave:4@12", 12, 4), InlineData("interleave:3", 12, 3)]
    [InlineData("none", -1, 1)]
    public void Slices_are_read(string text, int order, int books)
    {
        Assert.Equal(new SlicePlan(order, books), SlicePlan.Parse(text));
        Assert.Equal(SlicePlan.Parse(text), SlicePlan.Parse(SlicePlan.Parse(text).ToString()));
    }

    [Theory]
    [InlineData("1M", "huge page"), InlineData("interleave:4@8", "huge page"), InlineData("3M", "power of two"), InlineData("", "is not a slice")]
    [InlineData("256", "is not a slice"), InlineData("interleave:0@12", "is not a slice"), InlineData("interleave:4@x", "is not a slice")]
    [InlineData("interleave:5000@12", "ask for fewer")]
    public void A_slice_that_makes_no_sense_is_refused(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<UsageException>(() => SlicePlan.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void More_books_than_a_group_may_have_are_refused_at_set_up() =>
        Assert.Contains("choose larger slices", Assert.Throws<UsageException>(() => SlicePlan.Parse("2M").BooksOn(1L << 40)).Message, StringComparison.Ordinal);
}
