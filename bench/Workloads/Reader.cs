// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Who reads the owner of a page from outside, as dirty-page and I/O tracking would (the stated benefit of the 2008 series), while the page's own
/// CPU faults and unmaps: each thread asks pages of the whole map in turn, its own and the others', and every 256th operation replaces one
/// of its own. An answer is a group or nobody; what may not be is an answer that is neither. A bit lock has to be read
/// with a reference in hand: its reader pays two more locked instructions and may be the one who frees the page.
/// </summary>
internal readonly unsafe struct Reader<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    private const int Ring = 256, ReadsPerChange = 256;

    /// <inheritdoc/>
    public static int Unit => 1;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w)
    {
        w->Cursor = 0;
        for (long i = 0; i < Ring; i++)
            if (Mm.Fault<TC>(in cpu, w->Mm, i, write: false) != FaultResult.Mapped) w->Failed++;
    }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        MemMap* map = MemMap.Of(in cpu);
        MemcgTree* tree = Memcg.TreeOf(w->Memcg);
        long frames = Guarded<long>.Get(&map->Count), cursor = w->Cursor;
        for (; ops > 0; ops--, cursor++)
        {
            if (cursor % ReadsPerChange == 0) Change(in cpu, w, cursor / ReadsPerChange & (Ring - 1));
            Page* page = MemMap.PageOf(map, new Pfn(cursor % frames));
            if (!TC.OwnerNeedsReference) Read(in cpu, page, tree);
            else if (PageOps.GetUnlessZero(page))
            {
                Read(in cpu, page, tree);
                Mm.Put<TC>(in cpu, page);
            }
        }
        w->Cursor = cursor;
    }

    private static void Read(in ThisCpu cpu, Page* page, MemcgTree* tree)
    {
        using PageCgroupReader reader = PageCgroupReader.Begin<TC>(in cpu, page);
        if (reader.Owner != null && Memcg.TreeOf(reader.Owner) != tree) Bug.Fail("reader: the owner of a page is no group (page, owner)", (long)page, (long)reader.Owner);
    }

    private static void Change(in ThisCpu cpu, WorkerState* w, long at)
    {
        Mm.Unmap<TC>(in cpu, w->Mm, at, 1);
        if (Mm.Fault<TC>(in cpu, w->Mm, at, write: false) != FaultResult.Mapped) w->Failed++;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => Mm.Unmap<TC>(in cpu, w->Mm, 0, Ring);
}
