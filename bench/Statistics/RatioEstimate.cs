// SPDX-License-Identifier: GPL-2.0-only
using Perfolizer;
using Perfolizer.Mathematics.GenericEstimators;

namespace MemcgNative.Bench;

/// <summary>How one variant's cost relates to another's, measured in the same rounds.</summary>
/// <param name="Median">Median of the ratios of single rounds.</param>
/// <param name="Low">Lower end of the 95 % bootstrap interval.</param>
/// <param name="High">Upper end.</param>
/// <param name="HodgesLehmann">Median of all ratios across rounds: agrees with Median unless rounds drifted.</param>
/// <param name="Rounds">Rounds in which both ran undisturbed.</param>
internal sealed record RatioEstimate(double Median, double Low, double High, double HodgesLehmann, int Rounds)
{
    private const int Resamples = 2000;
    private const int MostForHodgesLehmann = 400;

    /// <summary>From the costs of the same rounds; null with fewer than 5 rounds.</summary>
    public static RatioEstimate? Of(IReadOnlyList<double> costs, IReadOnlyList<double> baseline, ulong seed)
    {
        double[] ratios = [.. costs.Zip(baseline, (a, b) => a / b).Where(double.IsFinite)];
        if (ratios.Length < 5) return null;
        (double low, double high) = Bootstrap(ratios, seed);
        double hl = HodgesLehmannEstimator.Instance.Ratio(Thin(costs), Thin(baseline));
        double median = Estimate.PlainMedian(ratios);
        return new(median, low, high, double.IsFinite(hl) ? hl : median, ratios.Length);
    }

    /// <summary>Percentile bootstrap of the median: the same seed gives the same interval.</summary>
    internal static (double Low, double High) Bootstrap(double[] values, ulong seed)
    {
        var random = new SeededRandom(seed);
        double[] medians = new double[Resamples], resample = new double[Math.Min(values.Length, MostForHodgesLehmann * 4)];
        for (int i = 0; i < Resamples; i++)
        {
            for (int j = 0; j < resample.Length; j++) resample[j] = values[random.Next(values.Length)];
            medians[i] = Estimate.PlainMedian(resample);
        }
        Array.Sort(medians);
        return (medians[(int)(Resamples * 0.025)], medians[(int)(Resamples * 0.975)]);
    }

    /// <summary>All pairs are looked at, so of very many rounds every k-th.</summary>
    private static Sample Thin(IReadOnlyList<double> values)
    {
        int step = (values.Count + MostForHodgesLehmann - 1) / MostForHodgesLehmann;
        return new Sample([.. values.Where((_, i) => i % step == 0)]);
    }
}
