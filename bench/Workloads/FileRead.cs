// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// A sparse file read through the page cache: allocate, charge, insert, list; the oldest TBlock of a window of 256 are truncated when their
/// places are needed. A block of 32 is file-read; one of 256 is truncate, where everything goes in one call.
/// </summary>
internal readonly unsafe struct FileRead<TC, TBlock> : IWorkload<TC> where TC : struct, IMemoryController where TBlock : struct, IBatch
{
    /// <summary>Pages of the file per thread.</summary>
    public const int Window = 256;

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
            long at = cursor & (Window - 1);
            if ((at & (TBlock.Pages - 1)) == 0) MmFile.Truncate<TC>(in cpu, w->File, at, TBlock.Pages);
            if (MmFile.Read<TC>(in cpu, w->Mm, w->File, at, write: false, out Page* page) == FaultResult.Mapped) Mm.Put<TC>(in cpu, page);
            else w->Failed++;
        }
        w->Cursor = cursor;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => MmFile.Truncate<TC>(in cpu, w->File, 0, Window);
}

/// <summary>A whole window at once.</summary>
internal readonly struct Batch256 : IBatch
{
    /// <inheritdoc/>
    public static int Pages => 256;
}
