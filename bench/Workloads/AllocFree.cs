// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Order-0 pages off and onto this CPU's list: 16 are taken, then given back in the same order. No group pays.</summary>
internal readonly unsafe struct AllocFree<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>Pages held at once; fewer than one refill brings, so that every pair is a hit.</summary>
    public const int Burst = 16;

    /// <inheritdoc/>
    public static int Unit => Burst;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w) => Run(in cpu, w, Burst);

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops -= Burst) OneBurst(in cpu, w, w->Pages);
    }

    /// <summary>A leaf of its own: inside the measuring loop its state would be spilled around every call.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void OneBurst(in ThisCpu cpu, WorkerState* w, Page** first)
    {
        Page** end = first;
        for (int i = 0; i < Burst; i++)
        {
            Page* page = PageAllocator<NoHook>.Alloc(in cpu, Gfp.Kernel);
            if (page == null) w->Failed++;
            else *end++ = page;
        }
        for (Page** at = first; at < end; at++)
        {
            AtomicInt.Store(&(*at)->RefCount, 0);
            PageAllocator<NoHook>.Free(in cpu, *at);
        }
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) { }
}
