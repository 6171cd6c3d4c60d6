// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Set-up of the slab layer on an accounting core: kmalloc sizes, the registry, names. Linux: kmem_cache_init. Hot code works on <see cref="SlabState"/>.</summary>
public sealed unsafe class Slab
{
    private readonly List<string> names = [];

    private Slab(SlabState* state) => State = state;

    /// <summary>The shared state.</summary>
    public SlabState* State { get; }

    /// <summary>
    /// Builds it for CPUs whose allocator and accounting are built, before the first group. checkObjects: kmalloc's objects are poisoned while free.
    /// </summary>
    public static Slab Build(PhysicalMemory memory, PerCpu cpus, bool checkObjects = false)
    {
        NodeId first = memory.Plan.Nodes[0].Physical;
        int records = 2 * KmallocSizes.Count * SlabCache.Bytes;
        byte* block = memory.MapMore([new MemoryPart((nuint)((sizeof(SlabState) + records + MemMap.FrameBytes - 1) & -MemMap.FrameBytes), first)], MemoryUse.Slab);
        var state = (SlabState*)block;
        TestAndSetLock.Init(&state->Mutex);
        TestAndSetLock.Init(&state->QueueLock);
        TestAndSetLock.Init(&state->ObjcgLock);
        IntrusiveList.Init(&state->Caches);
        IntrusiveList.Init(&state->Queue);
        IntrusiveList.Init(&state->ListLrus);
        Guarded<long>.Set(&state->NextSerial, 1);
        GuardedPtr<AllocatorState>.Set(&state->Allocator, memory.State);
        Guarded<int>.Set(&state->Cpus, cpus.Count);
        Guarded<int>.Set(&state->DescriptorBytes, KmemCacheSetup.DescriptorBytes(memory.Plan.Nodes.Count, cpus.Count));
        var slab = new Slab(state);
        for (int i = 0; i < 2 * KmallocSizes.Count; i++)
        {
            bool accounted = i >= KmallocSizes.Count;
            int bytes = KmallocSizes.BytesOf(i % KmallocSizes.Count);
            string name = $"kmalloc-{(accounted ? "cg-" : "")}{bytes}";
            var cache = (SlabCache*)(block + sizeof(SlabState) + i * SlabCache.Bytes);
            var own = new KmemCache(memory, name, bytes, Math.Min(bytes & -bytes, CacheLine.Size), checkObjects);
            GuardedPtr<KmemCacheState>.Set(&cache->State, own.State);
            GuardedPtr<byte>.Set(&own.State->User, (byte*)cache);
            Guarded<int>.Set(&cache->Accounted, accounted ? 1 : 0);
            Guarded<int>.Set(&cache->Permanent, 1);
            Guarded<int>.Set(&cache->Id, slab.Name(name));
            PerCpuRef.Init(&cache->Ref, null, null);
            IntrusiveList.Init(&cache->Siblings);
            IntrusiveList.AddTail(&state->Caches, &cache->All);
            Guarded<nint>.Set(&state->Kmalloc + i, (nint)cache);
        }
        for (int i = 0; i < cpus.Count; i++) GuardedPtr<SlabState>.Set(&SlabCpu.Of(cpus.Area(i))->Slab, state);
        return slab;
    }

    /// <summary>A name for caches to come; what <see cref="SlabCaches.Create"/> takes. Not for several threads at once.</summary>
    public int Name(string name)
    {
        names.Add(name);
        return names.Count - 1;
    }

    /// <summary>Empties this CPU's stacks of all caches. For a CPU that leaves, and before pages are counted.</summary>
    public static void DrainLocal<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        SlabState* slab = SlabState.Of(in cpu);
        if (slab == null) return;
        // Caches come and go while a CPU leaves. What this frees ends no cache here: that is queued work (Linux: slub_cpu_dead).
        TestAndSetLock.Acquire(in cpu, &slab->Mutex);
        // Twice: a slab of an accounted cache that goes frees its vector into another cache's stack.
        for (int turn = 0; turn < 2; turn++)
            for (ListHead* at = IntrusiveList.First(&slab->Caches); at != &slab->Caches; at = IntrusiveList.NextOf(at))
                KmemCache<SlabHook<TC>>.DrainLocal(in cpu, SlabCache.StateOf(SlabCache.OfAll(at)));
        TestAndSetLock.Release(in cpu, &slab->Mutex);
    }

    /// <summary>Everything this CPU keeps goes back to the page allocator's pools; the first CPU also closes the layer. When no group is left but the root.</summary>
    public static void Retire<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        if (cpu.Index == 0) Close(in cpu);
        DrainLocal<TC>(in cpu);
        PageAllocator.DrainLocal(in cpu);
    }

    /// <summary>Frees what kmalloc's own caches keep for copies, when there are none: the last step before all pages must be back. No group is left.</summary>
    public static void Close(in ThisCpu cpu)
    {
        SlabState* slab = SlabState.Of(in cpu);
        if (slab == null) return;
        for (ListHead* at = IntrusiveList.First(&slab->Caches); at != &slab->Caches; at = IntrusiveList.NextOf(at))
        {
            SlabCache* cache = SlabCache.OfAll(at);
            if (!IntrusiveList.IsEmpty(&cache->Siblings)) Bug.Fail("slab: closed while a cache has copies", Guarded<int>.Get(&cache->Id));
            Kmalloc.Free(in cpu, AtomicPtr<CacheSlots>.Exchange(&cache->Slots, null));
        }
    }

    /// <summary>Every cache, as /sys/kernel/slab lists them; at quiescence.</summary>
    public IReadOnlyList<SlabInfo> List<TC>() where TC : struct, IMemoryController
    {
        var list = new List<SlabInfo>();
        for (ListHead* at = IntrusiveList.First(&State->Caches); at != &State->Caches; at = IntrusiveList.NextOf(at))
        {
            SlabCache* cache = SlabCache.OfAll(at), root = SlabCache.RootOf(cache);
            string name = names[Guarded<int>.Get(&(root == null ? cache : root)->Id)];
            Memcg* owner = root == null ? null : TC.KmemOwnerOf(cache);
            if (root != null) name = $"{name}({Guarded<int>.Get(&cache->Id)}:{Guarded<long>.Get(&cache->Serial)})"; // unique though ids come again (patch 12)
            list.Add(SlabInfo.Of(name, cache, owner == null ? null : Guarded<int>.Get(&owner->Id)));
        }
        return list;
    }
}

/// <summary>One line of a slab listing.</summary>
/// <param name="Name">Root's name; a copy's has group id and serial number.</param>
/// <param name="Owner">Id of the group a copy is charged to, or null.</param>
/// <param name="Draining">No new objects: it goes with its last one.</param>
/// <param name="ObjectBytes">Bytes of an object.</param>
/// <param name="Objects">Objects in use.</param>
/// <param name="Stocked">Free objects on CPUs' stacks.</param>
/// <param name="Slabs">Pages.</param>
/// <param name="PerSlab">Objects per page.</param>
public sealed record SlabInfo(string Name, int? Owner, bool Draining, int ObjectBytes, long Objects, long Stocked, long Slabs, int PerSlab)
{
    /// <summary>Objects in use, of those there is room for in its pages; 1 when it has none.</summary>
    public double Utilisation => Slabs == 0 ? 1 : (double)Objects / (Slabs * PerSlab);

    internal static unsafe SlabInfo Of(string name, SlabCache* cache, int? owner)
    {
        KmemCacheState* state = SlabCache.StateOf(cache);
        long slabs = 0, taken = 0, stocked = 0;
        for (int i = 0; i < Guarded<int>.Get(&state->NrNodes); i++)
        {
            slabs += Guarded<long>.Get(&KmemCacheState.Node(state, i)->NrSlabs);
            taken += Guarded<long>.Get(&KmemCacheState.Node(state, i)->NrTaken);
        }
        for (int i = 0; i < Guarded<int>.Get(&state->NrCpus); i++) stocked += Guarded<int>.Get(&KmemCacheState.Cpu(state, i)->Count);
        return new(name, owner, Guarded<int>.Get(&cache->Dying) != 0, Guarded<int>.Get(&state->ObjectBytes), taken - stocked, stocked, slabs, Guarded<int>.Get(&state->PerSlab));
    }
}
