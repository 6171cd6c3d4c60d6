// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using NodeLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Allocator;

/// <summary>Fills the descriptor of a cache in memory its maker found, at set-up or while the machine runs. Linux: __kmem_cache_create, mm/slab.c.</summary>
public static unsafe class KmemCacheSetup
{
    /// <summary>Bytes of a descriptor with its nodes and its table of CPUs; zeroed memory is not needed.</summary>
    public static int DescriptorBytes(int nodes, int cpus) => KmemCacheState.NodesOffset + nodes * sizeof(KmemNode) + cpus * sizeof(nint);

    /// <summary>A cache of the given sizes (see <see cref="KmemCache"/>) without stacks: <see cref="SetCpu"/> follows for each CPU.</summary>
    public static void Init(KmemCacheState* cache, AllocatorState* allocator, int cpus, int objectBytes, int alignBytes, bool checkObjects)
    {
        int align = Math.Max(alignBytes, 8);
        int stride = Math.Max(RoundUp(RoundUp(objectBytes, 8) + (checkObjects ? 8 : 0), align), 16);
        int perSlab = MemMap.FrameBytes / (stride + 1);
        while (RoundUp(perSlab, align) + perSlab * stride > MemMap.FrameBytes) perSlab--;
        Guarded<int>.Set(&cache->ObjectBytes, objectBytes);
        Guarded<int>.Set(&cache->Stride, stride);
        Guarded<int>.Set(&cache->PerSlab, perSlab);
        Guarded<int>.Set(&cache->FirstObject, RoundUp(perSlab, align));
        Guarded<int>.Set(&cache->Checked, checkObjects ? 1 : 0);
        InitNodes(cache, allocator, cpus);
    }

    /// <summary>A cache of the same objects as another one: a group's copy.</summary>
    public static void InitLike(KmemCacheState* cache, KmemCacheState* like)
    {
        Guarded<int>.Set(&cache->ObjectBytes, Guarded<int>.Get(&like->ObjectBytes));
        Guarded<int>.Set(&cache->Stride, Guarded<int>.Get(&like->Stride));
        Guarded<int>.Set(&cache->PerSlab, Guarded<int>.Get(&like->PerSlab));
        Guarded<int>.Set(&cache->FirstObject, Guarded<int>.Get(&like->FirstObject));
        Guarded<int>.Set(&cache->Checked, Guarded<int>.Get(&like->Checked));
        InitNodes(cache, GuardedPtr<AllocatorState>.Get(&like->State), Guarded<int>.Get(&like->NrCpus));
    }

    private static void InitNodes(KmemCacheState* cache, AllocatorState* allocator, int cpus)
    {
        int nodes = Guarded<int>.Get(&allocator->NrNodes);
        Guarded<int>.Set(&cache->NrNodes, nodes);
        Guarded<int>.Set(&cache->NrCpus, cpus);
        GuardedPtr<AllocatorState>.Set(&cache->State, allocator);
        GuardedPtr<nint>.Set(&cache->Cpus, (nint*)((byte*)cache + KmemCacheState.NodesOffset + nodes * sizeof(KmemNode)));
        GuardedPtr<byte>.Set(&cache->User, null);
        for (int i = 0; i < nodes; i++)
        {
            KmemNode* node = KmemCacheState.Node(cache, i);
            NodeLock.Init(&node->Lock);
            IntrusiveList.Init(&node->Partial);
            IntrusiveList.Init(&node->Full);
            Guarded<long>.Set(&node->NrSlabs, 0);
            Guarded<long>.Set(&node->NrTaken, 0);
        }
    }

    /// <summary>Gives a CPU, by its dense index, its stack: <see cref="KmemCpu.Bytes"/> bytes in that CPU's memory.</summary>
    public static void SetCpu(KmemCacheState* cache, int cpu, KmemCpu* stack)
    {
        int bytes = Guarded<int>.Get(&cache->ObjectBytes);
        int limit = bytes > 1024 ? 24 : bytes > 256 ? 54 : KmemCpu.Capacity; // enable_cpucache, 2.6.27
        Guarded<int>.Set(&stack->Count, 0);
        Guarded<int>.Set(&stack->Limit, limit);
        Guarded<int>.Set(&stack->Batch, (limit + 1) / 2);
        GuardedPtr<KmemCacheState>.Set(&stack->Cache, cache);
        GuardedPtr<nint>.Get(&cache->Cpus)[cpu] = (nint)stack;
    }

    private static int RoundUp(int value, int to) => (value + to - 1) & -to;
}
