// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using MemoryNode = MemcgNative.Allocator.Node;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// What the page allocator, the swap device and the page cache need, in the arena: one node whose zone is empty, and per-CPU lists that a case
/// fills and that never overflow.
/// </summary>
internal static unsafe class SimulatedFrames
{
    /// <summary>Every CPU allocates from and frees to its own list.</summary>
    public static void Attach(SimulatedCpus cpus, int count, Page* pages, int frames)
    {
        var state = (AllocatorState*)Arena.Block(sizeof(AllocatorState) + sizeof(nint), "allocator", typeof(AllocatorState));
        GuardedPtr<Page>.Set(&state->Map.Pages, pages);
        Guarded<long>.Set(&state->Map.Count, frames);
        GuardedPtr<byte>.Set(&state->Map.Frames, frames == 0 ? null : (byte*)Arena.Block(frames * MemMap.FrameBytes, "frames"));
        Guarded<int>.Set(&state->NrNodes, 1);
        var node = (MemoryNode*)Arena.Block(MemoryNode.Bytes, "allocatornode", typeof(MemoryNode));
        GuardedPtr<MemoryNode>.Set(AllocatorState.NodeSlot(state, 0), node);
        Guarded<int>.Set(&node->NrFallback, 1);
        GuardedPtr<MemoryNode>.Set(MemoryNode.Fallback(node, 0), node);
        for (int c = 0; c < count; c++)
        {
            AllocatorCpu* own = AllocatorCpu.Of(cpus.Area(c));
            var list = (PerCpuPages*)Arena.Block(PerCpuPages.Bytes, $"pcp{c}", typeof(PerCpuPages));
            PerCpuPages.Init(list, &node->Zone, 1, PerCpuPages.Capacity);
            GuardedPtr<AllocatorState>.Set(&own->State, state);
            GuardedPtr<PerCpuPages>.Set(&own->Home, list);
            GuardedPtr<PerCpuPages>.Set(&own->Lists, list);
            GuardedPtr<Page>.Set(&own->Pages, pages);
            Guarded<long>.Set(&own->NrPages, frames);
            GuardedPtr<MemoryNode>.Set(&own->HomeNode, node);
        }
    }

    /// <summary>The node that every frame lies on.</summary>
    public static MemoryNode* NodeOf(in ThisCpu cpu) => GuardedPtr<MemoryNode>.Get(&AllocatorCpu.Of(cpu)->HomeNode);

    public static void Spare(CpuArea* area, Page* page)
    {
        PerCpuPages* list = GuardedPtr<PerCpuPages>.Get(&AllocatorCpu.Of(area)->Home);
        AtomicInt.Init(&page->RefCount, 0);
        AtomicLong.Init(&page->Flags, PageFlags.Free);
        int n = Guarded<int>.Get(&list->Count);
        GuardedPtr<Page>.Set(PerCpuPages.Entry(list, n), page);
        Guarded<int>.Set(&list->Count, n + 1);
    }

    public static void Swap(MemcgTree* tree, int entries)
    {
        if (entries == 0) return;
        SwapDevice* device = Arena.New<SwapDevice>("swap");
        SwapDevice.Init(device, entries, (byte*)Arena.Block((int)SwapDevice.TableBytes(entries), "swaptables"));
        Guarded<nint>.Set(&tree->Swap, (nint)device);
        Guarded<int>.Set(&tree->SwapAccounting, 1);
    }

    public static void Cache(MemcgTree* tree, int buckets = 1)
    {
        var cache = (PageCache*)Arena.Block((int)PageCache.TableBytes(buckets), "pagecache");
        PageCache.Init(cache, buckets);
        Guarded<nint>.Set(&tree->PageCache, (nint)cache);
    }
}
