// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;
using NodeLock = MemcgNative.Native.TestAndSetLock; // as the zone's

namespace MemcgNative.Allocator;

/// <summary>
/// kmem_cache_alloc and kmem_cache_free: objects from this CPU's stack without a lock, refilled from and flushed to slabs in batches under
/// the node's lock. An object may be freed by any CPU; it travels home with the flush. An empty slab goes back to the page allocator at once.
/// Linux: mm/slab.c, the form of 2008 (array_cache) with the freelist of 3.13.
/// </summary>
/// <typeparam name="THook">Who pays.</typeparam>
public static unsafe class KmemCache<THook> where THook : struct, IKmemHook
{
    /// <summary>An object, or null when there is no page for a new slab, or the hook refuses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Alloc(in ThisCpu cpu, KmemCacheState* cache, Gfp gfp)
    {
        KmemCpu* own = KmemCacheState.Cpu(cache, cpu.Index);
        int last = Guarded<int>.Get(&own->Count) - 1;
        if ((last | -((int)(gfp & (Gfp.Zero | Gfp.Account)) | Guarded<int>.Get(&cache->Checked))) < 0) return AllocSlow(in cpu, cache, gfp);
        byte* obj = GuardedPtr<byte>.Get(KmemCpu.Entry(own, last));
        Guarded<int>.Set(&own->Count, last);
        Machine.OnAlloc(obj, (nuint)Guarded<int>.Get(&cache->ObjectBytes));
        return obj;
    }

    /// <summary>Gives an object back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(in ThisCpu cpu, KmemCacheState* cache, void* obj)
    {
        THook.OnFree(in cpu, cache, obj);
        if (Guarded<int>.Get(&cache->Checked) != 0) KmemObject.Retire(cache, (byte*)obj);
        Push(in cpu, cache, (byte*)obj);
    }

    /// <summary>kmem_cache_alloc_node: an object in a slab on node, or null. From another node's slabs it is taken without a stack, under the node's lock.</summary>
    public static void* AllocOnNode(in ThisCpu cpu, KmemCacheState* cache, Node* node, Gfp gfp)
    {
        if (node == GuardedPtr<Node>.Get(&AllocatorCpu.Of(in cpu)->HomeNode)) return Alloc(in cpu, cache, gfp);
        byte* room = stackalloc byte[sizeof(KmemCpu) + sizeof(nint)];
        var single = (KmemCpu*)room;
        Guarded<int>.Set(&single->Count, 0);
        Guarded<int>.Set(&single->Batch, 1);
        if (Fill(in cpu, cache, single, node) == 0 && !Grow(in cpu, cache, single, node, gfp | Gfp.ThisNode)) return null;
        return HandOut(in cpu, cache, GuardedPtr<byte>.Get(KmemCpu.Entry(single, 0)), gfp);
    }

    /// <summary>
    /// The cache is to hold no free objects from now on: every CPU empties its stack at its next poll point (this one now), keeps none
    /// afterwards, and then calls emptied. Once per cache; whoever calls keeps the cache alive until the last CPU has called back.
    /// </summary>
    /// <remarks>Linux: kmem_cache_shrink of a dead cache with its cpu_partial and min_partial set to 0 (4.0, d6e0b7fa1186).</remarks>
    public static void Deactivate(in ThisCpu cpu, KmemCacheState* cache, delegate*<in ThisCpu, KmemCacheState*, void> emptied)
    {
        int cpus = Guarded<int>.Get(&cache->NrCpus), self = cpu.Index; // read first: the last callback may end the cache
        for (int i = 0; i < cpus; i++)
        {
            KmemCpu* stack = KmemCacheState.Cpu(cache, i);
            Guarded<nint>.Set(&stack->Emptied, (nint)emptied);
            CpuWork.Init(&stack->Work, &EmptyForGood);
            if (i != self) CpuWork.Queue(CpuTable.Area(cpu.Table, i), &stack->Work);
        }
        EmptyForGood(in cpu, &KmemCacheState.Cpu(cache, self)->Work);
    }

    private static void EmptyForGood(in ThisCpu cpu, CpuWork* work)
    {
        var stack = (KmemCpu*)((byte*)work - KmemCpu.WorkOffset);
        KmemCacheState* cache = GuardedPtr<KmemCacheState>.Get(&stack->Cache);
        DrainStack(in cpu, cache, stack);
        Guarded<int>.Set(&stack->Limit, 1);
        Guarded<int>.Set(&stack->Batch, 1);
        ((delegate*<in ThisCpu, KmemCacheState*, void>)Guarded<nint>.Get(&stack->Emptied))(in cpu, cache);
    }

    /// <summary>Returns every object on this CPU's stack to its slab. For a CPU that leaves, and before slabs are counted.</summary>
    public static void DrainLocal(in ThisCpu cpu, KmemCacheState* cache) => DrainStack(in cpu, cache, KmemCacheState.Cpu(cache, cpu.Index));

    /// <summary>The same for a stack whose CPU does not run.</summary>
    internal static void DrainStack(in ThisCpu cpu, KmemCacheState* cache, KmemCpu* stack) => Flush(in cpu, cache, stack, Guarded<int>.Get(&stack->Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Push(in ThisCpu cpu, KmemCacheState* cache, byte* obj)
    {
        Machine.OnFree(obj, (nuint)Guarded<int>.Get(&cache->ObjectBytes));
        KmemCpu* own = KmemCacheState.Cpu(cache, cpu.Index);
        int count = Guarded<int>.Get(&own->Count);
        GuardedPtr<byte>.Set(KmemCpu.Entry(own, count), obj);
        Guarded<int>.Set(&own->Count, ++count);
        if (count >= Guarded<int>.Get(&own->Limit)) FlushBatch(in cpu, cache, own);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void* AllocSlow(in ThisCpu cpu, KmemCacheState* cache, Gfp gfp)
    {
        KmemCpu* own = KmemCacheState.Cpu(cache, cpu.Index);
        int count = Guarded<int>.Get(&own->Count);
        if (count == 0 && (count = Refill(in cpu, cache, own, gfp)) == 0) return null;
        byte* obj = GuardedPtr<byte>.Get(KmemCpu.Entry(own, --count));
        Guarded<int>.Set(&own->Count, count);
        return HandOut(in cpu, cache, obj, gfp);
    }

    /// <summary>The object leaves the cache: looked at, paid for, cleared.</summary>
    private static void* HandOut(in ThisCpu cpu, KmemCacheState* cache, byte* obj, Gfp gfp)
    {
        Machine.OnAlloc(obj, (nuint)Guarded<int>.Get(&cache->ObjectBytes));
        bool isChecked = Guarded<int>.Get(&cache->Checked) != 0;
        if (isChecked) KmemObject.Revive(cache, obj);
        if ((gfp & Gfp.Account) != 0 && !THook.OnAlloc(in cpu, cache, obj, gfp))
        {
            if (isChecked) KmemObject.Retire(cache, obj);
            Push(in cpu, cache, obj);
            return null;
        }
        if ((gfp & Gfp.Zero) != 0) new Span<byte>(obj, Guarded<int>.Get(&cache->ObjectBytes)).Clear();
        return obj;
    }

    /// <summary>cache_alloc_refill: partial slabs of the home node, else a new slab, else partial slabs of the other nodes.</summary>
    private static int Refill(in ThisCpu cpu, KmemCacheState* cache, KmemCpu* own, Gfp gfp)
    {
        Node* home = GuardedPtr<Node>.Get(&AllocatorCpu.Of(in cpu)->HomeNode);
        if (Fill(in cpu, cache, own, home) == 0 && !Grow(in cpu, cache, own, home, gfp) && (gfp & Gfp.ThisNode) == 0)
            for (int i = 1; i < Guarded<int>.Get(&home->NrFallback); i++)
                if (Fill(in cpu, cache, own, GuardedPtr<Node>.Get(Node.Fallback(home, i))) != 0) break;
        return Guarded<int>.Get(&own->Count);
    }

    private static int Fill(in ThisCpu cpu, KmemCacheState* cache, KmemCpu* own, Node* from)
    {
        KmemNode* node = KmemCacheState.Node(cache, Guarded<int>.Get(&from->Index));
        NodeLock.Acquire(in cpu, &node->Lock);
        while (Guarded<int>.Get(&own->Count) < Guarded<int>.Get(&own->Batch) && !IntrusiveList.IsEmpty(&node->Partial))
        {
            Page* slab = PageOps.OfLru(IntrusiveList.First(&node->Partial));
            KmemObject.Take(cache, node, slab, own);
            if (AtomicLong.Load(&slab->Index) == Guarded<int>.Get(&cache->PerSlab)) IntrusiveList.Move(&node->Full, &slab->Lru);
        }
        NodeLock.Release(in cpu, &node->Lock);
        return Guarded<int>.Get(&own->Count);
    }

    private static bool Grow(in ThisCpu cpu, KmemCacheState* cache, KmemCpu* own, Node* home, Gfp gfp)
    {
        Page* slab = PageAllocator<NoHook>.AllocOnNode(in cpu, home, gfp & (Gfp.ThisNode | Gfp.Atomic));
        if (slab == null) return false;
        if (!THook.OnNewSlab(in cpu, cache, slab, gfp))
        {
            PageOps.PutExclusive(slab);
            PageAllocator<NoHook>.Free(in cpu, slab);
            return false;
        }
        KmemObject.InitSlab(cache, slab);
        KmemNode* node = KmemCacheState.Node(cache, PageOps.NodeIndex(slab));
        NodeLock.Acquire(in cpu, &node->Lock);
        KmemObject.Take(cache, node, slab, own);
        IntrusiveList.Add(AtomicLong.Load(&slab->Index) == Guarded<int>.Get(&cache->PerSlab) ? &node->Full : &node->Partial, &slab->Lru);
        Guarded<long>.Set(&node->NrSlabs, Guarded<long>.Get(&node->NrSlabs) + 1);
        NodeLock.Release(in cpu, &node->Lock);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FlushBatch(in ThisCpu cpu, KmemCacheState* cache, KmemCpu* own) => Flush(in cpu, cache, own, Guarded<int>.Get(&own->Batch));

    /// <summary>free_block: the oldest count objects go home; a run of objects of one node takes its lock once.</summary>
    private static void Flush(in ThisCpu cpu, KmemCacheState* cache, KmemCpu* own, int count)
    {
        MemMap* map = &GuardedPtr<AllocatorState>.Get(&cache->State)->Map;
        ListHead* empty = null;
        KmemNode* held = null;
        for (int i = 0; i < count; i++)
        {
            byte* obj = GuardedPtr<byte>.Get(KmemCpu.Entry(own, i));
            Page* slab = KmemObject.SlabOf(cache, map, obj);
            KmemNode* node = KmemCacheState.Node(cache, PageOps.NodeIndex(slab));
            if (node != held)
            {
                if (held != null) NodeLock.Release(in cpu, &held->Lock);
                NodeLock.Acquire(in cpu, &node->Lock);
                held = node;
            }
            long left = KmemObject.Give(cache, node, map, slab, obj);
            if (left == 0)
            {
                empty = IntrusiveList.Chain(empty, &slab->Lru);
                Guarded<long>.Set(&node->NrSlabs, Guarded<long>.Get(&node->NrSlabs) - 1);
            }
            else if (left == Guarded<int>.Get(&cache->PerSlab) - 1) IntrusiveList.Move(&node->Partial, &slab->Lru);
        }
        if (held != null) NodeLock.Release(in cpu, &held->Lock);
        int had = Guarded<int>.Get(&own->Count);
        for (int i = count; i < had; i++) GuardedPtr<byte>.Set(KmemCpu.Entry(own, i - count), GuardedPtr<byte>.Get(KmemCpu.Entry(own, i)));
        Guarded<int>.Set(&own->Count, had - count);
        while (empty != null)
        {
            Page* slab = PageOps.OfLru(empty);
            empty = IntrusiveList.NextOf(empty);
            THook.OnSlabRelease(in cpu, cache, slab);
            KmemObject.RetireSlab(slab);
            PageAllocator<NoHook>.Free(in cpu, slab);
        }
    }
}
