// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Objects = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerGroup>>;
using Pointers = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.ReparentPointer>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How a group's mem_cgroup_ptr goes to the parent, and how one ends.</summary>
internal unsafe interface IPointerSwitch
{
    /// <summary>What the last put calls; shipped: the shipped one.</summary>
    static virtual delegate*<in ThisCpu, PerCpuRef*, void> Release(delegate*<in ThisCpu, PerCpuRef*, void> shipped) => shipped;
    static abstract void Reparent(in ThisCpu cpu, Memcg* child, Memcg* parent);
}

/// <summary>The corrected form that ships.</summary>
internal readonly unsafe struct PaysFirst : IPointerSwitch
{
    public static void Reparent(in ThisCpu cpu, Memcg* child, Memcg* parent) => MemcgPointer<Pointers>.Reparent(in cpu, child, parent);
}

/// <summary>E3, E4, E5: the last object of a group goes while its pointer does. Every css reference is put by who took it; nobody is released online.</summary>
/// <remarks>The references are counted in one word, as after the grace period of a kill: zero can be seen at once.</remarks>
internal readonly unsafe struct LastObjectAgainstReparent<TSwitch, TObjects> : ICase where TSwitch : struct, IPointerSwitch where TObjects : struct, ISize
{
    private static SimulatedAccounting box;
    private static SlabState* slab;
    private static Memcg* parent, child;
    private static Objcg* pointer;
    private static int pointersBefore;

    public static int Cpus => TObjects.N + 1;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Pointers>(Cpus, 3);
        slab = SimulatedSlab.New(box.AllCpus, Cpus, 3, 128, 256, 512);
        parent = box.Group<Pointers>();
        child = MemcgLife.Create<Pointers>(box[0], parent);
        pointer = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(child)->Objcg);
        PerCpuRef.Init(&pointer->Ref, null, TSwitch.Release((delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&pointer->Ref.Release)));
        PerCpuRef.GetMany(box[0], &pointer->Ref, TObjects.N); // the objects'
        SimulatedSlab.AtomicCss(child, &Released);
        SimulatedSlab.AtomicCss(parent, &Released);
        pointersBefore = SimulatedSlab.Free(slab, Cpus, Objcg.Bytes);
    }

    private static void Released(in ThisCpu cpu, PerCpuRef* r) => Bug.Fail("a group is released while its offline callback runs, or while it is online");

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == 0) TSwitch.Reparent(self, child, parent);
        else PerCpuRef.Put(self, &pointer->Ref);
        if (TObjects.N == 1) Rcu.CpuOffline(self); // wider shapes leave the deferred free to the end
    }

    public static void Final()
    {
        for (int round = 0; TObjects.N > 1 && round < 8; round++)
            for (int c = 0; c < Cpus; c++) Poll.Run(box[c]);
        long childs = PerCpuRef.CountAtRest(box[0], &child->Css.Ref), parents = PerCpuRef.CountAtRest(box[0], &parent->Css.Ref);
        if ((childs, parents) != (1, 1)) Bug.Fail("css references of the group and its parent, of one each", childs, parents);
        if (SimulatedSlab.Free(slab, Cpus, Objcg.Bytes) != pointersBefore + 1) Bug.Fail("the pointer was not freed");
        if (!IntrusiveList.IsEmpty(&MemcgKmem.Of(child)->Owned)) Bug.Fail("an offline group owns a pointer (I10)");
    }
}

/// <summary>How a parent finds out whether its children are offline.</summary>
internal unsafe interface IParentOffline
{
    static abstract void Remove(in ThisCpu cpu, Memcg* memcg);
}

/// <summary>The shipped one: busy while a child is online, which it is until its offline callback has returned.</summary>
internal readonly unsafe struct CountsChildren : IParentOffline
{
    public static void Remove(in ThisCpu cpu, Memcg* memcg) => MemcgLife.Remove(in cpu, memcg);
}

/// <summary>E7, H8: a group and its parent are removed by two CPUs. Whoever went offline owns no pointer; what is left is the survivor's (I10, I18).</summary>
/// <remarks>The kills' grace periods are over, so that the offline callbacks run at once; an object of the child lives on.</remarks>
internal readonly unsafe struct ChildAgainstParent<TParent> : ICase where TParent : struct, IParentOffline
{
    private static SimulatedAccounting box;
    private static Memcg* grandparent, parent, child;
    private static Objcg* pointer;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Objects>(2, 4);
        SimulatedSlab.New(box.AllCpus, 2, 4, 128, 256);
        grandparent = box.Group<Objects>();
        parent = MemcgLife.Create<Objects>(box[0], grandparent);
        child = MemcgLife.Create<Objects>(box[0], parent);
        pointer = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(child)->Objcg);
        PerCpuRef.Get(box[0], &pointer->Ref); // an object's
        foreach (nint group in new[] { (nint)parent, (nint)child })
        {
            SimulatedSlab.AtomicCss((Memcg*)group, &Released);
            Css.Get(box[0], &((Memcg*)group)->Css); // nobody's, so that none of them is recycled here
        }
    }

    private static void Released(in ThisCpu cpu, PerCpuRef* r) => Bug.Fail("a group that somebody holds is released");

    public static void Body(int cpu)
    {
        if (cpu == 0) MemcgLife.Remove(box[cpu], child);
        else TParent.Remove(box[cpu], parent);
    }

    public static void Final()
    {
        Memcg* survivor = Css.StateOf(&parent->Css) == CssState.Online ? parent : grandparent;
        if (AtomicPtr<Memcg>.Load(&pointer->Memcg) != survivor) Bug.Fail("an object's owner is offline: it was spliced to a group that had been left already (I10)");
        if (survivor == grandparent && !IntrusiveList.IsEmpty(&MemcgKmem.Of(parent)->Owned)) Bug.Fail("an offline group owns a pointer (I10)");
    }
}

/// <summary>
/// E9: the last object is freed under a lock that fork takes inside css_set_lock, the signal lock, which the port does not have: a lock of the case.
/// 5.9 to 5.16, and the mail, release under css_set_lock; objcg_lock is a leaf.
/// </summary>
internal readonly unsafe struct ReleaseUnderSignalLock<TC, TFrees> : ICase where TC : struct, IMemoryController where TFrees : struct, ISize
{
    private static SimulatedAccounting box;
    private static LockWord* signal;
    private static Objcg* pointer;

    public static int Cpus => TFrees.N + 1;

    public static void Setup()
    {
        box = SimulatedAccounting.New<TC>(Cpus, 3);
        SimulatedSlab.New(box.AllCpus, Cpus, 3, 128, 256, 512);
        Memcg* child = MemcgLife.Create<TC>(box[0], box.Group<TC>());
        pointer = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(child)->Objcg);
        PerCpuRef.Init(&pointer->Ref, null, (delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&pointer->Ref.Release));
        PerCpuRef.GetMany(box[0], &pointer->Ref, TFrees.N); // the objects'
        AtomicInt.Init(&child->Css.State, (int)CssState.Dying); // the kill's grace period is over
        TC.OnOffline(box[0], child);
        signal = Arena.New<LockWord>("siglock");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        LockWord* cssSet = &box.Tree->CssSetLock;
        if (cpu == 0) TestAndSetLock.Acquire(self, cssSet); // fork
        TestAndSetLock.Acquire(self, signal);
        if (cpu > 0) PerCpuRef.Put(self, &pointer->Ref);
        TestAndSetLock.Release(self, signal);
        if (cpu == 0) TestAndSetLock.Release(self, cssSet);
    }
}

internal static class OwnerLifeCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<LastObjectAgainstReparent<PaysFirst, N1>>("E3", "ReparentPointer", "1o1f"),
        Case.Of<LastObjectAgainstReparent<PaysFirst, N2>>("E3", "ReparentPointer", "1o2f"),
        Case.Of<LastObjectAgainstReparent<PaysFirst, N3>>("E3", "ReparentPointer", "1o3f"),
        Case.Of<LastObjectAgainstReparent<PaysAfterwards, N1>>("E3", "ReparentPointerAsPosted", "1o1f", Expect.Broken),
        Case.Of<LastObjectAgainstReparent<PaysFirst, N1>>("E4", "ReparentPointer", "1o1f"),
        Case.Of<LastObjectAgainstReparent<LooksBeforeTheLock, N1>>("E4", "busted-look-before-lock", "1o1f", Expect.Broken),
        Case.Of<LastObjectAgainstReparent<PaysFirst, N1>>("E5", "ReparentPointer", "1o1f"),
        Case.Of<LastObjectAgainstReparent<QueuesBeforeUnlink, N1>>("E5", "busted-one-storage", "1o1f", Expect.Broken),
        Case.Of<ChildAgainstParent<CountsChildren>>("E7", "ObjCgroup", "1c1p"),
        Case.Of<ChildAgainstParent<ForgetsChildren>>("E7", "busted-parent-first", "1c1p", Expect.Broken),
        Case.Of<ReleaseUnderSignalLock<Objects, N1>>("E9", "ObjCgroup", "1f1p", nulls: "siglock"),
        Case.Of<ReleaseUnderSignalLock<Objects, N3>>("E9", "ObjCgroup", "1f3p", nulls: "siglock"),
        Case.Of<ReleaseUnderSignalLock<Pointers, N1>>("E9", "ReparentPointer", "1f1p", Expect.Broken, nulls: "siglock"),
    ];
}
