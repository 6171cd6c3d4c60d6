// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;

namespace MemcgNative.Bench;

/// <summary>What reading the clock costs here: measured and shown, never subtracted.</summary>
internal static class ClockCost
{
    /// <summary>Nanoseconds per tick of the clock.</summary>
    public static readonly double NsPerTick = 1e9 / Stopwatch.Frequency;

    /// <summary>Median of runs of back-to-back reads.</summary>
    public static double MeasureNs()
    {
        const int Reads = 200;
        double[] runs = new double[101];
        for (int r = 0; r < runs.Length; r++)
        {
            long begin = Stopwatch.GetTimestamp(), end = begin;
            for (int i = 0; i < Reads; i++) end = Stopwatch.GetTimestamp();
            runs[r] = (end - begin) * NsPerTick / Reads;
        }
        return Estimate.PlainMedian(runs);
    }
}
