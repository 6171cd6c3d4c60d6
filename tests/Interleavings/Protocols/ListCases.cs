// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>CPUs move their node between two lists, each under its lock, or under one that guards neither.</summary>
internal readonly unsafe struct ListUnderLock<TCpus, TLocked> : ICase where TCpus : struct, ISize where TLocked : struct, ISize
{
    private static ListHead* heads, nodes;
    private static LockWord* l;
    private static SimulatedCpus cpus;

    public static int Cpus => TCpus.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(TCpus.N);
        heads = Arena.Array<ListHead>(2, "list");
        nodes = Arena.Array<ListHead>(TCpus.N, "node");
        l = Arena.New<LockWord>("lock");
        IntrusiveList.Init(heads);
        IntrusiveList.Init(heads + 1);
        for (int c = 0; c < TCpus.N; c++) IntrusiveList.AddTail(heads, nodes + c);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (TLocked.N > 0) TestAndSetLock.Acquire(self, l);
        IntrusiveList.Remove(nodes + cpu);
        if (IntrusiveList.NextOf(nodes + cpu) != IntrusiveList.Poison || IntrusiveList.PrevOf(nodes + cpu) != IntrusiveList.Poison) Bug.Fail("a removed node is not poisoned");
        if (TLocked.N > 0) TestAndSetLock.Release(self, l);
        if (TLocked.N > 0) TestAndSetLock.Acquire(self, l);
        IntrusiveList.Add(heads + 1, nodes + cpu);
        if (cpu == 0) IntrusiveList.Splice(heads, heads + 1);
        if (TLocked.N > 0) TestAndSetLock.Release(self, l);
    }

    public static void Final()
    {
        long n = IntrusiveList.Walk(heads) + IntrusiveList.Walk(heads + 1);
        if (n != TCpus.N) Bug.Fail("nodes on lists", n, TCpus.N);
    }
}

internal static class ListCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<ListUnderLock<N2, N1>>("list", "locked", "2"),
        Case.Of<ListUnderLock<N3, N1>>("list", "locked", "3"),
        Case.Of<ListUnderLock<N4, N1>>("list", "locked", "4"),
        Case.Of<ListUnderLock<N2, N0>>("list", "busted-no-lock", "2", Expect.Broken),
    ];
}
