// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// A dentry cache under memcg reclaim. Each worker's group fills with idle objects on its list_lru; a shrinker looks through the oldest: what was
/// looked up since it was listed is rotated, the rest is taken off and freed. Every 4096 operations the group is removed and its list becomes
/// its parent's, which the workers below reclaim together. Linux: dcache_lru with dentry_lru_isolate, shrink_slab_memcg.
/// </summary>
internal readonly unsafe struct DentryReclaim<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    private const int PerGroup = 4096, Most = 512, Scan = 64, Recent = 64, Every = 32;

    /// <summary>A dentry: its place on the list, whether it was looked up (DCACHE_REFERENCED).</summary>
    private struct Dentry
    {
        public ListHead Lru;
        public AtomicInt Referenced;
    }

    /// <inheritdoc/>
    public static int Unit => 16;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) => NextGroup(in cpu, w);

    private static void NextGroup(in ThisCpu cpu, WorkerState* w)
    {
        KmemWork<TC>.NextGroup(in cpu, w);
        for (int i = 0; i < Recent; i++) w->Pages[i] = null; // the old group's are the parent's shrinkers' from now on
        if (!ListLru.Prepare(in cpu, w->Idle, KmemWork<TC>.Payer(w))) w->Failed++;
    }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops--)
        {
            long at = w->Cursor++;
            if ((at & (PerGroup - 1)) == PerGroup - 1) NextGroup(in cpu, w);
            Use(in cpu, w, at);
            if ((at & (Every - 1)) == Every - 1) Shrink(in cpu, w);
        }
    }

    /// <summary>One dentry becomes idle; of every four one that came lately is looked up.</summary>
    /// <remarks>
    /// The worker's own group is reclaimed by this worker alone, and its 64 youngest are never among the 64 oldest of more than 512, because at most a quarter
    /// of the list is marked and rotated past them. Where no group could be made nothing is remembered: the parent's list is everybody's.
    /// </remarks>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Use(in ThisCpu cpu, WorkerState* w, long at)
    {
        var dentry = (Dentry*)KmemObjects.Alloc<TC>(in cpu, w->Cache, KmemWork<TC>.Payer(w));
        if (dentry == null) w->Failed++;
        else
        {
            AtomicInt.Init(&dentry->Referenced, 0);
            ListLru.Add<TC>(in cpu, w->Idle, dentry, &dentry->Lru);
        }
        var recent = (Dentry**)w->Pages;
        recent[at & (Recent - 1)] = w->Child == null ? null : dentry;
        Dentry* again = recent[at * 5 & (Recent - 1)];
        if ((at & 3) == 0 && again != null) AtomicInt.Store(&again->Referenced, 1);
    }

    /// <summary>shrink_slab of the worker's group and of its parent, on every node.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Shrink(in ThisCpu cpu, WorkerState* w)
    {
        int nodes = Guarded<int>.Get(&w->Idle->Nodes);
        for (Memcg* memcg = KmemWork<TC>.Payer(w); ; memcg = w->Memcg)
        {
            for (int node = 0; node < nodes; node++)
                while (ListLru.CountOf(w->Idle, node, memcg) > Most && ShrinkList(in cpu, w->Idle, node, memcg, Scan) != 0) Poll.Run(in cpu);
            if (memcg == w->Memcg) return;
        }
    }

    /// <summary>do_shrink_slab of one list: looks at up to scan of its oldest, frees what it took. Returns how many.</summary>
    public static long ShrinkList(in ThisCpu cpu, ListLru* lru, int node, Memcg* memcg, long scan)
    {
        void** room = stackalloc void*[Scan];
        var isolate = new Isolate { Taken = room };
        long taken = ListLru.Walk(in cpu, lru, node, memcg, Math.Min(scan, Scan), ref isolate);
        for (int i = 0; i < taken; i++) KmemObjects.Free<TC>(in cpu, room[i]); // shrink_dentry_list: without the list's lock
        return taken;
    }

    /// <summary>dentry_lru_isolate.</summary>
    private struct Isolate : ILruVisitor
    {
        public void** Taken;
        private int count;

        public LruVerdict Visit(in ThisCpu cpu, ListHead* item)
        {
            var dentry = (Dentry*)item; // Lru is its first field
            if (AtomicInt.Load(&dentry->Referenced) != 0)
            {
                AtomicInt.Store(&dentry->Referenced, 0);
                return LruVerdict.Rotate;
            }
            Taken[count++] = dentry;
            return LruVerdict.Removed;
        }
    }

    /// <inheritdoc/>
    /// <remarks>What is idle stays on its lists, which end as the root's: the machine's end frees it from there.</remarks>
    public static void Finish(in ThisCpu cpu, WorkerState* w)
    {
        for (int i = 0; i < Recent; i++) w->Pages[i] = null;
        KmemWork<TC>.Finish(in cpu, w);
    }
}
