// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Bench;

/// <summary>
/// HdrHistogram's text of percentiles, which its plotters read: value, percentile, count so far, 1 / (1 - percentile). Values are ns per
/// operation; where percentiles are of blocks the header says so.
/// </summary>
internal static class Hgrm
{
    public static string Text(PointModel p)
    {
        var text = new StringBuilder();
        LatencyModel l = p.LatencyNs;
        text.Append(CultureInfo.InvariantCulture, $"#[{p.Workload} {p.Model} mem={p.Mem} threads={p.Threads}; ns per operation");
        text.Append(CultureInfo.InvariantCulture, $"{(l.PercentilesOfBlocks ? $", percentiles of blocks of {l.Block}" : "")}; clock {l.ClockOverheadNs:0.0} ns, not subtracted]\n");
        text.Append("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
        long total = l.Histogram.Buckets.Sum(b => b[1]), seen = 0;
        double mean = 0, squares = 0;
        foreach (long[] bucket in l.Histogram.Buckets)
        {
            double value = bucket[0] / (double)l.Block;
            seen += bucket[1];
            mean += value * bucket[1] / Math.Max(1, total);
            squares += value * value * bucket[1] / Math.Max(1, total);
            double percentile = (double)seen / total;
            string inverse = seen == total ? "" : string.Create(CultureInfo.InvariantCulture, $" {1 / (1 - percentile),14:0.00}");
            text.Append(CultureInfo.InvariantCulture, $"{value,12:0.000} {percentile,14:0.000000000000} {seen,10}{inverse}\n");
        }
        double max = l.Histogram.Buckets.Count == 0 ? 0 : l.Histogram.Buckets[^1][0] / (double)l.Block;
        text.Append(CultureInfo.InvariantCulture, $"#[Mean    = {mean,12:0.000}, StdDeviation   = {Math.Sqrt(Math.Max(0, squares - mean * mean)),12:0.000}]\n");
        text.Append(CultureInfo.InvariantCulture, $"#[Max     = {max,12:0.000}, Total count    = {total,12}]\n");
        text.Append(CultureInfo.InvariantCulture, $"#[Buckets = {57,12}, SubBuckets     = {1 << l.Histogram.Scale,12}]\n");
        return text.ToString();
    }
}
