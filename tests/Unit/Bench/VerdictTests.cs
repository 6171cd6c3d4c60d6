// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class VerdictTests
{
    private const double Threshold = 0.02;

    /// <summary>Speeds of n repetitions around mean with a relative spread: the sum of twelve uniforms, less six.</summary>
    private static double[] Speeds(SeededRandom random, int n, double mean, double sigma) =>
        [.. Enumerable.Range(0, n).Select(_ => mean * (1 + sigma * (Enumerable.Range(0, 12).Sum(_ => random.Next(1 << 20) / (double)(1 << 20)) - 6)))];

    [Fact]
    public void Two_runs_of_one_design_are_never_faster_or_slower_and_mostly_same()
    {
        var random = new SeededRandom(3);
        Verdict[] verdicts = [.. Enumerable.Range(0, 200).Select(_ => Verdict.OfRuns(Speeds(random, 20, 100, 0.01), Speeds(random, 20, 100, 0.01), Threshold))];
        Assert.DoesNotContain(verdicts, v => v.Answer is Answer4.Faster or Answer4.Slower);
        Assert.True(verdicts.Count(v => v.Answer == Answer4.Same) > 180);
        double[] one = Speeds(random, 5, 100, 0.1);
        Assert.Equal(Answer4.Same, Verdict.OfRuns(one, one, Threshold).Answer);
    }

    [Fact]
    public void Three_percent_at_two_percent_noise_are_found_with_the_repeats_it_asks_for()
    {
        var random = new SeededRandom(4);
        int settled = 0, trials = 0;
        for (int i = 0; i < 60; i++)
        {
            Verdict first = Verdict.OfRuns(Speeds(random, 5, 100, 0.02), Speeds(random, 5, 97, 0.02), Threshold);
            Assert.NotEqual(Answer4.Faster, first.Answer);
            if (first.Repeats is not { } needed || needed > 400) continue; // a first look that promised too little
            Assert.InRange(needed, 6, Verdict.MostRepeats);
            Assert.Contains($"about {needed} repeats needed", first.Text(Threshold), StringComparison.Ordinal);
            trials++;
            if (Verdict.OfRuns(Speeds(random, needed, 100, 0.02), Speeds(random, needed, 97, 0.02), Threshold).Answer == Answer4.Slower) settled++;
        }
        Assert.True(trials > 20 && settled > trials * 0.6, $"{settled} of {trials}");
        Verdict many = Verdict.OfRuns(Speeds(random, 60, 100, 0.02), Speeds(random, 60, 97, 0.02), Threshold);
        Assert.Equal(Answer4.Slower, many.Answer);
        Assert.InRange(many.ChangePct!.Value, -4.5, -2);
    }

    [Fact]
    public void Few_samples_and_a_machine_that_drifted_cannot_tell()
    {
        Assert.Equal(Answer4.CannotTell, Verdict.OfRuns([100, 101, 102], [90, 91, 92], Threshold).Answer);
        Assert.Equal(Answer4.CannotTell, Verdict.OfRuns([], [1], Threshold).Answer);
        double[] a = [.. Enumerable.Range(0, 12).Select(i => 100 + i * 0.1)], b = [.. a.Select(x => x * 0.97)];
        Assert.Equal(Answer4.Slower, Verdict.OfRuns(a, b, Threshold).Answer);
        Assert.Equal(Answer4.CannotTell, Verdict.OfRuns(a, b, Threshold, drift: 0.04).Answer);
    }

    [Theory]
    [InlineData(1.03, 1.025, 1.035, Answer4.Slower)]
    [InlineData(0.9, 0.89, 0.91, Answer4.Faster)]
    [InlineData(1.005, 1.001, 1.009, Answer4.Same)]
    [InlineData(1.03, 0.99, 1.07, Answer4.CannotTell)]
    [InlineData(1.015, 1.001, 1.03, Answer4.CannotTell)]
    public void A_ratio_of_rounds_gives_one_of_four_verdicts(double cost, double low, double high, object answer) =>
        Assert.Equal((Answer4)answer, Verdict.OfRounds(cost, low, high, Threshold, 10).Answer);

    [Fact]
    public void Several_machines_widen_the_interval_to_what_their_luck_is()
    {
        var random = new SeededRandom(5);
        (double[], double[])[] machines = [.. ((double[])[0.9, 1.1, 1.0, 0.95, 1.05]).Select(luck => (Speeds(random, 50, 3 * luck, 0.01), Speeds(random, 50, 3, 0.01)))];
        RatioEstimate pooled = RatioEstimate.Of([.. machines.SelectMany(m => m.Item1)], [.. machines.SelectMany(m => m.Item2)], 1)!;
        RatioEstimate clustered = RatioEstimate.OfMachines(machines, 1)!;
        Assert.InRange(clustered.Median, 0.97, 1.03);
        Assert.True(clustered.Low < 0.93 && clustered.High > 1.07, $"{clustered}");
        Assert.True(pooled.High - pooled.Low < clustered.High - clustered.Low);
    }

    [Fact]
    public void The_scalability_law_is_found_again_and_refused_where_it_cannot_be()
    {
        var random = new SeededRandom(6);
        int[] counts = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96];
        FitModel fit = Scalability.Fit("fault", "3.19", "local", [.. counts.Select(n => (n, Scalability.Law(15e6, 0.03, 0.0007, n) * Speeds(random, 1, 1, 0.01)[0]))]);
        Assert.Null(fit.Reason);
        Assert.InRange(fit.Sigma!.Value, 0.02, 0.04);
        Assert.InRange(fit.Kappa!.Value, 0.0005, 0.0009);
        Assert.InRange(fit.Knee!.Threads, 30, 46);
        Assert.True(fit.R2 > 0.99 && fit.Se!.All(s => s > 0));
        FitModel linear = Scalability.Fit("fault", "3.19", "local", [.. counts.Select(n => (n, 15e6 * n))]);
        Assert.Null(linear.Reason);
        Assert.Null(linear.Knee);
        FitModel two = Scalability.Fit("fault", "3.19", "local", [(1, 1e6), (2, 2e6)]);
        Assert.Equal("not fitted: 2 thread count(s), needs 5", two.Reason);
        Assert.Null(two.Sigma);
        FitModel retrograde = Scalability.Fit("fault", "2.6.27", "local", [.. counts.Select(n => (n, 1e7 / n))]);
        Assert.True(retrograde.Reason is not null || retrograde.Knee is { Threads: < 3 } or null);
    }

    [Fact]
    public void Two_speeds_and_a_change_of_speed_are_seen_and_noise_is_not()
    {
        var random = new SeededRandom(7);
        double[] even = Speeds(random, 300, 100, 0.01);
        double[] two = [.. Speeds(random, 150, 100, 0.01).Zip(Speeds(random, 150, 120, 0.01)).SelectMany(z => (double[])[z.First, z.Second])];
        Assert.True(SampleShape.Modes(even).Count <= 1);
        Assert.Empty(SampleShape.Changes(even));
        Assert.Equal(2, SampleShape.Modes(two).Count);
        (int round, double factor) = Assert.Single(SampleShape.Changes([.. Speeds(random, 150, 100, 0.01), .. Speeds(random, 150, 80, 0.01)]));
        Assert.InRange(round, 140, 160);
        Assert.InRange(factor, 0.78, 0.82);
        Assert.Empty(SampleShape.Modes([1, 2, 3]));
    }

    [Fact]
    public void Fairness_is_one_for_equals_and_names_who_fell_behind()
    {
        static ThreadModel Thread(int cpu, double rate) => new(cpu, 0, 1, 0, rate, 0, 0, null);
        Assert.Null(Fairness.Of([Thread(0, 5)]));
        Assert.Equal(1, Fairness.Of([Thread(0, 5), Thread(1, 5)])!.Jain, 1e-9);
        FairnessModel unfair = Fairness.Of([Thread(0, 9), Thread(7, 1)])!;
        Assert.Equal((7, 0), (unfair.SlowestCpu, unfair.FastestCpu));
        Assert.Equal(-80, unfair.SlowestPct, 1e-9);
        Assert.InRange(unfair.Jain, 0.6, 0.62);
    }

    [Fact]
    public void A_result_is_compared_with_itself_damaged_and_of_another_age()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        string folder = Directory.CreateTempSubdirectory("memcgnative-").FullName;
        try
        {
            string a = Path.Combine(folder, "a.json"), bad = Path.Combine(folder, "bad.json");
            Assert.Equal(0, CliBox.Run(CliBox.Split($"run charge-uncharge -q -t 1 -d 6ms -r 4 -w 5ms -M 3.19 -M 3.19,stock=None -o {a}")).Code);
            CliBox.Answer same = CliBox.Run("compare", a, a);
            Assert.Equal((0, ""), (same.Code, same.Error));
            Assert.Matches(@"3\.19,stock=None .* same \(within 2 %\)", same.Out);
            CliBox.Answer models = CliBox.Run("compare", a, "--format", "json");
            using (var json = JsonDocument.Parse(models.Out)) Assert.Equal("3.19 -> 3.19,stock=None", json.RootElement.GetProperty("points")[0].GetProperty("model").GetString());
            Assert.Contains("| charge-uncharge | 3.19 |", CliBox.Run("compare", a, a, "--format", "md").Out, StringComparison.Ordinal);

            string text = File.ReadAllText(a);
            foreach ((string damaged, string says) in new[]
            {
                (text[..(text.Length / 2)], "cut off or damaged"), ("", "the file is empty"), ("null", "holds null"), (text.Replace("result-1.json", "result-9.json"), "result-9"),
                (text.Replace("\"threads\": 1,", "\"threads\": -1,"), "threads is -1"), (text.Replace("\"points\"", "\"pints\""), "points"), ("<html></html>", "no data in it"),
            })
            {
                File.WriteAllText(bad, damaged);
                CliBox.Answer refused = CliBox.Run("compare", a, bad);
                Assert.Equal((2, ""), (refused.Code, refused.Out));
                Assert.Equal(1, refused.Error.AsSpan().Count('\n'));
                Assert.Contains(says, refused.Error, StringComparison.Ordinal);
                Assert.Contains(bad, refused.Error, StringComparison.Ordinal);
            }
            // An older program knew nothing of what was added since; a newer one may add what this one does not know.
            var old = System.Text.Json.Nodes.JsonNode.Parse(text)!.AsObject();
            foreach (string added in (string[])["fits", "matrices", "line_probe", "synthetic"]) old.Remove(added);
            foreach (System.Text.Json.Nodes.JsonNode? p in old["points"]!.AsArray())
            {
                p!.AsObject().Remove("fairness");
                p["throughput_ops_per_s"]!.AsObject().Remove("machines");
                p["added_in_the_future"] = 1;
            }
            File.WriteAllText(bad, old.ToJsonString());
            Assert.Equal(0, CliBox.Run("compare", a, bad).Code);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
