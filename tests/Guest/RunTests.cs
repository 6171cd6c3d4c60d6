// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>Measured runs on several nodes: frames and metadata where they were asked for, before and after, and balanced books.</summary>
public sealed class RunTests
{
    public static TheoryData<string> Kernels => [.. Machines.Kernels];

    [Theory]
    [MemberData(nameof(Kernels))]
    public void The_sweep_runs_on_local_interleaved_and_remote_memory(string kernel)
    {
        JsonElement[] points = [.. Machines.Pairs(kernel)["sweep"].Result.GetProperty("points").EnumerateArray()];
        Assert.Equal(6, points.Length);
        foreach (JsonElement point in points)
        {
            Sound(point);
            Assert.Equal(point.GetProperty("mem").GetString() switch { "local" => "0:16384", "remote" => "2:16384", _ => "0:4096 1:4096 2:4096 3:4096" },
                Answer.Spread(point.GetProperty("placement").GetProperty("found")));
        }
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Metadata_lies_where_it_was_placed(string kernel)
    {
        JsonElement point = Machines.Pairs(kernel)["place"].Result.GetProperty("points")[0];
        Sound(point);
        JsonElement found = point.GetProperty("placement").GetProperty("metadata_bytes");
        Assert.Equal(["1"], NodesOf(found, "mem_map"));
        Assert.Equal(["2"], NodesOf(found, "percpu"));
        Assert.Equal(["3"], NodesOf(found, "memcg"));
        Assert.Equal(["0"], NodesOf(found, "zones"));
        Assert.Equal(1, found.GetProperty("mem_map").GetProperty("1").GetInt64() / (16384 * 64));
        Assert.Equal(["0", "3"], NodesOf(found, "mm"));
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Metadata_is_local_unless_placed(string kernel)
    {
        JsonElement point = Machines.Pairs(kernel)["beside"].Result.GetProperty("points")[0];
        Sound(point);
        JsonElement proof = point.GetProperty("placement");
        Assert.Equal("0:8192 3:8192", Answer.Spread(proof.GetProperty("found")));
        Assert.Equal("0:524288 3:524288", Answer.Spread(proof.GetProperty("metadata_bytes").GetProperty("mem_map")));
        Assert.Equal(["0", "3"], NodesOf(proof.GetProperty("metadata_bytes"), "percpu"));
        Assert.Equal(["0", "3"], NodesOf(proof.GetProperty("metadata_bytes"), "mm"));
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void A_CPU_without_memory_of_its_own_runs_on_its_nearest_node(string kernel)
    {
        JsonElement point = Machines.Odd(kernel)["run"].Result.GetProperty("points")[0];
        Sound(point);
        Assert.Equal("0:16384", Answer.Spread(point.GetProperty("placement").GetProperty("found")));
        Assert.Equal([0, 1], point.GetProperty("per_thread").EnumerateArray().Select(t => t.GetProperty("node").GetInt32()));
    }

    [Theory]
    [InlineData("6.1", "unplug", 7, "gone", "memcgnative: --cpus: CPU 7 is offline")]
    [InlineData("6.12", "unplug", 7, "gone", "memcgnative: --cpus: CPU 7 is offline")]
    [InlineData("6.1", "shrink", 5, "outside", "memcgnative: --cpus: CPU 5 is online but outside this process's cpuset (allowed: 0-4)")]
    [InlineData("6.12", "shrink", 5, "outside", "memcgnative: --cpus: CPU 5 is online but outside this process's cpuset (allowed: 0-4)")]
    public void A_CPU_that_is_taken_away_under_a_sweep_spoils_its_figures_and_not_its_books(string kernel, string job, int cpu, string next, string refusal)
    {
        JsonElement result = Machines.Pairs(kernel)[job].Result, point = result.GetProperty("points")[0];
        Assert.True(point.GetProperty("books").GetProperty("balanced").GetBoolean());
        Assert.Equal("untrustworthy", point.GetProperty("throughput_ops_per_s").GetProperty("trust").GetString());
        // Within a machine its thread goes on elsewhere; between two the next cannot be made, and what was measured before is kept.
        string reasons = point.GetProperty("throughput_ops_per_s").GetProperty("trust_reasons").ToString();
        Assert.Matches($@"CPU {cpu} was lost: its thread was found on CPU |machine \d+ of 100 could not be made: --cpus: CPU {cpu} ", reasons);
        Assert.Equal("interrupted", result.GetProperty("status").GetString());
        Answer after = Machines.Pairs(kernel)[next];
        Assert.Equal(3, after.Status);
        Assert.StartsWith(refusal, after.Error, StringComparison.Ordinal);
    }

    /// <summary>Placed as asked before and after, pages in balance, every thread on its CPU.</summary>
    private static void Sound(JsonElement point)
    {
        JsonElement proof = point.GetProperty("placement");
        Assert.Equal("as_asked", proof.GetProperty("verdict").GetString());
        Assert.Equal(Answer.Spread(proof.GetProperty("found")), Answer.Spread(proof.GetProperty("found_after")));
        JsonElement books = point.GetProperty("books");
        Assert.True(books.GetProperty("balanced").GetBoolean(), books.ToString());
        Assert.True(books.GetProperty("charged").GetInt64() > 0);
        Assert.All(point.GetProperty("per_thread").EnumerateArray(), t => Assert.Equal(0, t.GetProperty("migrations").GetInt64()));
    }

    private static string[] NodesOf(JsonElement metadata, string name) => [.. metadata.GetProperty(name).EnumerateObject().Select(n => n.Name)];
}
