// SPDX-License-Identifier: GPL-2.0-only
using System.Numerics;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// Set-up and end of a cache of small objects; hot code works on <see cref="State"/> through <see cref="KmemCache{THook}"/>.
/// Linux: kmem_cache_create, mm/slab_common.c.
/// </summary>
public sealed unsafe class KmemCache
{
    /// <summary>Largest object: half a page, so that a slab holds more than one. Larger things are blocks of pages.</summary>
    public const int MaxObjectBytes = 1984;

    private readonly PhysicalMemory memory;

    /// <summary>Makes a cache for all CPUs attached to memory so far.</summary>
    /// <param name="memory">Where slabs come from.</param>
    /// <param name="name">For messages.</param>
    /// <param name="objectBytes">1 to <see cref="MaxObjectBytes"/>.</param>
    /// <param name="alignBytes">A power of two up to 64.</param>
    /// <param name="checkObjects">Find double frees, overruns and use after free, as slub_debug=FZP; costs a fill per free.</param>
    /// <exception cref="ArgumentException">A size makes no sense.</exception>
    public KmemCache(PhysicalMemory memory, string name, int objectBytes, int alignBytes = 8, bool checkObjects = false)
    {
        if (objectBytes is < 1 or > MaxObjectBytes)
            throw new ArgumentException($"kmem cache {name}: object of {objectBytes} bytes; give 1 to {MaxObjectBytes}", nameof(objectBytes));
        if (alignBytes is < 1 or > CacheLine.Size || !BitOperations.IsPow2(alignBytes))
            throw new ArgumentException($"kmem cache {name}: alignment {alignBytes}; give a power of two up to {CacheLine.Size}", nameof(alignBytes));
        this.memory = memory;
        Name = name;
        int nodes = memory.Plan.Nodes.Count, cpus = memory.CpuCount;
        MemoryPart[] parts =
        [
            new((nuint)RoundUp(KmemCacheSetup.DescriptorBytes(nodes, cpus), MemMap.FrameBytes), memory.Plan.Nodes[0].Physical),
            .. Enumerable.Range(0, cpus).Select(i => new MemoryPart(MemMap.FrameBytes, new NodeId(Guarded<int>.Get(&memory.Area(i)->NodeNumber)))),
        ];
        byte* block = memory.MapMore(parts, MemoryUse.Slab);
        State = (KmemCacheState*)block;
        KmemCacheSetup.Init(State, memory.State, cpus, objectBytes, alignBytes, checkObjects);
        for (int i = 0; i < cpus; i++)
            KmemCacheSetup.SetCpu(State, Guarded<int>.Get(&memory.Area(i)->Index), (KmemCpu*)(block + parts[0].Bytes + (nuint)i * MemMap.FrameBytes));
    }

    /// <summary>Name for messages.</summary>
    public string Name { get; }

    /// <summary>The descriptor hot code works on.</summary>
    public KmemCacheState* State { get; }

    /// <summary>Objects per slab of one page.</summary>
    public int PerSlab => Guarded<int>.Get(&State->PerSlab);

    /// <summary>Slabs on all nodes. Exact while nobody allocates.</summary>
    public long SlabCount => Sum(n => Guarded<long>.Get(&((KmemNode*)n)->NrSlabs));

    /// <summary>Objects in use: out of the slabs and on no CPU's stack. Exact while nobody allocates.</summary>
    public long LiveObjects
    {
        get
        {
            long stacked = 0;
            for (int i = 0; i < Guarded<int>.Get(&State->NrCpus); i++) stacked += Guarded<int>.Get(&KmemCacheState.Cpu(State, i)->Count);
            return Sum(n => Guarded<long>.Get(&((KmemNode*)n)->NrTaken)) - stacked;
        }
    }

    /// <summary>kmem_cache_shrink: empties the stacks of all CPUs, so that every empty slab goes back. No other CPU may run.</summary>
    public void Shrink<THook>(in ThisCpu cpu) where THook : struct, IKmemHook
    {
        for (int i = 0; i < Guarded<int>.Get(&State->NrCpus); i++) KmemCache<THook>.DrainStack(in cpu, State, KmemCacheState.Cpu(State, i));
    }

    /// <summary>kmem_cache_destroy: all objects must be free and all slabs go back. No other CPU may run.</summary>
    /// <exception cref="BugException">Objects are still in use.</exception>
    public void Destroy<THook>(in ThisCpu cpu) where THook : struct, IKmemHook
    {
        Shrink<THook>(in cpu);
        if (LiveObjects != 0 || SlabCount != 0) Bug.Fail($"kmem cache {Name}: destroyed with {LiveObjects} objects in use in {SlabCount} slabs");
    }

    /// <summary>Walks all slabs; each sentence returned is a broken rule. No other CPU may run.</summary>
    public IReadOnlyList<string> Check()
    {
        List<string> broken = [];
        for (int i = 0; i < Guarded<int>.Get(&State->NrNodes); i++)
        {
            KmemNode* node = KmemCacheState.Node(State, i);
            long slabs = 0, taken = 0;
            foreach (bool full in (ReadOnlySpan<bool>)[false, true])
            {
                ListHead* head = full ? &node->Full : &node->Partial;
                IntrusiveList.Walk(head);
                for (ListHead* at = IntrusiveList.First(head); at != head; at = IntrusiveList.NextOf(at))
                {
                    Page* slab = PageOps.OfLru(at);
                    long used = AtomicLong.Load(&slab->Index);
                    Pfn pfn = MemMap.PfnOf(&memory.State->Map, slab);
                    slabs++;
                    taken += used;
                    if (full ? used != PerSlab : used <= 0 || used >= PerSlab)
                        broken.Add($"kmem cache {Name}: slab at pfn {pfn} on the {(full ? "full" : "partial")} list has {used} of {PerSlab} objects out");
                    if (!PageOps.Test(slab, PageFlags.Slab) || AtomicLong.Load(&slab->Mapping) != (long)State)
                        broken.Add($"kmem cache {Name}: pfn {pfn} is on its lists but is not its slab");
                    if (PageOps.NodeIndex(slab) != i)
                        broken.Add($"kmem cache {Name}: slab at pfn {pfn} is on the lists of node index {i}, not of its own {PageOps.NodeIndex(slab)}");
                }
            }
            long countedSlabs = Guarded<long>.Get(&node->NrSlabs), countedTaken = Guarded<long>.Get(&node->NrTaken);
            if (slabs != countedSlabs) broken.Add($"kmem cache {Name}: {slabs} slabs on the lists of node index {i}, {countedSlabs} counted");
            if (taken != countedTaken) broken.Add($"kmem cache {Name}: {taken} objects out of the slabs of node index {i}, {countedTaken} counted");
        }
        if (LiveObjects < 0) broken.Add($"kmem cache {Name}: {LiveObjects} objects in use");
        return broken;
    }

    private long Sum(Func<nint, long> of)
    {
        long sum = 0;
        for (int i = 0; i < Guarded<int>.Get(&State->NrNodes); i++) sum += of((nint)KmemCacheState.Node(State, i));
        return sum;
    }

    private static int RoundUp(int value, int to) => (value + to - 1) & -to;
}
