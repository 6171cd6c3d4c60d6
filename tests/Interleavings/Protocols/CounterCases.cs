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
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<CounterCase<ChargeAndGiveBack<N2>>>("counter", "page_counter", "2"),
        Case.Of<CounterCase<ChargeAndGiveBack<N3>>>("counter", "page_counter", "3"),
        Case.Of<CounterCase<ChargeAndGiveBack<N4>>>("counter", "page_counter", "4", heavy: true),
        Case.Of<CounterCase<SmallBesideBig>>("S2", "page_counter", "accepted", Expect.Broken),
        Case.Of<CounterCase<RollbackBelowTheRefusal>>("S8", "page_counter", "accepted", Expect.Broken),
        Case.Of<CounterCase<LimitAgainstCharge<ShippedSetLimit>>>("S3", "page_counter", "1l1c"),
        Case.Of<CounterCase<LimitAgainstCharge<SetWithoutLookingAgain>>>("S3", "busted-no-second-look", "1l1c", Expect.Broken),
        Case.Of<CounterCase<LimitAgainstCharge<SetByStore>>>("S3", "busted-store", "1l1c", Expect.BrokenUnderTso),
    ];
}
