// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class StatisticsTests
{
    [Fact]
    public void Every_value_falls_in_the_bucket_whose_value_is_within_0_8_percent()
    {
        var random = new SeededRandom(1);
        for (int i = 0; i < 200_000; i++)
        {
            long v = (long)(random.Next() >> 1 + i % 62);
            int at = LatencyHistogram.IndexOf(v);
            Assert.InRange(at, 0, LatencyHistogram.Buckets - 1);
            Assert.Equal(at, LatencyHistogram.IndexOf(LatencyHistogram.ValueOf(at)));
            Assert.True(Math.Abs(LatencyHistogram.ValueOf(at) - v) <= v * 0.008, $"{v} is shown as {LatencyHistogram.ValueOf(at)}");
        }
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.9)]
    [InlineData(0.99)]
    [InlineData(0.999)]
    [InlineData(1)]
    public void Quantiles_are_the_exact_ones_within_0_8_percent(double q)
    {
        var random = new SeededRandom(2);
        long[] values = [.. Enumerable.Range(0, 20_000).Select(_ => (long)(random.Next() >> 40 + random.Next(20)))];
        using var h = new LatencyHistogram();
        foreach (long v in values) LatencyHistogram.Add(h.Counts, v);
        Array.Sort(values);
        long exact = values[Math.Max(0, (int)Math.Ceiling(q * values.Length) - 1)];
        Assert.Equal(values.Length, h.Total);
        Assert.InRange((double)h.Quantile(q)!, exact * 0.992 - 1, exact * 1.008 + 1);
    }

    [Fact]
    public void An_empty_histogram_has_no_quantile_and_two_add_up()
    {
        using LatencyHistogram a = new(), b = new();
        Assert.Null(a.Quantile(0.5));
        LatencyHistogram.Add(a.Counts, 10);
        LatencyHistogram.Add(b.Counts, 30, 2);
        a.Take(b, 30, kept: true);
        Assert.Equal(((long)10, (long)30, (long)3), (a.Quantile(0.3)!.Value, a.Quantile(0.9)!.Value, a.Total));
        Assert.Equal([(10L, 1L), (30L, 2L)], a.NonEmpty());
        a.Clear();
        Assert.Equal(0, a.Total);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Too_few_samples_give_no_interval(int n) => Assert.Null(Estimate.Of([.. Enumerable.Repeat(5.0, n)]).Low);

    [Fact]
    public void Identical_samples_have_no_spread_and_are_no_nan()
    {
        Estimate e = Estimate.Of([7, 7, 7, 7, 7]);
        Assert.Equal(7, e.Median!.Value, 9);
        Assert.Equal(0, e.SpreadPercent ?? 0, 9);
    }

    [Fact]
    public void A_known_ratio_is_found_within_its_interval_and_the_seed_decides_it()
    {
        var random = new SeededRandom(3);
        double Noise() => 1 + (random.Next(2000) - 1000) / 50_000.0;
        double[] slow = [.. Enumerable.Range(0, 200).Select(_ => 1.1 * Noise())], fast = [.. Enumerable.Range(0, 200).Select(_ => Noise())];
        RatioEstimate a = RatioEstimate.Of(slow, fast, 5)!, b = RatioEstimate.Of(slow, fast, 5)!;
        Assert.Equal(a, b);
        Assert.InRange(1.1, a.Low, a.High);
        Assert.True(a.High - a.Low < 0.02);
        Assert.InRange(a.HodgesLehmann, 1.09, 1.11);
        Assert.Null(RatioEstimate.Of([1, 2], [1, 2], 5));
    }
}
