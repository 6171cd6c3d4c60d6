// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Copies = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.PerGroupCaches<MemcgNative.Accounting.ReparentCaches>>;
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

/// <summary>How an allocation uses the copy it selected.</summary>
internal unsafe interface ISelects
{
    static abstract void Use(in ThisCpu cpu, SlabCache* root, int id, Page* slab);
}

/// <summary>As PerGroupCaches.Alloc: selected and used inside one RCU section; the copy's count says whether it may still grow.</summary>
internal readonly unsafe struct SelectsInsideRcu : ISelects
{
    public static void Use(in ThisCpu cpu, SlabCache* root, int id, Page* slab)
    {
        Rcu.ReadLock(in cpu);
        SlabCache* copy = CacheCreation.Find(root, id);
        if (copy != null && SlabHook<Copies>.OnNewSlab(in cpu, SlabCache.StateOf(copy), slab, Gfp.Kernel))
            SlabHook<Copies>.OnSlabRelease(in cpu, SlabCache.StateOf(copy), slab);
        Rcu.ReadUnlock(in cpu);
    }
}

/// <summary>D3, D4, D6, D8: a slab comes to a copy, and goes, while the copy's group goes. The copy ends once, untouched; the parent's books are right.</summary>
internal readonly unsafe struct SlabAgainstOffline<TSelects> : ICase where TSelects : struct, ISelects
{
    private static SimulatedAccounting box;
    private static Memcg* parent, child;
    private static SlabCache* root;
    private static Page* page;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Copies>(2, 3);
        SimulatedSlab.New(box.AllCpus, 2, 5, 32, 96, 256, 512, 1024);
        parent = box.Group<Copies>();
        child = MemcgLife.Create<Copies>(box[0], parent);
        root = SlabCaches.Create<Copies>(box[0], 0, 64, accounted: true);
        if (root == null) Bug.Fail("set-up: no cache");
        CacheCreation.Request(box[0], root, child);
        CacheCreation.Flush(box[0]);
        if (CacheCreation.Find(root, Guarded<int>.Get(&child->Id)) == null) Bug.Fail("set-up: no copy");
        page = Arena.New<Page>("slabpage");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == 0) TSelects.Use(self, root, Guarded<int>.Get(&child->Id), page);
        else Offline(self);
        Rcu.CpuOffline(self);
    }

    /// <summary>PerGroupCaches.OnOffline, but for the stacks of the copy, which are empty: emptying them is the allocator's, with memory of its own.</summary>
    private static void Offline(in ThisCpu cpu)
    {
        SlabState* slab = SlabState.Of(in cpu);
        CacheCreation.Flush(in cpu);
        TestAndSetLock.Acquire(in cpu, &slab->Mutex);
        SlabCache* copy = SlabCache.OfMine(IntrusiveList.First(&MemcgKmem.Of(child)->Caches));
        SlabCaches.ClearSlot(copy);
        Guarded<int>.Set(&copy->Dying, 1);
        PerCpuRef.Kill(in cpu, &copy->Ref);
        CacheOwner.MoveAll(child, parent);
        TestAndSetLock.Release(in cpu, &slab->Mutex);
    }

    public static void Final()
    {
        if (!IntrusiveList.IsEmpty(&root->Siblings)) Bug.Fail("the copy is empty, its group has gone, and it is still there");
        if (Copies.Usage(parent, CounterKind.Kmem) != 0) Bug.Fail("kmem of the surviving group (I1)", Copies.Usage(parent, CounterKind.Kmem));
    }
}

internal static class OwnerLifeCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<LastObjectAgainstReparent<PaysFirst>>("E3", "ReparentPointer", "1o1f"),
        Case.Of<LastObjectAgainstReparent<PaysAfterwards>>("E3", "ReparentPointerAsPosted", "1o1f", Expect.Broken),
        Case.Of<SlabAgainstOffline<SelectsInsideRcu>>("D4", "ReparentCaches", "1a1o"),
        Case.Of<SlabAgainstOffline<SelectsAsPosted>>("D4", "ReparentCachesAsPosted", "1a1o", Expect.Broken, heavy: true),
    ];
}
