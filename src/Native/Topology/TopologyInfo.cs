// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;

namespace MemcgNative.Native;

/// <summary>An online logical CPU and where it sits. Node and CPU numbers are the system's; core, package and L3 are our dense indices.</summary>
/// <param name="Id">The system's number; on Windows 64 * group + bit.</param>
/// <param name="Node">The memory node it belongs to; that node may have no memory.</param>
/// <param name="Core">Index into <see cref="Topology.Cores"/>.</param>
/// <param name="Package">Index into <see cref="Topology.Packages"/>.</param>
/// <param name="L3">Index into <see cref="Topology.L3Domains"/>, -1 where the system reports no L3 (many virtual machines).</param>
/// <param name="Smt">0 for the first hardware thread of its core, 1 for the second, ...</param>
/// <param name="IsIsolated">Taken from the scheduler by isolcpus or an isolated cpuset partition.</param>
/// <param name="IsAllowed">In this process's affinity mask and cpuset.</param>
public sealed record CpuInfo(CpuId Id, NodeId Node, int Core, int Package, int L3, int Smt, bool IsIsolated, bool IsAllowed);

/// <summary>A core: its hardware threads in order of number.</summary>
/// <param name="Index">0..n-1 in order of the first CPU.</param>
/// <param name="Cpus">Online CPUs, ascending.</param>
public sealed record CoreInfo(int Index, ImmutableArray<CpuId> Cpus);

/// <summary>The CPUs that share one level 3 cache. May span nodes (sub-NUMA clusters).</summary>
/// <param name="Index">0..n-1 in order of the first CPU.</param>
/// <param name="SizeBytes">Bytes, null where the system does not say.</param>
/// <param name="Cpus">Online CPUs, ascending.</param>
public sealed record L3Info(int Index, long? SizeBytes, ImmutableArray<CpuId> Cpus);

/// <summary>A package (socket).</summary>
/// <param name="Index">0..n-1 in order of the system's number.</param>
/// <param name="Number">The system's number (physical_package_id); not dense on every architecture.</param>
/// <param name="Cpus">Online CPUs, ascending.</param>
public sealed record PackageInfo(int Index, int Number, ImmutableArray<CpuId> Cpus);

/// <summary>A node's pool of huge pages of one size.</summary>
/// <param name="SizeBytes">Bytes of one page.</param>
/// <param name="TotalPages">Pages in the pool.</param>
/// <param name="FreePages">Pages nobody has mapped.</param>
public sealed record HugePageCount(long SizeBytes, long TotalPages, long FreePages);

/// <summary>A memory node; it may have no memory, or no CPU.</summary>
/// <param name="Id">The system's number; node 0 need not exist.</param>
/// <param name="Cpus">Online CPUs, ascending; empty for memory expanders.</param>
/// <param name="HasMemory">It can hold pages.</param>
/// <param name="MemoryBytes">Bytes, null where the system does not say (Windows).</param>
/// <param name="FreeBytes">Bytes free when read, null where the system does not say.</param>
/// <param name="HugePages">Pools by page size, ascending; empty without hugetlb.</param>
/// <param name="Distances">Distance to each node, in the order of <see cref="Topology.Nodes"/>; 10 is itself.</param>
/// <param name="IsAllowed">In this process's Mems_allowed.</param>
public sealed record NodeInfo(NodeId Id, ImmutableArray<CpuId> Cpus, bool HasMemory, long? MemoryBytes, long? FreeBytes,
    ImmutableArray<HugePageCount> HugePages, ImmutableArray<int> Distances, bool IsAllowed)
{
    /// <summary>At least one online CPU is here.</summary>
    public bool HasCpus => !Cpus.IsEmpty;
}

/// <summary>A Windows processor group: up to 64 CPUs that one affinity mask can name.</summary>
/// <param name="Number">Group number.</param>
/// <param name="MaximumCpus">CPUs that may ever be in it.</param>
/// <param name="Cpus">Active CPUs, ascending.</param>
public sealed record ProcessorGroupInfo(int Number, int MaximumCpus, ImmutableArray<CpuId> Cpus);
