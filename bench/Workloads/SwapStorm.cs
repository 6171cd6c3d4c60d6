// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>256 dirty pages in turn: each round swaps them in where they were swapped out, then reclaim writes and frees them all. One operation is one touch.</summary>
internal readonly unsafe struct SwapStorm<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Pages of one worker.</summary>
    public const int Pages = 256;

    /// <inheritdoc/>
    public static int Unit => 1;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) => w->Cursor = 0;

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        long cursor = w->Cursor;
        for (; ops > 0; ops--, cursor++)
        {
            long at = cursor & (Pages - 1);
            if (at == 0 && cursor != 0)
            {
                Reclaim.Shrink<TC>(in cpu, w->Memcg, Pages); // to the device
                Reclaim.Shrink<TC>(in cpu, w->Memcg, Pages); // and out of memory
            }
            if (MmSwap.Touch<TC>(in cpu, w->Mm, at, write: true) != FaultResult.Mapped) w->Failed++;
        }
        w->Cursor = cursor;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w)
    {
        Writeback.CompleteOwn<TC>(in cpu);
        Mm.Unmap<TC>(in cpu, w->Mm, 0, Pages);
        while (Reclaim.Shrink<TC>(in cpu, w->Memcg, long.MaxValue) != 0) { } // places that only the swap cache still uses
    }
}
