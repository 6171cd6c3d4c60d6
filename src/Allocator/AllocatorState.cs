// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>What all CPUs of an allocator share, read-only after set-up. Followed in its page by a pointer per node.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = NodesOffset)]
public unsafe struct AllocatorState
{
    private const int NodesOffset = 64;

    /// <summary>I: frames and struct pages.</summary>
    [FieldOffset(0)] public MemMap Map;
    /// <summary>I: nodes.</summary>
    [FieldOffset(24)] public Guarded<int> NrNodes;

    /// <summary>The allocator this CPU is attached to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static AllocatorState* Of(in ThisCpu cpu) => GuardedPtr<AllocatorState>.Get(&AllocatorCpu.Of(in cpu)->State);

    /// <summary>The slot of a node's pointer, by dense index.</summary>
    public static GuardedPtr<Node>* NodeSlot(AllocatorState* state, int index) => (GuardedPtr<Node>*)((byte*)state + NodesOffset) + index;

    /// <summary>A node by its dense index, as in the flags of its pages.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Node* Node(AllocatorState* state, int index) => GuardedPtr<Node>.Get(NodeSlot(state, index));

    /// <summary>A node by its number, or null.</summary>
    public static Node* Find(AllocatorState* state, NodeId id)
    {
        for (int i = 0; i < Guarded<int>.Get(&state->NrNodes); i++)
            if (Guarded<int>.Get(&Node(state, i)->Number) == id.Value) return Node(state, i);
        return null;
    }
}

/// <summary>What the allocator keeps per CPU, in its range of the CpuArea. All of it belongs to this CPU but for the drain request.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public unsafe struct AllocatorCpu
{
    /// <summary>I: the allocator.</summary>
    [FieldOffset(0)] public GuardedPtr<AllocatorState> State;
    /// <summary>I: list of the home node.</summary>
    [FieldOffset(8)] public GuardedPtr<PerCpuPages> Home;
    /// <summary>I: lists of all nodes, <see cref="PerCpuPages.Bytes"/> apart, in this CPU's memory.</summary>
    [FieldOffset(16)] public GuardedPtr<PerCpuPages> Lists;
    /// <summary>I: copy of the map's first struct page.</summary>
    [FieldOffset(24)] public GuardedPtr<Page> Pages;
    /// <summary>I: copy of the map's number of frames.</summary>
    [FieldOffset(32)] public Guarded<long> NrPages;
    /// <summary>I: where this CPU's allocations are tried first.</summary>
    [FieldOffset(40)] public GuardedPtr<Node> HomeNode;

    /// <summary>O: refills of a list.</summary>
    [FieldOffset(64)] public AtomicLong Refills;
    /// <summary>O: drains of a list.</summary>
    [FieldOffset(72)] public AtomicLong Drains;
    /// <summary>O: pages and blocks taken from the node asked for (numa_hit).</summary>
    [FieldOffset(80)] public AtomicLong TakenHit;
    /// <summary>O: pages and blocks taken from another one (numa_miss).</summary>
    [FieldOffset(88)] public AtomicLong TakenMiss;

    /// <summary>A: another CPU's request to drain all lists.</summary>
    [FieldOffset(128)] public CpuWork Drain;

    /// <summary>This CPU's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static AllocatorCpu* Of(in ThisCpu cpu) => cpu.At<AllocatorCpu>(CpuArea.AllocatorOffset);

    /// <summary>Another CPU's, for set-up and inspection.</summary>
    public static AllocatorCpu* Of(CpuArea* area) => (AllocatorCpu*)((byte*)area + CpuArea.AllocatorOffset);
}
