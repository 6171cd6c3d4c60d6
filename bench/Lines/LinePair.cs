// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What one of the two threads of a probe has; written by it while a batch runs, read by the controller afterwards.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal unsafe struct LineWorker
{
    /// <summary>Workers at the start line; the first worker's is used.</summary>
    [FieldOffset(0)] public AtomicInt Arrived;
    /// <summary>The word or structure probed.</summary>
    [FieldOffset(128)] public byte* Line;
    /// <summary>Operations to do, or 0 for until Ticks are over.</summary>
    [FieldOffset(136)] public long Turns;
    [FieldOffset(144)] public long Ticks;
    [FieldOffset(152)] public int Workers;
    [FieldOffset(160)] public long Done;
    [FieldOffset(168)] public long Elapsed;
    [FieldOffset(176)] public long Canary;
    [FieldOffset(184)] public long Switches;
}

/// <summary>
/// One or two pinned threads and memory homed on a node, for probes of single lines. Threads and memory are made, proved and given back here;
/// what is done to the line is the caller's.
/// </summary>
internal sealed unsafe class LinePair : IDisposable
{
    private readonly PerCpu cpus;
    private readonly CpuGang gang;
    private readonly VirtualRegion region;
    private readonly LineWorker* workers;
    private readonly CpuId[] ids;

    /// <param name="cpus">One CPU, or two different ones.</param>
    /// <param name="home">The node the memory is on.</param>
    /// <param name="bytes">Memory to probe.</param>
    /// <param name="pages">Kinds of page, best first.</param>
    /// <exception cref="OsException">A CPU cannot be pinned to, or the memory is not where it was asked for.</exception>
    public LinePair(IReadOnlyList<CpuId> cpus, NodeId home, long bytes = 1 << 20, string pages = "nothp")
    {
        ids = [.. cpus];
        NumaPolicy policy = NumaPolicy.Parse("local").On(home, null);
        region = VirtualRegion.Map((nuint)bytes, PageKind.ParseList(pages), policy, out _);
        try
        {
            if (Placement.Of(region).Judge(policy, out string? why) == PlacementVerdict.Differs) throw new OsException("move_pages", 0, why!);
            workers = (LineWorker*)NativeMemory.AlignedAlloc((nuint)(sizeof(LineWorker) * ids.Length), 256);
            this.cpus = new PerCpu([.. ids.Select(c => (c, home))]);
            gang = new CpuGang(this.cpus, ThreadAffinity.Pinner);
        }
        catch
        {
            this.cpus?.Dispose();
            NativeMemory.AlignedFree(workers);
            region.Dispose();
            throw;
        }
    }

    public byte* Memory => region.Base;

    public long Bytes => (long)region.Bytes;

    /// <summary>
    /// One batch of body on the first count CPUs, each on its own line; the mean of their times per operation, or null when a CPU was taken
    /// away or slow meanwhile.
    /// </summary>
    /// <param name="body">Ends in <see cref="Finish"/>.</param>
    /// <param name="turns">Operations each, or 0: until ticks are over.</param>
    public double? Batch(delegate*<in ThisCpu, void*, void> body, int count, ReadOnlySpan<nint> lines, long turns, long ticks, CanaryWatch watch)
    {
        for (int i = 0; i < count; i++) workers[i] = new LineWorker { Line = (byte*)lines[i], Turns = turns, Ticks = ticks, Workers = count };
        gang.Run(body, workers, count);
        bool clean = true;
        double ns = 0;
        for (int i = 0; i < count; i++)
        {
            clean &= watch.IsClean(ids[i], count, workers[i].Canary) & workers[i].Switches == 0;
            ns += workers[i].Elapsed * ClockCost.NsPerTick / Math.Max(1, workers[i].Done) / count;
        }
        return clean ? ns : null;
    }

    /// <summary>What every body begins with: the line both cross together. Ended by the last of the workers.</summary>
    public static LineWorker* Enter(in ThisCpu cpu, void* argument, out long switches, out long canary)
    {
        var first = (LineWorker*)argument;
        AtomicInt.Add(&first->Arrived, 1);
        AtomicInt.AwaitEqual(&first->Arrived, first->Workers);
        long sink = 0;
        switches = ThreadUsage.InvoluntarySwitchesNow();
        canary = Canary.Run(ref sink);
        return first + cpu.Index;
    }

    /// <summary>What every body ends with.</summary>
    public static void Finish(LineWorker* w, long begin, long done, long switches, long canary)
    {
        w->Elapsed = Stopwatch.GetTimestamp() - begin;
        w->Done = done;
        long sink = 0;
        w->Canary = Math.Max(canary, Canary.Run(ref sink));
        w->Switches = ThreadUsage.InvoluntarySwitchesNow() - switches;
    }

    public void Dispose()
    {
        gang.Dispose();
        if (gang.Stuck > 0) return; // they still use the memory
        cpus.Dispose();
        NativeMemory.AlignedFree(workers);
        region.Dispose();
    }
}
