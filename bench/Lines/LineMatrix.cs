// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Latency of one of the accounting's lines: core to core, or writer's node by home node. A line that two CPUs hand over is asked for at its
/// home agent, so the home is an axis here and never an accident of who touched the page first.
/// </summary>
internal static unsafe class LineMatrix
{
    private const int Samples = 40, MostTries = 200, TurnsPerSample = 100, LeastSamples = 5;

    /// <summary>Bytes from one probed structure to the next: a page, so that no prefetcher and no neighbour has a part in it.</summary>
    private const int Stride = 4096;

    /// <summary>Far more than any cache holds, so that a line touched in random order comes from its home's memory.</summary>
    private const long ColdBytes = 256L << 20;

    /// <summary>The lines there are.</summary>
    public static IReadOnlyList<string> Names { get; } = [PageCounterLine.Name, LruLockLine.Name, StockLine.Name];

    /// <summary>Every pair of the CPUs, on a line homed on home, or on the first CPU's node.</summary>
    public static MatrixModel Cpus(string line, Topology topology, IReadOnlyList<CpuId> cpus, NodeId? home, CancellationToken stop, Action<int, int>? progress = null)
    {
        var cells = new List<CellModel>();
        int all = cpus.Count * (cpus.Count - 1) / 2;
        for (int i = 0; i < cpus.Count; i++)
            for (int j = 0; j < i && !stop.IsCancellationRequested; j++)
            {
                cells.Add(Handover(line, cpus[j], cpus[i], home ?? Home(topology, cpus[j]), cpus[i].Value, cpus[j].Value));
                progress?.Invoke(cells.Count, all);
            }
        return new MatrixModel("cpu", line, WhatOf(line), [.. cpus.Select(c => c.Value)], [.. cpus.Select(c => c.Value)], cells, null,
            cpus.Count < 2 ? "one CPU: nobody to hand a line to" : null);
    }

    /// <summary>Two CPUs of each writer node hand over a line homed on each node with memory; and one touches lines that lie in that memory.</summary>
    public static MatrixModel Nodes(string line, Topology topology, IReadOnlyList<CpuId> cpus, CancellationToken stop, Action<int, int>? progress = null)
    {
        NodeId[] writers = [.. cpus.Select(c => topology.Cpu(c).Node).Distinct().Order()];
        NodeId[] homes = [.. topology.Nodes.Where(n => n.HasMemory && n.IsAllowed).Select(n => n.Id)];
        List<CellModel> handover = [], cold = [];
        foreach (NodeId writer in writers)
            foreach (NodeId home in homes)
            {
                if (stop.IsCancellationRequested) break;
                CpuId[] on = [.. cpus.Where(c => topology.Cpu(c).Node == writer)];
                handover.Add(FalseSharing.Pair(topology, on) is var (a, b) ? Handover(line, a, b, home, writer.Value, home.Value)
                    : new CellModel(writer.Value, home.Value, null, null, 0, "one CPU chosen on this node: it takes two to hand a line over"));
                cold.Add(Cold(line, on[0], home, writer.Value));
                progress?.Invoke(handover.Count, writers.Length * homes.Length);
            }
        return new MatrixModel("node", line, WhatOf(line), [.. writers.Select(n => n.Value)], [.. homes.Select(n => n.Value)], handover, cold,
            writers.Length * homes.Length == 1 ? "one memory node: a distance is not visible on this machine" : null);
    }

    private static NodeId Home(Topology topology, CpuId cpu) => topology.NearestWithMemory(topology.Cpu(cpu).Node) ?? topology.Cpu(cpu).Node;

    private static CellModel Handover(string line, CpuId a, CpuId b, NodeId home, int row, int column)
    {
        delegate*<in ThisCpu, void*, void> body = Body(line, alone: false);
        var ns = new List<double>();
        using var pair = new LinePair([a, b], home, (MostTries + 3) * Stride);
        var watch = new CanaryWatch();
        for (int s = -3; s < MostTries && ns.Count < Samples; s++)
        {
            var at = (nint)(pair.Memory + (s + 3) * Stride); // a line that no CPU has seen yet
            double? cost = pair.Batch(body, 2, [at, at], TurnsPerSample, 0, watch);
            if (s >= 0 && cost is { } c) ns.Add(c / MovesOf(line));
        }
        return Cell(row, column, ns);
    }

    /// <summary>One CPU on lines in an order no prefetcher knows, each touched once.</summary>
    private static CellModel Cold(string line, CpuId cpu, NodeId home, int row)
    {
        delegate*<in ThisCpu, void*, void> body = Body(line, alone: true);
        var ns = new List<double>();
        using var one = new LinePair([cpu], home, ColdBytes, "thp,nothp");
        var watch = new CanaryWatch();
        for (int s = -3; s < MostTries && ns.Count < Samples; s++)
        {
            double? cost = one.Batch(body, 1, [(nint)one.Memory], 2000, s + 3, watch);
            if (s >= 0 && cost is { } c) ns.Add(c);
        }
        return Cell(row, home.Value, ns);
    }

    private static CellModel Cell(int row, int column, List<double> ns) => ns.Count < LeastSamples
        ? new(row, column, null, null, ns.Count, $"only {ns.Count} of {MostTries} samples had their CPUs to themselves")
        : new(row, column, Estimate.PlainMedian([.. ns]), Estimate.Of(ns) is { Low: { } l, High: { } h } ? [l, h] : null, ns.Count, null);

    private static string WhatOf(string line) => line switch
    {
        "page_counter" => PageCounterLine.What,
        "lru_lock" => LruLockLine.What,
        _ => StockLine.What,
    };

    private static int MovesOf(string line) => line switch
    {
        "page_counter" => PageCounterLine.MovesPerTurn,
        "lru_lock" => LruLockLine.MovesPerTurn,
        _ => StockLine.MovesPerTurn,
    };

    private static delegate*<in ThisCpu, void*, void> Body(string line, bool alone) => (line, alone) switch
    {
        ("page_counter", false) => &Turns<PageCounterLine>,
        ("lru_lock", false) => &Turns<LruLockLine>,
        (_, false) => &Turns<StockLine>,
        ("page_counter", true) => &Touch<PageCounterLine>,
        ("lru_lock", true) => &Touch<LruLockLine>,
        (_, true) => &Touch<StockLine>,
    };

    private static void Turns<TLine>(in ThisCpu cpu, void* argument) where TLine : struct, ILine
    {
        LineWorker* w = LinePair.Enter(in cpu, argument, out long switches, out long canary);
        TLine.Turn(in cpu, w->Line, cpu.Index, 0); // the gate and the line's first touch are not a handover
        long begin = Stopwatch.GetTimestamp();
        for (long turn = 1; turn <= w->Turns; turn++) TLine.Turn(in cpu, w->Line, cpu.Index, turn);
        LinePair.Finish(w, begin, w->Turns, switches, canary);
    }

    private static void Touch<TLine>(in ThisCpu cpu, void* argument) where TLine : struct, ILine
    {
        LineWorker* w = LinePair.Enter(in cpu, argument, out long switches, out long canary);
        const long Lines = ColdBytes / CacheLine.Apart;
        ulong at = (ulong)w->Ticks * 0x9e3779b97f4a7c15; // a different place each time
        long begin = Stopwatch.GetTimestamp();
        for (long i = 0; i < w->Turns; i++)
        {
            at = at * 6364136223846793005 + 1442695040888963407;
            at += (ulong)TLine.Alone(in cpu, w->Line + (long)(at >> 33) % (Lines - 2) * CacheLine.Apart); // so that two misses never overlap
        }
        LinePair.Finish(w, begin, w->Turns, switches, canary);
    }
}
