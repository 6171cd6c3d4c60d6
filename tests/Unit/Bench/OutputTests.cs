// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class OutputTests
{
    private static CliEnvironment Env(bool terminal, params (string Name, string Value)[] variables) => new()
    {
        OutIsTerminal = terminal,
        Variable = name => Array.Find(variables, v => v.Name == name).Value,
    };

    private static string List(CliEnvironment environment, params string[] more) => CliBox.Run("", ["list", "axes", .. more], environment).Out;

    [Fact]
    public void Redirected_output_has_no_escapes_and_no_wrapped_cell()
    {
        string text = List(Env(false, ("TERM", "xterm"), ("COLUMNS", "40")));
        Assert.DoesNotContain('\u001b', text);
        Assert.Matches(@"PageCounter192 +atomic add per level, usage alone on its line, 192 bytes \(6\.18\)", text);
    }

    [Theory]
    [InlineData("NO_COLOR", "1")]
    [InlineData("TERM", "dumb")]
    public void A_terminal_that_wants_no_escapes_gets_none(string name, string value) =>
        Assert.DoesNotContain('\u001b', List(Env(true, ("COLUMNS", "200"), (name, value))));

    [Theory]
    [InlineData("80")]
    [InlineData("200")]
    public void Plain_text_has_only_ascii_where_the_locale_asks_for_it(string columns)
    {
        string text = List(Env(true, ("TERM", "xterm"), ("COLUMNS", columns)), "--color", "never");
        Assert.All(text, c => Assert.True(c < 128, $"'{c}'"));
        Assert.All(CliBox.Run("two-sockets", ["topology"]).Out, c => Assert.True(c < 128, $"'{c}'"));
    }

    [Fact]
    public void Help_and_version_are_results_and_go_to_stdout()
    {
        CliBox.Answer help = CliBox.Run("run", "--help"), version = CliBox.Run("--version");
        Assert.Equal((0, "", 0, ""), (help.Code, help.Error, version.Code, version.Error));
        Assert.Contains("--place", help.Out, StringComparison.Ordinal);
        Assert.Matches(@"^\d+\.\d+\.\d+", version.Out);
    }

    [Fact]
    public void A_sweep_without_options_compares_local_memory_with_every_other_node_and_stays_under_a_minute()
    {
        foreach (string machine in (string[])["vm-one-node", "two-sockets", "eight-nodes-256-cpus", "1280-cpus", "nodes-4-to-7", "cxl", "memory-less-node"])
        {
            CliBox.Answer plan = CliBox.Run(machine, CliBox.Split("sweep --dry-run --format json"));
            Assert.Equal((0, ""), (plan.Code, plan.Error));
            using var json = JsonDocument.Parse(plan.Out);
            Topology t = Machines.Load(machine);
            Assert.Equal(t.Nodes.Count(n => n.HasMemory && n.IsAllowed), json.RootElement.GetProperty("scenario").GetProperty("mem").GetArrayLength());
            Assert.InRange(json.RootElement.GetProperty("estimate_ns").GetInt64(), 1, 60_000_000_000);
        }
    }

    [Fact]
    public void A_result_never_holds_nan_and_says_why_a_value_is_missing()
    {
        Assert.Null(Finite.OrNull(double.NaN));
        Assert.Null(Finite.OrNull(double.PositiveInfinity));
        Assert.Equal(1, Finite.OrNull(1));
        var model = new CounterModel(double.NaN, "op", null);
        Assert.Throws<ArgumentException>(() => JsonSerializer.Serialize(model, ResultJson.Default.CounterModel));
    }

    [Theory, InlineData("result-1.json", typeof(Result)), InlineData("kmem-1.json", typeof(KmemResult))]
    public void The_schema_in_the_repository_is_what_the_types_say(string file, Type type)
    {
        string path = Path.Combine(ResultSchema.Directory, file), text = ResultSchema.Text(type);
        if (Environment.GetEnvironmentVariable("MEMCGNATIVE_UPDATE_FIXTURES") == "1") File.WriteAllText(path, text);
        Assert.Equal(File.ReadAllText(path), text);
    }

    [Fact]
    public void Two_models_run_in_the_same_rounds_and_the_second_is_set_against_the_first()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        using JsonDocument json = CliBox.Measured("run charge-uncharge -q -t 1 -r 3 -w 20ms -M 3.19 -M 3.19,stock=None --format json", 60, atLeast: 2);
        Assert.Equal(["3.19", "3.19,stock=None"], json.RootElement.GetProperty("points").EnumerateArray().Select(p => p.GetProperty("model").GetString()!));
        JsonElement ratio = Assert.Single(json.RootElement.GetProperty("ratios").EnumerateArray());
        Assert.Equal(("3.19,stock=None", "3.19"), (ratio.GetProperty("model").GetString(), ratio.GetProperty("against").GetString()));
        Assert.True(ratio.GetProperty("ratio").GetDouble() > 2, "a locked add per level costs more than the stock");
    }

    [Theory]
    [InlineData("stock=None")]
    [InlineData("stock=SingleSlot64,counter=PageCounter192")]
    [InlineData("stock=SevenSlot64,lru.lock=mcs")]
    [InlineData("lru.lock=tas")]
    [InlineData("lru=Books")]
    [InlineData("lru=Books,lru.switch=W2,lru.destroy=recycle,lru.lock=mcs")]
    [InlineData("lru=Books,lru.slice=interleave:4@12,lru.destroy=refcount,lru.pending=on")]
    [InlineData("lru=Books,lru.slice=2M,lru.lock=tas")]
    [InlineData("lru=LruvecLruBit")]
    [InlineData("lru=LruvecRecheck,lru.lock=mcs")]
    public void Every_answer_can_be_run_and_its_books_balance(string overrides)
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer answer = CliBox.Run(CliBox.Split($"sweep -q -d 2ms -r 1 -w 5ms --groups 3 --depth 3 --limit 1M -M 3.19,{overrides} --format json"));
        Assert.Equal((0, ""), (answer.Code, answer.Error));
        Assert.DoesNotContain("\"balanced\": false", answer.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Refused_operations_are_no_throughput_and_make_the_point_untrustworthy()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        string line = "run charge-uncharge -q -d 4ms -r 3 -w 5ms -t 1 --limit 64K";
        CliBox.Answer answer = CliBox.Run(CliBox.Split(line + " --format json"));
        Assert.Equal((0, ""), (answer.Code, answer.Error));
        using var json = JsonDocument.Parse(answer.Out);
        JsonElement point = json.RootElement.GetProperty("points")[0], thread = point.GetProperty("per_thread")[0], throughput = point.GetProperty("throughput_ops_per_s");
        Assert.True(thread.GetProperty("failed").GetInt64() > 0 && thread.GetProperty("failed").GetInt64() % 16 == 0, "of each 32, 16 find no room");
        Assert.Equal(thread.GetProperty("failed").GetInt64(), thread.GetProperty("ops").GetInt64());
        Assert.Equal("untrustworthy", throughput.GetProperty("trust").GetString());
        Assert.Contains("operations (50 %) were refused and do not count", throughput.GetProperty("trust_reasons")[0].GetString(), StringComparison.Ordinal);
        Assert.Matches(@"p99\.9\s+failed\s+rounds", CliBox.Run(CliBox.Split(line)).Out);
    }

    [Fact]
    public void A_canary_is_held_against_those_of_as_many_threads_and_times_of_disturbed_batches_are_dropped()
    {
        var watch = new CanaryWatch();
        Assert.True(watch.IsClean(new CpuId(0), 1, 100));
        Assert.True(watch.IsClean(new CpuId(0), 2, 160));
        Assert.False(watch.IsClean(new CpuId(0), 1, 160));
        using LatencyHistogram all = new(), batch = new();
        unsafe
        {
            LatencyHistogram.Add(batch.Counts, 5000);
            all.Take(batch, 5000, kept: false);
            LatencyHistogram.Add(batch.Counts, 300);
            all.Take(batch, 5000, kept: true);
        }
        Assert.Equal((1, 0, 300), (all.Total, batch.Total, all.Quantile(1)!.Value / 2 * 2));
    }

    [Fact]
    public void Fake_nodes_are_run_and_said_to_mean_no_distance()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer answer = CliBox.Run(CliBox.Split("run fault -q -d 2ms -r 1 -w 5ms --fake-nodes 4"));
        Assert.Equal((0, ""), (answer.Code, answer.Error));
        Assert.Contains("fake nodes: distances mean nothing", answer.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_c_twin_runs_in_the_same_rounds_or_says_that_there_is_no_compiler()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer none = CliBox.Run("", CliBox.Split("run alloc-free -q --twin"), new CliEnvironment { Variable = n => n == "CC" ? "/no/such/cc" : null });
        Assert.Equal((3, "memcgnative: --twin: no C compiler here (/no/such/cc). Install one (apt-get install gcc), name it in CC, or leave --twin out"
            + Environment.NewLine), (none.Code, none.Error));
        if (!File.Exists("/usr/bin/cc")) Assert.Skip("no C compiler");
        foreach (string workload in (string[])["alloc-free", "charge-uncharge"])
        {
            CliBox.Answer answer = CliBox.Run("", CliBox.Split($"run {workload} -q -t 1 -d 20ms -r 2 -w 5ms --twin --format json"));
            Assert.Equal((0, ""), (answer.Code, answer.Error));
            using var json = JsonDocument.Parse(answer.Out);
            JsonElement twin = json.RootElement.GetProperty("ratios")[0];
            Assert.Equal(0, twin.GetProperty("failed").GetInt64());
            Assert.True(json.RootElement.GetProperty("points")[0].GetProperty("books").GetProperty("balanced").GetBoolean());
        }
    }
}
