// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json.Nodes;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>A run that is cut short between or within its fresh machines keeps what it measured, and an interrupted one can be continued.</summary>
[Collection(nameof(OsFaultAlone))]
public sealed class ResumeTests : IDisposable
{
    private const string Sweep = "sweep alloc-free -t 1 -M 3.19 -M 3.3 -d 8ms -r 6 --machines 3 -w 5ms --footprint 4M --seed 7 --no-html";
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("memcgnative-resume");

    public void Dispose()
    {
        OsFault.Disarm();
        folder.Delete(recursive: true);
    }

    /// <summary>Stopped in the first machine, between two, and within the second and third.</summary>
    [Theory]
    [InlineData("[1/6]")]
    [InlineData("[2/6]")]
    [InlineData("[5/6]")]
    public void An_interrupted_sweep_continues_and_equals_one_that_was_not(string at)
    {
        string whole = At("whole.json"), cut = At("cut.json");
        Assert.Equal(0, Run($"{Sweep} -o {whole}").Code);
        (int code, string error) = Run($"{Sweep} -o {cut}", stopAt: at);
        Assert.Equal(130, code);
        Assert.Contains($"memcgnative sweep --resume {cut}", error, StringComparison.Ordinal);
        Assert.Equal("interrupted", (string?)Read(cut)["status"]);

        Assert.Equal(0, Run($"sweep --resume {cut} --no-html").Code);
        Assert.Equal(Facts(Read(whole)), Facts(Read(cut)));
        Assert.Equal((2, $"memcgnative: {cut}: is complete: there is nothing to continue; --from {cut} measures it anew\n"), Run($"sweep --resume {cut}"));
    }

    [Fact]
    public void Interrupted_twice_it_still_equals()
    {
        string whole = At("whole.json"), cut = At("cut.json");
        Assert.Equal(0, Run($"{Sweep} -o {whole}").Code);
        Assert.Equal(130, Run($"{Sweep} -o {cut}", stopAt: "[2/6]").Code);
        Assert.Equal(130, Run($"sweep --resume {cut}", stopAt: "[4/6]").Code);
        Assert.Equal(0, Run($"sweep --resume {cut} --no-html").Code);
        Assert.Equal(Facts(Read(whole)), Facts(Read(cut)));
    }

    /// <summary>The comparison above is believed only because it sees another order, and a machine left out.</summary>
    [Fact]
    public void Another_seed_and_another_number_of_machines_are_told_apart()
    {
        Assert.Equal(0, Run($"{Sweep} -o {At("a.json")}").Code);
        Assert.Equal(0, Run($"{Sweep.Replace("--seed 7", "--seed 8", StringComparison.Ordinal)} -o {At("b.json")}").Code);
        Assert.Equal(0, Run($"{Sweep.Replace("--machines 3", "--machines 2", StringComparison.Ordinal)} -o {At("c.json")}").Code);
        Assert.NotEqual((string?)Read(At("a.json"))["order"], (string?)Read(At("b.json"))["order"]);
        Assert.NotEqual(Facts(Read(At("a.json"))), Facts(Read(At("c.json"))));
    }

    [Theory]
    [InlineData("the scenario", "damaged", "\"reps\": 6", "\"reps\": 7", ": was edited or damaged since it was written; --from ")]
    [InlineData("a number of the figures", "damaged", "\"block_ops\": ", "\"block_ops\": 1", ": was edited or damaged since it was written; --from ")]
    [InlineData("another build", "foreign", "\"version\": \"", "\"version\": \"9", ": was begun by version 9")]
    [InlineData("half a file", "damaged", "\"resume\": {", "\"resume\": ", "cut off or damaged at line ")]
    [InlineData("an older program", "foreign", "\"resume\":", "\"resumed\":", ": was interrupted, and holds nothing to continue from")]
    public void A_damaged_or_foreign_file_is_refused_in_one_line_and_stays_as_it_is(string what, string kind, string text, string instead, string line)
    {
        string cut = At("cut.json");
        Assert.Equal(130, Run($"{Sweep} -o {cut}", stopAt: "[3/6]").Code);
        string good = File.ReadAllText(cut);
        File.WriteAllText(cut, good.Replace(text, instead, StringComparison.Ordinal));
        Assert.NotEqual(good, File.ReadAllText(cut));
        (int code, string error) = Run($"sweep --resume {cut}");
        Assert.True(code == 2 && error.TrimEnd('\n').Contains(line, StringComparison.Ordinal) && error.Count(c => c == '\n') == 1, $"{kind}, {what}: exit {code}: {error}");
        Assert.Equal(good.Replace(text, instead, StringComparison.Ordinal), File.ReadAllText(cut));
    }

    [Theory]
    [InlineData("-t 2", "--threads")]
    [InlineData("-M 3.3", "--model")]
    [InlineData("--seed 7", "--seed")]
    [InlineData("--from x", "--from")]
    public void What_would_change_the_experiment_is_refused_beside_it(string option, string name) => Assert.Equal(
        (2, $"memcgnative: --resume: {name} is part of the experiment, which x.json tells; leave it out, or measure anew with --from x.json\n"),
        Run($"sweep --resume x.json {option}"));

    /// <summary>What a CPU does that is unplugged, or leaves the cpuset, between two machines: the next one cannot be pinned to it.</summary>
    [Fact]
    public void A_run_that_loses_a_CPU_between_two_machines_keeps_what_it_measured_and_says_what_was_lost()
    {
        string file = At("lost.json");
        (int code, string error) = Run($"{Sweep} -o {file}", onLine: line =>
        {
            if (line.Contains("[2/6]", StringComparison.Ordinal)) OsFault.Arm(OsCall.SchedSetaffinity, 1, Errno.EINVAL);
        });
        Assert.Equal(0, code);
        Assert.Contains("memcgnative: machine 2 of 3 could not be made: ", error, StringComparison.Ordinal);
        JsonNode result = Read(file);
        Assert.Equal("interrupted", (string?)result["status"]);
        Assert.StartsWith("machine 2 of 3 could not be made: --cpus: CPU ", (string?)result["lost"], StringComparison.Ordinal);
        foreach (JsonNode? point in result["points"]!.AsArray())
        {
            Assert.Equal(8, (int)point!["noise"]!["rounds_kept"]! + (int)point["noise"]!["rounds_dropped"]!);
            Assert.Equal("untrustworthy", (string?)point["throughput_ops_per_s"]!["trust"]);
            Assert.True((bool)point["books"]!["balanced"]!);
            Assert.Equal("as_asked", (string?)point["placement"]!["verdict"]);
        }
        Assert.Equal(6, Run($"{Sweep} --strict -o {file}", onLine: line =>
        {
            if (line.Contains("[2/6]", StringComparison.Ordinal)) OsFault.Arm(OsCall.SchedSetaffinity, 1, Errno.EINVAL);
        }).Code);
        OsFault.Disarm(); // the CPU is back
        Assert.Equal(0, Run($"sweep --resume {file} --no-html").Code);
        Assert.Null(Read(file)["lost"]);
    }

    [Fact]
    public void A_run_whose_first_machine_cannot_be_made_has_nothing_to_keep()
    {
        OsFault.Arm(OsCall.SchedSetaffinity, 1, Errno.EINVAL);
        Assert.Equal(3, Run($"{Sweep} -o {At("none.json")}").Code);
        Assert.False(File.Exists(At("none.json")));
    }

    private string At(string name) => Path.Combine(folder.FullName, name);

    private static JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(file))!;

    /// <summary>A result without what time makes of it: the figures themselves, and what was noise.</summary>
    private static string Facts(JsonNode result)
    {
        JsonObject all = result.DeepClone().AsObject();
        foreach (string time in new[] { "started", "environment", "fits", "runtime" }) all.Remove(time);
        foreach (JsonNode? ratio in all["ratios"]!.AsArray())
            foreach (string time in new[] { "ratio", "ci95", "hodges_lehmann", "rounds", "reason" }) ratio!.AsObject().Remove(time);
        foreach (JsonObject point in all["points"]!.AsArray().Select(p => p!.AsObject()))
        {
            JsonNode noise = point["noise"]!;
            point["rounds"] = (int)noise["rounds_kept"]! + (int)noise["rounds_dropped"]!;
            point.Remove("throughput_ops_per_s"); // a repetition without a clean round gives no sample
            foreach (JsonObject thread in point["per_thread"]!.AsArray().Select(t => t!.AsObject()))
                foreach (string time in new[] { "ops", "ops_per_s", "involuntary_switches" }) thread.Remove(time);
            JsonObject books = point["books"]!.AsObject();
            foreach (string time in new[] { "charged", "uncharged" }) books.Remove(time); // as many as there was time for; that they are equal is said by balanced
            foreach (string time in new[] { "latency_ns", "noise", "fairness", "counters", "locks" }) point.Remove(time);
        }
        return all.ToJsonString();
    }

    private static (int Code, string Error) Run(string line, string? stopAt = null, Action<string>? onLine = null)
    {
        using var stop = new CancellationTokenSource();
        using var stdout = new StringWriter();
        using var stderr = new Listener(text =>
        {
            onLine?.Invoke(text);
            if (stopAt is not null && text.Contains(stopAt, StringComparison.Ordinal)) stop.Cancel();
        });
        int code = Cli.Run(CliBox.Split(line), stdout, stderr, new CliEnvironment { Stop = stop.Token });
        return (code, stderr.ToString());
    }

    /// <summary>Hears what is written to stderr at once, before the run goes on.</summary>
    private sealed class Listener(Action<string> hear) : StringWriter
    {
        public override void Write(string? value)
        {
            base.Write(value);
            hear(value ?? "");
        }

        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            hear(value ?? "");
        }
    }
}
