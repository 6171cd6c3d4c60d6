// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace MemcgNative.Tests.Torture;

/// <summary>What one CPU did: counts, and a ring of its last operations. Written by its thread only; others read when it is stopped, or roughly.</summary>
internal sealed class Worker(int cpu, ulong seed, IReadOnlyList<string> counters)
{
    private const int RingSize = 256;

    private readonly (long Ticks, int Operation, long A, long B)[] ring = new (long, int, long, long)[RingSize];
    private readonly long[] counts = new long[counters.Count];
    private ulong state = seed * 0x9e3779b97f4a7c15 + (ulong)cpu * 0xbf58476d1ce4e5b9 | 1;
    private long at;

    public int Cpu => cpu;

    /// <summary>Operations so far; also the heartbeat the watchdog looks at.</summary>
    public long Operations;

    /// <summary>The access this CPU waits at, or waited at last.</summary>
    public (string File, int Line) WaitsAt;

    /// <summary>Times this CPU left and came back.</summary>
    public long Hotplugs;

    public long Delays, Waits, Injected;

    /// <summary>Xorshift: 0 to bound-1.</summary>
    public int Random(int bound)
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return (int)((state >> 11) % (ulong)bound);
    }

    /// <summary>True once in n.</summary>
    public bool OneIn(int n) => Random(n) == 0;

    /// <summary>Counts and remembers an operation.</summary>
    public void Did(int counter, long a = 0, long b = 0)
    {
        Operations++;
        counts[counter]++;
        ring[at++ & RingSize - 1] = (Stopwatch.GetTimestamp(), counter, a, b);
    }

    /// <summary>Counts something that is no operation.</summary>
    public void Hit(int counter) => counts[counter]++;

    public long Count(int counter) => counts[counter];

    /// <summary>The last operations, oldest first.</summary>
    public (string Operation, long A, long B)[] Last(int most)
    {
        var last = new List<(string, long, long)>();
        for (long i = Math.Max(0, at - Math.Min(most, RingSize)); i < at; i++)
        {
            (_, int operation, long a, long b) = ring[i & RingSize - 1];
            last.Add((counters[operation], a, b));
        }
        return [.. last];
    }

    /// <summary>The last operations, oldest first, one per line: microseconds before now, name, arguments.</summary>
    public void Dump(StringBuilder text, long now, int most = 32)
    {
        text.AppendLine(CultureInfo.InvariantCulture, $"cpu {cpu}: {Operations} operations; last wait at {Path.GetFileName(WaitsAt.File)}:{WaitsAt.Line}");
        for (long i = Math.Max(0, at - Math.Min(most, RingSize)); i < at; i++)
        {
            (long ticks, int operation, long a, long b) = ring[i & RingSize - 1];
            text.AppendLine(CultureInfo.InvariantCulture, $"  {(ticks - now) / (Stopwatch.Frequency / 1e6):0.0} us  {counters[operation]} {a:x} {b:x}");
        }
    }
}
