// SPDX-License-Identifier: GPL-2.0-only
using MathNet.Numerics.Distributions;
using Perfolizer;
using Perfolizer.Mathematics.GenericEstimators;

namespace MemcgNative.Bench;

/// <summary>How one variant's cost relates to another's, measured in the same rounds.</summary>
/// <param name="Median">Median of the ratios of single rounds; of several machines the geometric mean of theirs.</param>
/// <param name="Low">Lower end of the 95 % interval.</param>
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

    /// <summary>
    /// From the rounds of several fresh machines: the mean of their log ratios with Student's interval, because what a machine's luck adds is
    /// the same in all its rounds. One machine: as <see cref="Of"/>, whose interval knows nothing of that luck.
    /// </summary>
    public static RatioEstimate? OfMachines(IReadOnlyList<(double[] Costs, double[] Baseline)> machines, ulong seed)
    {
        RatioEstimate[] each = [.. machines.Select(m => Of(m.Costs, m.Baseline, seed)).OfType<RatioEstimate>()];
        if (each.Length < 2) return each.FirstOrDefault();
        double[] logs = [.. each.Select(r => Math.Log(r.Median))];
        double mean = logs.Average(), sd = Math.Sqrt(logs.Sum(l => (l - mean) * (l - mean)) / (logs.Length - 1));
        double half = StudentT.InvCDF(0, 1, logs.Length - 1, 0.975) * sd / Math.Sqrt(logs.Length);
        return new(Math.Exp(mean), Math.Exp(mean - half), Math.Exp(mean + half), Math.Exp(Estimate.PlainMedian([.. each.Select(r => Math.Log(r.HodgesLehmann))])),
            each.Sum(r => r.Rounds));
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
