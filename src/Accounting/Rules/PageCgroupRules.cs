// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What every IPageCgroupDesign promises. A rule returns what was broken, or null.</summary>
internal static unsafe class PageCgroupRules
{
    public static readonly (string Name, string Sentence)[] All =
    [
        (nameof(NamesTheOwner), "A committed page names its group and says that it is charged; a cleared one says that it is not"),
        (nameof(SecondCommitIsRefused), "A second commit is refused and changes nothing (A9, A12)"),
        (nameof(ClearsOnce), "A page is cleared once; the second clear finds nothing (A4)"),
        (nameof(GivesBackWhatItTook), "What a clear gives back is what the commit took, by counter and by type"),
        (nameof(WordIsClearAtFree), "A freed frame has no owner, and the next user of the frame finds none (C-I6)"),
        (nameof(ChargeMoves), "A moved charge belongs to the new page alone (C9)"),
        (nameof(MemswLeavesFirst), "After a swap-out memory and memsw have each been given back at most once, memsw not by the page"),
        (nameof(AccountMoves), "A moved account changes the owner and nothing else; a stranger's page stays"),
        (nameof(NothingLeaks), "After 2000 pages nothing is left: objects, references, groups"),
    ];

    public static string? Check<TPc>(string rule) where TPc : struct, IPageCgroupDesign =>
        TPc.OwnerMayMove ? CheckWith<TPc, ObjCgroup<OnePerNode>>(rule) : CheckWith<TPc, NoKmem>(rule);

    /// <summary>With the kmem answer that the words of TPc need.</summary>
    private static string? CheckWith<TPc, TKmem>(string rule) where TPc : struct, IPageCgroupDesign where TKmem : struct, IKmemDesign
    {
        using var bench = new DesignBench<Controller<PageCounter<PageCounter40>, TPc, ZoneLruLock<TestAndSetLock>, AtFinalPut, PinPerPage, TKmem>>();
        return rule switch
        {
            nameof(NamesTheOwner) => NamesTheOwner(bench),
            nameof(SecondCommitIsRefused) => SecondCommitIsRefused(bench),
            nameof(ClearsOnce) => ClearsOnce(bench),
            nameof(GivesBackWhatItTook) => GivesBackWhatItTook(bench),
            nameof(WordIsClearAtFree) => WordIsClearAtFree(bench),
            nameof(ChargeMoves) => ChargeMoves(bench),
            nameof(MemswLeavesFirst) => MemswLeavesFirst(bench),
            nameof(AccountMoves) => AccountMoves(bench),
            nameof(NothingLeaks) => NothingLeaks(bench),
            _ => throw new ArgumentOutOfRangeException(nameof(rule), rule, "no such rule"),
        };
    }

    private static Page* Charged<TC>(DesignBench<TC> bench, Memcg* memcg) where TC : struct, IMemoryController
    {
        Page* page = bench.Frame();
        bench.TryCharge(memcg, 1);
        Charging.Commit<TC>(bench.Cpu(), page, memcg, anon: true);
        return page;
    }

    private static Memcg* OwnerOf<TC>(DesignBench<TC> bench, Page* page) where TC : struct, IMemoryController
    {
        Memcg* owner = TC.OwnerOf(bench.Cpu(), page, out bool used);
        return used ? owner : null;
    }

    private static string? NamesTheOwner<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        Page* page = bench.Frame();
        if (OwnerOf(bench, page) != null) return "a fresh page has an owner";
        bench.TryCharge(memcg, 1);
        Charging.Commit<TC>(bench.Cpu(), page, memcg, anon: true);
        if (OwnerOf(bench, page) != memcg) return "a committed page does not name its group";
        if (!TC.TryClear(bench.Cpu(), page, UnchargeType.FinalPut, out Memcg* owner, out _)) return "a charged page was not cleared";
        if (owner != memcg) return "the clear names another group";
        return OwnerOf(bench, page) == null ? null : "a cleared page is charged";
    }

    private static string? SecondCommitIsRefused<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* first = bench.Group(), second = bench.Group();
        Page* page = Charged(bench, first);
        if (TC.Commit(bench.Cpu(), page, second, anon: true)) return "a second commit was accepted";
        if (OwnerOf(bench, page) != first) return "a refused commit changed the owner";
        bench.TryCharge(second, 1);
        Charging.Commit<TC>(bench.Cpu(), page, second, anon: true);
        if (DesignBench<TC>.Usage(second) != 0) return "the undo branch kept the second charge";
        bench.Free(page);
        bench.Quiesce();
        return DesignBench<TC>.Usage(first) == 0 ? null : "the first charge was not given back";
    }

    private static string? ClearsOnce<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Page* page = Charged(bench, bench.Group());
        if (!TC.TryClear(bench.Cpu(), page, UnchargeType.FinalPut, out _, out _)) return "a charged page was not cleared";
        return TC.TryClear(bench.Cpu(1), page, UnchargeType.FinalPut, out _, out _) ? "a page was cleared twice" : null;
    }

    private static string? GivesBackWhatItTook<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        Page* page = Charged(bench, memcg);
        TC.TryClear(bench.Cpu(), page, UnchargeType.FinalPut, out _, out ClearedCharge anon);
        if (anon != new ClearedCharge(1, 1, 1, 1)) return $"an anonymous page gave back {anon}";
        Page* file = PageAllocator<NoHook>.Alloc(bench.Cpu(), Gfp.Kernel);
        TC.Commit(bench.Cpu(), file, memcg, anon: false);
        TC.TryClear(bench.Cpu(), file, UnchargeType.Cache, out _, out ClearedCharge cache);
        return cache == new ClearedCharge(1, 1, 1, 0) ? null : $"a page cache page gave back {cache}";
    }

    private static string? WordIsClearAtFree<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Page* page = Charged(bench, bench.Group());
        bench.Free(page);
        if (AtomicLong.Load(&page->Memcg) != 0) return "the word of a free frame is not 0";
        Page* again = bench.Frame();
        if (again != page) return "the allocator did not hand the frame out again: the rule saw nothing";
        return OwnerOf(bench, again) == null ? null : "the next user of a frame found an owner";
    }

    private static string? ChargeMoves<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        Page* old = Charged(bench, memcg), page = bench.Frame();
        if (!TC.MoveCharge(bench.Cpu(), old, page, lrucare: false)) return "a charge did not move";
        if (OwnerOf(bench, page) != memcg) return "the new page does not name the group";
        if (OwnerOf(bench, old) != null) return "the old page is still charged";
        bench.Free(old);
        if (DesignBench<TC>.Usage(memcg) != 1) return $"usage {DesignBench<TC>.Usage(memcg)} after the old page went; the new one holds 1 (C9)";
        bench.Free(page);
        if (DesignBench<TC>.Usage(memcg) != 0) return "the new page gave nothing back";
        return TC.MoveCharge(bench.Cpu(), bench.Frame(), bench.Frame(), lrucare: false) ? "a page without a charge gave one (C16)" : null;
    }

    private static string? MemswLeavesFirst<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        Page* page = Charged(bench, memcg);
        if (!TC.ReleaseMemsw(bench.Cpu(), page, out Memcg* owner, out ClearedCharge now)) return "a charged page kept its memsw part";
        if (owner != memcg) return "the memsw part comes from another group";
        int memory = now.Memory, memsw = now.Memsw, pages = now.Pages;
        if (TC.TryClear(bench.Cpu(), page, UnchargeType.FinalPut, out _, out ClearedCharge later))
        {
            memory += later.Memory;
            memsw += later.Memsw;
            pages += later.Pages;
        }
        return (memory, memsw, pages) == (1, 0, 1) ? null : $"swap-out and final put gave back memory {memory}, memsw {memsw}, pages {pages}; not 1, 0, 1";
    }

    private static string? AccountMoves<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* from = bench.Group(), to = bench.Group(), stranger = bench.Group();
        Page* page = Charged(bench, from);
        if (TC.MoveAccount(bench.Cpu(), page, stranger, to, out _)) return "a group moved a page that is not its own";
        if (OwnerOf(bench, page) != from) return "a refused move changed the owner";
        if (!TC.MoveAccount(bench.Cpu(), page, from, to, out ClearedCharge charge) || charge != new ClearedCharge(1, 1, 1, 1)) return $"the move says {charge}";
        if (OwnerOf(bench, page) != to) return "the page does not name its new group";
        if (!TC.MoveAccount(bench.Cpu(), page, to, null, out _)) return "the root did not get the page";
        return OwnerOf(bench, page) == null ? null : "the root pays for a page";
    }

    private static string? NothingLeaks<TC>(DesignBench<TC> bench) where TC : struct, IMemoryController
    {
        Memcg* memcg = bench.Group();
        for (int i = 0; i < 2000; i++)
        {
            bench.Free(Charged(bench, memcg));
            if (i % 100 == 0) Poll.Run(bench.Cpu());
        }
        MemcgLife.Remove(bench.Cpu(), memcg);
        for (int i = 0; i < 4; i++) bench.Quiesce();
        if (bench.Accounting.PageCgroups is { LiveObjects: not 0 and var live }) return $"{live} objects are left";
        long groups = AtomicLong.Load(&bench.Accounting.Tree->Count);
        return groups == 1 ? null : $"{groups - 1} groups are left";
    }
}
