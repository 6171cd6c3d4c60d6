// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using MemoryNode = MemcgNative.Allocator.Node;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// The slab layer in the arena: kmalloc caches of the sizes a case needs, frames for them, every CPU with objects on its stack, so that none of them
/// ever needs a slab. Freed objects are known as free: a late look at one is found. Caches that a case makes take the spare pages on CPUs' lists.
/// </summary>
internal static unsafe class SimulatedSlab
{
    /// <summary>Builds it; each = objects per CPU and size.</summary>
    public static SlabState* New(SimulatedCpus cpus, int count, int each, params int[] sizes) => New(cpus, count, each, spare: 0, sizes);

    /// <summary>Builds it; spare = free pages on each CPU's list.</summary>
    public static SlabState* New(SimulatedCpus cpus, int count, int each, int spare, int[] sizes)
    {
        int used = sizes.Sum(size => Frames(size, count * each)), total = used + spare * count;
        var state = (SlabState*)Arena.Block(sizeof(SlabState), "slab", typeof(SlabState));
        IntrusiveList.Init(&state->Caches);
        IntrusiveList.Init(&state->Queue);
        IntrusiveList.Init(&state->ListLrus);
        Guarded<int>.Set(&state->Cpus, count);
        var frames = (byte*)Arena.Block(MemMap.FrameBytes * total, "frames", align: MemMap.FrameBytes);
        Page* pages = (Page*)Arena.Block(Page.Bytes * total, "frame", typeof(Page), Page.Bytes);
        var allocator = (AllocatorState*)Arena.Block(sizeof(AllocatorState) + sizeof(nint), "allocator", typeof(AllocatorState));
        GuardedPtr<Page>.Set(&allocator->Map.Pages, pages);
        GuardedPtr<byte>.Set(&allocator->Map.Frames, frames);
        Guarded<long>.Set(&allocator->Map.Count, total);
        Guarded<int>.Set(&allocator->NrNodes, 1);
        MemoryNode* node = SimulatedFrames.NodeOf(cpus[0]);
        GuardedPtr<MemoryNode>.Set(AllocatorState.NodeSlot(allocator, 0), node);
        GuardedPtr<AllocatorState>.Set(&state->Allocator, allocator);
        Guarded<int>.Set(&state->DescriptorBytes, KmemCacheSetup.DescriptorBytes(1, count));
        for (int c = 0; c < count; c++)
        {
            GuardedPtr<AllocatorState>.Set(&AllocatorCpu.Of(cpus.Area(c))->State, allocator);
            if (spare != 0)
            {
                GuardedPtr<Page>.Set(&AllocatorCpu.Of(cpus.Area(c))->Pages, pages);
                Guarded<long>.Set(&AllocatorCpu.Of(cpus.Area(c))->NrPages, total);
            }
            for (int i = 0; i < spare; i++) SimulatedFrames.Spare(cpus.Area(c), pages + used + c * spare + i);
            GuardedPtr<SlabState>.Set(&SlabCpu.Of(cpus.Area(c))->Slab, state);
        }
        for (int i = 0, first = 0; i < sizes.Length; first += Frames(sizes[i++], count * each))
            Size(state, allocator, pages + first, frames + first * MemMap.FrameBytes, count, each, sizes[i]);
        return state;
    }

    /// <summary>Objects of a size that one frame has room for behind its freelist, or a few less.</summary>
    private static int PerFrame(int bytes) => (MemMap.FrameBytes - 256) / Math.Max(bytes, 16);

    private static int Frames(int bytes, int objects) => (objects + PerFrame(bytes) - 1) / PerFrame(bytes);

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
        for (int i = 0; i < Frames(bytes, count * each); i++)
        {
            AtomicLong.Init(&page[i].Flags, PageFlags.Slab);
            AtomicLong.Init(&page[i].Mapping, (long)own);
        }
        for (int c = 0; c < count; c++)
        {
            var stack = (KmemCpu*)Arena.Block(KmemCpu.Bytes, $"kmalloc-{bytes}.stack{c}", typeof(KmemCpu));
            KmemCacheSetup.SetCpu(own, c, stack);
            Guarded<int>.Set(&stack->Count, each);
            for (int i = 0; i < each; i++)
            {
                int n = c * each + i;
                byte* o = frame + n / PerFrame(bytes) * MemMap.FrameBytes + n % PerFrame(bytes) * Guarded<int>.Get(&own->Stride) + Guarded<int>.Get(&own->FirstObject);
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

    /// <summary>What is on stacks and lists: objects of every size, and spare pages. The same at both ends of a case that leaks nothing.</summary>
    public static long AtHome(SimulatedCpus cpus, SlabState* slab, int count)
    {
        long free = 0;
        for (int c = 0; c < count; c++)
        {
            free += 1000 * Guarded<int>.Get(&GuardedPtr<PerCpuPages>.Get(&AllocatorCpu.Of(cpus.Area(c))->Home)->Count);
            for (int size = 0; size < KmallocSizes.Count; size++)
                if (Guarded<nint>.Get(&slab->Kmalloc + size) is var cache && cache != 0)
                    free += Guarded<int>.Get(&KmemCacheState.Cpu(SlabCache.StateOf((SlabCache*)cache), c)->Count);
        }
        return free;
    }

    /// <summary>A group's references in one word from now on, so that its last put is one step, and calls release. As after the kill's grace period.</summary>
    public static void AtomicCss(Memcg* memcg, delegate*<in ThisCpu, PerCpuRef*, void> release) => PerCpuRef.Init(&memcg->Css.Ref, null, release);
}
