// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>A CPU's place in the queue of one lock. Linux: struct mcs_spinlock.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 32)]
public unsafe struct McsNode
{
    /// <summary>O: the CPU behind us; written by it.</summary>
    [FieldOffset(0)] public AtomicPtr<McsNode> Next;
    /// <summary>O: 1 until the CPU before us hands over.</summary>
    [FieldOffset(8)] public AtomicInt Waiting;
    /// <summary>C: the lock this node stands in, null = free.</summary>
    [FieldOffset(16)] public GuardedPtr<LockWord> Lock;
}

/// <summary>The queue nodes of one CPU, one per queued lock it may hold at once (Linux: qnodes).</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Levels * 32)]
public struct McsNodes
{
    /// <summary>Queued locks one CPU may hold or wait for at once.</summary>
    public const int Levels = 8;
    /// <summary>The first of <see cref="Levels"/> nodes.</summary>
    [FieldOffset(0)] public McsNode First;
}
