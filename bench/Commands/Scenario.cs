// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>An experiment, fully resolved against a machine.</summary>
internal sealed record Scenario
{
    public required Topology Topology { get; init; }
    public required IReadOnlyList<WorkloadInfo> Workloads { get; init; }
    public required IReadOnlyList<CpuId> Cpus { get; init; }
    /// <summary>cores, compact, scatter or linear: how Cpus are ordered.</summary>
    public string Order { get; init; } = "cores";
    public required IReadOnlyList<int> Threads { get; init; }
    public required IReadOnlyList<NumaPolicy> Mem { get; init; }
    public required IReadOnlyList<PageKind> Pages { get; init; }
    public required string PagesText { get; init; }
    public required PlaceMap Place { get; init; }
    public required long FootprintBytes { get; init; }
    public required int FakeNodes { get; init; }
    public required RcuFlavour Rcu { get; init; }
    public required IReadOnlyList<Model> Models { get; init; }
    public required MemcgShape Shape { get; init; }
    public required Schedule Schedule { get; init; }
    public required bool Twin { get; init; }
    /// <summary>The mix of lru-churn.</summary>
    public ListShares Shares { get; init; } = ListShares.Default;
    /// <summary>The published experiment this is, or null.</summary>
    public Preset? Preset { get; init; }
    /// <summary>Is it asked whether this machine shows false sharing? Layouts are compared.</summary>
    public bool ProbesLines { get; init; }
    /// <summary>Is a prefetch tried by itself?</summary>
    public bool ProbesPrefetch { get; init; }
    public required int Objects { get; init; }
    /// <summary>The interrupted result that this goes on from, or null.</summary>
    public Result? Unfinished { get; init; }

    /// <summary>Points: a workload, a number of threads, a placement, a model; a twin is a point of its own.</summary>
    public int PointCount => Workloads.Count * Threads.Count * Mem.Count * Models.Count * (Twin ? 2 : 1);

    /// <summary>About how long it takes: batches, their canaries and wake-ups, single-operation batches, warm-up.</summary>
    public TimeSpan Estimate => TimeSpan.FromSeconds(1) + Schedule.Machines * ((Schedule.Warmup ?? TimeSpan.FromSeconds(0.3)) + SetUp * Mem.Count * Models.Count)
        + Schedule.Rounds * PointCount * (Schedule.Batch * 1.35);

    /// <summary>About how long one machine takes to build, prove and close: faulting in dominates.</summary>
    private TimeSpan SetUp => TimeSpan.FromSeconds(0.1 + FootprintBytes / 8e9);

    /// <summary>What all machines together need in frames, node by node; a policy that spreads takes the same of each of its nodes.</summary>
    public IEnumerable<(NodeId Node, long Bytes)> FrameBytes() =>
        from mem in Mem
        from model in Models
        from node in InstanceFor(mem, model).Nodes()
        let spread = mem.Mode is not NumaMode.Bind && mem.Nodes.Count > 1
        from at in spread ? mem.Nodes : [node.Physical]
        select (at, spread ? node.Bytes / mem.Nodes.Count + 1 : node.Bytes);

    /// <summary>The machine of one placement and one model; the CPUs are as many as the most threads.</summary>
    public InstancePlan InstanceFor(NumaPolicy mem, Model model) => new()
    {
        Topology = Topology,
        Cpus = [.. Cpus.Take(Threads.Max())],
        Mem = mem,
        Pages = Pages,
        FootprintBytes = FootprintBytes,
        Place = Place,
        Shape = Shape,
        Model = model,
        Rcu = Rcu,
        FakeNodes = FakeNodes,
        Shares = Shares,
        Seed = Schedule.Seed,
        GroupsBeside = Workloads.Sum(w => w.GroupsBeside) + Threads.Max(),
        Objects = Objects,
        ExtraGroups = 64 + Threads.Max() * (KmemRing.Objects / Objects + 2),
    };

    /// <summary>As the result file has it.</summary>
    public ScenarioModel ToModel() => new()
    {
        Workloads = [.. Workloads.Select(w => w.Name)],
        Models = [.. Models.Select(m => new DesignsModel(m.ToString(), Matrix.Bind(m, new DesignNamer())))],
        Cpus = CpuList.Format(Cpus),
        CpuOrder = [.. Cpus.Select(c => c.Value)],
        Threads = Threads,
        Mem = [.. Mem.Select(m => m.Text)],
        Pages = PagesText,
        Place = Place.ToString(),
        FootprintBytes = FootprintBytes,
        FakeNodes = FakeNodes,
        Rcu = Rcu.ToString().ToLowerInvariant(),
        Objects = Objects,
        Memcg = new MemcgModel(Shape.Depth, Shape.LeavesFor(Threads.Max()), Shape.Leaves == 0, Shape.LimitBytes),
        Reps = Schedule.Reps,
        DurationNs = (long)(Schedule.Duration.TotalSeconds * 1e9),
        WarmupNs = Schedule.Warmup is { } w ? (long)(w.TotalSeconds * 1e9) : null,
        BatchNs = (long)(Schedule.Batch.TotalSeconds * 1e9),
        Shares = Workloads.Any(w => w.Name == "lru-churn") ? Shares.ToString() : null,
        Machines = Schedule.Machines,
        UntilPct = Schedule.Until * 100,
        MaxTimeNs = Schedule.MaxTime is { } m ? (long)(m.TotalSeconds * 1e9) : null,
        Order = Order,
    };

    /// <summary>What --dry-run shows; touches nothing.</summary>
    public PlanModel ToPlan() => new(ToModel(), SeedText.Format(Schedule.Seed), Topology.IsSynthetic, PointCount,
        (long)(Estimate.TotalSeconds * 1e9),
        [.. Cpus.Take(Threads.Max()).Select((c, i) => new PlannedThread(i, c.Value, Topology.Cpu(c).Node.Value))],
        [.. Mem.SelectMany(m => InstanceFor(m, Models[0]).Nodes().Select(n => new PlannedNode(m.Text, n.Id.Value, n.Physical.Value, n.Bytes / MemMap.FrameBytes, n.Bytes,
            n.Bytes / MemMap.FrameBytes * Page.Bytes)))]);

    private sealed class DesignNamer : IControllerUser<string>
    {
        public string Use<TC>() where TC : struct, IMemoryController => TC.Describe;
    }
}
