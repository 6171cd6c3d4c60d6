// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using MemoryNode = MemcgNative.Allocator.Node;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// The slab layer in the arena: kmalloc caches of the sizes a case needs, a frame each, every CPU with objects on its stack, so that nobody ever
/// needs a slab or meets the page allocator. Freed objects are known as free: a late look at one is found.
/// </summary>
internal static unsafe class SimulatedSlab
{
    /// <summary>Builds it; each = objects per CPU and size.</summary>
    public static SlabState* New(SimulatedCpus cpus, int count, int each, params int[] sizes)
    {
        var state = (SlabState*)Arena.Block(sizeof(SlabState), "slab", typeof(SlabState));
        IntrusiveList.Init(&state->Caches);
        IntrusiveList.Init(&state->Queue);
        IntrusiveList.Init(&state->ListLrus);
        Guarded<int>.Set(&state->Cpus, count);
        var frames = (byte*)Arena.Block(MemMap.FrameBytes * sizes.Length, "frames", align: MemMap.FrameBytes);
        Page* pages = Arena.Array<Page>(sizes.Length, "frame");
        var allocator = (AllocatorState*)Arena.Block(sizeof(AllocatorState) + sizeof(nint), "allocator", typeof(AllocatorState));
        GuardedPtr<Page>.Set(&allocator->Map.Pages, pages);
        GuardedPtr<byte>.Set(&allocator->Map.Frames, frames);
        Guarded<long>.Set(&allocator->Map.Count, sizes.Length);
        Guarded<int>.Set(&allocator->NrNodes, 1);
        var node = (MemoryNode*)Arena.Block(sizeof(MemoryNode), "memory", typeof(MemoryNode));
        GuardedPtr<MemoryNode>.Set(AllocatorState.NodeSlot(allocator, 0), node);
        GuardedPtr<AllocatorState>.Set(&state->Allocator, allocator);
        Guarded<int>.Set(&state->DescriptorBytes, KmemCacheSetup.DescriptorBytes(1, count));
        for (int c = 0; c < count; c++)
        {
            GuardedPtr<AllocatorState>.Set(&AllocatorCpu.Of(cpus.Area(c))->State, allocator);
            GuardedPtr<MemoryNode>.Set(&AllocatorCpu.Of(cpus.Area(c))->HomeNode, node);
            GuardedPtr<SlabState>.Set(&SlabCpu.Of(cpus.Area(c))->Slab, state);
        }
        for (int i = 0; i < sizes.Length; i++) Size(state, allocator, pages + i, frames + i * MemMap.FrameBytes, count, each, sizes[i]);
        return state;
    }

    private static void Size(SlabState* slab, AllocatorState* allocator, Page* page, byte* frame, int count, int each, int bytes)
    {
        var cache = (SlabCache*)Arena.Block(sizeof(SlabCache), $"kmalloc-{bytes}", typeof(SlabCache));
        var own = (KmemCacheState*)Arena.Block(KmemCacheSetup.DescriptorBytes(1, count), $"kmalloc-{bytes}.state", typeof(KmemCacheState));
        KmemCacheSetup.Init(own, allocator, count, bytes, 8, checkObjects: false);
        GuardedPtr<KmemCacheState>.Set(&cache->State, own);
        GuardedPtr<byte>.Set(&own->User, (byte*)cache);
        Guarded<int>.Set(&cache->Permanent, 1);
        IntrusiveList.Init(&cache->Siblings);
        Guarded<nint>.Set(&slab->Kmalloc + KmallocSizes.ClassOf(bytes), (nint)cache);
        AtomicLong.Init(&page->Flags, PageFlags.Slab);
        AtomicLong.Init(&page->Mapping, (long)own);
        for (int c = 0; c < count; c++)
        {
            var stack = (KmemCpu*)Arena.Block(KmemCpu.Bytes, $"kmalloc-{bytes}.stack{c}", typeof(KmemCpu));
            KmemCacheSetup.SetCpu(own, c, stack);
            Guarded<int>.Set(&stack->Count, each);
            for (int i = 0; i < each; i++)
            {
                byte* o = frame + (c * each + i) * Guarded<int>.Get(&own->Stride) + Guarded<int>.Get(&own->FirstObject);
                GuardedPtr<byte>.Set(KmemCpu.Entry(stack, i), o);
                Machine.OnFree(o, (nuint)bytes);
            }
        }
    }

    /// <summary>Objects of a size on all stacks.</summary>
    public static int Free(SlabState* slab, int count, int bytes)
    {
        KmemCacheState* own = SlabCache.StateOf(SlabState.KmallocCache(slab, KmallocSizes.ClassOf(bytes), accounted: false));
        int free = 0;
        for (int c = 0; c < count; c++) free += Guarded<int>.Get(&KmemCacheState.Cpu(own, c)->Count);
        return free;
    }

    /// <summary>A group's references in one word from now on, so that its last put is one step, and calls release. As after the kill's grace period.</summary>
    public static void AtomicCss(Memcg* memcg, delegate*<in ThisCpu, PerCpuRef*, void> release) => PerCpuRef.Init(&memcg->Css.Ref, null, release);
}
