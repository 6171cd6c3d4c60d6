// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using Perfolizer;
using Perfolizer.Mathematics.Common;
using Perfolizer.Mathematics.GenericEstimators;
using Perfolizer.Mathematics.SignificanceTesting;
using Perfolizer.Mathematics.SignificanceTesting.Base;
using Perfolizer.Mathematics.SignificanceTesting.MannWhitney;
using Perfolizer.Metrology;

namespace MemcgNative.Bench;

/// <summary>What two sets of samples say about each other; there is no fifth answer.</summary>
internal enum Answer4
{
    Same,
    Faster,
    Slower,
    CannotTell,
}

/// <summary>
/// B against A. Faster or slower: the change is at least the threshold, and chance is ruled out. Same: the change is shown to be under the
/// threshold. Cannot tell: neither, with the number of repeats that would probably settle it.
/// </summary>
/// <param name="ChangePct">Change of B's speed against A's, percent; null when a side has no samples.</param>
/// <param name="LowPct">Lower end of its 95 % interval; null where there are too few samples for one.</param>
/// <param name="Repeats">For CannotTell: repeats that would probably settle it, or null when more than <see cref="MostRepeats"/>.</param>
internal sealed record Verdict(Answer4 Answer, double? ChangePct, double? LowPct, double? HighPct, int? Repeats)
{
    /// <summary>More repeats than anybody waits for.</summary>
    public const int MostRepeats = 10_000;

    /// <summary>Under which the two-sided test rules chance out, and each of the two one-sided tests of equivalence.</summary>
    private const double DifferenceLevel = 0.01, EquivalenceLevel = 0.05;

    /// <summary>Half a normal distribution's 95 % interval, in standard deviations.</summary>
    private const double Z95 = 1.96;

    /// <summary>Speeds of independent repetitions of two runs: Hodges-Lehmann ratio, Mann-Whitney, two one-sided tests.</summary>
    /// <param name="threshold">0.02 = 2 %.</param>
    /// <param name="drift">How far the machine itself was off between the runs (0.01 = 1 %): the interval is that much wider.</param>
    public static Verdict OfRuns(IReadOnlyList<double> a, IReadOnlyList<double> b, double threshold, double drift = 0)
    {
        if (a.Count == 0 || b.Count == 0) return new(Answer4.CannotTell, null, null, null, null);
        if (a.SequenceEqual(b)) return new(Answer4.Same, 0, 0, 0, null); // the same run twice
        double ratio = HodgesLehmannEstimator.Instance.Ratio(new Sample(b), new Sample(a));
        (double? low, double? high) = Interval(a, b);
        (low, high) = (low / (1 + drift), high * (1 + drift));
        bool differs = P(b, a, 1, AlternativeHypothesis.TwoSides) < DifferenceLevel;
        bool equal = drift < threshold && P(b, a, 1 + threshold, AlternativeHypothesis.Less) < EquivalenceLevel
            && P(b, a, 1 / (1 + threshold), AlternativeHypothesis.Greater) < EquivalenceLevel;
        return Decide(ratio, low, high, differs, equal, threshold, Math.Min(a.Count, b.Count));
    }

    /// <summary>Costs taken in the same rounds: the ratio is known with its interval. Repeats are repetitions of as many rounds as there were per repetition.</summary>
    public static Verdict OfRounds(double cost, double low, double high, double threshold, int repeats)
    {
        bool differs = low > 1 || high < 1;
        bool equal = low > 1 / (1 + threshold) && high < 1 + threshold;
        return Decide(1 / cost, 1 / high, 1 / low, differs, equal, threshold, repeats);
    }

    private static Verdict Decide(double ratio, double? low, double? high, bool differs, bool equal, double threshold, int repeats)
    {
        double change = ratio - 1;
        bool excludes = low > 1 || high < 1;
        bool matters = ratio >= 1 + threshold || ratio <= 1 / (1 + threshold);
        Answer4 answer = differs && excludes && matters ? ratio > 1 ? Answer4.Faster : Answer4.Slower : equal ? Answer4.Same : Answer4.CannotTell;
        return new(answer, change * 100, (low - 1) * 100, (high - 1) * 100, answer == Answer4.CannotTell ? RepeatsFor(change, low, high, threshold, repeats) : null);
    }

    /// <summary>
    /// Intervals shrink with the root of the repeats: until they exclude 0 (a change over the threshold) or stay within the threshold. Near
    /// the threshold itself that never ends, so a quarter of it is the finest that is asked for.
    /// </summary>
    private static int? RepeatsFor(double change, double? low, double? high, double threshold, int repeats)
    {
        if (low is not { } l || high is not { } h) return Math.Max(8, 2 * repeats);
        double half = (h - l) / 2, room = Math.Max(Math.Abs(change) >= threshold ? Math.Abs(change) * 0.7 : threshold - Math.Abs(change), threshold / 4);
        double needed = Math.Ceiling(repeats * (half / room) * (half / room));
        return needed > MostRepeats ? null : (int)Math.Max(needed, repeats + 1);
    }

    private static double P(IReadOnlyList<double> x, IReadOnlyList<double> y, double scale, AlternativeHypothesis alternative) =>
        MannWhitneyTest.Instance.Perform(new Sample(x), new Sample([.. y.Select(v => v * scale)]), alternative, Threshold.Zero).PValue;

    /// <summary>Distribution-free interval of the ratio: the pairwise ratios whose ranks Mann-Whitney cannot rule out; null where even the extremes are not ruled out.</summary>
    private static (double? Low, double? High) Interval(IReadOnlyList<double> a, IReadOnlyList<double> b)
    {
        double n = a.Count, m = b.Count;
        int rank = (int)Math.Floor(n * m / 2 - Z95 * Math.Sqrt(n * m * (n + m + 1) / 12));
        if (rank < 1) return (null, null);
        double[] ratios = [.. a.SelectMany(x => b.Select(y => y / x)).Order()];
        return (ratios[rank - 1], ratios[^rank]);
    }

    /// <summary>"faster", "same (within 2 %)", "cannot tell: about 38 repeats needed".</summary>
    public string Text(double threshold) => Answer switch
    {
        Answer4.Faster => "faster",
        Answer4.Slower => "slower",
        Answer4.Same => string.Create(CultureInfo.InvariantCulture, $"same (within {threshold * 100:0.##} %)"),
        _ when ChangePct is null => "cannot tell: no samples",
        _ => Repeats is { } k ? $"cannot tell: about {k} repeats needed" : $"cannot tell: over {MostRepeats} repeats needed",
    };
}
