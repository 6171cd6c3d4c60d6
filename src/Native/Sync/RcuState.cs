// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>How the end of a grace period is found. The read side is the same for both.</summary>
public enum RcuFlavour
{
    /// <summary>Every online CPU has passed a poll point since the grace period began.</summary>
    Qsbr = 0,
    /// <summary>A process-wide fence, then every read-side section of either phase is waited for; poll points are not needed.</summary>
    Membarrier = 1,
}

/// <summary>What RCU keeps per CPU: a line that whoever looks for the end of a grace period reads, and a private one.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public struct RcuCpu
{
    /// <summary>O: read-side nesting depth in the low bits and the phase of the outermost section; written by this CPU only.</summary>
    [FieldOffset(0)] public AtomicLong Reader;
    /// <summary>O: the newest grace period this CPU has announced a quiescent state for.</summary>
    [FieldOffset(8)] public AtomicLong Seen;
    /// <summary>O: callbacks queued here, ever.</summary>
    [FieldOffset(16)] public AtomicLong Queued;
    /// <summary>O: callbacks run here, ever; in the order of queuing, so Run >= a past Queued means that all of those have run.</summary>
    [FieldOffset(24)] public AtomicLong Run;

    /// <summary>C: callbacks not yet bound to a grace period: first.</summary>
    [FieldOffset(128)] public GuardedPtr<RcuHead> NextFirst;
    /// <summary>C: callbacks not yet bound to a grace period: last.</summary>
    [FieldOffset(136)] public GuardedPtr<RcuHead> NextLast;
    /// <summary>C: callbacks waiting for <see cref="WaitFor"/>: first.</summary>
    [FieldOffset(144)] public GuardedPtr<RcuHead> WaitFirst;
    /// <summary>C: the grace period the waiting callbacks need.</summary>
    [FieldOffset(152)] public Guarded<long> WaitFor;
    /// <summary>C: 1 while callbacks run; they must not wait for a grace period.</summary>
    [FieldOffset(160)] public Guarded<int> Running;
}

/// <summary>What RCU shares between CPUs: a read-mostly line, a line that requests dirty, and the line of whoever drives.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 384)]
public struct RcuGlobal
{
    /// <summary>O: what an outermost reader copies into its word: one level of nesting and the phase. Written by the driver, membarrier flavour only.</summary>
    [FieldOffset(0)] public AtomicLong Phase;

    /// <summary>A: number of the newest grace period that was asked for.</summary>
    [FieldOffset(128)] public AtomicLong Started;
    /// <summary>A: where CPUs that wait inside <see cref="Rcu"/> sleep; see <see cref="Native.Doorbell"/>.</summary>
    [FieldOffset(136)] public AtomicLong Doorbell;

    /// <summary>O: number of the newest grace period known to be over; written by the driver.</summary>
    [FieldOffset(256)] public AtomicLong Completed;
    /// <summary>A: 0 = nobody drives; else the driver, plus everyone who wants it to go round again.</summary>
    [FieldOffset(264)] public AtomicLong Turns;
    /// <summary>L (the driver): the grace period in progress, or the last one.</summary>
    [FieldOffset(272)] public Guarded<long> Target;
    /// <summary>L (the driver): passes over the CPUs still to be made; 0 = idle.</summary>
    [FieldOffset(280)] public Guarded<int> Passes;
    /// <summary>L (the driver): the first CPU of this pass not yet found quiescent.</summary>
    [FieldOffset(284)] public Guarded<int> Cursor;
}

/// <summary>A deferred call; embed it in the object to be freed. Linux: struct rcu_head, include/linux/types.h.</summary>
[SharedState, StructLayout(LayoutKind.Sequential)]
public unsafe struct RcuHead
{
    /// <summary>C: next on the queuing CPU's list.</summary>
    public GuardedPtr<RcuHead> Next;
    /// <summary>C: delegate*&lt;in ThisCpu, RcuHead*, void&gt;.</summary>
    public Guarded<nint> Function;
}
