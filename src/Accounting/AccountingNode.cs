// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What accounting keeps per memory node beside the allocator's zone; on that node. Linux: the memcg's part of struct zone / pglist_data.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct AccountingNode
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 2048;
    /// <summary>Lru axis: the zone's lock, or the zone's own book.</summary>
    public const int LruSlot = 128, LruSlotBytes = 1024;
    /// <summary>PageCgroup axis: the node's metadata array.</summary>
    public const int PageCgroupSlot = 1152, PageCgroupSlotBytes = 256;
    /// <summary>Kmem axis.</summary>
    public const int KmemSlot = 1408, KmemSlotBytes = 512;

    /// <summary>I: dense index of the node.</summary>
    [FieldOffset(0)] public Guarded<int> Index;
    /// <summary>I: first frame of the node.</summary>
    [FieldOffset(8)] public Guarded<long> StartPfn;
    /// <summary>I: one past its last frame.</summary>
    [FieldOffset(16)] public Guarded<long> EndPfn;
    /// <summary>I: all groups.</summary>
    [FieldOffset(24)] public GuardedPtr<MemcgTree> Tree;
    /// <summary>I: memory for the PageCgroup axis, MetadataBytes per frame, or null.</summary>
    [FieldOffset(32)] public GuardedPtr<byte> PageMetadata;

    /// <summary>A design's own state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* Slot<T>(AccountingNode* node, int offset) where T : unmanaged => (T*)((byte*)node + offset);
}

/// <summary>Accounting's own head of the per-CPU area.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 128)]
public unsafe struct AccountingCpu
{
    /// <summary>I: this CPU's statistics of group 0.</summary>
    [FieldOffset(0)] public Guarded<nint> StatBase;
    /// <summary>I: all groups.</summary>
    [FieldOffset(8)] public GuardedPtr<MemcgTree> Tree;
    /// <summary>I: AccountingNode* per node index.</summary>
    [FieldOffset(16)] public GuardedPtr<Guarded<nint>> Nodes;
    /// <summary>I: number of nodes.</summary>
    [FieldOffset(24)] public Guarded<int> NodeCount;
    /// <summary>C: page events since the last update of the soft-limit tree.</summary>
    [FieldOffset(28)] public Guarded<int> Events;
    /// <summary>I: KmemCacheState* of page_cgroup objects, 0 where the design has none.</summary>
    [FieldOffset(32)] public Guarded<nint> PageCgroupCache;

    /// <summary>The cache of page_cgroup objects.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KmemCacheState* PageCgroups(in ThisCpu cpu) => (KmemCacheState*)Guarded<nint>.Get(&Of(cpu)->PageCgroupCache);

    /// <summary>This CPU's head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static AccountingCpu* Of(in ThisCpu cpu) => cpu.At<AccountingCpu>(CpuArea.MmOffset);

    /// <summary>The node's accounting state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static AccountingNode* Node(in ThisCpu cpu, int node) => (AccountingNode*)Guarded<nint>.Get(GuardedPtr<Guarded<nint>>.Get(&Of(cpu)->Nodes) + node);
}
