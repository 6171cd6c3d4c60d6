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
using Spliced = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.ObjcgWord,
    MemcgNative.Accounting.Lruvecs<MemcgNative.Native.TestAndSetLock, MemcgNative.Accounting.ByRecheck>, MemcgNative.Accounting.AtFinalPut,
    MemcgNative.Accounting.SpliceToParent, MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerNode>>;

namespace MemcgNative.Tests.Interleavings;

// Objects of shared caches against the end of their group, whole: kmem_cache_alloc, its charge, kmem_cache_free.

/// <summary>E1, E6: an object is allocated for a group while the group's objcg becomes its parent's: it is somebody's, and the survivor's books are right.</summary>
internal readonly unsafe struct ObjectAgainstOffline<TC> : ICase where TC : struct, IMemoryController
{
    private static ObjectScene<TC> scene;
    private static SlabCache* cache;
    private static GuardedPtr<byte>* got;

    public static int Cpus => 2;

    public static void Setup()
    {
        scene = ObjectScene<TC>.New();
        cache = scene.Cache(perSlab: 2);
        got = Arena.New<GuardedPtr<byte>>("object");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = scene.Box[cpu];
        if (cpu == 1) TC.OnOffline(self, scene.Child);
        else GuardedPtr<byte>.Set(got, (byte*)KmemObjects.Alloc<TC>(self, cache, scene.Child));
    }

    public static void Final()
    {
        ThisCpu any = scene.Box[1]; // remote
        byte* obj = GuardedPtr<byte>.Get(got);
        if (obj == null) Bug.Fail("no object, though there is no limit");
        if (TC.KmemOwnerOfObject(any, MemMap.PageOfAddress(MemMap.Of(any), obj), obj) != scene.Parent) Bug.Fail("the object is not the parent's (I10)");
        KmemObjects.Free<TC>(any, obj);
        scene.AssertNothingCharged();
    }
}

/// <summary>E6: objects of one slab are freed, a CPU each, while their owner changes: what they give back waits in stocks of bytes, and no byte is lost.</summary>
internal readonly unsafe struct ObjectsFreedAgainstOffline<TC, TFrees> : ICase where TC : struct, IMemoryController where TFrees : struct, ISize
{
    private static ObjectScene<TC> scene;
    private static GuardedPtr<byte>* objects;

    public static int Cpus => TFrees.N + 1;

    public static void Setup()
    {
        scene = ObjectScene<TC>.New(Cpus);
        SlabCache* cache = scene.Cache(perSlab: 4);
        objects = Arena.Array<GuardedPtr<byte>>(TFrees.N, "object");
        for (int i = 0; i < TFrees.N; i++) GuardedPtr<byte>.Set(objects + i, (byte*)KmemObjects.Alloc<TC>(scene.Box[0], cache, scene.Child));
    }

    public static void Body(int cpu)
    {
        if (cpu == TFrees.N) TC.OnOffline(scene.Box[cpu], scene.Child);
        else KmemObjects.Free<TC>(scene.Box[cpu], GuardedPtr<byte>.Get(objects + cpu));
    }

    public static void Final() => scene.AssertNothingCharged();
}

/// <summary>E6: blocks of pages are freed while their owner changes: each on one of the two counters, the survivor's exact. Or without that.</summary>
internal readonly unsafe struct BlockAgainstOffline<TC, TFrees, TOfflines> : ICase
    where TC : struct, IMemoryController where TFrees : struct, ISize where TOfflines : struct, ISize
{
    private static ObjectScene<TC> scene;
    private static GuardedPtr<Page>* blocks;

    public static int Cpus => TFrees.N + TOfflines.N;

    public static void Setup()
    {
        scene = ObjectScene<TC>.New(Cpus);
        blocks = Arena.Array<GuardedPtr<Page>>(TFrees.N, "block");
        for (int i = 0; i < TFrees.N; i++)
        {
            Page* block = KmemObjects.AllocPages<TC>(scene.Box[i], default, OwnerOf(i));
            if (block == null) Bug.Fail("set-up: no page");
            GuardedPtr<Page>.Set(blocks + i, block);
        }
    }

    /// <summary>Where nobody goes offline, every other block is nobody's.</summary>
    private static Memcg* OwnerOf(int i) => TOfflines.N == 0 && i % 2 != 0 ? null : scene.Child;

    public static void Body(int cpu)
    {
        if (cpu == TFrees.N) TC.OnOffline(scene.Box[cpu], scene.Child);
        else KmemObjects.FreePages<TC>(scene.Box[cpu], GuardedPtr<Page>.Get(blocks + cpu), default);
    }

    public static void Final() => scene.AssertNothingCharged();
}

/// <summary>
/// The node's lists of one cache: some CPUs have an empty stack and take from a slab in part use, the others give their stacks back.
/// No object is handed out twice, and the slabs count what is out.
/// </summary>
internal readonly unsafe struct NodeOfOneCache<TC, TTakes, TGives> : ICase where TC : struct, IMemoryController where TTakes : struct, ISize where TGives : struct, ISize
{
    private static ObjectScene<TC> scene;
    private static SlabCache* cache;
    private static GuardedPtr<byte>* got;

    public static int Cpus => TTakes.N + TGives.N;

    public static void Setup()
    {
        scene = ObjectScene<TC>.New(Cpus);
        cache = scene.Cache(perSlab: 2 * Cpus);
        for (int c = 0; c < Cpus; c++) Guarded<int>.Set(&KmemCacheState.Cpu(SlabCache.StateOf(cache), c)->Batch, 1);
        got = Arena.Array<GuardedPtr<byte>>(2 * Cpus, "object");
        for (int i = TTakes.N; i < Cpus; i++) GuardedPtr<byte>.Set(got + i, (byte*)KmemObjects.Alloc<TC>(scene.Box[i], cache, (Memcg*)null));
        for (int i = TTakes.N; i < Cpus; i++) KmemObjects.Free<TC>(scene.Box[i], GuardedPtr<byte>.Get(got + i));
    }

    public static void Body(int cpu)
    {
        ThisCpu self = scene.Box[cpu];
        if (cpu < TTakes.N) GuardedPtr<byte>.Set(got + cpu, (byte*)KmemObjects.Alloc<TC>(self, cache, (Memcg*)null));
        else KmemCache<SlabHook<TC>>.DrainLocal(self, SlabCache.StateOf(cache));
    }

    public static void Final()
    {
        for (int i = 0; i < TTakes.N; i++)
        {
            byte* obj = GuardedPtr<byte>.Get(got + i);
            if (obj == null) Bug.Fail("no object, though there are pages");
            for (int j = 0; j < i; j++)
                if (GuardedPtr<byte>.Get(got + j) == obj) Bug.Fail("an object was handed out twice");
        }
        KmemNode* node = KmemCacheState.Node(SlabCache.StateOf(cache), 0);
        if (Guarded<long>.Get(&node->NrTaken) != TTakes.N) Bug.Fail("objects out, as the node counts them", Guarded<long>.Get(&node->NrTaken), TTakes.N);
    }
}

/// <summary>A parent, and a child about to go offline, on two CPUs with slabs and pages.</summary>
internal readonly unsafe struct ObjectScene<TC> where TC : struct, IMemoryController
{
    private ObjectScene(SimulatedAccounting box, Memcg* parent, Memcg* child)
    {
        Box = box;
        Parent = parent;
        Child = child;
    }

    public SimulatedAccounting Box { get; }
    public Memcg* Parent { get; }
    public Memcg* Child { get; }

    public static ObjectScene<TC> New(int cpus = 2)
    {
        SimulatedAccounting box = SimulatedAccounting.New<TC>(cpus, 3);
        SimulatedSlab.New(box.AllCpus, cpus, 6, spare: 2, [16, 32, 64, 128, 256, 512, 1024]);
        Memcg* parent = box.Group<TC>(), child = MemcgLife.Create<TC>(box[0], parent);
        AtomicInt.Init(&child->Css.State, (int)CssState.Dying); // the kill's grace period is over
        return new ObjectScene<TC>(box, parent, child);
    }

    /// <summary>An accounted cache of small slabs.</summary>
    public SlabCache* Cache(int perSlab)
    {
        SlabCache* cache = SlabCaches.Create<TC>(Box[0], 0, 256, accounted: true);
        if (cache == null) Bug.Fail("set-up: no cache");
        Guarded<int>.Set(&SlabCache.StateOf(cache)->PerSlab, perSlab);
        return cache;
    }

    /// <summary>Stocks are emptied, grace periods end: the survivor counts nothing but what its objcg has left over (I1, I2).</summary>
    public void AssertNothingCharged()
    {
        for (int round = 0; round < 8; round++)
            for (int c = 0; c < Guarded<int>.Get(&Box[0].Table->Count); c++)
            {
                TC.DrainStocks(Box[c], Box.Root);
                Poll.Run(Box[c]);
            }
        Objcg* own = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(Parent)->Objcg);
        if (own == null) own = AtomicPtr<Objcg>.Load(&NodeObjcg.Of(Parent, 0)->Active);
        long left = TC.Usage(Parent, CounterKind.Kmem) * MemMap.FrameBytes - AtomicInt.Load(&own->Residue); // a page that an online objcg keeps for its next object
        if (left != 0) Bug.Fail("bytes charged to the surviving group for nothing (I1, I2)", left);
    }
}

/// <summary>How a CPU that leaves empties its stacks of all caches.</summary>
internal unsafe interface IEmpties
{
    static abstract void Empty(in ThisCpu cpu);
}

internal readonly unsafe struct UnderMutex : IEmpties
{
    public static void Empty(in ThisCpu cpu) => Slab.DrainLocal<Copies>(in cpu);
}

/// <summary>A CPU leaves while a cache comes: the list of caches is walked while it grows.</summary>
internal readonly unsafe struct LeaveAgainstCreate<TEmpties> : ICase where TEmpties : struct, IEmpties
{
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: false);
        CacheCreation.Request(CopyScene.Box[1], CopyScene.Root, CopyScene.Child);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 0) TEmpties.Empty(self);
        else CacheCreation.Flush(self);
    }
}

internal static class ObjectCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<ObjectAgainstOffline<Objects>>("E1", "ObjCgroup", "1a1o"),
        Case.Of<ObjectAgainstOffline<Spliced>>("E1", "ObjCgroupPerNode", "1a1o"),
        Case.Of<BlockAgainstOffline<Objects, N1, N1>>("E6", "ObjCgroup,blocks", "1f1o"),
        Case.Of<BlockAgainstOffline<Objects, N2, N1>>("E6", "ObjCgroup,blocks", "2f1o"),
        Case.Of<BlockAgainstOffline<Pointers, N1, N1>>("E6", "ReparentPointer,blocks", "1f1o"),
        Case.Of<BlockAgainstOffline<Pointers, N2, N1>>("E6", "ReparentPointer,blocks", "2f1o"),
        Case.Of<BlockAgainstOffline<Spliced, N1, N1>>("E6", "ObjCgroupPerNode,blocks", "1f1o"),
        Case.Of<BlockAgainstOffline<Spliced, N2, N1>>("E6", "ObjCgroupPerNode,blocks", "2f1o"),
        Case.Of<BlockAgainstOffline<Objects, N4, N0>>("E6", "ObjCgroup,blocks", "4f"),
        Case.Of<ObjectsFreedAgainstOffline<Objects, N1>>("E6", "ObjCgroup,objects", "1f1o"),
        Case.Of<ObjectsFreedAgainstOffline<Objects, N3>>("E6", "ObjCgroup,objects", "3f1o"),
        Case.Of<NodeOfOneCache<Objects, N1, N1>>("slab", "node", "1t1g"),
        Case.Of<NodeOfOneCache<Objects, N2, N2>>("slab", "node", "2t2g"),
        Case.Of<NodeOfOneCache<Objects, N1, N1>>("slab", "busted-node-unlocked", "1t1g", Expect.Broken).Mutated("TestAndSetLock.Acquire#1", MutationOp.DropLock),
        Case.Of<LeaveAgainstCreate<UnderMutex>>("slab", "leave", "1l1c"),
        Case.Of<LeaveAgainstCreate<Unlocked>>("slab", "busted-leave-unlocked", "1l1c", Expect.Broken),
    ];
}
