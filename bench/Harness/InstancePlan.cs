// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>The groups an experiment makes: a chain of Depth - 1, below it Leaves groups; thread i belongs to leaf i modulo Leaves.</summary>
/// <param name="Depth">Levels below the root, at least 1.</param>
/// <param name="Leaves">Groups at the last level; 0 = one per thread (private).</param>
/// <param name="LimitBytes">Limit of each leaf, or null.</param>
internal sealed record MemcgShape(int Depth, int Leaves, long? LimitBytes)
{
    /// <summary>Leaves for a number of threads.</summary>
    public int LeavesFor(int threads) => Leaves == 0 ? threads : Leaves;
}

/// <summary>One machine to build: CPUs, frames, groups, designs. Everything resolved, nothing optional.</summary>
internal sealed record InstancePlan
{
    public required Topology Topology { get; init; }
    public required IReadOnlyList<CpuId> Cpus { get; init; }
    public required NumaPolicy Mem { get; init; }
    public required IReadOnlyList<PageKind> Pages { get; init; }
    public required long FootprintBytes { get; init; }
    public required PlaceMap Place { get; init; }
    public required MemcgShape Shape { get; init; }
    public required Model Model { get; init; }
    public required RcuFlavour Rcu { get; init; }
    public required int FakeNodes { get; init; }
    /// <summary>The mix of lru-churn.</summary>
    public ListShares Shares { get; init; } = ListShares.Default;
    /// <summary>Of everything that is shuffled.</summary>
    public ulong Seed { get; init; } = 1;
    /// <summary>Groups its workloads make right below the root.</summary>
    public int GroupsBeside { get; init; }
    /// <summary>Groups that workloads may make beside the shape's.</summary>
    public int ExtraGroups { get; init; } = 64;
    /// <summary>Of the groups an experiment on kernel memory makes, so many have their kernel objects charged, as the opt-in of 3.8 to 4.4 has it; null: all.</summary>
    public int? OptIn { get; init; }
    /// <summary>Objects a workload's groups get in their life.</summary>
    public int Objects { get; init; } = 32;

    /// <summary>Bytes a node's frames must be a multiple of.</summary>
    private long Granule => Math.Max(NodeSpec.Granule, Pages.Max(p => (long)p.Bytes));

    /// <summary>
    /// The allocator's nodes: for local, one on each node the CPUs belong to (or on the nearest with memory); for bind, one per node named;
    /// for a policy that spreads pages, one whose frames are spread.
    /// </summary>
    /// <exception cref="UsageException">remote with CPUs of several nodes, or too little memory for the fake nodes.</exception>
    public NodeSpec[] Nodes()
    {
        NodeId[] homes = [.. Cpus.Select(c => Topology.Cpu(c).Node).Distinct()];
        NodeId[] on = Mem.Mode switch
        {
            NumaMode.Bind => [.. Mem.Nodes],
            NumaMode.Remote => [Farthest(homes)],
            NumaMode.Local => [.. homes.Select(Nearest).Distinct().Order()],
            _ => [Mem.Nodes.Count > 0 ? Mem.Nodes[0] : Nearest(homes[0])],
        };
        long each = (FootprintBytes / on.Length + Granule - 1) / Granule * Granule;
        NodeSpec[] nodes = [.. on.Select(n => new NodeSpec(n, n, each))];
        if (FakeNodes == 0) return nodes;
        long blocks = each / Granule;
        return blocks >= FakeNodes ? NodeSpec.Fake(nodes, FakeNodes, Granule)
            : throw new UsageException($"--fake-nodes: {FakeNodes} parts of {SizeText.Format(each)} would be under {SizeText.Format(Granule)} each; give --footprint "
                + $"{SizeText.Format(Granule * FakeNodes * on.Length)} or fewer parts");
    }

    private NodeId Nearest(NodeId node) => Topology.NearestWithMemory(node) ?? throw new UsageException("--mem: no node here has memory this process may use", ofThisMachine: true);

    private NodeId Farthest(NodeId[] homes)
    {
        if (homes.Length > 1)
            throw new UsageException($"--mem remote: the CPUs chosen lie on nodes {NodeList.Format(homes)}, and remote is relative to one; add for example --cpus node:{homes[0]}");
        return Topology.FarthestWithMemory(homes[0]) ?? throw NumaPolicy.OneNode(Nearest(homes[0]));
    }
}
