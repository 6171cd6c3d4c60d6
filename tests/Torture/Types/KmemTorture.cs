// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Kernel objects against the end of their groups and caches: allocated here and freed there, groups made and removed with objects alive, caches
/// made and destroyed, items on a list_lru, limits that refuse. Objects are poisoned while free and carry a stamp while they live.
/// </summary>
internal sealed unsafe class KmemTorture<TC>(string model, string? busted = null) : TortureType where TC : struct, IMemoryController
{
    private const int Alloc = 0, Free = 1, Create = 2, Remove = 3, Churn = 4, Drain = 5, Refused = 6, Elsewhere = 7, Zombies = 8, Idle = 9, Limit = 10;
    private const int Shelf = 256, ObjectBytes = 200, GroupsMost = 400;

    private PhysicalMemory memory = null!;
    private PlainMemory source = null!;
    private AccountingMemory accounting = null!;
    private Slab slab = null!;
    private SlabCache* cache;
    private ListLru* lru;
    private AtomicLong* shelf;
    private Memcg* top;
    private readonly nint[] own = new nint[64], churn = new nint[64];
    private int churnName;

    public override string Name => busted ?? "kmem";
    public override bool Busted => busted is not null;
    public override bool Allocates => true;
    public override string Detail => "[" + model + "]";
    public override IReadOnlyList<string> Counters { get; } =
        ["alloc", "free", "create", "remove", "churn", "drain", "refused", "freed-elsewhere", "zombies", "idle", "limit"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Alloc, Free, Create, Remove, Churn, Drain, Refused, Elsewhere, Idle, Limit];

    protected override void SetUp()
    {
        memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), 4 * NodeSpec.Granule), new(new(1), new(1), 4 * NodeSpec.Granule)]) { Watermarks = Watermarks.None },
            new PlainMemory());
        memory.Attach(Cpus.Table);
        source = new PlainMemory();
        accounting = AccountingMemory.Build<TC>(memory, Cpus, source, new AccountingPlan(MaxGroups: GroupsMost));
        slab = accounting.Slab ?? Slab.Build(memory, Cpus, checkObjects: true);
        shelf = (AtomicLong*)source.Map([new MemoryPart(4096, new NodeId(0))], MemoryUse.Process);
        churnName = slab.Name("churn");
        AsCpu(0, (in ThisCpu cpu) =>
        {
            cache = SlabCaches.Create<TC>(cpu, slab.Name("dentry"), ObjectBytes, accounted: true, checkObjects: true);
            lru = ListLru.Create(cpu, accounting.Tree);
            top = MemcgLife.Create<TC>(cpu, accounting.Root);
            for (int c = 0; c < Cpus.Count; c++) own[c] = (nint)MemcgLife.Create<TC>(cpu, top);
        });
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        if (AtomicLong.Load(&accounting.Tree->Dying) != 0) w.Hit(Zombies);
        switch (w.Random(64))
        {
            case 0:
                NextGroup(cpu, w);
                break;
            case 1:
                NextCache(cpu, w);
                break;
            case 2:
                w.Did(Drain);
                TC.DrainStocks(cpu, top);
                break;
            case 3:
                w.Did(Limit);
                TC.TrySetLimit(top, CounterKind.Memory, w.OneIn(2) ? 60 + w.Random(600) : long.MaxValue >> 12);
                break;
            default:
                Exchange(cpu, w);
                break;
        }
    }

    private void NextGroup(in ThisCpu cpu, Worker w)
    {
        Memcg* next = MemcgLife.Create<TC>(cpu, top);
        w.Did(Create, (long)next);
        if (next == null) return; // the table is full of zombies
        w.Did(Remove, own[cpu.Index]);
        MemcgLife.Remove(cpu, (Memcg*)own[cpu.Index]);
        own[cpu.Index] = (nint)next;
    }

    private void NextCache(in ThisCpu cpu, Worker w)
    {
        w.Did(Churn, churn[cpu.Index]);
        if (churn[cpu.Index] != 0) SlabCaches.Destroy<TC>(cpu, (SlabCache*)churn[cpu.Index]);
        churn[cpu.Index] = (nint)SlabCaches.Create<TC>(cpu, churnName, 100, accounted: true, checkObjects: true);
    }

    /// <summary>A fresh object takes another one's place on the shelf, whoever put that there; the other is freed here.</summary>
    private void Exchange(in ThisCpu cpu, Worker w)
    {
        int at = w.Random(Shelf);
        var payer = (Memcg*)own[cpu.Index];
        bool idle = w.OneIn(4) && ListLru.Prepare(cpu, lru, payer);
        void* fresh = idle ? KmemObjects.Alloc<TC>(cpu, cache, payer) : w.Random(4) switch
        {
            0 when churn[cpu.Index] != 0 => KmemObjects.Alloc<TC>(cpu, (SlabCache*)churn[cpu.Index], payer),
            1 => KmemObjects.Kmalloc<TC>(cpu, 64 + w.Random(6000), payer, Gfp.Kernel | Gfp.Account),
            _ => KmemObjects.Alloc<TC>(cpu, cache, payer),
        };
        w.Did(Alloc, (long)fresh, (long)payer);
        if (fresh == null) w.Hit(Refused);
        else
        {
            ((long*)fresh)[2] = (long)fresh ^ cpu.Index; // after its place on a list
            ((long*)fresh)[3] = cpu.Index | (idle ? 64 : 0);
            if (idle)
            {
                w.Hit(Idle);
                ListLru.Add<TC>(cpu, lru, fresh, (ListHead*)fresh);
            }
        }
        var old = (long*)AtomicLong.Exchange(shelf + at, (long)fresh);
        if (old != null) Give(cpu, w, old);
    }

    private void Give(in ThisCpu cpu, Worker w, long* obj)
    {
        long by = obj[3] & 63;
        w.Did(Free, (long)obj, by);
        if (obj[2] != ((long)obj ^ by)) throw new TortureException($"the object at {(long)obj:x} reads {obj[2]:x} and {obj[3]:x}: freed early, or somebody else has it too");
        if (by != cpu.Index) w.Hit(Elsewhere);
        if ((obj[3] & 64) != 0) ListLru.Delete<TC>(cpu, lru, obj, (ListHead*)obj);
        KmemObjects.Free<TC>(cpu, obj);
    }

    public override void Leave(in ThisCpu cpu)
    {
        TC.DrainStocks(cpu, accounting.Root);
        Slab.DrainLocal<TC>(cpu);
        PageAllocator.DrainLocal(cpu);
    }

    /// <summary>Everybody polls until callbacks bring no further ones.</summary>
    private void Settle()
    {
        for (int round = 0; round < 4; round++)
            for (int c = 0; c < Cpus.Count; c++) AsCpu(c, static (in ThisCpu cpu) => Rcu.Barrier(cpu));
    }

    public override void Check(ICollection<string> wrong)
    {
        for (int c = 0; c < Cpus.Count; c++) AsCpu(c, (in ThisCpu cpu) => TC.DrainStocks(cpu, accounting.Root));
        Settle();
        AsCpu(0, (in ThisCpu cpu) =>
        {
            foreach (string line in Audit.Run<TC>(cpu).Wrong) wrong.Add(line);
            foreach (DyingGroup zombie in DyingGroups.Explain<TC>(cpu, accounting.Tree).Where(z => z.Other != 0)) wrong.Add($"nobody explains {zombie}");
        });
        foreach (string line in AllocatorCheck.Run(memory)) wrong.Add(line);
    }

    public override void Finish(ICollection<string> wrong)
    {
        var last = new Worker(0, 1, Counters);
        AsCpu(0, (in ThisCpu cpu) =>
        {
            TC.TrySetLimit(top, CounterKind.Memory, long.MaxValue >> 12);
            for (int i = 0; i < Shelf; i++)
                if (AtomicLong.Exchange(shelf + i, 0) is var obj && obj != 0) Give(cpu, last, (long*)obj);
            for (int c = 0; c < Cpus.Count; c++)
            {
                MemcgLife.Remove(cpu, (Memcg*)own[c]);
                if (churn[c] != 0) SlabCaches.Destroy<TC>(cpu, (SlabCache*)churn[c]);
            }
            SlabCaches.Destroy<TC>(cpu, cache);
            ListLru.Destroy(cpu, lru);
        });
        Check(wrong);
        AsCpu(0, (in ThisCpu cpu) => MemcgLife.Remove(cpu, top));
        Check(wrong);
        if (AtomicLong.Load(&accounting.Tree->Count) is not 1 and var groups)
            wrong.Add($"left at the end: {groups - 1} groups, {AtomicLong.Load(&accounting.Tree->Dying)} of them dying");
        for (int turn = 0; turn < 2; turn++)
            for (int c = 0; c < Cpus.Count; c++) AsCpu(c, Slab.Retire<TC>);
        foreach (string line in AllocatorCheck.AllBack(memory)) wrong.Add(line);
    }

    public override void TearDown()
    {
        source.Dispose();
        memory.Dispose();
        base.TearDown();
    }
}
