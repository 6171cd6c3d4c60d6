// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Core = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What somebody does to a group while it is removed.</summary>
internal unsafe interface ILifeScript
{
    /// <summary>Membarrier where somebody looks at the group without a lock.</summary>
    static virtual RcuFlavour Flavour => RcuFlavour.Qsbr;
    /// <summary>True when it makes the removal fail.</summary>
    static abstract bool Act(in ThisCpu cpu, Memcg* group, MmStruct* mm);
}

/// <summary>A task is attached.</summary>
internal readonly unsafe struct Attaches : ILifeScript
{
    public static bool Act(in ThisCpu cpu, Memcg* group, MmStruct* mm) => MemcgLife.Attach(cpu, mm, group);
}

/// <summary>A child is made.</summary>
internal readonly unsafe struct MakesChild : ILifeScript
{
    public static bool Act(in ThisCpu cpu, Memcg* group, MmStruct* mm) => MemcgLife.Create<Core>(cpu, group) != null;
}

/// <summary>Reclaim finds the group by its id, gets a reference and puts it.</summary>
internal readonly unsafe struct Visits : ILifeScript
{
    public static RcuFlavour Flavour => RcuFlavour.Membarrier;
    public static bool Act(in ThisCpu cpu, Memcg* group, MmStruct* mm)
    {
        if (Css.TryGet(cpu, &group->Css)) Css.Put(cpu, &group->Css);
        return false;
    }
}

/// <summary>rmdir against something else, by one CPU or by more; the group is either there or free again, and its place is good for the next one.</summary>
internal readonly unsafe struct RemoveAgainst<TScript, TActors> : ICase where TScript : struct, ILifeScript where TActors : struct, ISize
{
    private static SimulatedAccounting box;
    private static Memcg* group;
    private static MmStruct* spaces;
    private static AtomicInt* results;

    public static int Cpus => TActors.N + 1;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Core>(Cpus, 2 + Cpus, flavour: TScript.Flavour);
        group = box.Group<Core>();
        spaces = Arena.Array<MmStruct>(Cpus, "mm");
        results = Arena.Array<AtomicInt>(Cpus, "result");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        bool done = cpu == 0 ? MemcgLife.Remove(self, group) == RemoveResult.Removed : TScript.Act(self, group, spaces + cpu);
        AtomicInt.Store(results + cpu, done ? 1 : 0);
        if (TActors.N == 1) Rcu.CpuOffline(self); // wider shapes are about who wins; what is left to do is done at the end
    }

    public static void Final()
    {
        for (int round = 0; TActors.N > 1 && round < 8; round++)
            for (int c = 0; c < Cpus; c++) Poll.Run(box[c]);
        bool removed = AtomicInt.Load(results) != 0;
        int acted = 0;
        for (int c = 1; c < Cpus; c++) acted += AtomicInt.Load(results + c);
        if (removed == acted > 0) Bug.Fail(removed ? "removed although it is in use" : "not removed although nobody uses it");
        CssState state = Css.StateOf(&group->Css);
        if (state != (removed ? CssState.Free : CssState.Online)) Bug.Fail("state of the group", (long)state);
        if (AtomicLong.Load(&box.Tree->Dying) != 0) Bug.Fail("groups that have not finished dying", AtomicLong.Load(&box.Tree->Dying));
        if (removed && box.Group<Core>() != group) Bug.Fail("the group's place is not the next one's");
        long references = References(group);
        if (references != 1 + (typeof(TScript) == typeof(MakesChild) ? acted : 0)) Bug.Fail("references of the group", references);
    }

    private static long References(Memcg* memcg)
    {
        long sum = AtomicLong.Load(&memcg->Css.Ref.Count) - long.MinValue;
        for (int c = 0; c < Cpus; c++) sum += AtomicLong.Load(&MemcgTree.Stat(box.Tree, memcg, c)->CssRef);
        return sum;
    }
}

internal static class LifeCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<RemoveAgainst<Attaches, N1>>("life", "remove,attach", "1r1a"),
        Case.Of<RemoveAgainst<Attaches, N3>>("life", "remove,attach", "1r3a"),
        Case.Of<RemoveAgainst<MakesChild, N1>>("life", "remove,create", "1r1c"),
        Case.Of<RemoveAgainst<MakesChild, N3>>("life", "remove,create", "1r3c"),
        Case.Of<RemoveAgainst<Visits, N1>>("life", "remove,tryget", "1r1t", heavy: true),
        Case.Of<RemoveAgainst<AttachesWithoutLook, N1>>("life", "busted-attach-looks-before-the-lock", "1r1a", Expect.Broken, heavy: true),
    ];
}
