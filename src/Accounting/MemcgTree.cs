// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// All groups: the arrays they live in and the one lock under which the tree changes (Linux: cgroup_mutex). Charging never takes it.
/// </summary>
/// <remarks>
/// Capacity is fixed at set-up, as the id space of Linux is (65535, spec 3.8): a full table refuses a new group. Ids are handed out
/// last-freed first, so that the reuse of an id (race D15) is the common case here and not a rarity.
/// </remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct MemcgTree
{
    /// <summary>Bytes of the tree itself.</summary>
    public const int Bytes = 1536;
    /// <summary>Most nodes one tree can serve.</summary>
    public const int MaxNodes = 64;

    /// <summary>I: groups the arrays hold.</summary>
    [FieldOffset(0)] public Guarded<int> Capacity;
    /// <summary>I: CPUs with statistics.</summary>
    [FieldOffset(4)] public Guarded<int> Cpus;
    /// <summary>I: memory nodes.</summary>
    [FieldOffset(8)] public Guarded<int> Nodes;
    /// <summary>I: 1 when memory+swap is counted (Linux: do_swap_account).</summary>
    [FieldOffset(12)] public Guarded<int> SwapAccounting;
    /// <summary>I: first group; group i lies i * Memcg.Bytes further.</summary>
    [FieldOffset(16)] public Guarded<nint> Groups;
    /// <summary>I: statistics of CPU 0, group 0.</summary>
    [FieldOffset(24)] public Guarded<nint> StatBase;
    /// <summary>I: bytes from one CPU's statistics to the next CPU's.</summary>
    [FieldOffset(32)] public Guarded<nint> StatStride;

    /// <summary>
    /// A: kernel pages that were charged through the root's counter on behalf of a group below, and freed when they were the root's: nobody
    /// uncharges them there, so that counter drifts upwards by them (I1b; Linux: obj_cgroup_uncharge_pages skips the root).
    /// </summary>
    [FieldOffset(64)] public AtomicLong RootDrift;

    /// <summary>L: protects the tree's shape, the free list and the states of Css (Linux: cgroup_mutex).</summary>
    [FieldOffset(128)] public LockWord Lock;
    /// <summary>L: under <see cref="Lock"/>: groups not in use.</summary>
    [FieldOffset(136)] public ListHead Free;
    /// <summary>A: groups offline and not yet freed (Linux: nr_dying_descendants of the root).</summary>
    [FieldOffset(152)] public AtomicLong Dying;
    /// <summary>A: groups in use, dying ones included (Linux: /proc/cgroups num_cgroups).</summary>
    [FieldOffset(160)] public AtomicLong Count;

    /// <summary>A: pages ever charged to groups that are freed by now.</summary>
    [FieldOffset(168)] public AtomicLong DeadCharged;
    /// <summary>A: pages ever uncharged from them.</summary>
    [FieldOffset(176)] public AtomicLong DeadUncharged;
    /// <summary>A: pages that freed groups still counted: charged through them, uncharged through their parent (E6).</summary>
    [FieldOffset(184)] public AtomicLong DeadResidue;

    /// <summary>L: css_set_lock: which group a task is in; inside <see cref="Lock"/>. Lists of mem_cgroup_ptr too (2019).</summary>
    [FieldOffset(248)] public LockWord CssSetLock;

    /// <summary>I: the swap device (SwapDevice*), 0 without swap.</summary>
    [FieldOffset(192)] public Guarded<nint> Swap;
    /// <summary>I: the page cache (PageCache*).</summary>
    [FieldOffset(200)] public Guarded<nint> PageCache;
    /// <summary>Leaf lock of the soft-limit tree, irq-safe; no list lock is ever taken inside and none held outside (C5).</summary>
    [FieldOffset(208)] public LockWord SoftLimitLock;
    /// <summary>L: <see cref="SoftLimitLock"/>: updates of the soft-limit tree.</summary>
    [FieldOffset(216)] public Guarded<long> SoftLimitUpdates;

    /// <summary>I: AccountingNode* per node index.</summary>
    [FieldOffset(224)] public Guarded<nint> AccountingNodes;

    /// <summary>A: MoverState* of groups whose pages cannot be taken just now; a stack that is taken whole.</summary>
    [FieldOffset(232)] public AtomicPtr<byte> StalledMovers;

    /// <summary>I: per node the base of its MemcgNode array; <see cref="MaxNodes"/> entries follow.</summary>
    [FieldOffset(256)] public Guarded<nint> NodeBases;

    /// <summary>I: per node the base of what the Lru axis keeps per group beyond its slot, or 0; <see cref="MaxNodes"/> entries follow.</summary>
    [FieldOffset(768)] public Guarded<nint> ExtraBases;

    /// <summary>I: per node the bytes of one group there; <see cref="MaxNodes"/> entries follow.</summary>
    [FieldOffset(1280)] public Guarded<int> ExtraBytes;

    /// <summary>The Lru axis' extra memory of one group on node, and its size.</summary>
    public static byte* Extra(MemcgTree* tree, Memcg* memcg, int node, out int bytes)
    {
        bytes = Guarded<int>.Get(&tree->ExtraBytes + node);
        return (byte*)Guarded<nint>.Get(&tree->ExtraBases + node) + (nint)Guarded<int>.Get(&memcg->Id) * bytes;
    }

    /// <summary>The MemcgNode array of node.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static nint NodeBase(MemcgTree* tree, int node) => Guarded<nint>.Get(&tree->NodeBases + node);

    /// <summary>What accounting keeps for node.</summary>
    public static AccountingNode* Node(MemcgTree* tree, int node) => (AccountingNode*)((nint*)Guarded<nint>.Get(&tree->AccountingNodes))[node];

    /// <summary>The root group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* Root(MemcgTree* tree) => (Memcg*)Guarded<nint>.Get(&tree->Groups);

    /// <summary>Group by id, in use or not.</summary>
    public static Memcg* ById(MemcgTree* tree, int id) => (Memcg*)((byte*)Root(tree) + (nint)id * Memcg.Bytes);

    /// <summary>Statistics of memcg on one CPU.</summary>
    public static MemcgStatCpu* Stat(MemcgTree* tree, Memcg* memcg, int cpu) =>
        (MemcgStatCpu*)(Guarded<nint>.Get(&tree->StatBase) + cpu * Guarded<nint>.Get(&tree->StatStride) + Guarded<nint>.Get(&memcg->StatOffset));
}
