// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A task that faults in 256 pages and exits: all of them are unmapped and freed in one call.</summary>
internal readonly unsafe struct ExitStorm<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Pages of one task.</summary>
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
            if (at == 0) Mm.Unmap<TC>(in cpu, w->Mm, 0, Pages);
            if (Mm.Fault<TC>(in cpu, w->Mm, at, write: false) != FaultResult.Mapped) w->Failed++;
        }
        w->Cursor = cursor;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => Mm.Unmap<TC>(in cpu, w->Mm, 0, Pages);
}
