// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A workload's code, bound to one combination of designs.</summary>
internal readonly unsafe struct WorkloadCode(delegate*<in ThisCpu, void*, void> batch, delegate*<in ThisCpu, void*, void> prepare, delegate*<in ThisCpu, void*,
    void> finish, int unit)
{
    public readonly delegate*<in ThisCpu, void*, void> Batch = batch;
    public readonly delegate*<in ThisCpu, void*, void> Prepare = prepare;
    public readonly delegate*<in ThisCpu, void*, void> Finish = finish;

    /// <summary>Operations a block must be a multiple of.</summary>
    public readonly int Unit = unit;
}

/// <summary>A workload on one instance: its code and what each worker has.</summary>
internal sealed unsafe class Lane : IDisposable
{
    private readonly BatchOrder* order;

    public Lane(Instance instance, string workload, WorkloadCode code, WorkerState* states)
    {
        Instance = instance;
        Workload = workload;
        Code = code;
        States = states;
        order = (BatchOrder*)System.Runtime.InteropServices.NativeMemory.AlignedAlloc((nuint)sizeof(BatchOrder), 256);
        *order = default;
        order->Workers = states;
    }

    public Instance Instance { get; }
    public string Workload { get; }
    public WorkloadCode Code { get; }
    public WorkerState* States { get; }

    /// <summary>One batch on the first threads CPUs; histograms may be null.</summary>
    public void Batch(int threads, long ticks, long ops, long** histograms)
    {
        AtomicInt.Store(&order->Arrived, 0);
        order->Threads = threads;
        order->Ticks = ticks;
        order->Ops = ops;
        order->Histograms = histograms;
        Instance.Enter(this, threads);
        Instance.Gang.Run(Code.Batch, order, threads);
    }

    public void Dispose() => System.Runtime.InteropServices.NativeMemory.AlignedFree(order);
}
