// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// The face of the room: pages from this CPU's lists, else from a zone, else from the next zone. Failure is null; the allocator never
/// waits for memory and never reclaims. Linux: __alloc_pages and __free_pages, mm/page_alloc.c.
/// </summary>
/// <remarks>
/// A page comes with refcount 1 and clean flags, private and index are whatever they were. It goes back with refcount, mapcount and memcg word 0,
/// no file mapping, and none of PageFlags.CheckAtFree; anything else is a <see cref="BugException"/> with the values.
/// <para>Watermarks are looked at when a list is refilled, not at each hit as Linux does: pages on a list have already left the zone.</para>
/// </remarks>
/// <typeparam name="THook">Who pays for Gfp.Account.</typeparam>
public static unsafe class PageAllocator<THook> where THook : struct, IPageAllocHook
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>alloc_pages: a block of 2^order frames, this CPU's home node first; null when no zone can give one.</summary>
    [MethodImpl(Inline)]
    public static Page* Alloc(in ThisCpu cpu, Gfp gfp, Order order = default)
    {
        if (FaultPoint.PageAlloc) return null;
        if ((order.Value | (int)(gfp & (Gfp.Zero | Gfp.Account))) != 0)
            return AllocSlow(in cpu, GuardedPtr<Node>.Get(&AllocatorCpu.Of(in cpu)->HomeNode), gfp, order);
        PerCpuPages* list = GuardedPtr<PerCpuPages>.Get(&AllocatorCpu.Of(in cpu)->Home);
        int last = Guarded<int>.Get(&list->Count) - 1;
        if (last < 0) return AllocSlow(in cpu, GuardedPtr<Node>.Get(&AllocatorCpu.Of(in cpu)->HomeNode), gfp, order);
        Page* page = GuardedPtr<Page>.Get(PerCpuPages.Entry(list, last));
        Guarded<int>.Set(&list->Count, last);
        PageAllocator.Prepare(page);
        return page;
    }

    /// <summary>alloc_pages_node: node first, then its zonelist; with Gfp.ThisNode the node or null.</summary>
    public static Page* AllocOnNode(in ThisCpu cpu, Node* node, Gfp gfp, Order order = default) =>
        FaultPoint.PageAlloc ? null : AllocSlow(in cpu, node, gfp, order);

    /// <summary>__free_pages of a page whose last reference is gone. order is what it was allocated with.</summary>
    [MethodImpl(Inline)]
    public static void Free(in ThisCpu cpu, Page* page, Order order = default)
    {
        THook.OnFree(in cpu, page, order);
        if (order.Value != 0) PageAllocator.FreeBlock(in cpu, page, order);
        else PageAllocator.FreePage(in cpu, page);
    }

    /// <summary>free_unref_page_list: single pages linked by lru, all without references; the list is empty afterwards.</summary>
    public static void FreeList(in ThisCpu cpu, ListHead* pages)
    {
        for (ListHead* at = IntrusiveList.First(pages); at != pages;)
        {
            ListHead* next = IntrusiveList.NextOf(at);
            Free(in cpu, PageOps.OfLru(at));
            at = next;
        }
        IntrusiveList.Init(pages);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static Page* AllocSlow(in ThisCpu cpu, Node* node, Gfp gfp, Order order)
    {
        Page* page = PageAllocator.AllocFrom(in cpu, node, gfp, order.Value);
        if (page == null || (gfp & Gfp.Account) == 0 || THook.OnAlloc(in cpu, page, order, gfp)) return page;
        PageOps.PutExclusive(page);
        if (order.Value != 0) PageAllocator.FreeBlock(in cpu, page, order);
        else PageAllocator.FreePage(in cpu, page);
        return null;
    }
}

/// <summary>What lies behind the face and knows no hook: the walk over the zonelist, blocks, drains and the checks at free.</summary>
public static unsafe class PageAllocator
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Gives every page of this CPU's lists back to the zones. For a CPU that leaves, and before books are compared.</summary>
    public static void DrainLocal(in ThisCpu cpu)
    {
        AllocatorCpu* own = AllocatorCpu.Of(in cpu);
        AllocatorState* state = GuardedPtr<AllocatorState>.Get(&own->State);
        for (int i = 0; i < Guarded<int>.Get(&state->NrNodes); i++)
        {
            PerCpuPages* list = PerCpuPages.At(GuardedPtr<PerCpuPages>.Get(&own->Lists), i);
            PerCpuPages.Drain(in cpu, list, Guarded<int>.Get(&list->Count));
        }
    }

    /// <summary>
    /// drain_all_pages without its wait: asks another CPU to drain its lists at its next poll point. Nothing happens while an earlier
    /// request is still pending; that one will do.
    /// </summary>
    public static void RequestDrain(CpuArea* other) => CpuWork.Queue(other, &AllocatorCpu.Of(other)->Drain);

    /// <summary>The CpuWork function of a drain request.</summary>
    internal static void ServeDrain(in ThisCpu cpu, CpuWork* work) => DrainLocal(in cpu);

    /// <summary>A page leaves the allocator: free flag off, one reference. Nobody else changes it, so stores do.</summary>
    [MethodImpl(Inline)]
    internal static void Prepare(Page* page)
    {
        Machine.OnReuse(page, Page.Bytes);
        long flags = AtomicLong.Load(&page->Flags);
        long node = flags & PageFlags.NodeMask;
        if (((flags ^ node ^ PageFlags.Free) | (uint)AtomicInt.Load(&page->RefCount)) != 0) BadPage.AtAlloc(page);
        AtomicLong.RacyStore(&page->Flags, node); // X: seen by a buddy's free and by pfn walkers, before or after
        AtomicInt.Store(&page->RefCount, 1); // speculative getters (GetUnlessZero) may succeed from here on
    }

    /// <summary>__free_pages of order 0: checks, then this CPU's list of the page's node.</summary>
    [MethodImpl(Inline)]
    internal static void FreePage(in ThisCpu cpu, Page* page)
    {
        AllocatorCpu* own = AllocatorCpu.Of(in cpu);
        long flags = Retire(own, page, PageFlags.CheckAtFree);
        PerCpuPages* list = PerCpuPages.At(GuardedPtr<PerCpuPages>.Get(&own->Lists), (nint)((ulong)flags >> PageFlags.NodeShift));
        int count = Guarded<int>.Get(&list->Count);
        GuardedPtr<Page>.Set(PerCpuPages.Entry(list, count), page);
        Guarded<int>.Set(&list->Count, ++count);
        if (count >= Guarded<int>.Get(&list->High)) DrainBatch(in cpu, list);
    }

    /// <summary>A page comes back: all that must be zero is looked at with one branch; then it carries the free flag. Returns its flags.</summary>
    [MethodImpl(Inline)]
    private static long Retire(AllocatorCpu* own, Page* page, long forbidden)
    {
        if (!MemMap.Owns(GuardedPtr<Page>.Get(&own->Pages), Guarded<long>.Get(&own->NrPages), page)) BadPage.Foreign(own, page);
        long flags = AtomicLong.Load(&page->Flags);
        long mapping = AtomicLong.Load(&page->Mapping);
        long bad = flags & forbidden;
        bad |= (uint)AtomicInt.Load(&page->RefCount);
        bad |= (uint)AtomicInt.Load(&page->MapCount);
        bad |= AtomicLong.Load(&page->Memcg);
        bad |= mapping & ((mapping & 1) - 1); // an anonymous mapping may stay until here, a file's may not
        if (bad != 0) BadPage.AtFree(own, page);
        flags &= PageFlags.NodeMask;
        AtomicLong.RacyStore(&page->Flags, flags | PageFlags.Free); // X: as in Prepare
        AtomicLong.Init(&page->Mapping, 0);
        return flags;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void DrainBatch(in ThisCpu cpu, PerCpuPages* list)
    {
        AtomicLong* drains = &AllocatorCpu.Of(in cpu)->Drains;
        AtomicLong.RacyStore(drains, AtomicLong.RacyLoad(drains) + 1);
        PerCpuPages.Drain(in cpu, list, Guarded<int>.Get(&list->Batch));
    }

    /// <summary>get_page_from_freelist: the zonelist down to the low watermarks, then to min, then (atomic) to half of min.</summary>
    internal static Page* AllocFrom(in ThisCpu cpu, Node* node, Gfp gfp, int order)
    {
        if ((uint)order > Order.MaxValue) Bug.Fail("page allocator: order out of range", order);
        for (int pass = 0; pass < ((gfp & Gfp.Atomic) != 0 ? 3 : 2); pass++)
        {
            int zones = (gfp & Gfp.ThisNode) != 0 ? 1 : Guarded<int>.Get(&node->NrFallback);
            for (int i = 0; i < zones; i++)
            {
                Zone* zone = &GuardedPtr<Node>.Get(Node.Fallback(node, i))->Zone;
                long mark = pass switch
                {
                    0 => Guarded<long>.Get(&zone->WatermarkLow),
                    1 => Guarded<long>.Get(&zone->WatermarkMin),
                    _ => Guarded<long>.Get(&zone->WatermarkMin) / 2,
                };
                Page* page = order == 0 ? TakePage(in cpu, zone, mark) : TakeBlock(in cpu, zone, mark, order);
                if (page == null) continue;
                AllocatorCpu* own = AllocatorCpu.Of(in cpu);
                AtomicLong* taken = i == 0 ? &own->TakenHit : &own->TakenMiss;
                AtomicLong.RacyStore(taken, AtomicLong.RacyLoad(taken) + 1);
                if ((gfp & Gfp.Zero) != 0) new Span<byte>(MemMap.FrameOf(MemMap.Of(in cpu), page), MemMap.FrameBytes << order).Clear();
                return page;
            }
        }
        return null;
    }

    /// <summary>rmqueue of order 0: from this CPU's list of the zone, refilled when empty.</summary>
    private static Page* TakePage(in ThisCpu cpu, Zone* zone, long mark)
    {
        AllocatorCpu* own = AllocatorCpu.Of(in cpu);
        PerCpuPages* list = PerCpuPages.At(GuardedPtr<PerCpuPages>.Get(&own->Lists), Guarded<int>.Get(&zone->NodeIndex));
        int count = Guarded<int>.Get(&list->Count);
        if (count == 0)
        {
            count = PerCpuPages.Refill(in cpu, list, mark);
            if (count == 0) return null;
            AtomicLong.RacyStore(&own->Refills, AtomicLong.RacyLoad(&own->Refills) + 1);
        }
        Page* page = GuardedPtr<Page>.Get(PerCpuPages.Entry(list, count - 1));
        Guarded<int>.Set(&list->Count, count - 1);
        Prepare(page);
        return page;
    }

    /// <summary>rmqueue of a block: straight from the zone.</summary>
    private static Page* TakeBlock(in ThisCpu cpu, Zone* zone, long mark, int order)
    {
        if (AtomicLong.RacyLoad(&zone->NrFree) - (1L << order) < mark) return null; // X: as in Refill
        Zone.Acquire(in cpu, zone);
        Page* page = AtomicLong.RacyLoad(&zone->NrFree) - (1L << order) < mark ? null : Zone.Take(zone, order);
        Zone.Release(in cpu, zone);
        if (page == null) return null;
        Prepare(page);
        PageOps.SetExclusive(page, PageFlags.Head);
        for (long i = 1; i < 1L << order; i++)
        {
            Prepare(page + i);
            AtomicInt.Init(&(page + i)->RefCount, 0); // references go to the head
            PageOps.SetExclusive(page + i, PageFlags.Tail);
        }
        AtomicLong.Init(&(page + 1)->Private, order);
        return page;
    }

    /// <summary>__free_pages of a block: every page is checked, then the whole goes to its zone.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal static void FreeBlock(in ThisCpu cpu, Page* page, Order order)
    {
        AllocatorCpu* own = AllocatorCpu.Of(in cpu);
        if (!MemMap.Owns(GuardedPtr<Page>.Get(&own->Pages), Guarded<long>.Get(&own->NrPages), page)) BadPage.Foreign(own, page);
        if (!PageOps.Test(page, PageFlags.Head) || AtomicLong.Load(&(page + 1)->Private) != order.Value) BadPage.WrongOrder(own, page, order);
        long flags = Retire(own, page, PageFlags.CheckAtFree & ~PageFlags.Head);
        for (long i = 1; i < order.Pages; i++) Retire(own, page + i, PageFlags.CheckAtFree & ~PageFlags.Tail);
        Zone* zone = &AllocatorState.Node(GuardedPtr<AllocatorState>.Get(&own->State), PageFlags.NodeIndex(flags))->Zone;
        Zone.Acquire(in cpu, zone);
        Zone.Give(zone, page, order.Value);
        Zone.Release(in cpu, zone);
    }
}
