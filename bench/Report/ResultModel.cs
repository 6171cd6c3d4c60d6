// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using System.Text.Json.Serialization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

// The result file: what was asked, on what, what came out, and the proof. Keys are the names below in snake_case, the unit last. A value
// that could not be had is null with its reason beside it; NaN is never written (the serializer throws). Only ever grows.

/// <summary>The whole file.</summary>
internal sealed record Result
{
    [JsonPropertyName("$schema")] public string Schema { get; init; } = "https://memcgnative/schema/result-1.json";
    public required ToolModel Tool { get; init; }
    public required string Started { get; init; }
    /// <summary>complete or interrupted.</summary>
    public required string Status { get; init; }
    public required string Seed { get; init; }
    public required ScenarioModel Scenario { get; init; }
    public required EnvironmentModel Environment { get; init; }
    public required IReadOnlyList<PointModel> Points { get; init; }
    /// <summary>C# against its C twin in the same rounds; empty without --twin.</summary>
    public required IReadOnlyList<RatioModel> Ratios { get; init; }
    public required RuntimeModel Runtime { get; init; }
    /// <summary>The published table beside ours; null without --preset.</summary>
    public PresetModel? Preset { get; init; }
    /// <summary>Whether layouts may be ranked on this machine; null where none were compared.</summary>
    public LineProbeModel? LineProbe { get; init; }
    /// <summary>null without --prefetch.</summary>
    public PrefetchModel? Prefetch { get; init; }

    // Added later: null in files of older programs.
    /// <summary>True for a result that nobody measured; every view of it says so.</summary>
    public bool? Synthetic { get; init; }
    /// <summary>Universal Scalability Law, per workload, model and placement.</summary>
    public IReadOnlyList<FitModel>? Fits { get; init; }
    /// <summary>Latency of the accounting's lines on this machine, where it was measured in the same session.</summary>
    public IReadOnlyList<MatrixModel>? Matrices { get; init; }
    /// <summary>A hash (64 bits, hexadecimal) of the order in which the rounds of the points were measured; the seed decides it.</summary>
    public string? Order { get; init; }
    /// <summary>Why not all machines were made: a CPU or memory was taken away under the run. Null when none was.</summary>
    public string? Lost { get; init; }
    /// <summary>What --resume goes on from; null unless interrupted.</summary>
    public ResumeModel? Resume { get; init; }
}

internal sealed record ToolModel(string Version, string Runtime, bool Tiered, string Gc);

/// <summary>A model as -M takes it, and the answers it stands for.</summary>
internal sealed record DesignsModel(string Model, string Designs);

/// <summary>Everything that was asked, resolved: from it the run can be repeated.</summary>
internal sealed record ScenarioModel
{
    public required IReadOnlyList<string> Workloads { get; init; }
    public required IReadOnlyList<DesignsModel> Models { get; init; }
    public required string Cpus { get; init; }
    public required IReadOnlyList<int> CpuOrder { get; init; }
    public required IReadOnlyList<int> Threads { get; init; }
    public required IReadOnlyList<string> Mem { get; init; }
    public required string Pages { get; init; }
    public required string Place { get; init; }
    public required long FootprintBytes { get; init; }
    public required int FakeNodes { get; init; }
    public required string Rcu { get; init; }
    public required MemcgModel Memcg { get; init; }
    /// <summary>Objects a group gets in its life in the workloads that make groups.</summary>
    public int Objects { get; init; }
    public required int Reps { get; init; }
    public required long DurationNs { get; init; }
    public required long? WarmupNs { get; init; }
    public required long BatchNs { get; init; }
    /// <summary>The mix of lru-churn, where it runs.</summary>
    public string? Shares { get; init; }
    /// <summary>Fresh machines the repetitions are spread over.</summary>
    public int? Machines { get; init; }
    public double? UntilPct { get; init; }
    public long? MaxTimeNs { get; init; }
    public string? Order { get; init; }
}

internal sealed record MemcgModel(int Depth, int Groups, bool Private, long? LimitBytes);

internal sealed record EnvironmentModel(TopologyModel Host, IReadOnlyDictionary<string, SettingModel> Settings, IReadOnlyList<WarningModel> Warnings);

internal sealed record SettingModel(string? Value, string? Reason);

internal sealed record WarningModel(string Id, string Text, string? Fix);

/// <summary>A workload with a number of threads on one placement of memory.</summary>
internal sealed record PointModel
{
    public required string Workload { get; init; }
    public required string Operation { get; init; }
    public required string Model { get; init; }
    public required string Mem { get; init; }
    public required int Threads { get; init; }
    public required ThroughputModel ThroughputOpsPerS { get; init; }
    public required LatencyModel LatencyNs { get; init; }
    public required IReadOnlyList<ThreadModel> PerThread { get; init; }
    public required IReadOnlyDictionary<string, CounterModel> Counters { get; init; }
    public required PlacementModel Placement { get; init; }
    public required BooksModel Books { get; init; }
    /// <summary>The list locks, the busiest first; of all points of the same model and placement together.</summary>
    public IReadOnlyList<LockModel> Locks { get; init => field = value ?? []; } = []; // older files have none
    public required NoiseModel Noise { get; init; }
    public FairnessModel? Fairness { get; init; }
    /// <summary>Groups that were removed and are held, after batches of the first machine: pairs of ms measured and groups. null where there was never one.</summary>
    public IReadOnlyList<long[]>? DyingOverTime { get; init; }
}

internal sealed record ThroughputModel(IReadOnlyList<double> Samples, double? Median, IReadOnlyList<double>? Ci95, double? SpreadPct, string? Reason, string Trust,
    IReadOnlyList<string> TrustReasons)
{
    /// <summary>Which fresh machine each sample is from: samples of one share where its memory happened to lie.</summary>
    public IReadOnlyList<int>? Machines { get; init; }
}

/// <summary>block = 1: times of single operations. Otherwise of blocks, divided by their length: the spread within a block is not seen.</summary>
internal sealed record LatencyModel(double ClockOverheadNs, long Block, bool PercentilesOfBlocks, long Count, IReadOnlyDictionary<string, double?> Percentile,
    HistogramModel Histogram);

/// <summary>Pairs of value (ns of a whole block) and count; scale = bits of sub-buckets per power of two.</summary>
internal sealed record HistogramModel(int Scale, IReadOnlyList<long[]> Buckets);

internal sealed record ThreadModel(int Cpu, int Node, long Ops, long Failed, double? OpsPerS, long? Migrations, long? InvoluntarySwitches, string? Reason);

internal sealed record CounterModel(double? Value, string Per, string? Reason);

internal sealed record PlacementModel
{
    public required string Method { get; init; }
    public required string Asked { get; init; }
    public required IReadOnlyDictionary<string, long> Found { get; init; }
    public required IReadOnlyDictionary<string, long>? FoundAfter { get; init; }
    public required long FrameBytes { get; init; }
    public required string Pages { get; init; }
    public required IReadOnlyList<string> When { get; init; }
    public required string Verdict { get; init; }
    public required string? Reason { get; init; }
    public required bool FakeNodes { get; init; }
    public required IReadOnlyDictionary<string, IReadOnlyDictionary<string, long>> MetadataBytes { get; init; }
}

internal sealed record BooksModel(bool Balanced, long Charged, long Uncharged, long Resident, long Stocked, long OnLists, DyingModel DyingGroups, IReadOnlyList<string> Wrong);

/// <summary>
/// Groups that were removed and not freed when the workloads ended, and by what each is held first: cache, kernel page, page, swap entry (by the
/// group's id), stock, byte stock, dying child, other.
/// </summary>
internal sealed record DyingModel(long Count, IReadOnlyDictionary<string, long> By)
{
    public static DyingModel operator +(DyingModel a, DyingModel b) => new(a.Count + b.Count,
        a.By.Concat(b.By).GroupBy(x => x.Key).ToDictionary(g => g.Key, g => g.Sum(x => x.Value)));
}

/// <summary>`dying`, `offline` and `slab` as JSON; the two that were not asked for are null.</summary>
internal sealed record KmemResult
{
    [JsonPropertyName("$schema")] public string Schema { get; init; } = "https://memcgnative/schema/kmem-1.json";
    public required ToolModel Tool { get; init; }
    public required string Seed { get; init; }
    /// <summary>Groups that opted in to the charge of kernel objects; null: all.</summary>
    public int? OptIn { get; init; }
    public IReadOnlyList<DyingReport>? Dying { get; init; }
    public IReadOnlyList<OfflineReport>? Offline { get; init; }
    public IReadOnlyList<SlabReport>? Slab { get; init; }
    /// <summary>Everything that does not balance; empty in a sound run.</summary>
    public required IReadOnlyList<string> Wrong { get; init; }
}

/// <summary>
/// One list lock. wait_ns: of all contended acquisitions together; held_ns: of all holds, null unless the lock's kind is timed;
/// retries: acquisitions that found the page elsewhere under the lock and tried again 1, 2-3, 4-7, ... times.
/// </summary>
internal sealed record LockModel(string Name, long Acquired, long Contended, double WaitNs, double? HeldNs, long Pages, IReadOnlyList<long> Retries);

internal sealed record NoiseModel(double? PsiCpuSomeAvg10, string? PsiReason, double? StealPct, int RoundsKept, int RoundsDropped, double? SpreadPct)
{
    /// <summary>Share of the run in which some task waited for a CPU, percent; the average beside it is of the ten seconds before.</summary>
    public double? PsiCpuSomePct { get; init; }
    /// <summary>Speeds that stand out among the rounds, as multiples of the median.</summary>
    public IReadOnlyList<double>? Modes { get; init; }
    /// <summary>Median of a loop bound by the ALU, in rounds that count: how fast the CPU itself was.</summary>
    public double? CanaryNs { get; init; }
    /// <summary>Speed of the CPUs in rounds that count, as a part of the best the run saw with so many threads (0 to 1).</summary>
    public double? CpuSpeed { get; init; }
    /// <summary>Rounds beside a busy sibling count, as hardly any round of the run had the cores to itself; never a mixture of both.</summary>
    public bool BesideNeighbour { get; init; }
    /// <summary>Repetitions that would bring the interval within 1 % of the median; null when it is there already.</summary>
    public int? RepsFor1Pct { get; init; }
}

/// <summary>Jain's index, and the slowest and fastest CPU against the mean of all.</summary>
internal sealed record FairnessModel(double Jain, double SlowestPct, int SlowestCpu, double FastestPct, int FastestCpu);

/// <summary>lambda in operations per second; se in the order lambda, sigma, kappa. Reason: why nothing was fitted.</summary>
internal sealed record FitModel(string Workload, string Model, string Mem, double? Lambda, double? Sigma, double? Kappa, IReadOnlyList<double?>? Se, double? R2, KneeModel? Knee,
    string? Reason);

/// <summary>Threads at which the curve turns down.</summary>
internal sealed record KneeModel(double Threads, double? Error);

internal sealed record RatioModel(string Workload, string Model, string Mem, int Threads, string Against,
    double? Ratio, IReadOnlyList<double>? Ci95, double? HodgesLehmann, int Rounds, long Failed,
    string? Reason);

/// <summary>All three are 0 in a sound run.</summary>
internal sealed record RuntimeModel(long ManagedBytes, int Collections, int CompiledMethods, long Migrations, string Warmup);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DictionaryKeyPolicy = JsonKnownNamingPolicy.Unspecified, WriteIndented = true,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, AllowDuplicateProperties = false)]
[JsonSerializable(typeof(Result))]
[JsonSerializable(typeof(TopologyModel))]
[JsonSerializable(typeof(PlacementReport))]
[JsonSerializable(typeof(KmemResult))]
[JsonSerializable(typeof(ListModel))]
[JsonSerializable(typeof(PlanModel))]
[JsonSerializable(typeof(MatrixReport))]
[JsonSerializable(typeof(LedgerModel[]))]
[JsonSerializable(typeof(ComparisonReport))]
[JsonSerializable(typeof(ProofReport))]
[JsonSerializable(typeof(DoctorReport))]
internal sealed partial class ResultJson : JsonSerializerContext;

/// <summary>`list` as JSON.</summary>
internal sealed record ListModel(IReadOnlyList<EraModel>? Eras, IReadOnlyList<AnswerModel>? Axes, IReadOnlyList<NamedModel>? Workloads, IReadOnlyList<NamedModel>? Presets);
internal sealed record EraModel(string Name, string Author, string Date, string Subject, string Fate, IReadOnlyDictionary<string, string> Answers, IReadOnlyList<string> Counters);
internal sealed record AnswerModel(string Axis, string Name, string What);
internal sealed record NamedModel(string Name, string What);

/// <summary>`placement` as JSON.</summary>
internal sealed record PlacementReport(string Policy, string Applied, long Bytes, string Pages, double MapAndProveS, PlacementModel Placement);

/// <summary>--dry-run as JSON.</summary>
internal sealed record PlanModel(ScenarioModel Scenario, string Seed, bool Synthetic, int Points, long EstimateNs, IReadOnlyList<PlannedThread> Threads,
    IReadOnlyList<PlannedNode> Nodes);
internal sealed record PlannedThread(int Thread, int Cpu, int Node);
internal sealed record PlannedNode(string Mem, int Node, int OnNode, long Frames, long Bytes, long MemMapBytes);

/// <summary>Numbers that may be written.</summary>
internal static class Finite
{
    public static double? OrNull(double? v) => v is { } d && double.IsFinite(d) ? d : null;
}
