// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// Descriptor of a cache of small objects. Followed in memory by a KmemNode per node, then a pointer per CPU. A slab is one page: a byte
/// per object at its start, then the objects. Its struct page holds the cache (mapping) and how many objects are handed out (index);
/// the bytes from that position on name the free ones. Linux: struct kmem_cache and the freelist of 3.13 and later, mm/slab.c.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = NodesOffset)]
public unsafe struct KmemCacheState
{
    internal const int NodesOffset = 128;

    /// <summary>I: bytes of an object as its user sees it.</summary>
    [FieldOffset(0)] public Guarded<int> ObjectBytes;
    /// <summary>I: bytes from one object to the next.</summary>
    [FieldOffset(4)] public Guarded<int> Stride;
    /// <summary>I: objects per slab, at most 255.</summary>
    [FieldOffset(8)] public Guarded<int> PerSlab;
    /// <summary>I: offset of the first object in its slab.</summary>
    [FieldOffset(12)] public Guarded<int> FirstObject;
    /// <summary>I: 1 = every object carries a state word and is poisoned while free.</summary>
    [FieldOffset(16)] public Guarded<int> Checked;
    /// <summary>I: nodes of the allocator.</summary>
    [FieldOffset(20)] public Guarded<int> NrNodes;
    /// <summary>I: the allocator.</summary>
    [FieldOffset(24)] public GuardedPtr<AllocatorState> State;
    /// <summary>I: pointers to KmemCpu by the CPU's dense index.</summary>
    [FieldOffset(32)] public GuardedPtr<nint> Cpus;
    /// <summary>I: number of CPUs.</summary>
    [FieldOffset(40)] public Guarded<int> NrCpus;
    /// <summary>I: what the room above keeps about this cache; opaque here.</summary>
    [FieldOffset(48)] public GuardedPtr<byte> User;

    /// <summary>A CPU's stack of objects.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KmemCpu* Cpu(KmemCacheState* cache, int cpuIndex) => (KmemCpu*)Machine.Plain(GuardedPtr<nint>.Get(&cache->Cpus) + cpuIndex, "", 0);

    /// <summary>The cache of an object's slab: its struct page names it (page->slab_cache).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KmemCacheState* Of(Page* slab) => (KmemCacheState*)AtomicLong.Load(&slab->Mapping);

    /// <summary>obj_to_index: which of its slab's objects this is; frame is the slab's first byte.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int IndexOf(KmemCacheState* cache, byte* frame, void* obj) =>
        (int)((uint)((byte*)obj - frame - Guarded<int>.Get(&cache->FirstObject)) / (uint)Guarded<int>.Get(&cache->Stride));

    /// <summary>The slabs of a node, by its dense index.</summary>
    public static KmemNode* Node(KmemCacheState* cache, int nodeIndex) => (KmemNode*)((byte*)cache + NodesOffset) + nodeIndex;
}

/// <summary>The slabs that lie on one node. Linux: struct kmem_cache_node, mm/slab.h.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 128)]
public unsafe struct KmemNode
{
    /// <summary>Guards the rest and the private fields of the node's slabs. Taken before the zone lock, never inside it.</summary>
    [FieldOffset(0)] public LockWord Lock;
    /// <summary>L: slabs with free and used objects.</summary>
    [FieldOffset(8)] public ListHead Partial;
    /// <summary>L: slabs without a free object.</summary>
    [FieldOffset(24)] public ListHead Full;
    /// <summary>L: slabs on both.</summary>
    [FieldOffset(40)] public Guarded<long> NrSlabs;
    /// <summary>L: objects out of the slabs: in use, or on a CPU's stack.</summary>
    [FieldOffset(48)] public Guarded<long> NrTaken;
}

/// <summary>
/// Free objects of this CPU, the last freed on top. Linux: struct array_cache, mm/slab.c. State letter: C.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = EntriesOffset)]
public unsafe struct KmemCpu
{
    /// <summary>Bytes of one with its entries.</summary>
    public const int Bytes = 1024;
    private const int EntriesOffset = 64;
    internal const int WorkOffset = 16;
    /// <summary>Entries there is room for: SLAB's largest limit.</summary>
    public const int Capacity = (Bytes - EntriesOffset) / 8;

    /// <summary>C: objects on the stack.</summary>
    [FieldOffset(0)] public Guarded<int> Count;
    /// <summary>C: Count at which a free flushes; 1 once the cache is deactivated, so that an empty slab never waits on a stack (D17).</summary>
    [FieldOffset(4)] public Guarded<int> Limit;
    /// <summary>C: objects per refill and flush.</summary>
    [FieldOffset(8)] public Guarded<int> Batch;
    /// <summary>A: another CPU's request to keep nothing here any more.</summary>
    [FieldOffset(WorkOffset)] public CpuWork Work;
    /// <summary>I: the cache, for whoever finds the stack through its work.</summary>
    [FieldOffset(40)] public GuardedPtr<KmemCacheState> Cache;
    /// <summary>L (the deactivation, published by the work's queue): delegate*&lt;in ThisCpu, KmemCacheState*, void&gt; called when the stack is empty for good.</summary>
    [FieldOffset(48)] public Guarded<nint> Emptied;

    /// <summary>The i-th object, oldest first.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GuardedPtr<byte>* Entry(KmemCpu* own, int i) => (GuardedPtr<byte>*)((byte*)own + EntriesOffset) + i;
}
