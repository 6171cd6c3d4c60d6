// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Numerics;
using System.Runtime.Versioning;

namespace MemcgNative.Native;

/// <summary>
/// Reads the records of GetLogicalProcessorInformationEx. A CPU's number is 64 * group + bit, so that one number names it past the 64 of an
/// affinity mask. Windows reports no node distances and no total per node. The parser is pure and tested everywhere; the call is not.
/// </summary>
public static class WindowsTopology
{
    /// <summary>CPUs one group can hold.</summary>
    public const int CpusPerGroup = 64;

    // Offsets in SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX on 64-bit Windows (winnt.h); the union begins after Relationship and Size.
    private const int Header = 8;
    private const int ProcessorGroupCount = Header + 22, ProcessorMasks = Header + 24;
    private const int NodeNumber = Header, NodeGroupCount = Header + 22, NodeMasks = Header + 24;
    private const int CacheLevel = Header, CacheSize = Header + 4, CacheType = Header + 8, CacheGroupCount = Header + 30, CacheMasks = Header + 32;
    private const int ActiveGroups = Header + 2, GroupInfos = Header + 24;
    private const int GroupAffinityBytes = 16, GroupInfoBytes = 48, GroupInfoMask = 40;
    private const int CacheInstruction = 1;

    private sealed class Records
    {
        internal readonly Dictionary<int, int> CoreOf = [], PackageOf = [], NodeOf = [];
        internal readonly Dictionary<int, (int Key, long Bytes)> L3Of = [];
        internal readonly SortedSet<int> Nodes = [];
        internal readonly List<ProcessorGroupInfo> Groups = [];
        internal int Packages;
    }

    /// <summary>Reads this machine.</summary>
    /// <exception cref="TopologyException">The call fails or answers with records that do not fit together.</exception>
    [SupportedOSPlatform("windows")]
    public static Topology Read()
    {
        var all = OsCalls.GetLogicalProcessorInformationEx(LOGICAL_PROCESSOR_RELATIONSHIP.RelationAll, out int error)
            ?? throw new TopologyException($"GetLogicalProcessorInformationEx: error {error}");
        var nodesInAllGroups = OsCalls.GetLogicalProcessorInformationEx(LOGICAL_PROCESSOR_RELATIONSHIP.RelationNumaNodeEx, out _);   // unknown before Windows Server 2022
        return Parse([.. all, .. nodesInAllGroups ?? []], OsCalls.GetNumaAvailableMemoryNodeEx, isThisMachine: true);
    }

    /// <summary>Builds a topology from the records' bytes.</summary>
    /// <param name="records">Any number of SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX, one behind the other, as 64-bit Windows lays them out.</param>
    /// <param name="freeBytes">Bytes free on a node, null where the system does not say.</param>
    /// <param name="isThisMachine">The records are the running system's.</param>
    /// <exception cref="TopologyException">A record is cut off, or a CPU is in no core or node.</exception>
    public static Topology Parse(ReadOnlySpan<byte> records, Func<int, long?> freeBytes, bool isThisMachine = false)
    {
        ArgumentNullException.ThrowIfNull(freeBytes);
        var found = new Records();
        for (var at = 0; at < records.Length;)
        {
            var size = records.Length - at < Header ? 0 : BinaryPrimitives.ReadInt32LittleEndian(records[(at + 4)..]);
            if (size < Header || size > records.Length - at)
                throw new TopologyException($"GetLogicalProcessorInformationEx: record of {size} bytes at byte {at} of {records.Length}");
            try
            {
                ReadRecord(records.Slice(at, size), found);
            }
            catch (ArgumentOutOfRangeException)
            {
                throw new TopologyException($"GetLogicalProcessorInformationEx: record at byte {at} is too short ({size} bytes) for what it holds");
            }
            at += size;
        }
        return Build(found, freeBytes, isThisMachine);
    }

    private static void ReadRecord(ReadOnlySpan<byte> r, Records found)
    {
        switch ((LOGICAL_PROCESSOR_RELATIONSHIP)BinaryPrimitives.ReadInt32LittleEndian(r))
        {
            case LOGICAL_PROCESSOR_RELATIONSHIP.RelationProcessorCore:
                var core = Masks(r, ProcessorMasks, Word(r, ProcessorGroupCount));
                foreach (var cpu in core)
                    found.CoreOf[cpu] = core[0];
                break;
            case LOGICAL_PROCESSOR_RELATIONSHIP.RelationProcessorPackage:
                foreach (var cpu in Masks(r, ProcessorMasks, Word(r, ProcessorGroupCount)))
                    found.PackageOf[cpu] = found.Packages;
                found.Packages++;
                break;
            case LOGICAL_PROCESSOR_RELATIONSHIP.RelationNumaNode or LOGICAL_PROCESSOR_RELATIONSHIP.RelationNumaNodeEx:
                var node = BinaryPrimitives.ReadInt32LittleEndian(r[NodeNumber..]);
                if ((uint)node >= KernelList.Limit)
                    throw new TopologyException($"GetLogicalProcessorInformationEx: node number {(uint)node}");
                found.Nodes.Add(node);
                foreach (var cpu in Masks(r, NodeMasks, Math.Max(1, Word(r, NodeGroupCount))))   // 0 before Windows Server 2022: one mask
                    found.NodeOf[cpu] = node;
                break;
            case LOGICAL_PROCESSOR_RELATIONSHIP.RelationCache when r[CacheLevel..][0] == 3 && BinaryPrimitives.ReadInt32LittleEndian(r[CacheType..]) != CacheInstruction:
                var l3 = Masks(r, CacheMasks, Math.Max(1, Word(r, CacheGroupCount)));
                foreach (var cpu in l3)
                    found.L3Of[cpu] = (l3[0], BinaryPrimitives.ReadUInt32LittleEndian(r[CacheSize..]));
                break;
            case LOGICAL_PROCESSOR_RELATIONSHIP.RelationGroup:
                for (var g = 0; g < Word(r, ActiveGroups); g++)
                {
                    var info = r.Slice(GroupInfos + g * GroupInfoBytes, GroupInfoBytes);
                    found.Groups.Add(new ProcessorGroupInfo(g, info[0],
                        [.. Bits(BinaryPrimitives.ReadUInt64LittleEndian(info[GroupInfoMask..]), g).Select(n => new CpuId(n))]));
                }
                break;
        }
    }

    private static Topology Build(Records found, Func<int, long?> freeBytes, bool isThisMachine)
    {
        if (found.CoreOf.Count == 0)
            throw new TopologyException("GetLogicalProcessorInformationEx: no core in its answer");
        foreach (var cpu in found.CoreOf.Keys)
            if (!found.NodeOf.ContainsKey(cpu))
                throw new TopologyException($"GetLogicalProcessorInformationEx: CPU {cpu} (group {cpu / CpusPerGroup}) is in no node");
        return new Topology(new TopologyFacts
        {
            Origin = isThisMachine ? "this machine" : "recorded: Windows",
            IsThisMachine = isThisMachine,
            HasDistances = false,
            Cpus = [.. found.CoreOf.Keys.Order().Select(cpu => new CpuFact(cpu, found.NodeOf[cpu], found.PackageOf.GetValueOrDefault(cpu), found.CoreOf[cpu],
                found.L3Of.TryGetValue(cpu, out var l3) ? l3.Key : -1, l3.Bytes))],
            Nodes = [.. found.Nodes.Select(n => Node(n, freeBytes(n)))],
            ProcessorGroups = [.. found.Groups],
        });

        NodeFact Node(int n, long? free) => new(n, free is null or > 0, null, free, [], [.. found.Nodes.Select(m => m == n ? 10 : 20)]);
    }

    private static List<int> Masks(ReadOnlySpan<byte> r, int offset, int count)
    {
        var cpus = new List<int>();
        for (var i = 0; i < count; i++)
        {
            var affinity = r.Slice(offset + i * GroupAffinityBytes, GroupAffinityBytes);
            cpus.AddRange(Bits(BinaryPrimitives.ReadUInt64LittleEndian(affinity), Word(affinity, 8)));
        }
        cpus.Sort();
        return cpus;
    }

    private static List<int> Bits(ulong mask, int group)
    {
        var cpus = new List<int>(BitOperations.PopCount(mask));
        for (; mask != 0; mask &= mask - 1)
            cpus.Add(group * CpusPerGroup + BitOperations.TrailingZeroCount(mask));
        return cpus;
    }

    private static int Word(ReadOnlySpan<byte> r, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(r.Slice(offset, 2));
}
