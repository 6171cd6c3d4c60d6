// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.Optimization;

namespace MemcgNative.Bench;

/// <summary>
/// Gunther's Universal Scalability Law, X(n) = lambda n / (1 + sigma (n-1) + kappa n (n-1)): sigma is what waits, kappa what is made
/// consistent. Fitted over at least five numbers of CPUs that the machine owns; a thread is a CPU here, so none is oversubscribed.
/// </summary>
internal static class Scalability
{
    public const int LeastCounts = 5;

    /// <summary>The fit of one curve; always a model, with the reason where nothing was fitted.</summary>
    public static FitModel Fit(string workload, string model, string mem, IReadOnlyList<(int Threads, double OpsPerS)> curve)
    {
        (int Threads, double OpsPerS)[] points = [.. curve.Where(c => c.OpsPerS > 0).DistinctBy(c => c.Threads).OrderBy(c => c.Threads)];
        FitModel None(string reason) => new(workload, model, mem, null, null, null, null, null, null, reason);
        if (points.Length < LeastCounts) return None($"not fitted: {points.Length} thread count(s), needs {LeastCounts}");
        double unit = points[0].OpsPerS / points[0].Threads; // parameters of about 1 are what the minimizer likes
        Vector<double> n = Vector<double>.Build.DenseOfEnumerable(points.Select(p => (double)p.Threads));
        Vector<double> x = Vector<double>.Build.DenseOfEnumerable(points.Select(p => p.OpsPerS / unit));
        NonlinearMinimizationResult result;
        try
        {
            IObjectiveModel objective = ObjectiveFunction.NonlinearModel((p, at) => at.Map(t => Law(p[0], p[1], p[2], t)), n, x);
            Vector<double> Of(params double[] v) => Vector<double>.Build.DenseOfArray(v);
            result = new LevenbergMarquardtMinimizer(maximumIterations: 2000).FindMinimum(objective, Of(1, 0.05, 0.0005), Of(1e-6, 0, 0), Of(1e3, 1e3, 1e3));
        }
        catch (Exception e) when (e is ArgumentException or MathNet.Numerics.NonConvergenceException)
        {
            return None($"not fitted: {e.Message.Split('\n')[0].TrimEnd('.')}");
        }
        double[] v = [.. result.MinimizingPoint], se = result.StandardErrors is { } errors ? [.. errors] : [double.NaN, double.NaN, double.NaN];
        double mean = x.Average(), rest = x.Zip(n, (y, t) => y - Law(v[0], v[1], v[2], t)).Sum(d => d * d), all = x.Sum(y => (y - mean) * (y - mean));
        double r2 = all == 0 ? double.NaN : 1 - rest / all;
        return v.All(double.IsFinite)
            ? new(workload, model, mem, v[0] * unit, v[1], v[2], [.. se.Select((s, i) => Finite.OrNull(i == 0 ? s * unit : s))], Finite.OrNull(r2),
                Knee(v, se, points[^1].Threads), null)
            : None("not fitted: the curve has no such shape");
    }

    public static double Law(double lambda, double sigma, double kappa, double n) => lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1));

    /// <summary>Where the curve turns down, with the error carried over from sigma and kappa; null when it does not up to the last count.</summary>
    private static KneeModel? Knee(double[] v, double[] se, int last)
    {
        if (v[2] <= 0 || v[1] >= 1) return null;
        double at = Math.Sqrt((1 - v[1]) / v[2]);
        if (at > last) return null;
        double error = at / 2 * Math.Sqrt(Square(se[1] / (1 - v[1])) + Square(se[2] / v[2]));
        return new KneeModel(at, Finite.OrNull(error));
    }

    private static double Square(double x) => x * x;

    /// <summary>One sentence.</summary>
    public static string Sentence(FitModel f) => f.Reason ?? (f.Knee is { } knee
        ? string.Create(CultureInfo.InvariantCulture, $"stops scaling at {knee.Threads:0} threads (+-{knee.Error ?? 0:0})") : "no knee in what was measured")
        + (f.Reason is null ? string.Create(CultureInfo.InvariantCulture, $": sigma {f.Sigma:0.0000}, kappa {f.Kappa:0.000000}, R2 {f.R2:0.000}") : "");
}
