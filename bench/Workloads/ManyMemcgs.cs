// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// 288 groups below the root, dealt out to the threads; each thread goes round its own and faults 32 pages in each, after it has unmapped the 32
/// of the turn before. A stock that remembers one group gives its rest back at each change. After the benchmark of 3e32cb2e0a12, which ran
/// 288 groups on 144 CPUs.
/// </summary>
internal readonly unsafe struct ManyMemcgs<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Groups of all threads together.</summary>
    public const int Groups = 288;

    /// <inheritdoc/>
    public static int Unit => Mm.Batch;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) => w->Cursor = 0;

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops -= Mm.Batch)
        {
            MmStruct* mm = WorkerState.Space(w, w->Cursor);
            w->Cursor = w->Cursor + 1 == w->Spaces ? 0 : w->Cursor + 1;
            Mm.Unmap<TC>(in cpu, mm, 0, Mm.Batch);
            for (int i = 0; i < Mm.Batch; i++)
                if (Mm.Fault<TC>(in cpu, mm, i, write: false) != FaultResult.Mapped) w->Failed++;
        }
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w)
    {
        for (long i = 0; i < w->Spaces; i++) Mm.Unmap<TC>(in cpu, WorkerState.Space(w, i), 0, Mm.Batch);
    }
}
