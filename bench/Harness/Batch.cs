// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.InteropServices;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What the workers of one batch share.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal unsafe struct BatchOrder
{
    /// <summary>Workers at the start line.</summary>
    [FieldOffset(0)] public AtomicInt Arrived;
    /// <summary>Workers of this batch.</summary>
    [FieldOffset(128)] public int Threads;
    /// <summary>How long it lasts.</summary>
    [FieldOffset(136)] public long Ticks;
    /// <summary>Operations per block.</summary>
    [FieldOffset(144)] public long Ops;
    /// <summary>First worker's state.</summary>
    [FieldOffset(152)] public WorkerState* Workers;
    /// <summary>First worker's histogram; the next begins LatencyHistogram.Buckets further. Null: block times are not kept.</summary>
    [FieldOffset(160)] public long** Histograms;
}

/// <summary>The measuring loop, compiled once per workload and controller.</summary>
internal static unsafe class Batch<TW, TC> where TW : struct, IWorkload<TC> where TC : struct, IMemoryController
{
    /// <summary>One worker's part of a batch: canary, blocks until the time is over, canary.</summary>
    public static void Run(in ThisCpu cpu, void* argument)
    {
        var order = (BatchOrder*)argument;
        WorkerState* w = order->Workers + cpu.Index;
        long* histogram = order->Histograms == null ? null : order->Histograms[cpu.Index];
        long sink = 0;

        // The gang's gate wakes sleepers one after the other; this line they cross together. Ended by the last of the batch's workers.
        AtomicInt.Add(&order->Arrived, 1);
        AtomicInt.AwaitEqual(&order->Arrived, order->Threads);
        long switches = ThreadUsage.InvoluntarySwitchesNow(), failed = w->Failed;
        long canary = Canary.Run(ref sink);

        long managed = GC.GetAllocatedBytesForCurrentThread();
        long ops = order->Ops, done = 0, begin = Stopwatch.GetTimestamp(), last = begin, end = begin + order->Ticks;
        do
        {
            TW.Run(in cpu, w, ops);
            Poll.Run(in cpu);
            long now = Stopwatch.GetTimestamp();
            if (histogram != null) LatencyHistogram.Add(histogram, now - last);
            last = now;
            done += ops;
        }
        while (last < end);
        w->Managed += GC.GetAllocatedBytesForCurrentThread() - managed;

        w->Done = done;
        w->Elapsed = last - begin;
        w->Canary = Math.Max(canary, Canary.Run(ref sink));
        w->Refused = w->Failed - failed;
        w->Switches = ThreadUsage.InvoluntarySwitchesNow() - switches;
    }

    /// <summary>IWorkload.Prepare on one worker.</summary>
    public static void Prepare(in ThisCpu cpu, void* workers) => TW.Prepare(in cpu, (WorkerState*)workers + cpu.Index);

    /// <summary>IWorkload.Finish on one worker.</summary>
    public static void Finish(in ThisCpu cpu, void* workers) => TW.Finish(in cpu, (WorkerState*)workers + cpu.Index);
}
