// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>What RCU keeps per CPU; two lines, the first read by waiters, the second private.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public struct RcuCpu
{
    /// <summary>O: read-side word: phase bit and nesting depth; written by this CPU only.</summary>
    [FieldOffset(0)] public AtomicLong Reader;
    /// <summary>O: last grace period this CPU announced a quiescent state for.</summary>
    [FieldOffset(8)] public AtomicLong Seen;

    /// <summary>C: callbacks not yet bound to a grace period: first.</summary>
    [FieldOffset(128)] public GuardedPtr<RcuHead> NextFirst;
    /// <summary>C: callbacks not yet bound to a grace period: last.</summary>
    [FieldOffset(136)] public GuardedPtr<RcuHead> NextLast;
    /// <summary>C: callbacks waiting for <see cref="WaitFor"/>: first.</summary>
    [FieldOffset(144)] public GuardedPtr<RcuHead> WaitFirst;
    /// <summary>C: callbacks waiting for <see cref="WaitFor"/>: last.</summary>
    [FieldOffset(152)] public GuardedPtr<RcuHead> WaitLast;
    /// <summary>C: the grace period the waiting callbacks need.</summary>
    [FieldOffset(160)] public Guarded<long> WaitFor;
    /// <summary>O: callbacks queued here, ever.</summary>
    [FieldOffset(168)] public AtomicLong Queued;
    /// <summary>O: callbacks run here, ever.</summary>
    [FieldOffset(176)] public AtomicLong Run;
}

/// <summary>What RCU shares between CPUs.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public struct RcuGlobal
{
    /// <summary>A: number of the newest grace period that was asked for.</summary>
    [FieldOffset(128)] public AtomicLong Started;
    /// <summary>A: number of the newest grace period known to be over.</summary>
    [FieldOffset(136)] public AtomicLong Completed;
}

/// <summary>A deferred call; embed it in the object to be freed. Linux: struct rcu_head.</summary>
[SharedState, StructLayout(LayoutKind.Sequential)]
public unsafe struct RcuHead
{
    /// <summary>C: next on the queuing CPU's list.</summary>
    public GuardedPtr<RcuHead> Next;
    /// <summary>I: delegate*&lt;in ThisCpu, RcuHead*, void&gt;.</summary>
    public Guarded<nint> Function;
}

/// <summary>One queue node per nesting level of queued locks on this CPU.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public struct McsNodes
{
    /// <summary>C: levels in use.</summary>
    [FieldOffset(0)] public Guarded<int> Depth;
}
