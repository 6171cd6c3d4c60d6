// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// The life of a page: allocate, charge, map, LRU, touch the frame; the oldest 32 of a ring of 256 are unmapped and finally put when
/// their places are needed. So 1 operation in 32 carries the release of 32 pages: the percentiles above p96 show it, as they would in
/// a program that frees in batches.
/// </summary>
internal readonly unsafe struct Fault<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Pages per thread: 1 MiB of frames, which stays in a private cache.</summary>
    public const int Ring = FaultRing.Pages;

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
            long at = cursor & (Ring - 1);
            if ((at & (Mm.Batch - 1)) == 0) Mm.Unmap<TC>(in cpu, w->Mm, at, Mm.Batch);
            if (Mm.Fault<TC>(in cpu, w->Mm, at, write: false) != FaultResult.Mapped) w->Failed++;
        }
        w->Cursor = cursor;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => Mm.Unmap<TC>(in cpu, w->Mm, 0, Ring);
}

/// <summary>What does not depend on the designs.</summary>
internal static class FaultRing
{
    /// <summary>See <see cref="Fault{TC}.Ring"/>.</summary>
    public const int Pages = 256;
}
