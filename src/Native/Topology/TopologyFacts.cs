// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;

namespace MemcgNative.Native;

/// <summary>One CPU as a reader found it. Core and L3 are keys: equal keys share. The L3 key is -1 where nothing is known.</summary>
internal readonly record struct CpuFact(int Id, int Node, int Package, int Core, int L3, long? L3Bytes);

/// <summary>One node as a reader found it; distances in ascending order of node.</summary>
internal readonly record struct NodeFact(int Id, bool HasMemory, long? MemoryBytes, long? FreeBytes, ImmutableArray<HugePageCount> HugePages,
    ImmutableArray<int> Distances);

/// <summary>What a reader hands over; <see cref="Topology"/> numbers and links it.</summary>
internal sealed class TopologyFacts
{
    internal required string Origin { get; init; }
    internal bool IsThisMachine { get; init; }
    internal bool IsSynthetic { get; init; }
    internal bool HasDistances { get; init; } = true;
    internal required IReadOnlyList<CpuFact> Cpus { get; init; }
    internal required IReadOnlyList<NodeFact> Nodes { get; init; }
    internal IReadOnlySet<int> OfflineCpus { get; init; } = ImmutableHashSet<int>.Empty;
    internal IReadOnlySet<int> IsolatedCpus { get; init; } = ImmutableHashSet<int>.Empty;
    /// <summary>Null: all of them.</summary>
    internal IReadOnlySet<int>? AllowedCpus { get; init; }
    /// <summary>Null: all of them.</summary>
    internal IReadOnlySet<int>? AllowedNodes { get; init; }
    internal ImmutableArray<ProcessorGroupInfo> ProcessorGroups { get; init; } = [];
}
