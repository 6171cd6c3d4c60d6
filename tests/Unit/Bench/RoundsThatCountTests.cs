// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Alone on its cores or beside a neighbour: rounds of one state count, never a mixture, and a run decides for all of its points.</summary>
public unsafe class RoundsThatCountTests
{
    private const int Rounds = 100;

    [Theory]
    [InlineData(100, true)]
    [InlineData(25, true)]
    [InlineData(24, false)]
    [InlineData(0, false)]
    public void A_quarter_of_rounds_alone_is_enough(int alone, bool own)
    {
        using Point p = With(alone, taken: 0);
        Assert.Equal(own, Point.AtOwnSpeed([p]));
        Assert.Equal(own ? alone : Rounds - alone, Enumerable.Range(0, Rounds).Count(i => p.Counts(i, own)));
    }

    [Fact]
    public void A_sample_is_of_one_state()
    {
        using Point p = With(alone: 10, taken: 30);
        bool own = Point.AtOwnSpeed([p]);
        Assert.False(own);
        Assert.All(p.RepMedians(10, 10, own), rep => Assert.Equal(60, rep.OpsPerS));
        Assert.Equal([1, 2, 3, 4, 5, 6], p.RepMedians(10, 10, own).Select(rep => rep.Rep)); // neither the first, which was alone, nor the last three, whose CPUs were taken away
        Assert.All(p.RepMedians(10, 2, ownSpeed: true), rep => Assert.Equal(100, rep.OpsPerS));
    }

    [Fact]
    public void All_points_of_a_run_are_of_one_state()
    {
        using Point mostly = With(alone: 60, taken: 0), hardly = With(alone: 10, taken: 0);
        Assert.True(Point.AtOwnSpeed([mostly, hardly]));
        Assert.False(Point.AtOwnSpeed([hardly]));
    }

    [Fact]
    public void What_was_best_until_a_better_one_came_was_not_alone()
    {
        CpuId cpu = new(0), other = new(1);
        var watch = new CanaryWatch();
        Assert.True(watch.IsClean(cpu, 1, 100));
        Assert.True(watch.IsClean(other, 1, 75));
        Assert.True(watch.IsClean(cpu, 1, 124));
        Assert.Equal(0, watch.Corrections(1));
        Assert.True(watch.IsClean(cpu, 1, 85)); // turbo, not a neighbour that left: what was called clean stays near
        Assert.Equal(0, watch.Corrections(1));
        Assert.True(watch.IsClean(cpu, 1, 70));
        Assert.Equal((1, 0), (watch.Corrections(1), watch.Corrections(2)));
        Assert.False(watch.IsClean(cpu, 1, 100));

        using Point p = With(alone: 60, taken: 0);
        LatencyHistogram.Add(p.Latency(ownSpeed: true).Counts, 500);
        p.Correct(watch);
        Assert.False(Point.AtOwnSpeed([p]));
        Assert.Equal((0, 1), (p.Latency(ownSpeed: true).Total, p.Latency(ownSpeed: false).Total));
        p.Clean[99] = true;
        p.Correct(watch); // once
        Assert.True(p.Clean[99]);
    }

    [Fact]
    public void A_run_that_lost_its_CPUs_all_the_time_still_has_samples()
    {
        using Point p = With(alone: 0, taken: Rounds);
        Assert.Equal(10, p.RepMedians(10, 10, Point.AtOwnSpeed([p])).Count());
    }

    /// <summary>Rounds alone first (100 operations per second), those that lost their CPU last (1), the rest beside a neighbour (60).</summary>
    private static Point With(int alone, int taken)
    {
        var p = new Point(null!, 1, Rounds, "local") { Rounds = Rounds };
        for (int i = 0; i < Rounds; i++)
        {
            p.Whole[i] = i < Rounds - taken;
            p.Clean[i] = i < alone && p.Whole[i];
            p.CanaryNs[i] = (p.Clean[i] ? 100 : 160) * (float)ClockCost.NsPerTick;
            p.Throughput[i] = p.Clean[i] ? 100 : p.Whole[i] ? 60 : 1;
        }
        return p;
    }
}
