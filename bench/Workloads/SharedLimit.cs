// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// All threads in one group whose limit is less than one thread wants: each touches a ring of 256 clean pages, the limit is 192. So charges are
/// refused, reclaim takes pages of whoever has the oldest, and the stocks are drained on the way.
/// </summary>
internal readonly unsafe struct SharedLimit<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Pages the group may have.</summary>
    public const int LimitPages = 192;

    private const int Ring = 256;

    /// <inheritdoc/>
    public static int Unit => 1;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) => w->Cursor = 0;

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        long cursor = w->Cursor;
        for (; ops > 0; ops--, cursor++)
            if (MmSwap.Touch<TC>(in cpu, w->Mm, cursor & (Ring - 1), write: false) != FaultResult.Mapped) w->Failed++;
        w->Cursor = cursor;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => Mm.Unmap<TC>(in cpu, w->Mm, 0, Ring);
}
