// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// A memory cgroup. Linux: struct mem_cgroup, mm/memcontrol.c. The head is common to all designs; each axis owns a line-aligned slot
/// at a constant offset and casts its own state from it, so no design has to be a type argument of the group.
/// </summary>
/// <remarks>
/// Groups live in an array indexed by id (<see cref="MemcgTree"/>); what a group has per node and per CPU lives in arrays of the same
/// index on that node and that CPU's node. Linux allocates each piece by itself; the walk from group to piece costs the same one add.
/// </remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct Memcg
{
    /// <summary>Bytes of one group (Linux: 2312 B in 2025, spec 5.1).</summary>
    public const int Bytes = 2048;
    /// <summary>Counter axis: three counters of up to 256 B.</summary>
    public const int CounterSlot = 512, CounterSlotBytes = 768;
    /// <summary>PageCgroup axis.</summary>
    public const int PageCgroupSlot = 1280, PageCgroupSlotBytes = 64;
    /// <summary>Lru axis.</summary>
    public const int LruSlot = 1344, LruSlotBytes = 192;
    /// <summary>Residents axis.</summary>
    public const int ResidentsSlot = 1536, ResidentsSlotBytes = 128;
    /// <summary>Kmem axis.</summary>
    public const int KmemSlot = 1664, KmemSlotBytes = 384;

    /// <summary>Offset of <see cref="Sibling"/>, for container_of.</summary>
    public const int SiblingOffset = 360;

    /// <summary>Life of the group; first, so that a reference's address is the group's.</summary>
    [FieldOffset(0)] public Css Css;

    /// <summary>I: index in the pool; 0 is the root.</summary>
    [FieldOffset(320)] public Guarded<int> Id;
    /// <summary>I: levels below the root; the root has 0.</summary>
    [FieldOffset(324)] public Guarded<int> Depth;
    // Addresses, not typed pointers: the runtime cannot load an explicit struct that names itself in a generic field.

    /// <summary>I: <see cref="ParentOf"/>; 0 for the root. Holds a css reference on the parent until this group is freed.</summary>
    [FieldOffset(328)] internal Guarded<nint> Parent;
    /// <summary>I: <see cref="TreeOf"/>.</summary>
    [FieldOffset(336)] internal Guarded<nint> Tree;
    /// <summary>L: under the tree's lock: children, dying ones included until they are recycled.</summary>
    [FieldOffset(344)] public ListHead Children;
    /// <summary>L: under the tree's lock: node on the parent's list, or on the pool's free list.</summary>
    [FieldOffset(SiblingOffset)] public ListHead Sibling;
    /// <summary>L: under the tree's lock: address spaces attached; a group with tasks cannot be removed.</summary>
    [FieldOffset(376)] public AtomicInt Tasks;

    /// <summary>A: reclaim rounds run on behalf of this group.</summary>
    [FieldOffset(384)] public AtomicLong ReclaimRounds;
    /// <summary>A: charges refused after the last round (Linux v2: events max; v1: part of failcnt).</summary>
    [FieldOffset(392)] public AtomicLong ChargesFailed;

    /// <summary>A: movers of this group's pages at work; above 0, <see cref="PageStat"/> takes <see cref="MoveLock"/> (Linux: moving_account).</summary>
    [FieldOffset(408)] public AtomicInt Moving;
    /// <summary>Irq-safe: held around the change of one page's owner and statistics (Linux: move_lock).</summary>
    [FieldOffset(416)] public LockWord MoveLock;
    /// <summary>I: where this group's counts begin in each CPU's statistics, so that the hot path adds and does not multiply.</summary>
    [FieldOffset(400)] public Guarded<nint> StatOffset;

    /// <summary>A design's own state.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T* Slot<T>(Memcg* memcg, int offset) where T : unmanaged => (T*)((byte*)memcg + offset);

    /// <summary>Parent, or null for the root.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* ParentOf(Memcg* memcg) => (Memcg*)Guarded<nint>.Get(&memcg->Parent);

    /// <summary>What all groups share.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static MemcgTree* TreeOf(Memcg* memcg) => (MemcgTree*)Guarded<nint>.Get(&memcg->Tree);

    /// <summary>True for the group that has no parent.</summary>
    public static bool IsRoot(Memcg* memcg) => ParentOf(memcg) == null;

    /// <summary>True when memcg is root or lies below it (mem_cgroup_is_descendant).</summary>
    public static bool IsDescendant(Memcg* memcg, Memcg* root)
    {
        for (; memcg != null; memcg = ParentOf(memcg))
            if (memcg == root) return true;
        return false;
    }

    /// <summary>What memcg has on node: its lists and their lock.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static MemcgNode* OnNode(Memcg* memcg, int node)
    {
        MemcgTree* tree = Memcg.TreeOf(memcg);
        return (MemcgNode*)(MemcgTree.NodeBase(tree, node) + (nint)Guarded<int>.Get(&memcg->Id) * MemcgNode.Bytes);
    }

    /// <summary>What memcg counts on this CPU.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static MemcgStatCpu* OnCpu(in ThisCpu cpu, Memcg* memcg) =>
        (MemcgStatCpu*)(Guarded<nint>.Get(&AccountingCpu.Of(cpu)->StatBase) + Guarded<nint>.Get(&memcg->StatOffset));
}

/// <summary>What a group has on one node. Linux: struct mem_cgroup_per_zone (to 4.7), mem_cgroup_per_node.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public struct MemcgNode
{
    /// <summary>Bytes of one entry.</summary>
    public const int Bytes = 1024;
    /// <summary>Lru axis.</summary>
    public const int LruSlot = 64, LruSlotBytes = 576;
    /// <summary>Kmem axis.</summary>
    public const int KmemSlot = 640, KmemSlotBytes = 256;
    /// <summary>Residents axis.</summary>
    public const int ResidentsSlot = 896, ResidentsSlotBytes = 128;

    /// <summary>I: the group.</summary>
    [FieldOffset(0)] public GuardedPtr<Memcg> Memcg;
    /// <summary>I: the node's number in the allocator.</summary>
    [FieldOffset(8)] public Guarded<int> Node;
}
