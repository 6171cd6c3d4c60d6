// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>A topology as plain data for JSON: numbers, strings in list form, arrays. Sizes are bytes; null where the system does not say.</summary>
/// <param name="Origin">As <see cref="Topology.Origin"/>.</param>
/// <param name="Synthetic">The machine is made up.</param>
/// <param name="MemoryBytes">On all nodes.</param>
/// <param name="OnlineCpus">List.</param>
/// <param name="OfflineCpus">List, "none" when empty.</param>
/// <param name="IsolatedCpus">List, "none" when empty.</param>
/// <param name="AllowedCpus">List.</param>
/// <param name="AllowedNodes">List.</param>
/// <param name="SmtWidth">Hardware threads of the widest core.</param>
/// <param name="DistancesReported">False: the distances below are 10 and 20 for want of better.</param>
/// <param name="Packages">In order of index.</param>
/// <param name="Nodes">In order of number.</param>
/// <param name="L3Domains">In order of index; empty where none is reported.</param>
/// <param name="Cpus">Online CPUs in order of number.</param>
/// <param name="ProcessorGroups">Windows only.</param>
public sealed record TopologyModel(string Origin, bool Synthetic, long? MemoryBytes, string OnlineCpus, string OfflineCpus, string IsolatedCpus,
    string AllowedCpus, string AllowedNodes, int SmtWidth, bool DistancesReported, PackageModel[] Packages, NodeModel[] Nodes, L3Model[] L3Domains,
    CpuModel[] Cpus, ProcessorGroupModel[] ProcessorGroups)
{
    /// <summary>The plain data of a topology.</summary>
    public static TopologyModel From(Topology topology)
    {
        ArgumentNullException.ThrowIfNull(topology);
        var t = topology;
        return new TopologyModel(t.Origin, t.IsSynthetic, t.MemoryBytes, CpuList.Format(t.Cpus.Select(c => c.Id)), CpuList.Format(t.OfflineCpus),
            CpuList.Format(t.IsolatedCpus), CpuList.Format(t.AllowedCpus), NodeList.Format(t.AllowedNodes), t.SmtWidth, t.HasDistances,
            [.. t.Packages.Select(p => new PackageModel(p.Index, p.Number, CpuList.Format(p.Cpus)))],
            [.. t.Nodes.Select(n => new NodeModel(n.Id.Value, CpuList.Format(n.Cpus), n.HasMemory, n.MemoryBytes, n.FreeBytes,
                [.. n.HugePages.Select(h => new HugePageModel(h.SizeBytes, h.TotalPages, h.FreePages))], [.. n.Distances], n.IsAllowed))],
            [.. t.L3Domains.Select(l => new L3Model(l.Index, l.SizeBytes, CpuList.Format(l.Cpus)))],
            [.. t.Cpus.Select(c => new CpuModel(c.Id.Value, c.Node.Value, c.Package, c.L3, c.Core, c.Smt))],
            [.. t.ProcessorGroups.Select(g => new ProcessorGroupModel(g.Number, g.MaximumCpus, CpuList.Format(g.Cpus)))]);
    }
}

/// <summary>See <see cref="PackageInfo"/>.</summary>
public sealed record PackageModel(int Index, int Number, string Cpus);

/// <summary>See <see cref="NodeInfo"/>.</summary>
public sealed record NodeModel(int Number, string Cpus, bool HasMemory, long? MemoryBytes, long? FreeBytes, HugePageModel[] HugePages, int[] Distances, bool Allowed);

/// <summary>See <see cref="HugePageCount"/>.</summary>
public sealed record HugePageModel(long SizeBytes, long TotalPages, long FreePages);

/// <summary>See <see cref="L3Info"/>.</summary>
public sealed record L3Model(int Index, long? SizeBytes, string Cpus);

/// <summary>See <see cref="CpuInfo"/>; L3 is -1 where none is reported.</summary>
public sealed record CpuModel(int Number, int Node, int Package, int L3, int Core, int Smt);

/// <summary>See <see cref="ProcessorGroupInfo"/>.</summary>
public sealed record ProcessorGroupModel(int Number, int MaximumCpus, string Cpus);
