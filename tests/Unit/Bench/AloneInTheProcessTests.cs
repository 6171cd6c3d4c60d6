// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

[Collection(nameof(OsFaultAlone))] // count mappings and collections of the whole process
public sealed class AloneInTheProcessTests
{
    [Fact]
    public void A_dry_run_names_thread_cpu_and_node_and_touches_no_machine()
    {
        int before = OsFault.Count(OsCall.Mmap);
        CliBox.Answer plan = CliBox.Run("pack:2 numa:2 core:2 pu:2", CliBox.Split("run fault -C node:3 -t 2 -m remote --dry-run --seed 7"));
        Assert.Equal((0, ""), (plan.Code, plan.Error));
        Assert.Contains("thread   0 -> cpu 12 -> node 3", plan.Out, StringComparison.Ordinal);
        Assert.Contains("memory   remote: node 0: 16384 frames, 64M in 4K pages, mem_map 1M", plan.Out, StringComparison.Ordinal);
        Assert.Equal(before, OsFault.Count(OsCall.Mmap));
    }

    [Fact]
    public void A_short_run_gives_one_json_document_with_the_proof_beside_the_numbers()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("runs on Linux");
        CliBox.Answer answer = CliBox.Run(CliBox.Split("run fault -q -t 1 -d 60ms -r 3 -w 20ms --depth 2 --private --format json --seed 7"));
        Assert.Equal((0, ""), (answer.Code, answer.Error));
        using var json = JsonDocument.Parse(answer.Out);
        JsonElement root = json.RootElement, point = root.GetProperty("points")[0];
        Assert.Equal("0x7", root.GetProperty("seed").GetString());
        Assert.Equal(3, point.GetProperty("throughput_ops_per_s").GetProperty("samples").GetArrayLength());
        Assert.Equal("as_asked", point.GetProperty("placement").GetProperty("verdict").GetString());
        Assert.True(point.GetProperty("books").GetProperty("balanced").GetBoolean());
        Assert.Equal(0, root.GetProperty("runtime").GetProperty("managed_bytes").GetInt64());
        Assert.Equal(0, root.GetProperty("runtime").GetProperty("collections").GetInt32());
        Assert.All(point.GetProperty("counters").EnumerateObject(), c =>
            Assert.True(c.Value.GetProperty("value").ValueKind == JsonValueKind.Null ? c.Value.GetProperty("reason").GetString()!.Length > 5
                : c.Value.GetProperty("value").GetDouble() >= 0));
        Assert.DoesNotContain("NaN", answer.Out, StringComparison.Ordinal);
    }
}
