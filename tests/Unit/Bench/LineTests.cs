// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class LineTests
{
    private static double?[][] Costs(int rounds, Func<int, double?> ofDistance) =>
        [.. FalseSharing.Distances.Select(d => Enumerable.Range(0, rounds).Select(r => ofDistance(d) * (1 + r % 5 * 0.01)).ToArray())];

    [Theory]
    [InlineData(20.0, true)]
    [InlineData(15.6, true)]
    [InlineData(14.0, false)]
    [InlineData(5.0, false)]
    public void Layouts_are_ranked_only_where_near_words_cost_three_times_far_ones(double near, bool ranked)
    {
        LineProbeModel probe = FalseSharing.Judge(new CpuId(0), new CpuId(1), Costs(40, d => d < 64 ? near : 5), 1);
        Assert.Equal(ranked, probe.LayoutsMayBeRanked);
        Assert.Equal(near / 5, probe.Contrast!.Value, 0.1);
        Assert.Contains(ranked ? "may be compared" : "no layout is ranked here", probe.Verdict, StringComparison.Ordinal);
    }

    [Fact]
    public void Few_quiet_rounds_or_one_CPU_give_no_verdict_and_no_number()
    {
        LineProbeModel few = FalseSharing.Judge(new CpuId(0), new CpuId(1), Costs(9, _ => 5), 1);
        Assert.Equal((null, false), (few.Contrast, few.LayoutsMayBeRanked));
        LineProbeModel one = FalseSharing.Measure(SyntheticTopology.Parse("pack:1 core:1 pu:1"), [new CpuId(0)], 1, TestContext.Current.CancellationToken);
        Assert.Equal((null, false), (one.Contrast, one.LayoutsMayBeRanked));
        Assert.Contains("two CPUs", one.Verdict, StringComparison.Ordinal);
    }

    [Fact]
    public void The_pair_is_of_two_cores_where_there_are_two()
    {
        Topology smt = SyntheticTopology.Parse("pack:1 core:2 pu:2");
        Assert.Equal(2, FalseSharing.Pair(smt, [.. smt.Cpus.Select(c => c.Id)]) is var (a, b) ? new[] { smt.Cpu(a).Core, smt.Cpu(b).Core }.Distinct().Count() : 0);
        Topology one = SyntheticTopology.Parse("pack:1 core:1 pu:2");
        Assert.NotNull(FalseSharing.Pair(one, [.. one.Cpus.Select(c => c.Id)]));
    }

    [Fact]
    public void A_matrix_of_this_machine_has_a_latency_or_a_reason_for_every_pair()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        foreach (string kind in (string[])["cpu", "node"])
        {
            CliBox.Answer answer = CliBox.Run(CliBox.Split($"matrix {kind} -q --line page_counter --format json"));
            Assert.Equal((0, ""), (answer.Code, answer.Error));
            using var json = JsonDocument.Parse(answer.Out);
            JsonElement matrix = json.RootElement.GetProperty("matrices")[0];
            Assert.All(matrix.GetProperty("cells").EnumerateArray(), c => Assert.True(c.GetProperty("ns").ValueKind == JsonValueKind.Number
                ? c.GetProperty("ns").GetDouble() > 0.1 : c.GetProperty("reason").GetString()!.Length > 5));
        }
    }

    [Fact]
    public void What_a_matrix_cannot_be_is_refused_in_one_line()
    {
        Assert.Equal((2, "memcgnative: matrix: 'cpus' is not a matrix; did you mean 'cpu'? Known: cpu, node, lines" + Environment.NewLine), Refused("matrix cpus"));
        Assert.Equal(2, Refused("matrix cpu --line page_counterr").Code);
        Assert.Contains("leave it out", Refused("matrix node -m bind:0").Error, StringComparison.Ordinal);
        Assert.Contains("a line has one home", Refused("matrix cpu -m local").Error, StringComparison.Ordinal);
    }

    private static (int Code, string Error) Refused(string line)
    {
        CliBox.Answer answer = CliBox.Run("two-sockets", CliBox.Split(line));
        Assert.Equal("", answer.Out);
        return (answer.Code, answer.Error);
    }
}
