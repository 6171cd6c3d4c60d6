// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Accounting;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Every era runs workloads in turn (MEMCGNATIVE_EVERY_WORKLOAD=1: all of them) on all CPUs and its books balance; every preset runs and quotes its table.</summary>
[Collection(nameof(OsFaultAlone))] // maps memory, which others count
public sealed class EraWorkloadTests
{
    /// <summary>What needs kernel objects is asked where they are.</summary>
    private static readonly string[] kmem = ["dentries", "dentry-reclaim", "offline-with-kmem", "remote-free", "cache-churn", "pipes"];

    private const int Turns = 6;

    /// <summary>Each era with each workload: minutes.</summary>
    private static readonly bool every = Environment.GetEnvironmentVariable("MEMCGNATIVE_EVERY_WORKLOAD") == "1";

    public static TheoryData<string> AllEras => [.. Eras.All.Select(e => e.Name)];

    [Theory, MemberData(nameof(AllEras))]
    public void An_era_runs_its_workloads(string era)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        string[] all = [.. WorkloadList.All.Select(w => w.Name).Except(kmem)];
        // A sixth of the workloads for each era, so that every answer meets most of them; neighbours in the list eat each other's pages.
        int turn = Eras.All.Select(e => e.Name).ToList().IndexOf(era) % Turns;
        string workloads = string.Join(',', all.Where((_, i) => i % Turns == turn || every));
        CliBox.Answer answer = CliBox.Run(CliBox.Split($"run {workloads} -q -d 2ms -r 1 -w 2ms -M {era} --footprint 96M --format json"));
        Assert.True(answer.Code == 0, $"{era}: exit {answer.Code}: {answer.Error}");
        using var json = JsonDocument.Parse(answer.Out);
        foreach (JsonElement point in json.RootElement.GetProperty("points").EnumerateArray())
        {
            Assert.True(point.GetProperty("books").GetProperty("balanced").GetBoolean());
            Assert.All(point.GetProperty("per_thread").EnumerateArray(), t => Assert.True(t.GetProperty("ops").GetInt64() > 0, $"{point.GetProperty("workload")} did nothing"));
        }
    }

    public static TheoryData<string> Presets => [.. PresetList.All.Select(p => p.Name)];

    [Theory, MemberData(nameof(Presets))]
    public void A_preset_quotes_its_table_and_gives_each_row_a_verdict(string name)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer answer = CliBox.Run(CliBox.Split($"run --preset {name} -q -d 2ms -r 1 -w 2ms --footprint {(name == "2014-page-counter" ? "48M" : "16M")} --format json"));
        Assert.True(answer.Code == 0, answer.Error);
        using var json = JsonDocument.Parse(answer.Out);
        JsonElement[] rows = [.. json.RootElement.GetProperty("preset").GetProperty("rows").EnumerateArray()];
        Assert.Equal(Preset.Find(name).Rows.Select(r => r.Published), rows.Select(r => r.GetProperty("published").GetString()!));
        foreach (JsonElement row in rows.Skip(1)) // a number, or the words that say why there is none
            Assert.Equal(row.GetProperty("measured_gain").ValueKind == JsonValueKind.Null,
                row.GetProperty("verdict").GetString()!.StartsWith("not visible", StringComparison.Ordinal));
    }

    [Fact]
    public void The_verdict_of_a_row_is_that_of_its_interval()
    {
        var row = new PresetRow("after", "+10 %", 1.1, "fault", "3.19");
        var preset = new Preset("p", "s", "m", [new("before", "", null, "fault", "3.17"), row], Layout: true);
        var shows = new LineProbeModel(0, 1, [], 5, [4, 6], true, "yes");
        string Verdict(double low, double high, LineProbeModel probe) =>
            preset.Report((_, _) => new RatioModel("fault", "3.19", "local", 2, "before", (low + high) / 2, [low, high], 1, 9, 0, null), probe).Rows[1].Verdict;
        Assert.Equal("the published direction", Verdict(0.8, 0.9, shows));
        Assert.Equal("the other direction", Verdict(1.1, 1.2, shows));
        Assert.StartsWith("not visible on this machine", Verdict(0.9, 1.1, shows), StringComparison.Ordinal);
        Assert.StartsWith("not visible on this machine: flat", Verdict(0.8, 0.9, shows with { LayoutsMayBeRanked = false, Verdict = "flat" }), StringComparison.Ordinal);
    }

    [Fact]
    public void Layouts_are_not_ranked_where_the_machine_does_not_show_false_sharing_and_prefetch_says_what_its_call_costs()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer layouts = CliBox.Run(CliBox.Split("run charge-uncharge -q -d 2ms -r 1 -w 2ms -M 3.19,stock=None --layout 40,112Apart"));
        Assert.Equal((0, ""), (layouts.Code, layouts.Error));
        Assert.Matches(@"(?m)^layout +(no ranking: |adds 8 bytes apart cost .*layouts may be compared here)", layouts.Out);
        if (layouts.Out.Contains("no ranking", StringComparison.Ordinal)) Assert.DoesNotContain("ratio  ", layouts.Out, StringComparison.Ordinal);
        CliBox.Answer prefetch = CliBox.Run(CliBox.Split("run charge-uncharge -q -d 2ms -r 1 -w 2ms -M rfc-2008-lockless --prefetch none,read,write"));
        Assert.Equal((0, ""), (prefetch.Code, prefetch.Error));
        Assert.Matches(@"(?m)^prefetch +prefetchw (is a stub here, its call costs [0-9.]+ ns|cannot be had here)", prefetch.Out);
    }
}
