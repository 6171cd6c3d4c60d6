// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using Perfolizer.Mathematics.Cpd;
using Perfolizer.Mathematics.Multimodality;

namespace MemcgNative.Bench;

/// <summary>What one median hides: several speeds, or a change of speed on the way. Looked for in the rounds of a point, not in its few repetitions.</summary>
internal static class SampleShape
{
    /// <summary>Apart by less, two modes or two stretches are the same for anybody who reads the result.</summary>
    private const double Matters = 0.05;
    private const int LeastRounds = 60, MostRounds = 600, LeastStretch = 20;

    /// <summary>Speeds that stand out, as multiples of the median; one or none when the rounds agree or are too few.</summary>
    public static IReadOnlyList<double> Modes(IReadOnlyList<double> rounds)
    {
        if (rounds.Count < LeastRounds) return [];
        double[] thin = Thin(rounds);
        double median = Estimate.PlainMedian(thin);
        double[] modes = [.. LowlandModalityDetector.Instance.DetectModes(thin).Modes.Select(m => m.Location / median).Where(double.IsFinite).Order()];
        var apart = new List<double>();
        foreach (double mode in modes)
            if (apart.Count == 0 || mode > apart[^1] * (1 + Matters)) apart.Add(mode);
        return apart;
    }

    /// <summary>Rounds at which the speed changed for good, with how it went on as a multiple of before.</summary>
    public static IReadOnlyList<(int Round, double Factor)> Changes(IReadOnlyList<double> rounds)
    {
        if (rounds.Count < LeastRounds) return [];
        double[] thin = Thin(rounds);
        int step = (rounds.Count + MostRounds - 1) / MostRounds;
        int[] at = [0, .. EdPeltChangePointDetector.Instance.GetChangePointIndexes(thin, LeastStretch).Select(i => i + 1), thin.Length];
        var changes = new List<(int, double)>();
        for (int i = 1; i + 1 < at.Length; i++)
        {
            double before = Estimate.PlainMedian(thin.AsSpan(at[i - 1], at[i] - at[i - 1])), after = Estimate.PlainMedian(thin.AsSpan(at[i], at[i + 1] - at[i]));
            if (before > 0 && Math.Abs(after / before - 1) > Matters) changes.Add((at[i] * step, after / before));
        }
        return changes;
    }

    /// <summary>Reasons not to trust one median, for the trust column.</summary>
    public static IEnumerable<string> Doubts(IReadOnlyList<double> modes, IReadOnlyList<(int Round, double Factor)> changes)
    {
        if (modes.Count > 1) yield return $"rounds have {modes.Count} speeds: {string.Join(", ", modes.Select(m => F(m, "0.00")))} of the median";
        foreach ((int round, double factor) in changes.Take(2)) yield return $"the speed changed at round {round} to {F(factor, "0.00")} of before";
    }

    /// <summary>Repetitions after which the interval would be within percent of the median, from what so many gave; null when it is already, or cannot be said.</summary>
    public static int? RepeatsFor(double percent, double? spreadPct, int repeats) =>
        spreadPct is not { } s || s <= percent || repeats < 3 ? null : (int)Math.Min(Verdict.MostRepeats, Math.Ceiling(repeats * (s / percent) * (s / percent)));

    private static double[] Thin(IReadOnlyList<double> rounds)
    {
        int step = (rounds.Count + MostRounds - 1) / MostRounds;
        return [.. rounds.Where((_, i) => i % step == 0)];
    }

    private static string F(double v, string format) => v.ToString(format, CultureInfo.InvariantCulture);
}
