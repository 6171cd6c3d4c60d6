// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Pointers = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.ReparentPointer>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How a group's mem_cgroup_ptr goes to the parent.</summary>
internal unsafe interface IPointerSwitch
{
    static abstract void Reparent(in ThisCpu cpu, Memcg* child, Memcg* parent);
}

/// <summary>The corrected form that ships.</summary>
internal readonly unsafe struct PaysFirst : IPointerSwitch
{
    public static void Reparent(in ThisCpu cpu, Memcg* child, Memcg* parent) => MemcgPointer<Pointers>.Reparent(in cpu, child, parent);
}

/// <summary>E3, E4: the last object of a group goes while its pointer does. Every css reference is put by who took it; nobody is released online.</summary>
/// <remarks>The references are counted in one word, as after the grace period of a kill: zero can be seen at once.</remarks>
internal readonly unsafe struct LastObjectAgainstReparent<TSwitch> : ICase where TSwitch : struct, IPointerSwitch
{
    private static SimulatedAccounting box;
    private static SlabState* slab;
    private static Memcg* parent, child;
    private static Objcg* pointer;
    private static int pointersBefore;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Pointers>(2, 3);
        slab = SimulatedSlab.New(box.AllCpus, 2, 3, 128, 256);
        parent = box.Group<Pointers>();
        child = MemcgLife.Create<Pointers>(box[0], parent);
        pointer = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(child)->Objcg);
        PerCpuRef.Init(&pointer->Ref, null, (delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&pointer->Ref.Release));
        PerCpuRef.Get(box[0], &pointer->Ref); // an object's
        SimulatedSlab.AtomicCss(child, &Released);
        SimulatedSlab.AtomicCss(parent, &Released);
        pointersBefore = SimulatedSlab.Free(slab, 2, Objcg.Bytes);
    }

    private static void Released(in ThisCpu cpu, PerCpuRef* r) => Bug.Fail("a group is released while its offline callback runs, or while it is online");

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == 0) TSwitch.Reparent(self, child, parent);
        else PerCpuRef.Put(self, &pointer->Ref);
        Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        long childs = PerCpuRef.CountAtRest(box[0], &child->Css.Ref), parents = PerCpuRef.CountAtRest(box[0], &parent->Css.Ref);
        if ((childs, parents) != (1, 1)) Bug.Fail("css references of the group and its parent, of one each", childs, parents);
        if (SimulatedSlab.Free(slab, 2, Objcg.Bytes) != pointersBefore + 1) Bug.Fail("the pointer was not freed");
        if (!IntrusiveList.IsEmpty(&MemcgKmem.Of(child)->Owned)) Bug.Fail("an offline group owns a pointer (I10)");
    }
}

internal static class OwnerLifeCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<LastObjectAgainstReparent<PaysFirst>>("E3", "ReparentPointer", "1o1f"),
        Case.Of<LastObjectAgainstReparent<PaysAfterwards>>("E3", "ReparentPointerAsPosted", "1o1f", Expect.Broken),
    ];
}
