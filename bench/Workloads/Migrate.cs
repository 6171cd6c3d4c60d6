// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Mapped anonymous pages moved to another frame of the first node, one after the other round a ring of 256. One operation is one page; a page that
/// the reclaim of another workload took is faulted in again first.
/// </summary>
internal readonly unsafe struct Migrate<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Pages per thread.</summary>
    public const int Ring = 256;

    /// <inheritdoc/>
    public static int Unit => 1;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w)
    {
        w->Cursor = 0;
        for (int i = 0; i < Ring; i++)
            if (Mm.Fault<TC>(in cpu, w->Mm, i, write: false) != FaultResult.Mapped) w->Failed++;
        Mm.LruAddDrain<TC>(in cpu);
    }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        Node* target = AllocatorState.Node(AllocatorState.Of(in cpu), 0);
        long cursor = w->Cursor;
        for (; ops > 0; ops--, cursor++)
        {
            Page* page = Mm.Follow(in cpu, w->Mm, cursor & (Ring - 1));
            if (page == null) page = FaultAgain(in cpu, w->Mm, cursor & (Ring - 1));
            if (page == null || Migration.Migrate<TC>(in cpu, page, target) != MigrateResult.Moved) w->Failed++;
            if (page != null) Mm.Put<TC>(in cpu, page);
        }
        w->Cursor = cursor;
    }

    private static Page* FaultAgain(in ThisCpu cpu, MmStruct* mm, long index)
    {
        if (MmSwap.Touch<TC>(in cpu, mm, index, write: false) != FaultResult.Mapped) return null;
        Mm.LruAddDrain<TC>(in cpu); // a page in the vector cannot be isolated
        return Mm.Follow(in cpu, mm, index);
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => Mm.Unmap<TC>(in cpu, w->Mm, 0, Ring);
}
