// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What bench/twins/charge.c works on; the same fields in the same order there.</summary>
internal unsafe struct ChargeTwinState
{
    /// <summary>The CPU's area.</summary>
    public byte* Cpu;
    /// <summary>The group that pays.</summary>
    public Memcg* Memcg;
    /// <summary>32 pages.</summary>
    public Page** Pages;
    /// <summary>Pages a stock takes at a time.</summary>
    public long Batch;
}

/// <summary>charge-uncharge by the C compiler, on the same groups, stocks and pages.</summary>
internal readonly unsafe struct ChargeTwin<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static int Unit => Mm.Batch;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w)
    {
        ChargeUncharge<TC>.Prepare(in cpu, w);
        w->TwinFunction = (void*)Twins.Function(Twins.Charge);
        var state = (ChargeTwinState*)(w->Pages + Mm.Batch);
        *state = new ChargeTwinState { Cpu = (byte*)cpu.Area, Memcg = w->Memcg, Pages = w->Pages, Batch = Twins.StockBatch };
        w->Twin = state;
    }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        if (((delegate* unmanaged<void*, long, long>)w->TwinFunction)(w->Twin, ops / Mm.Batch) != ops) w->Failed += ops;
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) => ChargeUncharge<TC>.Finish(in cpu, w);
}

/// <summary>alloc-free by the C compiler, on the same per-CPU list.</summary>
internal readonly unsafe struct AllocTwin<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static int Unit => AllocFree<TC>.Burst;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w)
    {
        AllocFree<TC>.Prepare(in cpu, w);
        w->TwinFunction = (void*)Twins.Function(Twins.Alloc);
        w->Twin = (byte*)cpu.Area + CpuArea.AllocatorOffset;
    }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        const int Burst = AllocFree<TC>.Burst;
        if (((delegate* unmanaged<void*, long, long, void**, long>)w->TwinFunction)(w->Twin, ops / Burst, Burst, (void**)w->Pages) == ops) return;
        // The list is empty or about to overflow, which the twin has no code for: one burst of ours refills or drains it.
        w->Failed += ops;
        AllocFree<TC>.Run(in cpu, w, Burst);
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w) { }
}
