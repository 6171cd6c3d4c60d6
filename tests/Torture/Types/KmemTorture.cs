// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Kernel objects allocated here and freed there, for groups that die before their objects do, below a limit that refuses; caches come and go
/// with their copies; free objects are poisoned. At rest every object is counted to somebody, at the end no group and no object is left.
/// </summary>
/// <param name="model">What the statistics line says.</param>
/// <param name="busted">Name of a type that must fail.</param>
internal sealed unsafe class KmemTorture<TC>(string model, string? busted = null) : CoreTorture<TC> where TC : struct, IMemoryController
{
    private const int Alloc = 0, NoObject = 1, Free = 2, Blocks = 3, NextGroup = 4, Churn = 5, Drain = 6, SetLimit = 7, Stranger = 8, Zombies = 9, Shelf = 128, DentryBytes = 192;

    private Slab slab = null!;
    private SlabCache* dentry;
    private AtomicLong* shelf;
    private AtomicPtr<Memcg>* own;
    private nint[] churn = [];
    private Memcg* parent;
    private int churnName;
    private readonly object limitLock = new();

    public override string Name => busted ?? "kmem";
    public override bool Busted => busted is not null;
    public override string Detail => $"[{model}]";
    public override IReadOnlyList<string> Counters { get; } =
        ["alloc", "no-object", "free", "blocks", "next-group", "cache-churn", "drain", "set-limit", "for-a-stranger", "zombies"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Alloc, NoObject, Free, Blocks, NextGroup, Churn, Drain, SetLimit, Stranger];

    protected override void SetUp()
    {
        Build(new AccountingPlan(MaxGroups: 256));
        slab = Accounting.Slab ?? Slab.Build(Memory, Cpus, checkObjects: true);
        int name = slab.Name("dentry");
        churnName = slab.Name("churn");
        shelf = (AtomicLong*)Map(Shelf * sizeof(AtomicLong));
        own = (AtomicPtr<Memcg>*)Map(Cpus.Count * CacheLine.Apart);
        churn = new nint[Cpus.Count];
        AsCpu(0, (in ThisCpu cpu) =>
        {
            dentry = SlabCaches.Create<TC>(cpu, name, DentryBytes, accounted: true, checkObjects: true);
            parent = MemcgLife.Create<TC>(cpu, Accounting.Root);
            TC.TrySetLimit(parent, CounterKind.Memory, 200);
            for (int c = 0; c < Cpus.Count; c++) AtomicPtr<Memcg>.Init(Own(c), MemcgLife.Create<TC>(cpu, parent));
        });
    }

    private AtomicPtr<Memcg>* Own(int cpu) => (AtomicPtr<Memcg>*)((byte*)own + cpu * CacheLine.Apart);

    public override void Step(in ThisCpu cpu, Worker w)
    {
        if (AtomicLong.Load(&Accounting.Tree->Dying) != 0) w.Hit(Zombies);
        switch (w.Random(256))
        {
            case < 4:
                Memcg* next = MemcgLife.Create<TC>(cpu, parent);
                w.Did(NextGroup, (long)next);
                if (next != null) MemcgLife.Remove(cpu, AtomicPtr<Memcg>.Exchange(Own(cpu.Index), next));
                break;
            case 4:
                w.Did(Churn, churn[cpu.Index]);
                if (churn[cpu.Index] != 0) SlabCaches.Destroy<TC>(cpu, (SlabCache*)churn[cpu.Index]);
                churn[cpu.Index] = (nint)SlabCaches.Create<TC>(cpu, churnName, 100, accounted: true, checkObjects: true);
                break;
            case 5:
                w.Did(Drain);
                TC.DrainStocks(cpu, parent);
                break;
            case 6:
                w.Did(SetLimit);
                lock (limitLock)
                {
                    TC.TrySetLimit(parent, CounterKind.Memory, w.OneIn(2) ? 1_000_000 : 20 + w.Random(300));
                    TC.TrySetLimit(parent, CounterKind.Kmem, w.OneIn(2) ? 1_000_000 : 10 + w.Random(200));
                }
                break;
            default:
                Exchange(cpu, w);
                break;
        }
    }

    /// <summary>A new object goes onto the shelf; what lay there, whosever it was, is freed.</summary>
    private void Exchange(in ThisCpu cpu, Worker w)
    {
        Memcg* payer = Payer(cpu, w);
        void* fresh = null;
        if (payer != null && !w.OneIn(8))
        {
            if (w.OneIn(64)) Perturb.FailNth = 1 + w.Random(4);
            var cache = (SlabCache*)churn[cpu.Index];
            fresh = w.Random(4) switch
            {
                0 when cache != null => KmemObjects.Alloc<TC>(cpu, cache, payer),
                1 => Block(cpu, w, payer),
                _ => KmemObjects.Alloc<TC>(cpu, dentry, payer),
            };
            Perturb.FailNth = 0;
            w.Did(Alloc, (long)fresh, (long)payer);
            if (fresh == null) w.Hit(NoObject);
            else *(long*)fresh = w.Operations;
        }
        if (payer != null) Css.Put(cpu, &payer->Css); // got by Payer
        var old = (void*)AtomicLong.Exchange(shelf + w.Random(Shelf), (long)fresh);
        if (old == null) return;
        w.Did(Free, (long)old);
        KmemObjects.Free<TC>(cpu, old);
    }

    private static void* Block(in ThisCpu cpu, Worker w, Memcg* payer)
    {
        w.Hit(Blocks);
        return KmemObjects.Kmalloc<TC>(cpu, 1 + w.Random(16384), payer, Gfp.Account);
    }

    /// <summary>Mostly this CPU's group, now and then another's, with a css reference (put by the caller), or null when it is going away.</summary>
    private Memcg* Payer(in ThisCpu cpu, Worker w)
    {
        bool stranger = w.OneIn(8);
        Rcu.ReadLock(cpu);
        Memcg* memcg = AtomicPtr<Memcg>.Load(Own(stranger ? w.Random(Cpus.Count) : cpu.Index));
        bool got = Css.TryGetOnline(cpu, &memcg->Css);
        Rcu.ReadUnlock(cpu);
        if (stranger && got) w.Hit(Stranger);
        return got ? memcg : null;
    }

    public override void Finish(ICollection<string> wrong)
    {
        AsCpu(0, (in ThisCpu cpu) =>
        {
            for (int i = 0; i < Shelf; i++)
                if (AtomicLong.Exchange(shelf + i, 0) is not 0 and var obj) KmemObjects.Free<TC>(cpu, (void*)obj);
            for (int c = 0; c < Cpus.Count; c++)
            {
                if (churn[c] != 0) SlabCaches.Destroy<TC>(cpu, (SlabCache*)churn[c]);
                MemcgLife.Remove(cpu, AtomicPtr<Memcg>.Load(Own(c)));
            }
        });
        Settle(12);
        AsCpu(0, (in ThisCpu cpu) => MemcgLife.Remove(cpu, parent));
        Settle(12);
        if (AtomicLong.Load(&Accounting.Tree->Count) is not 1 and var left) wrong.Add($"{left - 1} groups never died (I7)");
        foreach (SlabInfo cache in slab.List<TC>().Where(c => c.Objects != 0 && (c.Owner is not null || c.Name is "dentry" or "churn")))
            wrong.Add($"cache {cache.Name} still has {cache.Objects} objects");
        Check(wrong);
    }
}
