// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;

namespace MemcgNative.Native;

/// <summary>
/// What a machine is made of: nodes, packages, L3 domains, cores, CPUs, distances, and what of it this process may use.
/// Immutable; read once at set-up. CPUs and nodes carry the system's numbers (sparse); cores, L3 domains and packages are numbered densely.
/// </summary>
public sealed class Topology
{
    private readonly int[] _cpuIndex;
    private readonly int[] _nodeIndex;

    internal Topology(TopologyFacts facts)
    {
        Origin = facts.Origin;
        IsThisMachine = facts.IsThisMachine;
        IsSynthetic = facts.IsSynthetic;
        HasDistances = facts.HasDistances;
        ProcessorGroups = facts.ProcessorGroups;

        Packages = [.. facts.Cpus.GroupBy(c => c.Package).OrderBy(g => g.Key).Select((g, i) => new PackageInfo(i, g.Key, Ids(g)))];
        Cores = [.. facts.Cpus.GroupBy(c => c.Core).OrderBy(g => g.Min(c => c.Id)).Select((g, i) => new CoreInfo(i, Ids(g)))];
        L3Domains = [.. facts.Cpus.Where(c => c.L3 >= 0).GroupBy(c => c.L3).OrderBy(g => g.Min(c => c.Id))
            .Select((g, i) => new L3Info(i, g.First().L3Bytes, Ids(g)))];
        var packageOf = IndexOf(Packages.Select(p => p.Cpus));
        var coreOf = IndexOf(Cores.Select(c => c.Cpus));
        var l3Of = IndexOf(L3Domains.Select(l => l.Cpus));

        Cpus = [.. facts.Cpus.OrderBy(c => c.Id).Select(c => new CpuInfo(new CpuId(c.Id), new NodeId(c.Node), coreOf[c.Id], packageOf[c.Id],
            l3Of.GetValueOrDefault(c.Id, -1), Cores[coreOf[c.Id]].Cpus.IndexOf(new CpuId(c.Id)),
            facts.IsolatedCpus.Contains(c.Id), facts.AllowedCpus?.Contains(c.Id) ?? true))];
        var cpusOf = Cpus.ToLookup(c => c.Node.Value, c => c.Id);
        Nodes = [.. facts.Nodes.OrderBy(n => n.Id).Select(n => new NodeInfo(new NodeId(n.Id), [.. cpusOf[n.Id]], n.HasMemory, n.MemoryBytes, n.FreeBytes,
            n.HugePages, n.Distances, facts.AllowedNodes?.Contains(n.Id) ?? true))];

        OfflineCpus = [.. facts.OfflineCpus.Order().Select(n => new CpuId(n))];
        IsolatedCpus = [.. Cpus.Where(c => c.IsIsolated).Select(c => c.Id)];
        AllowedCpus = [.. Cpus.Where(c => c.IsAllowed).Select(c => c.Id)];
        AllowedNodes = [.. Nodes.Where(n => n.IsAllowed).Select(n => n.Id)];
        _cpuIndex = Positions(Cpus.Select(c => c.Id.Value));
        _nodeIndex = Positions(Nodes.Select(n => n.Id.Value));
    }

    /// <summary>Where this description comes from: "this machine", "recorded: NAME" or "synthetic: pack:2 ...".</summary>
    public string Origin { get; }

    /// <summary>Threads can be pinned and memory placed by it; false for recorded and synthetic machines.</summary>
    public bool IsThisMachine { get; }

    /// <summary>Made up: reports must say so.</summary>
    public bool IsSynthetic { get; }

    /// <summary>The system reports node distances; where it does not, they read 10 and 20.</summary>
    public bool HasDistances { get; }

    /// <summary>Online CPUs, ascending.</summary>
    public ImmutableArray<CpuInfo> Cpus { get; }

    /// <summary>Cores in order of their first CPU.</summary>
    public ImmutableArray<CoreInfo> Cores { get; }

    /// <summary>L3 domains in order of their first CPU; empty where the system reports none.</summary>
    public ImmutableArray<L3Info> L3Domains { get; }

    /// <summary>Packages in order of the system's number.</summary>
    public ImmutableArray<PackageInfo> Packages { get; }

    /// <summary>Online nodes, ascending.</summary>
    public ImmutableArray<NodeInfo> Nodes { get; }

    /// <summary>CPUs that are present but offline, ascending.</summary>
    public ImmutableArray<CpuId> OfflineCpus { get; }

    /// <summary>Online CPUs taken from the scheduler, ascending. They may be pinned to by number.</summary>
    public ImmutableArray<CpuId> IsolatedCpus { get; }

    /// <summary>Online CPUs this process may run on (Cpus_allowed_list), ascending.</summary>
    public ImmutableArray<CpuId> AllowedCpus { get; }

    /// <summary>Online nodes this process may allocate on (Mems_allowed_list), ascending.</summary>
    public ImmutableArray<NodeId> AllowedNodes { get; }

    /// <summary>Windows processor groups; empty elsewhere.</summary>
    public ImmutableArray<ProcessorGroupInfo> ProcessorGroups { get; }

    /// <summary>Bytes of memory on all nodes; null where the system does not say.</summary>
    public long? MemoryBytes => Nodes.Any(n => n.HasMemory && n.MemoryBytes is null) ? null : Nodes.Sum(n => n.MemoryBytes ?? 0);

    /// <summary>Hardware threads of the widest core.</summary>
    public int SmtWidth => Cores.Max(c => c.Cpus.Length);

    /// <summary>Reads this machine; needs no privilege.</summary>
    /// <exception cref="TopologyException">The system's description contradicts itself; the message names the file.</exception>
    public static Topology Current() => OsCalls.OnWindows ? WindowsTopology.Read() : SysfsTopology.Read("/");

    /// <summary>
    /// Another machine: a recording (its file, or the directory of machine.txt and machine.json), a directory that looks like /,
    /// or else a synthetic line such as "pack:2 numa:2 core:4 pu:2".
    /// </summary>
    /// <exception cref="TopologyException">The recording or directory cannot be understood.</exception>
    /// <exception cref="UsageException">The line cannot be understood, and there is no file of that name.</exception>
    public static Topology From(string description)
    {
        if (File.Exists(description) || File.Exists(Path.Combine(description, "machine.txt")))
            return SysfsTopology.Read(MachineRecording.Open(description));
        return Directory.Exists(description) ? SysfsTopology.Read(description) : SyntheticTopology.Parse(description);
    }

    /// <summary>The online CPU of this number, or null.</summary>
    public CpuInfo? FindCpu(CpuId id) => Find(_cpuIndex, id.Value) is int i and >= 0 ? Cpus[i] : null;

    /// <summary>The online node of this number, or null.</summary>
    public NodeInfo? FindNode(NodeId id) => Find(_nodeIndex, id.Value) is int i and >= 0 ? Nodes[i] : null;

    /// <summary>The online CPU of this number; it must exist.</summary>
    public CpuInfo Cpu(CpuId id) => FindCpu(id) ?? throw new ArgumentOutOfRangeException(nameof(id), $"CPU {id} is not online here");

    /// <summary>The online node of this number; it must exist.</summary>
    public NodeInfo Node(NodeId id) => FindNode(id) ?? throw new ArgumentOutOfRangeException(nameof(id), $"node {id} is not online here");

    /// <summary>The node of a CPU.</summary>
    public NodeInfo NodeOf(CpuId cpu) => Node(Cpu(cpu).Node);

    /// <summary>How far <paramref name="to"/> is from <paramref name="from"/>; 10 is local. Firmware tables need not be symmetric.</summary>
    public int Distance(NodeId from, NodeId to) => Node(from).Distances[Nodes.IndexOf(Node(to))];

    /// <summary>The nodes with memory that this process may use, nearest first, equal distances by number: the order of a zonelist.</summary>
    public ImmutableArray<NodeId> NodesByDistance(NodeId from) =>
        [.. Nodes.Where(n => n.HasMemory && n.IsAllowed).OrderBy(n => Distance(from, n.Id)).ThenBy(n => n.Id).Select(n => n.Id)];

    /// <summary>The node itself if it has memory, else the nearest that has; null when there is none this process may use.</summary>
    public NodeId? NearestWithMemory(NodeId from) => NodesByDistance(from) is { IsEmpty: false } all ? all[0] : null;

    /// <summary>What "remote" means: the farthest other node with memory, lowest number first; null when there is no other.</summary>
    public NodeId? FarthestWithMemory(NodeId from)
    {
        var others = NodesByDistance(from).Remove(from);
        return others.IsEmpty ? null : others.MaxBy(n => Distance(from, n));
    }

    private static ImmutableArray<CpuId> Ids(IEnumerable<CpuFact> cpus) => [.. cpus.Select(c => c.Id).Order().Select(n => new CpuId(n))];

    private static Dictionary<int, int> IndexOf(IEnumerable<ImmutableArray<CpuId>> groups) =>
        groups.SelectMany((g, i) => g.Select(c => (c.Value, i))).ToDictionary(x => x.Value, x => x.i);

    private static int[] Positions(IEnumerable<int> numbers)
    {
        var all = numbers.ToArray();
        var positions = new int[all.Length == 0 ? 0 : all.Max() + 1];
        Array.Fill(positions, -1);
        for (var i = 0; i < all.Length; i++)
            positions[all[i]] = i;
        return positions;
    }

    private static int Find(int[] positions, int number) => (uint)number < (uint)positions.Length ? positions[number] : -1;
}
