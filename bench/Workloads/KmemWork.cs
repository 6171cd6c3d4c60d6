// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>How many objects a worker of the kernel-memory workloads keeps; so many groups may be held by one each.</summary>
internal static class KmemRing
{
    /// <summary>A power of two.</summary>
    public const int Objects = 256;
}

/// <summary>What the kernel-memory workloads share: a group of the worker's own below its leaf, and a ring of objects.</summary>
internal static unsafe class KmemWork<TC> where TC : struct, IMemoryController
{
    /// <summary>The group the worker allocates for: its child of the moment, or its leaf when no child could be made.</summary>
    public static Memcg* Payer(WorkerState* w) => w->Child == null ? w->Memcg : w->Child;

    /// <summary>The worker's group is removed, whatever of it still lives; a new one takes its place.</summary>
    public static void NextGroup(in ThisCpu cpu, WorkerState* w)
    {
        if (w->Child != null) MemcgLife.Remove(in cpu, w->Child);
        w->Child = MemcgLife.Create<TC>(in cpu, w->Memcg);
        if (w->Child == null)
        {
            w->Failed++; // the table of groups is full of zombies
            return;
        }
        // Where groups have copies of caches the first object asks for one and is nobody's; the worker that makes it runs at once here.
        void* first = KmemObjects.Alloc<TC>(in cpu, w->Cache, w->Child);
        if (first != null) KmemObjects.Free<TC>(in cpu, first);
        CacheCreation.Flush(in cpu);
    }

    /// <summary>The oldest object of the ring goes, a new one comes.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Turn(in ThisCpu cpu, WorkerState* w)
    {
        Page** at = w->Pages + (w->Cursor++ & (KmemRing.Objects - 1));
        if (*at != null) KmemObjects.Free<TC>(in cpu, *at);
        *at = (Page*)KmemObjects.Alloc<TC>(in cpu, w->Cache, Payer(w));
        if (*at == null) w->Failed++;
    }

    /// <summary>Everything the worker holds goes back.</summary>
    public static void Finish(in ThisCpu cpu, WorkerState* w)
    {
        for (int i = 0; i < WorkerState.PageSlots; i++)
        {
            if (w->Pages[i] != null) KmemObjects.Free<TC>(in cpu, w->Pages[i]);
            w->Pages[i] = null;
        }
        if (w->Child != null) MemcgLife.Remove(in cpu, w->Child);
        w->Child = null;
    }
}

/// <summary>Objects of 192 bytes in a ring; every 4096 operations the group is removed and another takes over, so objects outlive it.</summary>
internal readonly unsafe struct Dentries<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    private const int PerGroup = 4096;

    /// <inheritdoc/>
    public static int Unit => 16;
    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) => KmemWork<TC>.NextGroup(in cpu, w);

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops--)
        {
            if ((w->Cursor & (PerGroup - 1)) == PerGroup - 1) KmemWork<TC>.NextGroup(in cpu, w);
            KmemWork<TC>.Turn(in cpu, w);
        }
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => KmemWork<TC>.Finish(in cpu, w);
}

/// <summary>A whole life: a group is made, gets its objects (--objects), is removed; the objects go when the ring comes round to them.</summary>
internal readonly unsafe struct OfflineWithKmem<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static int Unit => 1;
    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) { }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops--)
        {
            KmemWork<TC>.NextGroup(in cpu, w);
            for (int i = 0; i < w->Objects; i++) KmemWork<TC>.Turn(in cpu, w);
        }
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => KmemWork<TC>.Finish(in cpu, w);
}

/// <summary>The smallest accounted allocation, taken and given back at once: what accounting adds to it.</summary>
internal readonly unsafe struct SmallObject<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Bytes of the object.</summary>
    public const int ObjectBytes = 32;

    /// <inheritdoc/>
    public static int Unit => 16;

    /// <inheritdoc/>
    /// <remarks>Designs with a copy of the cache per group make it now: the first objects are nobody's.</remarks>
    public static void Prepare(in ThisCpu cpu, WorkerState* w)
    {
        KmemObjects.Free<TC>(in cpu, KmemObjects.Kmalloc<TC>(in cpu, ObjectBytes, w->Memcg, Gfp.Kernel | Gfp.Account));
        CacheCreation.Flush(in cpu);
    }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops--) AllocFree(in cpu, w);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AllocFree(in ThisCpu cpu, WorkerState* w)
    {
        void* obj = KmemObjects.Kmalloc<TC>(in cpu, ObjectBytes, w->Memcg, Gfp.Kernel | Gfp.Account);
        if (obj == null) w->Failed++;
        else KmemObjects.Free<TC>(in cpu, obj);
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) { }
}

/// <summary>Objects allocated here and freed by the next CPU: each hands its object over in a slot and frees what it finds there.</summary>
internal readonly unsafe struct RemoteFree<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static int Unit => 16;
    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) { }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        int cpus = Guarded<int>.Get(&cpu.Table->Count);
        WorkerState* next = w - cpu.Index + (cpu.Index + 1) % cpus;
        for (; ops > 0; ops--) HandOver(in cpu, w, (AtomicLong*)(next->Pages + (w->Cursor++ & (KmemRing.Objects - 1))));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void HandOver(in ThisCpu cpu, WorkerState* w, AtomicLong* slot)
    {
        void* fresh = KmemObjects.Alloc<TC>(in cpu, w->Cache, w->Memcg);
        if (fresh == null) w->Failed++;
        void* old = (void*)AtomicLong.Exchange(slot, (long)fresh);
        if (old != null) KmemObjects.Free<TC>(in cpu, old);
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w)
    {
        for (int i = 0; i < KmemRing.Objects; i++)
        {
            void* old = (void*)AtomicLong.Exchange((AtomicLong*)(w->Pages + i), 0); // the neighbour has finished its batches
            if (old != null) KmemObjects.Free<TC>(in cpu, old);
        }
    }
}

/// <summary>A cache is created, used once by the group, destroyed with its copies.</summary>
internal readonly unsafe struct CacheChurn<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static int Unit => 1;
    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) { }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops--)
        {
            SlabCache* cache = SlabCaches.Create<TC>(in cpu, Guarded<int>.Get(&w->Cache->Id), 256, accounted: true);
            if (cache == null)
            {
                w->Failed++;
                continue;
            }
            void* obj = KmemObjects.Alloc<TC>(in cpu, cache, w->Memcg);
            if (obj == null) w->Failed++;
            else KmemObjects.Free<TC>(in cpu, obj);
            SlabCaches.Destroy<TC>(in cpu, cache);
        }
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) { }
}

/// <summary>Short-lived charged pages, sixteen at a time: a pipe that is filled and read.</summary>
internal readonly unsafe struct Pipes<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    private const int Buffers = 16;

    /// <inheritdoc/>
    public static int Unit => Buffers;
    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) { }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops -= Buffers) FillAndRead(in cpu, w, w->Pages);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FillAndRead(in ThisCpu cpu, WorkerState* w, Page** first)
    {
        Page** end = first;
        for (int i = 0; i < Buffers; i++)
        {
            Page* page = KmemObjects.AllocPages<TC>(in cpu, default, w->Memcg);
            if (page == null) w->Failed++;
            else *end++ = page;
        }
        for (Page** at = first; at < end; at++) KmemObjects.FreePages<TC>(in cpu, *at, default);
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) { }
}
