// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// What the 2012 mail calls complicated: lumpy reclaim or compaction isolates pages of several books and wants to put them back, and groups are
/// removed meanwhile. One operation: a group is made and gets 32 pages; the walker takes up to 32 pages from 128 frames around them, whosever
/// they are; the group's pages are unmapped and the group is removed; the walker sleeps a little, so that grace periods pass and the group
/// goes offline; then it puts the pages back.
/// </summary>
internal readonly unsafe struct Lumpy<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    private const int WalkFrames = 128, Sleeps = 4;

    /// <inheritdoc/>
    public static int Unit => 1;
    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) { }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops--) Life(in cpu, w);
    }

    private static void Life(in ThisCpu cpu, WorkerState* w)
    {
        Memcg* memcg = NewGroup<TC>.Below(in cpu, w);
        if (memcg != null) MemcgLife.Attach(in cpu, w->Mm, memcg); // else the pages are the leaf's this time
        for (int i = 0; i < Mm.Batch; i++)
            if (Mm.Fault<TC>(in cpu, w->Mm, i, write: false) != FaultResult.Mapped) w->Failed++;
        Mm.LruAddDrain<TC>(in cpu);
        Page** caught = stackalloc Page*[Reclaim.Batch];
        Page* centre = Mm.Lookup(in cpu, w->Mm, 0);
        int n = centre == null ? 0 : PfnWalk<TC>.Catch(in cpu, centre, WalkFrames, caught);
        Mm.Unmap<TC>(in cpu, w->Mm, 0, Mm.Batch);
        if (memcg != null)
        {
            MemcgLife.Attach(in cpu, w->Mm, w->Memcg);
            MemcgLife.Remove(in cpu, memcg);
        }
        for (int i = 0; i < Sleeps; i++) Poll.Run(in cpu); // the walker holds no lock: Linux reschedules here
        TC.LruPutback(in cpu, caught, n);
        Mm.ReleasePages<TC>(in cpu, caught, n);
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) { }
}
