// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Counter = MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>;

namespace MemcgNative.Tests.Interleavings;

using Emptied = Controller<Counter, FlagArray<PageCgroupEntry16, BitLock>, ZoneLruLock<TestAndSetLock>, AtUnmap<Early2627>, ForceEmpty, NoKmem>;
using Spliced = Controller<Counter, ObjcgWord, Lruvecs<TestAndSetLock, ByRecheck>, AtFinalPut, SpliceToParent, ObjCgroup<OnePerNode>>;

/// <summary>
/// CPUs that charge a page each to one group, and CPUs that give up the last use of a page each of it; one more may splice the group to its parent.
/// They share the group's counters, its lists' lock and what counts its pages. At rest all of these agree with a recount of the pages.
/// </summary>
internal readonly unsafe struct PagesOfOneGroup<TC, TCharges, TPuts, TSplices> : ICase
    where TC : struct, IMemoryController where TCharges : struct, ISize where TPuts : struct, ISize where TSplices : struct, ISize
{
    private static SimulatedAccounting box;
    private static Memcg* parent, child;

    public static int Cpus => TCharges.N + TPuts.N + TSplices.N;
    private static int Pages => TCharges.N + TPuts.N;

    public static void Setup()
    {
        box = SimulatedAccounting.New<TC>(Cpus, 3, Pages);
        if (typeof(TC) == typeof(Spliced)) SimulatedSlab.New(box.AllCpus, Cpus, 3, 128, 256, 512); // objcgs
        parent = box.Group<TC>();
        child = MemcgLife.Create<TC>(box[0], parent);
        for (int i = TCharges.N; i < Pages; i++) box.Charged<TC>(i, child);
        if (TSplices.N != 0) AtomicInt.Init(&child->Css.State, (int)CssState.Dying); // the kill's grace period is over
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        Page* page = box.Pages + cpu;
        if (cpu < TCharges.N) Charge(self, page);
        else if (cpu < Pages) LastUse(self, page);
        else SpliceToParent.OnOffline<Spliced>(self, child);
    }

    private static void Charge(in ThisCpu cpu, Page* page)
    {
        if (!Charging.TryCharge<TC>(cpu, child, 1, Gfp.Kernel)) Bug.Fail("refused without a limit");
        PageMapping.SetAnonOrphan(page);
        Charging.Commit<TC>(cpu, page, child, anon: true);
        TC.LruAdd(cpu, &page, 1);
    }

    /// <summary>The last unmap and the last put in one: either answer to "when does a page stop being charged" does its part.</summary>
    private static void LastUse(in ThisCpu cpu, Page* page)
    {
        TC.LruDelete(cpu, &page, 1);
        TC.OnBatchBegin(cpu);
        TC.OnUnmap(cpu, page);
        TC.OnBatchEnd(cpu);
        TC.OnFinalPut(cpu, &page, 1);
    }

    public static void Final()
    {
        Memcg* owner = TSplices.N != 0 ? parent : child;
        for (int i = 0; i < Pages; i++)
        {
            Memcg* found = TC.OwnerOf(box[0], box.Pages + i, out bool used);
            if (used != (i < TCharges.N) || (used && found != owner)) Bug.Fail("a page is somebody else's, or charged and done with (page)", i);
            if (used && !PageMapping.IsAnon(box.Pages + i)) Bug.Fail("an anonymous page does not say so (page)", i);
        }
        if (TC.Usage(parent, CounterKind.Memory) != TCharges.N) Bug.Fail("usage of the parent (I1)", TC.Usage(parent, CounterKind.Memory), TCharges.N);
        long rss = MemcgStat.Read(child, MemcgStatItem.Rss) + MemcgStat.Read(parent, MemcgStatItem.Rss);
        if (rss != TCharges.N) Bug.Fail("pages counted, and charged", rss, TCharges.N);
        if (TC.LruCount(owner, 0, LruList.InactiveAnon) != TCharges.N) Bug.Fail("length of the list", TC.LruCount(owner, 0, LruList.InactiveAnon));
        if (typeof(TC) == typeof(Emptied) && ForceEmpty.ReferencesOf(child) != TCharges.N) Bug.Fail("references by pages", ForceEmpty.ReferencesOf(child));
    }
}

/// <summary>Who pays for a page, asked twice by each reader while its group is spliced to the parent: owners change upwards only.</summary>
internal readonly unsafe struct OwnerAgainstSplice<TReaders> : ICase where TReaders : struct, ISize
{
    private static SimulatedAccounting box;
    private static Memcg* parent, child;

    public static int Cpus => TReaders.N + 1;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Spliced>(Cpus, 3, 1);
        SimulatedSlab.New(box.AllCpus, Cpus, 3, 128, 256, 512);
        parent = box.Group<Spliced>();
        child = MemcgLife.Create<Spliced>(box[0], parent);
        box.Charged<Spliced>(0, child);
        AtomicInt.Init(&child->Css.State, (int)CssState.Dying); // the kill's grace period is over
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == TReaders.N)
        {
            SpliceToParent.OnOffline<Spliced>(self, child);
            return;
        }
        Memcg* first = Ask(self), second = Ask(self);
        if (first != child && first != parent) Bug.Fail("the owner of a page is neither its group nor the parent");
        if (second != parent && second != first) Bug.Fail("a page went back to its dying group");
    }

    private static Memcg* Ask(in ThisCpu cpu)
    {
        using var reader = new RcuReadGuard(cpu);
        Memcg* owner = Spliced.OwnerOf(cpu, box.Pages, out bool used);
        if (!used) Bug.Fail("a page in use that nobody pays for");
        return owner;
    }

    public static void Final()
    {
        if (Spliced.OwnerOf(box[0], box.Pages, out _) != parent) Bug.Fail("the page is not the parent's");
        if (Spliced.LruCount(parent, 0, LruList.InactiveAnon) != 1) Bug.Fail("length of the parent's list", Spliced.LruCount(parent, 0, LruList.InactiveAnon));
    }
}

internal static class LastPutCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<PagesOfOneGroup<Emptied, N0, N2, N0>>("pages", "ForceEmpty", "2p"),
        Case.Of<PagesOfOneGroup<Emptied, N1, N1, N0>>("pages", "ForceEmpty", "1c1p"),
        Case.Of<PagesOfOneGroup<Emptied, N0, N4, N0>>("pages", "ForceEmpty", "4p", heavy: true),
        Case.Of<PagesOfOneGroup<Spliced, N0, N2, N0>>("splice", "ObjcgWord", "2p"),
        Case.Of<PagesOfOneGroup<Spliced, N1, N1, N0>>("splice", "ObjcgWord", "1c1p"),
        Case.Of<PagesOfOneGroup<Spliced, N0, N4, N0>>("splice", "ObjcgWord", "4p", heavy: true),
        Case.Of<PagesOfOneGroup<Spliced, N0, N1, N1>>("splice", "SpliceToParent", "1p1o"),
        Case.Of<PagesOfOneGroup<Spliced, N0, N2, N1>>("splice", "SpliceToParent", "2p1o"),
        Case.Of<OwnerAgainstSplice<N1>>("splice", "SpliceToParent", "1r1o"),
        Case.Of<OwnerAgainstSplice<N3>>("splice", "SpliceToParent", "3r1o"),
        Case.Of<PagesOfOneGroup<Emptied, N0, N2, N0>>("pages", "busted-ForceEmpty-split", "2p", Expect.Broken).Mutated("ForceEmpty.OnUncounted#1", MutationOp.SplitRmw),
    ];
}
