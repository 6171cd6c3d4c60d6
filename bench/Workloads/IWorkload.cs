// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// One operation, repeated: an empty struct with static members, so that the measuring loop is compiled for each workload on each
/// controller and holds no indirect call. The unit of a run is a block of operations; a poll point lies between blocks.
/// </summary>
internal unsafe interface IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Operations a block must be a multiple of.</summary>
    static abstract int Unit { get; }

    /// <summary>What this worker needs; before the first block, outside every measured region.</summary>
    static abstract void Prepare(in ThisCpu cpu, WorkerState* w);

    /// <summary>ops operations. Allocates nothing managed, throws only for a broken invariant.</summary>
    static abstract void Run(in ThisCpu cpu, WorkerState* w, long ops);

    /// <summary>Gives everything back.</summary>
    static abstract void Finish(in ThisCpu cpu, WorkerState* w);
}
