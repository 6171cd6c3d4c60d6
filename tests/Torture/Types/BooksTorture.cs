// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Few mapped pages; catchers take them off their lists and put them back, switchers move them between groups, groups are made, get a page,
/// lose it and die, so that their lists are destroyed while a catcher looks at them. The protocols of 2012 and after meet nowhere else so often.
/// </summary>
/// <param name="model">What the statistics line says.</param>
/// <param name="busted">Name of a type that must fail.</param>
/// <param name="pages">Pages, or 0: by the seed.</param>
internal sealed unsafe class BooksTorture<TC>(string model, string? busted = null, int pages = 0) : CoreTorture<TC> where TC : struct, IMemoryController
{
    private const int Caught = 0, Missed = 1, Moved = 2, Busy = 3, SwitchedIsolated = 4, Requeued = 5, Destroyed = 6, ByPfn = 7, Groups = 3;

    private MmStruct* mm;
    private readonly nint[] groups = new nint[Groups];
    private nint[] own = [];
    private int count;

    public override string Name => busted ?? "books";
    public override bool Busted => busted is not null;
    public override string Detail => $"[{model}]";
    public override bool Allocates => false; // all pages are there before the first step
    public override RcuFlavour? Wants => RcuFlavour.Membarrier;
    public override IReadOnlyList<string> Counters { get; } = ["catch", "miss", "move", "busy", "switch-isolated", "requeue", "destroy", "catch-by-pfn"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Caught, Moved, Busy, SwitchedIsolated, Requeued, Destroyed, ByPfn];

    private Memcg* Group(int i) => (Memcg*)groups[i];
    private Page* PageAt(long i) => GuardedPtr<Page>.Get(MmStruct.Entry(mm, i));

    protected override void SetUp()
    {
        count = pages != 0 ? pages : (Setting.Seed % 3) switch { 0 => 1, 1 => 4, _ => 32 };
        Build(new AccountingPlan(MaxGroups: 64) { Slices = new SlicePlan(SlicePlan.HugePageOrder, 3) });
        mm = (MmStruct*)Map(sizeof(MmStruct));
        MmStruct.Init(mm, count, (byte*)Map(MmStruct.TableBytes(count)));
        own = new nint[Cpus.Count];
        AsCpu(0, (in ThisCpu cpu) =>
        {
            for (int i = 0; i < Groups; i++) groups[i] = (nint)MemcgLife.Create<TC>(cpu, Accounting.Root);
            for (int c = 0; c < Cpus.Count; c++) own[c] = (nint)MemcgLife.Create<TC>(cpu, Accounting.Root);
            MemcgLife.Attach(cpu, mm, Group(0));
            for (int i = 0; i < count; i++) Mm.Fault<TC>(cpu, mm, i, write: true);
            Leave(cpu);
        });
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        Page* page = PageAt(w.Random(count));
        switch (w.Random(64))
        {
            case 0:
                Destroy(cpu, w, page);
                break;
            case < 4:
                w.Did(Requeued, (long)page);
                if (w.OneIn(2)) TC.LruActivate(cpu, &page, 1);
                else TC.LruRotate(cpu, &page, 1);
                break;
            case < 8:
                w.Did(ByPfn, (long)page);
                if (Mm.Catch<TC>(cpu, page)) PutBack(cpu, w, page, switchFirst: w.OneIn(2));
                break;
            case < 34:
                if (TC.LruIsolate(cpu, page))
                {
                    w.Did(Caught, (long)page);
                    PutBack(cpu, w, page, switchFirst: w.OneIn(16));
                }
                else w.Did(Missed, (long)page);
                break;
            default:
                Move(cpu, w, page, Group(w.Random(Groups)));
                break;
        }
    }

    private void PutBack(in ThisCpu cpu, Worker w, Page* page, bool switchFirst)
    {
        if (switchFirst && PageOps.TryLock(page))
        {
            Memcg* from = OwnerWithReference(cpu, page);
            if (from != null)
            {
                w.Did(SwitchedIsolated, (long)page, (long)from);
                MoveAccount.SwitchIsolated<TC>(cpu, page, from, Group(w.Random(Groups)));
                Css.Put(cpu, &from->Css);
            }
            PageOps.Unlock(page);
        }
        TC.LruPutback(cpu, &page, 1);
        if (PageOps.PutAndTest(page)) throw new TortureException($"{Name}: the mapping's reference of a page was lost");
    }

    private bool Move(in ThisCpu cpu, Worker w, Page* page, Memcg* to)
    {
        Memcg* from = OwnerWithReference(cpu, page);
        if (from == null) return false;
        MoveResult result = MoveAccount.TryMove<TC>(cpu, page, from, to);
        w.Did(result == MoveResult.Moved ? Moved : Busy, (long)page, (long)from);
        Css.Put(cpu, &from->Css);
        return result == MoveResult.Moved;
    }

    /// <summary>A group's list gets a page, loses it, and is destroyed with the group; another takes its place.</summary>
    private void Destroy(in ThisCpu cpu, Worker w, Page* page)
    {
        var mine = (Memcg*)own[cpu.Index];
        if (Move(cpu, w, page, mine)) Move(cpu, w, page, Group(w.Random(Groups)));
        Memcg* next = MemcgLife.Create<TC>(cpu, Accounting.Root);
        if (next == null) return; // the table is full of groups that are dying
        w.Did(Destroyed, (long)mine);
        MemcgLife.Remove(cpu, mine);
        own[cpu.Index] = (nint)next;
    }

    public override void Check(ICollection<string> wrong)
    {
        base.Check(wrong);
        for (int i = 0; i < count; i++)
        {
            Page* page = PageAt(i);
            if (!PageOps.Test(page, PageFlags.Lru)) wrong.Add($"page {i} is on no list (I3)");
            if (PageOps.Count(page) != 1) wrong.Add($"page {i} has {PageOps.Count(page)} references, its mapping is one");
        }
    }

    public override void Finish(ICollection<string> wrong)
    {
        AsCpu(0, (in ThisCpu cpu) =>
        {
            Mm.Unmap<TC>(cpu, mm, 0, count);
            MemcgLife.Detach(cpu, mm);
            foreach (nint group in groups.Concat(own)) MemcgLife.Remove(cpu, (Memcg*)group);
        });
        Settle(8);
        if (AtomicLong.Load(&Accounting.Tree->Count) is not 1 and var left) wrong.Add($"{left - 1} groups never died (I7)");
        base.Check(wrong);
    }
}
