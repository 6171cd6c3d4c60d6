// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

// Statistics, ids and generations around a group's end. list_lru and the joined LRU lists as they ship are explored in ReparentCases.

/// <summary>Sizes of a group and its parent, and whether the lists have gone.</summary>
internal struct Sizes
{
    public LockWord Lock;
    public Guarded<int> Child, Parent, ListedAtChild, ListedAtParent, Generations, ParentHas;
    public AtomicInt Dead;
}

/// <summary>G4 (multi-generational lists are not built here): a batch of size changes collected before a splice is applied to the child afterwards.</summary>
internal readonly unsafe struct BatchAgainstSplice : IRace<Sizes>
{
    public static void Setup(Sizes* s)
    {
        Guarded<int>.Set(&s->Child, 10);
        Guarded<int>.Set(&s->ListedAtChild, 10);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Sizes* s) where TGuard : struct, IGuard
    {
        Lock.Acquire(cpu, &s->Lock);
        if (cpu.Index == 1)
        {
            Guarded<int>.Set(&s->Parent, Guarded<int>.Get(&s->Parent) + Guarded<int>.Get(&s->Child));
            Guarded<int>.Set(&s->ListedAtParent, Guarded<int>.Get(&s->ListedAtChild));
            Guarded<int>.Set(&s->Child, 0);
            Guarded<int>.Set(&s->ListedAtChild, 0);
            AtomicInt.Store(&s->Dead, 1);
            Lock.Release(cpu, &s->Lock);
            return;
        }
        Lock.Release(cpu, &s->Lock); // the walk saw one page go, without the lock
        Lock.Acquire(cpu, &s->Lock);
        bool moved = AtomicInt.Load(&s->Dead) != 0;
        Guarded<int>* listed = moved ? &s->ListedAtParent : &s->ListedAtChild, size = moved && TGuard.On ? &s->Parent : &s->Child;
        Guarded<int>.Set(listed, Guarded<int>.Get(listed) - 1);
        Guarded<int>.Set(size, Guarded<int>.Get(size) - 1);
        Lock.Release(cpu, &s->Lock);
    }

    public static void Final(Sizes* s)
    {
        if (Guarded<int>.Get(&s->Child) != Guarded<int>.Get(&s->ListedAtChild)) Bug.Fail("a dead group's size", Guarded<int>.Get(&s->Child));
    }
}

/// <summary>G5 (as G4): the parent has all generations when it is looked at, and one less when the lists are joined.</summary>
internal readonly unsafe struct AgeAgainstSplice : IRace<Sizes>
{
    private const int All = 4;
    public static void Setup(Sizes* s) => Guarded<int>.Set(&s->ParentHas, All);

    public static void Run<TGuard>(in ThisCpu cpu, Sizes* s) where TGuard : struct, IGuard
    {
        Lock.Acquire(cpu, &s->Lock);
        if (cpu.Index == 1)
        {
            if (AtomicInt.Load(&s->Dead) == 0) Guarded<int>.Set(&s->ParentHas, All - 1); // the oldest is evicted
            Lock.Release(cpu, &s->Lock);
            return;
        }
        bool all = Guarded<int>.Get(&s->ParentHas) == All;
        Lock.Release(cpu, &s->Lock);
        Lock.Acquire(cpu, &s->Lock);
        if (TGuard.On) all = Guarded<int>.Get(&s->ParentHas) == All; // else age, and try again
        if (all && Guarded<int>.Get(&s->ParentHas) != All) Bug.Fail("pages join a generation that the parent does not have (I23)");
        AtomicInt.Store(&s->Dead, 1);
        Lock.Release(cpu, &s->Lock);
    }
}

/// <summary>A group's counts on one CPU and in sum (rstat is not built here: sums are taken when they are asked for).</summary>
internal struct Rstat
{
    public LockWord Lock;
    public AtomicInt State, Previous, Aggregate, Queued, Updates;
}

/// <summary>H1: an update that finds its group queued already may not be in this flush.</summary>
internal readonly unsafe struct UpdateAgainstFlush : IRace<Rstat>
{
    public static void Setup(Rstat* s) => AtomicInt.Init(&s->Queued, 1);

    public static void Run<TGuard>(in ThisCpu cpu, Rstat* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            AtomicInt.Store(&s->State, 1);
            if (AtomicInt.Load(&s->Queued) == 0) AtomicInt.CompareExchange(&s->Queued, 1, 0);
            return;
        }
        AtomicInt.Exchange(&s->Queued, 0);
        AtomicInt.Store(&s->Aggregate, AtomicInt.Load(&s->State));
    }

    public static void Final(Rstat* s)
    {
        if (AtomicInt.Load(&s->Queued) == 0 && AtomicInt.Load(&s->Aggregate) != AtomicInt.Load(&s->State)) Bug.Fail("an update waits for the next one of its group");
    }
}

/// <summary>H2: two flushers without a common lock add one delta twice.</summary>
internal readonly unsafe struct TwoFlushers : IRace<Rstat>
{
    public static void Setup(Rstat* s) => AtomicInt.Init(&s->State, 5);

    public static void Run<TGuard>(in ThisCpu cpu, Rstat* s) where TGuard : struct, IGuard
    {
        if (TGuard.On) Lock.Acquire(cpu, &s->Lock);
        int state = AtomicInt.Load(&s->State), delta = state - AtomicInt.Load(&s->Previous);
        AtomicInt.Store(&s->Previous, state);
        AtomicInt.Add(&s->Aggregate, delta);
        if (TGuard.On) Lock.Release(cpu, &s->Lock);
    }

    public static void Final(Rstat* s)
    {
        if (AtomicInt.Load(&s->Aggregate) != 5) Bug.Fail("counted twice: sum", AtomicInt.Load(&s->Aggregate));
    }
}

/// <summary>H3: the flusher clears the number of updates with a store, over a writer's add.</summary>
internal readonly unsafe struct ClearAgainstUpdate : IRace<Rstat>
{
    public static void Setup(Rstat* s) => AtomicInt.Init(&s->Updates, 64);

    public static void Run<TGuard>(in ThisCpu cpu, Rstat* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0) AtomicInt.Add(&s->Updates, 64);
        else
        {
            AtomicInt.Store(&s->Aggregate, AtomicInt.Load(&s->Updates)); // what this flush brought in
            AtomicInt.Store(&s->Updates, 0);
        }
    }

    public static void Final(Rstat* s)
    {
        if (AtomicInt.Load(&s->Updates) + AtomicInt.Load(&s->Aggregate) != 128) Bug.Fail("a batch of updates is forgotten: a reader skips one flush");
    }
}

/// <summary>The table of ids: free ones as a stack, its length plain.</summary>
internal struct IdTable
{
    public LockWord One, Other;
    public Guarded<int> Free;
    public AtomicInt References, Css, Handed;
}

/// <summary>H4: ids are taken and given back under two locks.</summary>
internal readonly unsafe struct IdsUnderTwoLocks : IRace<IdTable>
{
    public static void Setup(IdTable* s) => Guarded<int>.Set(&s->Free, 1);

    public static void Run<TGuard>(in ThisCpu cpu, IdTable* s) where TGuard : struct, IGuard
    {
        LockWord* l = cpu.Index == 0 || TGuard.On ? &s->One : &s->Other;
        Lock.Acquire(cpu, l);
        Guarded<int>.Set(&s->Free, Guarded<int>.Get(&s->Free) + (cpu.Index == 0 ? -1 : 1));
        Lock.Release(cpu, l);
    }
}

/// <summary>H5: a swap-out takes a reference on an id whose last one is just put. The guard is increment-not-zero; else the parent pays.</summary>
internal readonly unsafe struct GetAgainstLastPut : IRace<IdTable>
{
    public static void Setup(IdTable* s)
    {
        AtomicInt.Init(&s->References, 1);
        AtomicInt.Init(&s->Css, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, IdTable* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            if (AtomicInt.AddReturn(&s->References, -1) == 0) AtomicInt.Store(&s->Css, 0); // erased, css_put
            return;
        }
        bool got = TGuard.On ? AtomicInt.CompareExchange(&s->References, 2, 1) == 1 : AtomicInt.AddReturn(&s->References, 1) > 0;
        if (got) AtomicInt.Store(&s->Handed, 1);
    }

    public static void Final(IdTable* s)
    {
        if (AtomicInt.Load(&s->Handed) != 0 && AtomicInt.Load(&s->Css) == 0) Bug.Fail("a swap entry records an id that leads to no group");
    }
}

/// <summary>H6: reclaim remembers a group while its offline clears what iterators remember. Both happen, or the group is remembered for ever.</summary>
internal readonly unsafe struct IteratorAgainstOffline : IRace<IdTable>
{
    public static void Run<TGuard>(in ThisCpu cpu, IdTable* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            if (AtomicInt.Load(&s->Css) != 0) return; // not a group any more
            AtomicInt.CompareExchange(&s->Handed, 7, 0);
            if (TGuard.On && AtomicInt.Load(&s->Css) != 0) AtomicInt.CompareExchange(&s->Handed, 0, 7); // it went meanwhile
            return;
        }
        AtomicInt.Exchange(&s->Css, 1);
        AtomicInt.CompareExchange(&s->Handed, 0, 7);
    }

    public static void Final(IdTable* s)
    {
        if (AtomicInt.Load(&s->Handed) == 7) Bug.Fail("an iterator names an offline group (I17)");
    }
}

internal static class ListRaceCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Guards.Of<BatchAgainstSplice, Sizes>("G4", "recheck", "1w1o"),
        .. Guards.Of<AgeAgainstSplice, Sizes>("G5", "recheck", "1o1r"),
        Guards.Accepted<UpdateAgainstFlush, Rstat>("H1", "late-update", "1w1f", Expect.BrokenUnderTso),
        .. Guards.Of<TwoFlushers, Rstat>("H2", "one-lock", "2f"),
        Guards.Accepted<ClearAgainstUpdate, Rstat>("H3", "lost-threshold", "1w1f"),
        .. Guards.Of<IdsUnderTwoLocks, IdTable>("H4", "one-lock", "1t1g"),
        .. Guards.Of<GetAgainstLastPut, IdTable>("H5", "not-zero", "1p1g"),
        .. Guards.Of<IteratorAgainstOffline, IdTable>("H6", "look-again", "1r1o"),
    ];
}
