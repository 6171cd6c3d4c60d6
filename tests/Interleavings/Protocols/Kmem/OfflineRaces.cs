// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

// What 3.14 does when a group goes, and what a page or a kmem charge in flight meets.

/// <summary>A group of 3.14: its kmem usage, the DEAD bit, its references, its charged pages.</summary>
internal struct Group314
{
    public AtomicInt KmemUsage, Dead, References, UserPages, Freed, PageOwner, Moved;
    public LockWord Lock;

    /// <summary>css_put.</summary>
    public static unsafe void Put(Group314* g)
    {
        if (AtomicInt.AddReturn(&g->References, -1) == 0) AtomicInt.Store(&g->Freed, 1);
    }
}

/// <summary>D14: offline sets DEAD and reads the usage; the last uncharge reads the usage and tests DEAD. One of them puts; without a fence neither may.</summary>
internal readonly unsafe struct DeadBitAgainstLastUncharge : IRace<Group314>
{
    public static void Setup(Group314* g)
    {
        AtomicInt.Init(&g->KmemUsage, 1);
        AtomicInt.Init(&g->References, 2); // the directory's, and kmem's while it is charged
    }

    public static void Run<TGuard>(in ThisCpu cpu, Group314* g) where TGuard : struct, IGuard
    {
        bool last;
        if (cpu.Index == 0) last = AtomicInt.AddReturn(&g->KmemUsage, -1) == 0;
        else
        {
            if (TGuard.On) AtomicInt.Exchange(&g->Dead, 1);
            else AtomicInt.Store(&g->Dead, 1);
            last = AtomicInt.Load(&g->KmemUsage) == 0;
        }
        if (last && AtomicInt.Exchange(&g->Dead, 0) != 0) Group314.Put(g);
    }

    public static void Final(Group314* g)
    {
        if (AtomicInt.Load(&g->References) != 1) Bug.Fail("references left of the two", AtomicInt.Load(&g->References));
    }
}

/// <summary>D14, hypothesis: the uncharge that brings usage to 0 is delayed; offline puts the last reference; the uncharge tests a bit of a freed group.</summary>
internal readonly unsafe struct UnchargeAgainstFree : IRace<Group314>
{
    public static bool UsesRcu => true;

    public static void Setup(Group314* g)
    {
        AtomicInt.Init(&g->KmemUsage, 1);
        AtomicInt.Init(&g->References, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Group314* g) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            if (TGuard.On) Rcu.ReadLock(cpu);
            if (AtomicInt.AddReturn(&g->KmemUsage, -1) == 0 && AtomicInt.Exchange(&g->Dead, 0) != 0) Group314.Put(g);
            if (TGuard.On) Rcu.ReadUnlock(cpu);
            return;
        }
        AtomicInt.Exchange(&g->Dead, 1);
        if (AtomicInt.Load(&g->KmemUsage) != 0 || AtomicInt.Exchange(&g->Dead, 0) == 0) return; // the uncharge puts it, and frees it itself
        Group314.Put(g);
        if (TGuard.On) Rcu.Synchronize(cpu);
        Machine.OnFree(g, (nuint)sizeof(Group314));
    }
}

/// <summary>D16: a swap-in has found the group by its record and holds a reference; offline moves all charges; then it charges. The guard is a reference per page (3.19).</summary>
internal readonly unsafe struct SwapInAgainstOffline : IRace<Group314>
{
    public static void Setup(Group314* g) => AtomicInt.Init(&g->References, 2); // the directory's, and the swap-in's

    public static void Run<TGuard>(in ThisCpu cpu, Group314* g) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Lock.Acquire(cpu, &g->Lock);
            AtomicInt.Add(&g->UserPages, 1);
            AtomicInt.Store(&g->PageOwner, 1);
            if (TGuard.On) AtomicInt.Add(&g->References, 1);
            Lock.Release(cpu, &g->Lock);
            Group314.Put(g);
            return;
        }
        Lock.Acquire(cpu, &g->Lock);
        if (AtomicInt.Load(&g->UserPages) != 0)
        {
            AtomicInt.Add(&g->UserPages, -1);
            AtomicInt.Store(&g->PageOwner, 2);
            if (TGuard.On) AtomicInt.Add(&g->References, -1);
        }
        Lock.Release(cpu, &g->Lock);
        Group314.Put(g);
    }

    public static void Final(Group314* g)
    {
        if (AtomicInt.Load(&g->Freed) != 0 && AtomicInt.Load(&g->PageOwner) == 1) Bug.Fail("a page is charged to a freed group");
    }
}

internal static class KmemRaceCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Guards.Of<DeadBitAgainstLastUncharge, Group314>("D14", "fence", "1f1o", Expect.BrokenUnderTso),
        .. Guards.Of<UnchargeAgainstFree, Group314>("D14", "rcu", "1f1o"),
        .. Guards.Of<SwapInAgainstOffline, Group314>("D16", "page-reference", "1s1o"),
    ];
}
