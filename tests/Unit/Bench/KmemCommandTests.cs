// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>`dying`, `offline`, `slab`, and what results say about removed groups.</summary>
public sealed class KmemCommandTests
{
    private static JsonDocument Json(string command)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer answer = CliBox.Run(CliBox.Split(command + " --format json -q"));
        Assert.Equal((0, ""), (answer.Code, answer.Error));
        return JsonDocument.Parse(answer.Out);
    }

    [Fact]
    public void Groups_with_a_live_object_stay_where_their_cache_pins_them_and_nowhere_else()
    {
        using JsonDocument json = Json("dying --groups 6 --objects 2");
        foreach (JsonElement design in json.RootElement.GetProperty("dying").EnumerateArray())
        {
            bool pins = design.GetProperty("model").GetString() == "5.9,kmem=PerCachePin";
            Assert.Equal(pins ? 6 : 0, design.GetProperty("dying_groups").GetProperty("count").GetInt64());
            if (pins) Assert.Equal(6, design.GetProperty("dying_groups").GetProperty("by").GetProperty("cache").GetInt64());
            Assert.Equal(0, design.GetProperty("after_free").GetInt64());
        }
        Assert.Equal(7, json.RootElement.GetProperty("dying").GetArrayLength());
    }

    [Fact]
    public void A_group_that_has_not_opted_in_is_pinned_by_no_cache()
    {
        using JsonDocument json = Json("dying --groups 6 --objects 2 --opt-in 2 -M 3.14 -M rfc-2014-kmemcg -M 5.9");
        Assert.Equal(2, json.RootElement.GetProperty("opt_in").GetInt32());
        JsonElement[] designs = [.. json.RootElement.GetProperty("dying").EnumerateArray()];
        Assert.Equal([2L, 0, 0], designs.Select(d => d.GetProperty("dying_groups").GetProperty("count").GetInt64()));
        Assert.Equal([2L, 2, 0], designs.Select(d => d.GetProperty("caches").GetInt64())); // copies are made for those two alone
        CliBox.Answer answer = CliBox.Run(CliBox.Split("dying --groups 6 --opt-in 7"));
        Assert.Equal(2, answer.Code);
        Assert.Contains("--opt-in: 7 of 6 groups cannot opt in", answer.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Shared_caches_are_fuller_than_a_copy_per_group_and_names_are_unique()
    {
        using JsonDocument json = Json("slab --groups 8 --objects 10 -M 5.3 -M 5.9");
        JsonElement[] designs = [.. json.RootElement.GetProperty("slab").EnumerateArray()];
        Assert.True(designs[0].GetProperty("utilisation").GetDouble() < designs[1].GetProperty("utilisation").GetDouble() - 0.1);
        Assert.Equal(designs[0].GetProperty("object_bytes_per_group").GetInt64(), designs[1].GetProperty("object_bytes_per_group").GetInt64());
        foreach (JsonElement design in designs)
        {
            string[] names = [.. design.GetProperty("caches").EnumerateArray().Select(c => c.GetProperty("name").GetString()!)];
            Assert.Equal(names.Length, names.Distinct().Count());
        }
        Assert.Contains(designs[0].GetProperty("caches").EnumerateArray(), c => c.GetProperty("owner").ValueKind == JsonValueKind.Number);
    }

    [Fact]
    public void Copies_of_removed_groups_are_draining_or_gone()
    {
        using JsonDocument json = Json("slab --groups 3 --objects 4 --removed -M rfc-2014-kmemcg");
        JsonElement design = json.RootElement.GetProperty("slab")[0];
        Assert.Equal(3, design.GetProperty("removed").GetInt32());
        JsonElement[] copies = [.. design.GetProperty("caches").EnumerateArray().Where(c => c.GetProperty("name").GetString()!.Contains('(', StringComparison.Ordinal))];
        Assert.NotEmpty(copies);
        Assert.All(copies, c => Assert.True(c.GetProperty("draining").GetBoolean()));
    }

    [Fact]
    public void An_offline_costs_a_step_for_each_copy_and_nothing_for_caches_that_are_shared()
    {
        using JsonDocument json = Json("offline --caches 1,100 --objects 1 --inherited 0 --reps 5 -M 5.3 -M 5.9");
        JsonElement[] all = [.. json.RootElement.GetProperty("offline").EnumerateArray()];
        double Least(string model, int n) => all.Single(r => r.GetProperty("model").GetString() == model
            && r.GetProperty("varied").GetString() == "caches" && r.GetProperty("n").GetInt32() == n).GetProperty("offline_ns").EnumerateArray().Min(v => v.GetDouble());
        Assert.True(Least("5.3", 100) > 5 * Least("5.3", 1), $"{Least("5.3", 1)} ns with one copy, {Least("5.3", 100)} with a hundred");
        Assert.True(Least("5.9", 100) < Least("5.3", 100) / 2, $"{Least("5.9", 100)} ns without copies, {Least("5.3", 100)} with a hundred");
        Assert.All(all, r => Assert.Equal(5, r.GetProperty("grace_ns").GetArrayLength()));
    }

    [Fact]
    public void The_table_of_offline_says_in_what_each_design_is_linear()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer answer = CliBox.Run(CliBox.Split("offline --caches 1,2,3 --objects 1,2,3 --inherited 0,1,2 --reps 2 -M 5.9 -q"));
        Assert.Equal((0, ""), (answer.Code, answer.Error));
        foreach (string varied in new[] { "caches", "objects", "inherited" }) Assert.Matches($"5.9: (linear|constant) in {varied}", answer.Out);
        Assert.Contains("from rmdir to it", answer.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_result_says_how_many_groups_were_held_and_by_what()
    {
        using JsonDocument json = Json("run offline-with-kmem -t 1 -d 20ms -r 1 -w 10ms --objects 16 -M 3.14 -M 5.9");
        JsonElement[] points = [.. json.RootElement.GetProperty("points").EnumerateArray()];
        JsonElement pinned = points[0].GetProperty("books").GetProperty("dying_groups");
        Assert.True(pinned.GetProperty("count").GetInt64() > 0);
        Assert.Equal(pinned.GetProperty("count").GetInt64(), pinned.GetProperty("by").GetProperty("cache").GetInt64());
        Assert.Equal(0, points[1].GetProperty("books").GetProperty("dying_groups").GetProperty("count").GetInt64());
    }

    [Fact]
    public void A_result_says_how_many_groups_were_dying_over_time()
    {
        using JsonDocument json = Json("run dentry-reclaim -t 1 -d 40ms -r 3 -w 10ms -M 3.14 -M 5.9");
        JsonElement[] points = [.. json.RootElement.GetProperty("points").EnumerateArray()];
        JsonElement[] pinned = [.. points[0].GetProperty("dying_over_time").EnumerateArray()];
        Assert.InRange(pinned.Length, 1, 200);
        Assert.Contains(pinned, n => n[1].GetInt64() > 0);
        Assert.All(points, p => Assert.True(p.GetProperty("books").GetProperty("balanced").GetBoolean()));
    }

    [Theory]
    [InlineData("5.9,kmem=ReparentCachesAsPosted", "kmem=ReparentCachesAsPosted is for the explorer only: an allocation uses a copy that it holds no reference on")]
    [InlineData("rfc-2019-ptr,kmem=ReparentPointerAsPosted", "kmem=ReparentPointerAsPosted is for the explorer only: the pointer is killed before the css reference")]
    public void A_design_as_posted_is_refused_in_a_normal_run(string model, string reason)
    {
        CliBox.Answer answer = CliBox.Run(CliBox.Split($"run kmalloc-32 -M {model} --dry-run"));
        Assert.Equal((2, ""), (answer.Code, answer.Out));
        Assert.Contains(reason, answer.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("dying -M 3.19",
        "--model: 3.19 charges no kernel objects; choose 3.14, rfc-2014-kmemcg, 5.3, rfc-2019-ptr, 5.9, 6.1, 6.12, 6.18, 7.1, or add kmem=ANSWER (`list axes`)")]
    [InlineData("dying --groups 0", "--groups: 0 is outside of 1 to 60000")]
    [InlineData("offline --caches 1,many", "--caches: 'many' is not a number")]
    public void A_wrong_command_is_one_line_and_exit_2(string command, string message)
    {
        CliBox.Answer answer = CliBox.Run(CliBox.Split(command));
        Assert.Equal((2, "", $"memcgnative: {message}"), (answer.Code, answer.Out, answer.Error.TrimEnd()));
    }
}
