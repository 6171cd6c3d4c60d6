// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json.Serialization;

namespace MemcgNative.Bench;

/// <summary>What `kernel probe` writes: raw samples, so that shapes can be computed anew.</summary>
internal sealed record ProbeResult
{
    [JsonPropertyName("$schema")] public string Schema { get; init; } = "memcgnative/probe-1";
    public required string Kernel { get; init; }
    public required string Cgroup { get; init; }
    public required string Started { get; init; }
    public required string Seed { get; init; }
    public required int CpusHere { get; init; }
    public required int LevelsHere { get; init; }
    public required long BatchNs { get; init; }
    public required IReadOnlyList<ProbeSeriesModel> Series { get; init; }
}

/// <summary>One loop in one place.</summary>
internal sealed record ProbeSeriesModel(string Loop, string Place, int Cpus, double[] OpsPerS, double MedianOpsPerS, double SpreadPct);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(ProbeResult))]
internal sealed partial class ProbeJson : JsonSerializerContext;
