// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.InteropServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Long because every kind of operation has its function here. One model whole: faults, unmaps, extra references put elsewhere, reclaim, limits,
/// groups that are made, moved into, removed and die,
/// on two nodes, wanting 105 % of the memory. At rest the audit compares every frame, list and counter; at the end nothing may be left.
/// </summary>
/// <param name="model">What the statistics line says.</param>
/// <param name="busted">Name of a type that must fail.</param>
/// <param name="wants">The flavour of RCU it needs.</param>
/// <param name="small">Few groups and pages, so that they meet, in every episode; otherwise in one of five.</param>
internal sealed unsafe class AccountingTorture<TC>(string model, string? busted = null, RcuFlavour? wants = null, bool small = false) : TortureType
    where TC : struct, IMemoryController
{
    private const int Fault = 0, NoMemory = 1, OverLimit = 2, Unmap = 3, Pin = 4, Unpin = 5, PinElsewhere = 6, Create = 7, Remove = 8, Busy = 9, Attach = 10,
        Deep = 11, Shrink = 12, SetLimit = 13, Drain = 14, LruDrain = 15, Zombies = 16, TreeFull = 17, FileFault = 18, FileRead = 19,
        Truncate = 20, Migrate = 21, Migrated = 22, SwapIn = 23;
    private const int MaxDepth = 4, Pins = 32, FilePages = 64;

    private PhysicalMemory memory = null!;
    private PlainMemory source = null!;
    private AccountingMemory accounting = null!;
    private MmStruct* spaces;
    private FileSpace* file;
    private AtomicPtr<Page>* handOver;
    private nint[][] pins = [];
    private int[] pinned = [];
    private int entries, maxGroups;
    private bool crowded;
    private readonly object limitLock = new();

    public override string Name => busted ?? "accounting";
    public override bool Busted => busted is not null;
    public override string Detail => "[" + model + "]";
    public override int Weight => 4;
    public override bool Allocates => true;
    public override RcuFlavour? Wants => wants;
    public override IReadOnlyList<string> Counters { get; } =
    [
        "fault", "no-memory", "over-limit", "unmap", "pin", "unpin", "pin-elsewhere", "create", "remove", "busy", "attach", "deep", "shrink", "set-limit", "drain",
        "lru-drain", "zombies", "tree-full", "file-fault", "file-read", "truncate", "migrate", "migrated", "swap-in",
    ];
    public override IReadOnlyList<int> BlindSpots { get; } =
    [
        Fault, NoMemory, OverLimit, Unmap, Pin, PinElsewhere, Create, Remove, Busy, Attach, Deep, Shrink, SetLimit, Drain, LruDrain, Zombies,
        FileFault, FileRead, Truncate, Migrated, SwapIn,
    ];

    protected override void SetUp()
    {
        crowded = small || Setting.Seed % 5 == 0;
        maxGroups = crowded ? 24 : (Setting.Seed & 8) != 0 ? 1000 : 100;
        memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), NodeSpec.Granule), new(new(1), new(1), NodeSpec.Granule)])
        {
            Batch = (Setting.Seed & 1) == 0 ? 2 : PerCpuPages.DefaultBatch,
            High = (Setting.Seed & 1) == 0 ? 5 : PerCpuPages.DefaultHigh,
            Watermarks = Watermarks.None,
        }, new PlainMemory());
        memory.Attach(Cpus.Table);
        source = new PlainMemory();
        accounting = AccountingMemory.Build<TC>(memory, Cpus, source,
            new AccountingPlan(MaxGroups: maxGroups, SwapAccounting: (Setting.Seed & 4) != 0, SwapEntries: 512, PageCacheBuckets: 16)
            {
                Slices = new SlicePlan(SlicePlan.HugePageOrder, 3),
            });
        entries = crowded ? 64 : (int)(memory.TotalPages * 105 / 100 / Cpus.Count);
        spaces = (MmStruct*)NativeMemory.AlignedAlloc((nuint)(Cpus.Count * sizeof(MmStruct)), 128);
        for (int i = 0; i < Cpus.Count; i++)
        {
            nuint bytes = (nuint)((MmStruct.TableBytes(entries + FilePages) + 4095) & -4096);
            MmStruct.Init(spaces + i, entries + FilePages, source.Map([new MemoryPart(bytes, new NodeId(0))], MemoryUse.Process));
        }
        file = (FileSpace*)source.Map([new MemoryPart(4096, new NodeId(0))], MemoryUse.Process);
        FileSpace.Init(file);
        for (int i = 0; i < Math.Min(Cpus.Count, FileSpace.MaxMappings); i++) FileSpace.TryMap(file, spaces + i, entries, 0, FilePages);
        handOver = (AtomicPtr<Page>*)source.Map([new MemoryPart(4096, new NodeId(0))], MemoryUse.Process);
        pins = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new nint[Pins + 16])];
        pinned = new int[Cpus.Count * 32];
        for (int c = 0; c < Cpus.Count; c++)
        {
            MmStruct* mm = spaces + c;
            AsCpu(c, (in ThisCpu cpu) => MemcgLife.Attach(cpu, mm, MemcgLife.Create<TC>(cpu, accounting.Root)));
        }
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        MmStruct* mm = spaces + cpu.Index;
        if (AtomicLong.Load(&accounting.Tree->Dying) != 0) w.Hit(Zombies);
        if (crowded && w.OneIn(3))
        {
            UseFile(cpu, w, mm);
            return;
        }
        switch (w.Random(64))
        {
            case 0:
                CreateGroup(cpu, w);
                break;
            case 1:
                RemoveGroup(cpu, w);
                break;
            case 2:
                Move(cpu, w, mm);
                break;
            case 3:
                DrainSomething(cpu, w);
                break;
            case 4:
                Limit(cpu, w);
                break;
            case 5:
                ShrinkGroup(cpu, w);
                break;
            case < 9:
                UseFile(cpu, w, mm);
                break;
            case < 11:
                MigratePage(cpu, w);
                break;
            case < 15:
                PinPage(cpu, w, mm);
                break;
            case < 24:
                UnpinPage(cpu, w);
                break;
            case < 34:
                long first = w.Random(entries), count = Math.Min(1 + w.Random(64), entries - first);
                w.Did(Unmap, first, count);
                Mm.Unmap<TC>(cpu, mm, first, count);
                break;
            default:
                FaultRange(cpu, w, mm);
                break;
        }
    }

    private void FaultRange(in ThisCpu cpu, Worker w, MmStruct* mm)
    {
        long first = w.Random(entries), end = Math.Min(first + 1 + w.Random(32), entries);
        if (w.OneIn(16)) Perturb.FailNth = 1 + w.Random(8);
        for (long i = first; i < end; i++)
        {
            Page* entry = GuardedPtr<Page>.Get(MmStruct.Entry(mm, i));
            if (Pte.IsPresent(entry) && w.OneIn(2)) continue;
            if (Pte.IsSwap(entry)) w.Hit(SwapIn);
            w.Did(Fault, i, (long)entry);
            FaultResult result = MmSwap.Touch<TC>(cpu, mm, i, write: w.OneIn(2));
            if (result == FaultResult.Mapped) continue;
            w.Hit(result == FaultResult.NoMemory ? NoMemory : OverLimit);
            if (w.OneIn(2)) Mm.Unmap<TC>(cpu, mm, w.Random(entries), 1); // exit of a small task
            break;
        }
        Perturb.FailNth = 0;
    }

    /// <summary>An extra reference on one of this CPU's pages: it is unmapped without it, and finally put by whoever has the reference.</summary>
    private void PinPage(in ThisCpu cpu, Worker w, MmStruct* mm)
    {
        ref int n = ref pinned[cpu.Index * 32];
        if (n == Pins) return;
        long index = w.Random(entries + FilePages);
        Page* page = Mm.Follow(cpu, mm, index);
        if (page == null) return;
        w.Did(Pin, (long)page, index);
        pins[cpu.Index][n++] = (nint)page;
    }

    private void UseFile(in ThisCpu cpu, Worker w, MmStruct* mm)
    {
        long index = w.Random(crowded ? 4 : FilePages);
        bool write = w.OneIn(2);
        switch (w.Random(8))
        {
            case 0:
                w.Did(Truncate, index);
                MmFile.Truncate<TC>(cpu, file, index, Math.Min(1 + w.Random(16), FilePages - index));
                break;
            case < 4:
                w.Did(FileRead, index);
                if (MmFile.Read<TC>(cpu, mm, file, index, write, out Page* page) == FaultResult.Mapped) Mm.Put<TC>(cpu, page);
                break;
            default:
                if (cpu.Index >= FileSpace.MaxMappings) break;
                w.Did(FileFault, index);
                MmFile.Fault<TC>(cpu, mm, entries + index, file, index, write);
                break;
        }
    }

    /// <summary>A page of any space moves to another frame.</summary>
    private void MigratePage(in ThisCpu cpu, Worker w)
    {
        Page* page = Mm.Follow(cpu, spaces + w.Random(Cpus.Count), w.Random(entries + FilePages));
        if (page == null) return;
        w.Did(Migrate, (long)page);
        Mm.LruAddDrain<TC>(cpu);
        if (Migration.Migrate<TC>(cpu, page, AllocatorState.Node(memory.State, w.Random(2))) == MigrateResult.Moved) w.Hit(Migrated);
        Mm.Put<TC>(cpu, page);
    }

    private void UnpinPage(in ThisCpu cpu, Worker w)
    {
        ref int n = ref pinned[cpu.Index * 32];
        Page* mine = n == 0 ? null : (Page*)pins[cpu.Index][--n];
        Page* page = w.OneIn(2) ? mine : AtomicPtr<Page>.Exchange(handOver + w.Random(16), mine);
        if (page == null) return;
        if (page != mine) w.Hit(PinElsewhere);
        w.Did(Unpin, (long)page);
        Mm.Put<TC>(cpu, page);
    }

    /// <summary>Any living group with a reference of ours (put by the caller), or null.</summary>
    private Memcg* Any(in ThisCpu cpu, Worker w)
    {
        for (int tries = 0; tries < 8; tries++)
        {
            Memcg* memcg = MemcgTree.ById(accounting.Tree, w.Random(w.OneIn(2) ? maxGroups - 1 : Math.Min(maxGroups - 1, 24)));
            Rcu.ReadLock(cpu);
            bool got = Css.StateOf(&memcg->Css) == CssState.Online && Css.TryGetOnline(cpu, &memcg->Css);
            Rcu.ReadUnlock(cpu);
            if (got) return memcg;
        }
        return null;
    }

    private void CreateGroup(in ThisCpu cpu, Worker w)
    {
        for (int burst = w.OneIn(8) ? w.Random(32) : 1; burst > 0; burst--)
        {
            Memcg* parent = Any(cpu, w);
            if (parent == null) return;
            int depth = Guarded<int>.Get(&parent->Depth) + 1;
            Memcg* made = depth > MaxDepth ? null : MemcgLife.Create<TC>(cpu, parent);
            w.Did(Create, (long)parent, (long)made);
            if (made == null && depth <= MaxDepth) w.Hit(TreeFull);
            if (made != null && depth == MaxDepth) w.Hit(Deep);
            Css.Put(cpu, &parent->Css);
        }
    }

    private void RemoveGroup(in ThisCpu cpu, Worker w)
    {
        for (int burst = w.OneIn(8) ? w.Random(32) : 1; burst > 0; burst--)
        {
            Memcg* memcg = Any(cpu, w);
            if (memcg == null) return;
            RemoveResult result = MemcgLife.Remove(cpu, memcg);
            w.Did(Remove, (long)memcg, (long)result);
            if (result == RemoveResult.Busy) w.Hit(Busy);
            Css.Put(cpu, &memcg->Css);
        }
    }

    private void Move(in ThisCpu cpu, Worker w, MmStruct* mm)
    {
        Memcg* memcg = Any(cpu, w);
        if (memcg == null) return;
        Memcg* old = AtomicPtr<Memcg>.Load(&mm->Memcg);
        if (MemcgLife.Attach(cpu, mm, memcg))
        {
            w.Did(Attach, (long)memcg, (long)old);
            if (w.OneIn(2)) MemcgLife.Remove(cpu, old);
        }
        Css.Put(cpu, &memcg->Css);
    }

    private void DrainSomething(in ThisCpu cpu, Worker w)
    {
        if (w.OneIn(2))
        {
            w.Did(LruDrain);
            Mm.LruAddDrain<TC>(cpu);
            return;
        }
        Memcg* memcg = Any(cpu, w);
        w.Did(Drain, (long)memcg);
        TC.DrainStocks(cpu, memcg == null ? accounting.Root : memcg);
        if (memcg != null) Css.Put(cpu, &memcg->Css);
    }

    private void Limit(in ThisCpu cpu, Worker w)
    {
        Memcg* memcg = Any(cpu, w);
        if (memcg == null) return;
        w.Did(SetLimit, (long)memcg);
        if (!Memcg.IsRoot(memcg))
            lock (limitLock) TC.TrySetLimit(memcg, CounterKind.Memory, w.OneIn(8) ? 1_000_000 : 8 + w.Random(2 * entries));
        Css.Put(cpu, &memcg->Css);
    }

    private void ShrinkGroup(in ThisCpu cpu, Worker w)
    {
        Memcg* memcg = Any(cpu, w);
        if (memcg == null) return;
        w.Did(Shrink, (long)memcg);
        Reclaim.Shrink<TC>(cpu, memcg, 1 + w.Random(40));
        Css.Put(cpu, &memcg->Css);
    }

    public override void Leave(in ThisCpu cpu)
    {
        Writeback.CompleteOwn<TC>(cpu);
        Mm.LruAddDrain<TC>(cpu);
        TC.DrainStocks(cpu, accounting.Root);
        PageAllocator.DrainLocal(cpu);
    }

    public override void Check(ICollection<string> wrong)
    {
        for (int c = 0; c < Cpus.Count; c++) AsCpu(c, Settle); // drains that were asked of others
        AsCpu(0, (in ThisCpu cpu) =>
        {
            foreach (string line in Audit.Run<TC>(cpu).Wrong) wrong.Add(line);
        });
        foreach (string line in AllocatorCheck.Run(memory)) wrong.Add(line);
    }

    private void Settle(in ThisCpu cpu)
    {
        Writeback.CompleteOwn<TC>(cpu);
        Mm.LruAddDrain<TC>(cpu);
        TC.DrainStocks(cpu, accounting.Root);
        for (int i = 0; i < 8; i++) Poll.Run(cpu);
        PageAllocator.DrainLocal(cpu);
    }

    public override void Finish(ICollection<string> wrong)
    {
        for (int c = 0; c < Cpus.Count; c++)
        {
            int own = c;
            AsCpu(c, (in ThisCpu cpu) =>
            {
                while (pinned[own * 32] > 0) Mm.Put<TC>(cpu, (Page*)pins[own][--pinned[own * 32]]);
                for (int i = 0; i < 16 && own == 0; i++)
                    if (AtomicPtr<Page>.Exchange(handOver + i, null) is var page && page != null) Mm.Put<TC>(cpu, page);
                Mm.Unmap<TC>(cpu, spaces + own, 0, entries + FilePages);
                MemcgLife.Detach(cpu, spaces + own);
                Settle(cpu);
            });
        }
        long start = Stopwatch.GetTimestamp(); // dying groups reach 0 within 8 s (I7)
        for (int round = 0; AtomicLong.Load(&accounting.Tree->Count) != 1 && Stopwatch.GetElapsedTime(start).TotalSeconds < 8; round++)
            AsCpu(0, (in ThisCpu cpu) =>
            {
                MmFile.Truncate<TC>(cpu, file, 0, FilePages);
                if (SwapDevice.Used(SwapDevice.Of(cpu)) != 0) Reclaim.Shrink<TC>(cpu, accounting.Root, long.MaxValue); // places only the cache still uses
                for (int id = maxGroups - 1; id > 0; id--)
                    if (Css.StateOf(&MemcgTree.ById(accounting.Tree, id)->Css) == CssState.Online) MemcgLife.Remove(cpu, MemcgTree.ById(accounting.Tree, id));
                Settle(cpu);
            });
        AsCpu(0, (in ThisCpu cpu) =>
        {
            Balance balance = Audit.Run<TC>(cpu);
            foreach (string line in balance.Wrong) wrong.Add(line);
            if ((balance.Resident, balance.Stocked, balance.OnLists, balance.Groups) != (0, 0, 0, 1))
                wrong.Add($"left at the end: {balance.Resident} pages charged, {balance.Stocked} in stocks, {balance.OnLists} on lists, "
                    + $"{balance.Groups - 1} groups, {balance.Dying} of them dying");
        });
        AsCpu(0, (in ThisCpu cpu) =>
        {
            accounting.PageCgroups?.Shrink<NoKmemHook>(cpu);
            PageAllocator.DrainLocal(cpu);
            if (SwapDevice.Used(SwapDevice.Of(cpu)) is not 0 and var places) wrong.Add($"{places} places of the swap device are in use");
        });
        for (int c = 0; c < Cpus.Count && accounting.Slab != null; c++) AsCpu(c, Slab.Retire<TC>); // objcgs lie in its pages
        foreach (string line in AllocatorCheck.AllBack(memory)) wrong.Add(line);
    }

    public override void TearDown()
    {
        NativeMemory.AlignedFree(spaces);
        source.Dispose();
        memory.Dispose();
        base.TearDown();
    }
}
