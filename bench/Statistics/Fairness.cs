// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>How evenly threads got on: a lock that lets one thread run away looks fast in the sum.</summary>
internal static class Fairness
{
    /// <summary>Jain's index (1 = all alike, 1/n = one has it all), and the slowest and fastest thread against the mean; null for one thread.</summary>
    public static FairnessModel? Of(IReadOnlyList<ThreadModel> threads)
    {
        double[] rates = [.. threads.Select(t => t.OpsPerS ?? 0)];
        double sum = rates.Sum(), squares = rates.Sum(r => r * r);
        if (rates.Length < 2 || squares == 0) return null;
        double mean = sum / rates.Length;
        return new FairnessModel(sum * sum / (rates.Length * squares), (rates.Min() / mean - 1) * 100, threads[Array.IndexOf(rates, rates.Min())].Cpu,
            (rates.Max() / mean - 1) * 100, threads[Array.IndexOf(rates, rates.Max())].Cpu);
    }
}
