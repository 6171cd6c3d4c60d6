// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Kernel objects allocated here and freed there, for groups that die before their objects do, below a limit that refuses; caches come and go
/// with their copies; idle objects are on a list_lru that a shrinker looks through. Free objects are poisoned, dentries carry a stamp while they
/// live. At rest every object is counted to somebody and every dying group is held by something that has a name; at the end nothing is left.
/// </summary>
/// <param name="model">What the statistics line says.</param>
/// <param name="busted">Name of a type that must fail.</param>
internal sealed unsafe class KmemTorture<TC>(string model, string? busted = null) : CoreTorture<TC> where TC : struct, IMemoryController
{
    private const int Alloc = 0, NoObject = 1, Free = 2, Blocks = 3, NextGroup = 4, Churn = 5, Drain = 6, SetLimit = 7, Stranger = 8, Zombies = 9;
    private const int Idle = 10, Shrink = 11, Shelf = 128, DentryBytes = 192;
    /// <summary>Tags of a shelf's pointers: the object is a dentry with a stamp; it is on the list_lru.</summary>
    private const long IsDentry = 1, IsIdle = 2, Tags = IsDentry | IsIdle;

    private Slab slab = null!;
    private SlabCache* dentry;
    private ListLru* lru;
    private AtomicLong* shelf;
    private AtomicPtr<Memcg>* own;
    private nint[] churn = [];
    private Memcg* parent;
    private int churnName;
    private string rest = "";
    private readonly object limitLock = new();

    public override string Name => busted ?? "kmem";
    public override bool Busted => busted is not null;
    public override string Detail => $"[{model}]";
    public override IReadOnlyList<string> Counters { get; } =
        ["alloc", "no-object", "free", "blocks", "next-group", "cache-churn", "drain", "set-limit", "for-a-stranger", "zombies", "idle", "shrink"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Alloc, NoObject, Free, Blocks, NextGroup, Churn, Drain, SetLimit, Stranger, Idle, Shrink];
    public override string Statistics => rest;

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
            lru = ListLru.Create(cpu, Accounting.Tree);
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
            case 7:
                LookThrough(cpu, w);
                break;
            default:
                Exchange(cpu, w);
                break;
        }
    }

    /// <summary>A shrinker that takes nothing: every idle object of a group must be alive, and goes to the end of its list.</summary>
    private void LookThrough(in ThisCpu cpu, Worker w)
    {
        var look = new Looks();
        w.Did(Shrink);
        Memcg* memcg = w.OneIn(2) ? parent : Payer(cpu, w);
        for (int node = 0; memcg != null && node < 2; node++) ListLru.Walk(cpu, lru, node, memcg, 16, ref look);
        if (memcg != null && memcg != parent) Css.Put(cpu, &memcg->Css); // got by Payer
    }

    private struct Looks : ILruVisitor
    {
        public LruVerdict Visit(in ThisCpu cpu, ListHead* item)
        {
            Verify((long*)item);
            return LruVerdict.Rotate;
        }
    }

    /// <summary>A dentry's stamp, behind its place on a list: its own address.</summary>
    private static void Verify(long* obj)
    {
        if (obj[2] != (long)obj) throw new TortureException($"the object at {(long)obj:x} reads {obj[2]:x}: freed early, or somebody else has it too");
    }

    /// <summary>A new object goes onto the shelf; what lay there, whosever it was, is freed.</summary>
    private void Exchange(in ThisCpu cpu, Worker w)
    {
        Memcg* payer = Payer(cpu, w);
        long fresh = payer == null || w.OneIn(8) ? 0 : Fresh(cpu, w, payer);
        if (payer != null) Css.Put(cpu, &payer->Css); // got by Payer
        long old = AtomicLong.Exchange(shelf + w.Random(Shelf), fresh);
        if (old == 0) return;
        w.Did(Free, old);
        Give(cpu, old);
    }

    /// <summary>An object with its tags, or 0 when it was refused.</summary>
    private long Fresh(in ThisCpu cpu, Worker w, Memcg* payer)
    {
        var cache = (SlabCache*)churn[cpu.Index];
        bool idle = w.OneIn(4) && ListLru.Prepare(cpu, lru, payer), isDentry = idle;
        if (w.OneIn(64)) Perturb.FailNth = 1 + w.Random(4);
        void* fresh = null;
        switch (idle ? 3 : w.Random(4))
        {
            case 0 when cache != null:
                fresh = KmemObjects.Alloc<TC>(cpu, cache, payer);
                break;
            case 1:
                fresh = Block(cpu, w, payer);
                break;
            default:
                fresh = KmemObjects.Alloc<TC>(cpu, dentry, payer);
                isDentry = true;
                break;
        }
        Perturb.FailNth = 0;
        w.Did(Alloc, (long)fresh, (long)payer);
        if (fresh == null)
        {
            w.Hit(NoObject);
            return 0;
        }
        *(long*)fresh = w.Operations;
        if (!isDentry) return (long)fresh;
        ((long*)fresh)[2] = (long)fresh;
        if (!idle) return (long)fresh | IsDentry;
        w.Hit(Idle);
        ListLru.Add<TC>(cpu, lru, fresh, (ListHead*)fresh);
        return (long)fresh | IsDentry | IsIdle;
    }

    private void Give(in ThisCpu cpu, long tagged)
    {
        var obj = (void*)(tagged & ~Tags);
        if ((tagged & IsDentry) != 0) Verify((long*)obj);
        if ((tagged & IsIdle) != 0) ListLru.Delete<TC>(cpu, lru, obj, (ListHead*)obj);
        KmemObjects.Free<TC>(cpu, obj);
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

    /// <summary>What is left of the groups that were removed, and by what it is held (I19); a reference that nobody explains is a leak.</summary>
    public override void Check(ICollection<string> wrong)
    {
        Settle(4);
        base.Check(wrong);
        AsCpu(0, (in ThisCpu cpu) =>
        {
            IReadOnlyList<DyingGroup> zombies = DyingGroups.Explain<TC>(cpu, Accounting.Tree);
            foreach (DyingGroup zombie in zombies.Where(z => z.Other != 0)) wrong.Add($"nobody explains {zombie} (I19)");
            string held = string.Join(", ", DyingGroups.Breakdown(zombies).OrderBy(pin => pin.Key, StringComparer.Ordinal).Select(pin => $"{pin.Value} by {pin.Key}"));
            if (held.Length != 0) held = $" ({held})";
            rest = string.Create(CultureInfo.InvariantCulture, $"at rest: dying {zombies.Count}{held}, residue {Audit.Run<TC>(cpu).Residue} pages");
        });
    }

    public override void Finish(ICollection<string> wrong)
    {
        AsCpu(0, (in ThisCpu cpu) =>
        {
            for (int i = 0; i < Shelf; i++)
                if (AtomicLong.Exchange(shelf + i, 0) is var old && old != 0) Give(cpu, old);
            for (int c = 0; c < Cpus.Count; c++)
            {
                if (churn[c] != 0) SlabCaches.Destroy<TC>(cpu, (SlabCache*)churn[c]);
                MemcgLife.Remove(cpu, AtomicPtr<Memcg>.Load(Own(c)));
            }
        });
        Settle(12);
        AsCpu(0, (in ThisCpu cpu) =>
        {
            ListLru.Destroy(cpu, lru);
            // What dead groups still count was uncharged through this one: with all objects gone it must count nothing (E6).
            foreach (CounterKind kind in (CounterKind[])[CounterKind.Memory, CounterKind.Kmem])
                if (TC.Usage(parent, kind) is var left and not 0) wrong.Add($"{kind} usage {left} of the survivor when every object is freed (I1)");
            MemcgLife.Remove(cpu, parent);
        });
        Settle(12);
        if (AtomicLong.Load(&Accounting.Tree->Count) is not 1 and var groups) wrong.Add($"{groups - 1} groups never died (I7)");
        foreach (SlabInfo cache in slab.List<TC>().Where(c => c.Objects != 0 && (c.Owner is not null || c.Name is "dentry" or "churn")))
            wrong.Add($"cache {cache.Name} still has {cache.Objects} objects");
        Check(wrong);
    }
}
