// SPDX-License-Identifier: GPL-2.0-only
using Perfolizer;
using Perfolizer.Mathematics.Common;
using Perfolizer.Mathematics.QuantileEstimators;

namespace MemcgNative.Bench;

/// <summary>A median with its 95 % confidence interval; null where there are too few samples to say.</summary>
internal readonly record struct Estimate(double? Median, double? Low, double? High)
{
    /// <summary>Half the interval, in percent of the median.</summary>
    public double? SpreadPercent => Median is > 0 and var m && Low is { } l && High is { } h ? (h - l) / 2 / m * 100 : null;

    /// <summary>Harrell-Davis median with the interval of Maritz and Jarrett; the interval needs at least 3 samples.</summary>
    public static Estimate Of(IReadOnlyList<double> samples)
    {
        if (samples.Count == 0) return default;
        var sample = new Sample(samples);
        double median = HarrellDavisQuantileEstimator.Instance.Median(sample);
        if (samples.Count < 3) return new(median, null, null);
        ConfidenceInterval ci = HarrellDavisQuantileEstimator.Instance.QuantileConfidenceIntervalEstimator(sample, 0.5).ConfidenceInterval(ConfidenceLevel.L95);
        return double.IsFinite(ci.Lower) && double.IsFinite(ci.Upper) ? new(median, ci.Lower, ci.Upper) : new(median, null, null);
    }

    /// <summary>The middle value of a span, the mean of the two in the middle for an even count; NaN never: an empty span is 0.</summary>
    public static double PlainMedian(ReadOnlySpan<double> values)
    {
        if (values.IsEmpty) return 0;
        double[] sorted = values.ToArray();
        Array.Sort(sorted);
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
