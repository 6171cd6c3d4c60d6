// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Counter = MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What the CPUs ask of a child counter and its parent, and what must hold.</summary>
internal unsafe interface ICounterScript
{
    static abstract int Cpus { get; }
    static abstract long ChildLimit { get; }
    static abstract long ParentLimit { get; }
    static abstract void Body(int cpu, void* child, void* parent, AtomicInt* result);
    static abstract void Final(void* child, void* parent, AtomicInt* result);
}

internal readonly unsafe struct CounterCase<T> : ICase where T : struct, ICounterScript
{
    private static void* child, parent;
    private static AtomicInt* result;

    public static int Cpus => T.Cpus;

    public static void Setup()
    {
        MemcgTree* tree = SimulatedMemcgs.Tree();
        Memcg* p = SimulatedMemcgs.New<Counter>(tree, null, "parent"), c = SimulatedMemcgs.New<Counter>(tree, p, "child");
        parent = Counter.Of(p, CounterKind.Memory);
        child = Counter.Of(c, CounterKind.Memory);
        AtomicLong.Init(PageCounter40.Limit(child), T.ChildLimit);
        AtomicLong.Init(PageCounter40.Limit(parent), T.ParentLimit);
        result = Arena.Array<AtomicInt>(4, "result");
    }

    public static void Body(int cpu) => T.Body(cpu, child, parent, result);
    public static void Final() => T.Final(child, parent, result);
}

/// <summary>What counters have in common.</summary>
internal static unsafe class Pages
{
    public static long Of(void* counter) => AtomicLong.Load(PageCounter40.Usage(counter));
    public static bool Try(void* counter, long pages) => Counter.TryCharge(counter, pages, out _);
    public static int R(AtomicInt* result, int i) => AtomicInt.Load(result + i);
}

/// <summary>Chargers that give back again, one page more asked for than the parent has: usage is the sum of what was granted, at every level.</summary>
internal readonly unsafe struct ChargeAndGiveBack<TCpus> : ICounterScript where TCpus : struct, ISize
{
    public static int Cpus => TCpus.N;
    public static long ChildLimit => 100;
    public static long ParentLimit => 1;

    public static void Body(int cpu, void* child, void* parent, AtomicInt* result)
    {
        if (!Pages.Try(child, 1)) return;
        if (cpu == 0) Counter.Uncharge(child, 1);
        else AtomicInt.Store(result + cpu, 1);
    }

    public static void Final(void* child, void* parent, AtomicInt* result)
    {
        int granted = 0;
        for (int i = 0; i < 4; i++) granted += Pages.R(result, i);
        if (Pages.Of(child) != granted || Pages.Of(parent) != granted) Bug.Fail("usage of child and parent", Pages.Of(child), Pages.Of(parent));
        if (Pages.Of(parent) > ParentLimit) Bug.Fail("usage above the limit", Pages.Of(parent));
    }
}

/// <summary>Four chargers of a counter without a parent, whose limit has room for three.</summary>
internal readonly unsafe struct OneLevel : ICounterScript
{
    public static int Cpus => 4;
    public static long ChildLimit => 100;
    public static long ParentLimit => 3;

    public static void Body(int cpu, void* child, void* parent, AtomicInt* result)
    {
        if (Pages.Try(parent, 1)) AtomicInt.Store(result + cpu, 1);
    }

    public static void Final(void* child, void* parent, AtomicInt* result)
    {
        int granted = 0;
        for (int i = 0; i < 4; i++) granted += Pages.R(result, i);
        if (Pages.Of(parent) != granted) Bug.Fail("usage, and what was granted", Pages.Of(parent), granted);
        if (granted != 3) Bug.Fail("granted of three", granted);
    }
}

/// <summary>S2: a small charge that fits is refused while a big one that does not is in flight. Linux accepts it, so does the port.</summary>
internal readonly unsafe struct SmallBesideBig : ICounterScript
{
    public static int Cpus => 2;
    public static long ChildLimit => 2;
    public static long ParentLimit => 100;

    public static void Body(int cpu, void* child, void* parent, AtomicInt* result)
    {
        if (Pages.Try(child, cpu == 0 ? 3 : 1)) AtomicInt.Store(result + cpu, 1);
    }

    public static void Final(void* child, void* parent, AtomicInt* result)
    {
        if (Pages.R(result, 1) == 0) Bug.Fail("the charge of one page was refused with two free");
    }
}

/// <summary>S8: the same one level up: the child looks full while the parent's refusal is rolled back.</summary>
internal readonly unsafe struct RollbackBelowTheRefusal : ICounterScript
{
    public static int Cpus => 2;
    public static long ChildLimit => 2;
    public static long ParentLimit => 1;

    public static void Body(int cpu, void* child, void* parent, AtomicInt* result)
    {
        if (cpu == 0) Pages.Try(child, 2);
        else if (!Counter.TryCharge(child, 1, out void* refused)) AtomicInt.Store(result, refused == child ? 1 : 2);
    }

    public static void Final(void* child, void* parent, AtomicInt* result)
    {
        if (Pages.R(result, 0) == 1) Bug.Fail("the child refused, whose own limit was never reached for good");
    }
}

/// <summary>S3: a limit that was set holds, and so does a charge that was granted: not both beyond each other.</summary>
internal readonly unsafe struct LimitAgainstCharge<TSet> : ICounterScript where TSet : struct, ISetLimit
{
    public static int Cpus => 2;
    public static long ChildLimit => 2;
    public static long ParentLimit => 100;

    public static void Body(int cpu, void* child, void* parent, AtomicInt* result)
    {
        if (cpu == 0 ? TSet.TrySet(child, 1) : Pages.Try(child, 2)) AtomicInt.Store(result + cpu, 1);
    }

    public static void Final(void* child, void* parent, AtomicInt* result)
    {
        if (Pages.R(result, 0) == 1 && Pages.Of(child) > 1) Bug.Fail("usage above a limit that was set", Pages.Of(child), 1);
    }
}

/// <summary>S1: a counter of one page; 512 are given back by mistake while another CPU gives back the one.</summary>
internal readonly unsafe struct UnderflowAgainstUncharge<TCancel> : ICounterScript where TCancel : struct, ICancel
{
    public static int Cpus => 2;
    public static long ChildLimit => 1024;
    public static long ParentLimit => 1024;

    public static void Body(int cpu, void* child, void* parent, AtomicInt* result)
    {
        if (cpu == 0) Pages.Try(child, 1);
        TCancel.Cancel(child, cpu == 0 ? 1 : 512);
    }

    public static void Final(void* child, void* parent, AtomicInt* result)
    {
        if (Pages.Of(child) != 0) Bug.Fail("usage after everything was given back", Pages.Of(child));
    }
}

internal unsafe interface ICancel
{
    static abstract void Cancel(void* counter, long pages);
}

internal readonly unsafe struct FailsAtOnce : ICancel
{
    public static void Cancel(void* counter, long pages) => Counter.Uncharge(counter, pages);
}

/// <summary>S4: two charges raise the peak at once, and the lower one is written last. Racy by intention.</summary>
internal readonly unsafe struct PeakOfTwo : ICounterScript
{
    public static int Cpus => 2;
    public static long ChildLimit => 100;
    public static long ParentLimit => 100;
    public static void Body(int cpu, void* child, void* parent, AtomicInt* result) => Pages.Try(child, 1);

    public static void Final(void* child, void* parent, AtomicInt* result)
    {
        if (AtomicLong.RacyLoad(PageCounter40.Watermark(child)) != 2) Bug.Fail("peak of two pages", AtomicLong.RacyLoad(PageCounter40.Watermark(child)));
    }
}

/// <summary>Any counter: chargers of a child whose parent has room for one page; usage is what was granted, at every level.</summary>
internal readonly unsafe struct Chargers<TCounter, TCpus> : ICase where TCounter : struct, ICounterDesign where TCpus : struct, ISize
{
    private static Memcg* child, parent;
    private static SimulatedCpus cpus;
    private static AtomicInt* result;

    public static int Cpus => TCpus.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        MemcgTree* tree = SimulatedMemcgs.Tree();
        parent = SimulatedMemcgs.New<TCounter>(tree, null, "parent");
        child = SimulatedMemcgs.New<TCounter>(tree, parent, "child");
        if (!TCounter.TrySetLimit(parent, CounterKind.Memory, 1)) Bug.Fail("setup: limit");
        result = Arena.Array<AtomicInt>(4, "result");
    }

    public static void Body(int cpu)
    {
        Refusal refused = default;
        if (!TCounter.TryCharge<NoPin>(cpus[cpu], child, 1, ref refused))
        {
            if (refused.Memcg != parent) Bug.Fail("the level that refused is not the one that is full");
            return;
        }
        if (cpu == 0) TCounter.Uncharge<NoPin>(cpus[cpu], child, 1, 1);
        else AtomicInt.Store(result + cpu, 1);
    }

    public static void Final()
    {
        int granted = 0;
        for (int i = 0; i < 4; i++) granted += AtomicInt.Load(result + i);
        long below = TCounter.Usage(child, CounterKind.Memory), above = TCounter.Usage(parent, CounterKind.Memory);
        if (below != granted || above != granted) Bug.Fail("usage of child and parent", below, above);
        if (above > 1) Bug.Fail("usage above the limit", above);
    }
}

/// <summary>S3 for any counter: a limit that was set holds, whoever charges meanwhile.</summary>
internal readonly unsafe struct LimitBesideCharge<TCounter> : ICase where TCounter : struct, ICounterDesign
{
    private static Memcg* memcg;
    private static SimulatedCpus cpus;
    private static AtomicInt* set;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        memcg = SimulatedMemcgs.New<TCounter>(SimulatedMemcgs.Tree(), null, "memcg");
        if (!TCounter.TrySetLimit(memcg, CounterKind.Memory, 2)) Bug.Fail("setup: limit");
        set = Arena.New<AtomicInt>("set");
    }

    public static void Body(int cpu)
    {
        Refusal refused = default;
        if (cpu == 1) TCounter.TryCharge<NoPin>(cpus[cpu], memcg, 2, ref refused);
        else if (TCounter.TrySetLimit(memcg, CounterKind.Memory, 1)) AtomicInt.Store(set, 1);
    }

    public static void Final()
    {
        long usage = TCounter.Usage(memcg, CounterKind.Memory);
        if (AtomicInt.Load(set) == 1 && usage > 1) Bug.Fail("usage above a limit that was set", usage, 1);
        if (usage is not (0 or 2)) Bug.Fail("usage after a charge of two pages", usage);
    }
}

/// <summary>C11: the last page of a group is uncharged; whoever sees usage at 0 lets the group go, a grace period later. The other is still in its counters.</summary>
internal readonly unsafe struct LastUnchargeAgainstRelease<TCounter, TPin> : ICase where TCounter : struct, ICounterDesign where TPin : struct, IChargePin
{
    private static Memcg* root, group;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus, RcuFlavour.Membarrier);
        MemcgTree* tree = SimulatedMemcgs.Tree();
        Guarded<int>.Set(&tree->SwapAccounting, 1);
        root = SimulatedMemcgs.New<TCounter>(tree, null, "root");
        group = SimulatedMemcgs.New<TCounter>(tree, root, "group");
        TCounter.ChargeForced<TPin>(cpus[0], group, 1);
    }

    public static void Body(int cpu)
    {
        if (cpu != 0) TCounter.Uncharge<TPin>(cpus[cpu], group, 1, 1);
        else if (TCounter.Usage(group, CounterKind.Memory) == 0) Rcu.Call(cpus[0], &group->Css.Rcu, &Free); // as the mover does
        Rcu.CpuOffline(cpus[cpu]);
    }

    private static void Free(in ThisCpu cpu, RcuHead* head) => Machine.OnFree((byte*)head - Css.RcuOffset, Memcg.Bytes);

    public static void Final()
    {
        long memory = TCounter.Usage(root, CounterKind.Memory), memsw = TCounter.Usage(root, CounterKind.Memsw);
        if (memory != 0 || memsw != 0) Bug.Fail("the root still pays", memory, memsw);
    }
}

internal unsafe interface ISetLimit
{
    static abstract bool TrySet(void* counter, long pages);
}

internal readonly unsafe struct ShippedSetLimit : ISetLimit
{
    public static bool TrySet(void* counter, long pages) => Counter.TrySetLimit(counter, pages);
}

internal static class CounterCases
{
    private const string Nulls = "residents: MoveToParent, as far as it ties a charge to its group";

    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<CounterCase<ChargeAndGiveBack<N2>>>("counter", "page_counter", "2"),
        Case.Of<CounterCase<ChargeAndGiveBack<N3>>>("counter", "page_counter", "3"),
        Case.Of<CounterCase<ChargeAndGiveBack<N4>>>("counter", "page_counter", "4", heavy: true),
        Case.Of<CounterCase<OneLevel>>("counter", "page_counter", "4-one-level"),
        .. Charged<ResCounter<ResCounter40, TestAndSetLock>>("ResCounter40Tas"),
        .. Charged<ResCounter<ResCounter56, TicketLock>>("ResCounter56"),
        .. Charged<PageCounter<PageCounter192>>("PageCounter192"),
        Case.Of<LastUnchargeAgainstRelease<ResCounter<ResCounter56, TicketLock>, NoPin>>("C11", "busted-no-reader,ResCounter56", "1r1u", Expect.Broken),
        Case.Of<LastUnchargeAgainstRelease<PageCounter<PageCounter40>, NoPin>>("C11", "busted-no-reader,PageCounter40", "1r1u", Expect.Broken),
        Case.Of<LastUnchargeAgainstRelease<PageCounter<PageCounter40>, ForceEmpty>>("C11", "PageCounter40,ForceEmpty", "1r1u"),
        Case.Of<LimitBesideCharge<CountsWithoutLookingAgain>>("S3", "busted-one-look", "limit", Expect.Broken),
        Case.Of<CounterCase<UnderflowAgainstUncharge<FailsAtOnce>>>("S1", "page_counter", "accepted", Expect.Broken, note: "an underflow ends the run at once"),
        Case.Of<CounterCase<UnderflowAgainstUncharge<RepairsItself>>>("S1", "busted-self-repair", "1u1u", Expect.Broken),
        Case.Of<CounterCase<PeakOfTwo>>("S4", "page_counter", "accepted", Expect.Broken, note: "racy by intention, as in Linux: no test relies on a peak"),
        Case.Of<CounterCase<SmallBesideBig>>("S2", "page_counter", "accepted", Expect.Broken, note: "accepted, as in Linux: the small charge reclaims and tries again"),
        Case.Of<CounterCase<RollbackBelowTheRefusal>>("S8", "page_counter", "accepted", Expect.Broken, note: "accepted: S2 one level up"),
        Case.Of<CounterCase<LimitAgainstCharge<ShippedSetLimit>>>("S3", "page_counter", "1l1c"),
        Case.Of<CounterCase<LimitAgainstCharge<SetWithoutLookingAgain>>>("S3", "busted-no-second-look", "1l1c", Expect.Broken),
        Case.Of<CounterCase<LimitAgainstCharge<SetByStore>>>("S3", "busted-store", "1l1c", Expect.BrokenUnderTso),
    ];

    /// <summary>What holds for every counter.</summary>
    private static Case[] Charged<TCounter>(string name) where TCounter : struct, ICounterDesign =>
    [
        Case.Of<Chargers<TCounter, N2>>("counter", name, "2"),
        Case.Of<Chargers<TCounter, N3>>("counter", name, "3", heavy: Announced.Of(Axis.Counter).Contains(typeof(TCounter))),
        Case.Of<Chargers<TCounter, N4>>("counter", name, "4", heavy: !name.StartsWith("Res", StringComparison.Ordinal)),
        Case.Of<LimitBesideCharge<TCounter>>("S3", name, "limit"),
        Case.Of<LastUnchargeAgainstRelease<TCounter, MoveToParent>>("C11", name, "1r1u", nulls: Nulls),
    ];

    /// <summary>The same for a type that nobody names here.</summary>
    public static IReadOnlyList<Case> Of(Type counter, string name) =>
        (Case[])new Func<string, Case[]>(Charged<PageCounter<PageCounter40>>).Method.GetGenericMethodDefinition().MakeGenericMethod(counter)
            .Invoke(null, [name])!;
}
