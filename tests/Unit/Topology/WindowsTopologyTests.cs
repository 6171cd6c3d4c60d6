// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Buffers built by hand as winnt.h lays them out on 64-bit Windows.</summary>
public sealed class WindowsTopologyTests
{
    private const int CoreRelation = 0, NodeRelation = 1, CacheRelation = 2, PackageRelation = 3, GroupRelation = 4, DieRelation = 5, NodeExRelation = 6;

    private static byte[] Record(int relation, int size, Action<byte[]> fill)
    {
        var r = new byte[size];
        BinaryPrimitives.WriteInt32LittleEndian(r, relation);
        BinaryPrimitives.WriteInt32LittleEndian(r.AsSpan(4), size);
        fill(r);
        return r;
    }

    private static void Word(byte[] r, int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(r.AsSpan(at), (ushort)value);

    private static void Affinities(byte[] r, int at, (int Group, ulong Mask)[] masks)
    {
        for (var i = 0; i < masks.Length; i++)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(r.AsSpan(at + 16 * i), masks[i].Mask);
            Word(r, at + 16 * i + 8, masks[i].Group);
        }
    }

    /// <summary>PROCESSOR_RELATIONSHIP: GroupCount at 22, masks at 24 of the union, which begins at 8.</summary>
    private static byte[] Processor(int relation, params (int Group, ulong Mask)[] masks) =>
        Record(relation, 32 + 16 * masks.Length, r => { Word(r, 30, masks.Length); Affinities(r, 32, masks); });

    private static byte[] Node(int relation, int number, int groupCount, params (int Group, ulong Mask)[] masks) =>
        Record(relation, 32 + 16 * masks.Length, r => { BinaryPrimitives.WriteInt32LittleEndian(r.AsSpan(8), number); Word(r, 30, groupCount); Affinities(r, 32, masks); });

    /// <summary>CACHE_RELATIONSHIP: Level at 0, CacheSize at 4, Type at 8, GroupCount at 30, masks at 32.</summary>
    private static byte[] Cache(int level, int type, uint bytes, params (int Group, ulong Mask)[] masks) => Record(CacheRelation, 40 + 16 * masks.Length, r =>
    {
        r[8] = (byte)level;
        BinaryPrimitives.WriteUInt32LittleEndian(r.AsSpan(12), bytes);
        BinaryPrimitives.WriteInt32LittleEndian(r.AsSpan(16), type);
        Word(r, 38, masks.Length);
        Affinities(r, 40, masks);
    });

    /// <summary>GROUP_RELATIONSHIP: counts at 0 and 2, PROCESSOR_GROUP_INFO of 48 bytes from 24, its mask at 40.</summary>
    private static byte[] Groups(params ulong[] masks) => Record(GroupRelation, 32 + 48 * masks.Length, r =>
    {
        Word(r, 8, masks.Length);
        Word(r, 10, masks.Length);
        for (var i = 0; i < masks.Length; i++)
        {
            r[32 + 48 * i] = 64;
            r[33 + 48 * i] = (byte)System.Numerics.BitOperations.PopCount(masks[i]);
            BinaryPrimitives.WriteUInt64LittleEndian(r.AsSpan(32 + 48 * i + 40), masks[i]);
        }
    });

    private static Topology Parse(params byte[][] records) => WindowsTopology.Parse(records.SelectMany(r => r).ToArray(), node => (node + 1L) << 30);

    /// <summary>Two packages; the first fills group 0 with 64 CPUs, the second has 4 CPUs in group 1; SMT 2.</summary>
    private static byte[][] TwoGroups() =>
    [
        .. Enumerable.Range(0, 32).Select(c => Processor(CoreRelation, (0, 3UL << (2 * c)))),
        .. Enumerable.Range(0, 2).Select(c => Processor(CoreRelation, (1, 3UL << (2 * c)))),
        Processor(DieRelation, (0, ulong.MaxValue)),
        Processor(PackageRelation, (0, ulong.MaxValue)), Processor(PackageRelation, (1, 15)),
        Cache(1, 1, 32 << 10, (0, 3)), Cache(3, 0, 64 << 20, (0, ulong.MaxValue)), Cache(3, 0, 64 << 20, (1, 15)),
        Node(NodeRelation, 0, 0, (0, ulong.MaxValue)), Node(NodeRelation, 1, 0, (1, 15)),
        Groups(ulong.MaxValue, 15),
    ];

    [Fact]
    public void Two_processor_groups_number_their_cpus_from_0_and_from_64()
    {
        var t = Parse(TwoGroups());
        Assert.Equal((68, 34, 2, 2, 2, 2), (t.Cpus.Length, t.Cores.Length, t.Packages.Length, t.L3Domains.Length, t.Nodes.Length, t.SmtWidth));
        Assert.Equal(new CpuInfo(new CpuId(67), new NodeId(1), 33, 1, 1, 1, false, true), t.Cpu(new CpuId(67)));
        Assert.Equal(["0-63", "64-67"], t.ProcessorGroups.Select(g => CpuList.Format(g.Cpus)));
        Assert.Equal((64L << 20, 2L << 30), (t.L3Domains[1].SizeBytes, t.Nodes[1].FreeBytes));
        Assert.Null(t.MemoryBytes);
        Assert.False(t.HasDistances);
        Assert.EndsWith("processor groups: 0=0-63 1=64-67", TopologyText.Tree(t)[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_that_spans_groups_is_known_whole_from_its_extended_record()
    {
        var old = TwoGroups().Where(r => r[0] is not (NodeRelation or PackageRelation)).ToArray();
        Assert.Contains("CPU 64 (group 1) is in no node",
            Assert.Throws<TopologyException>(() => Parse([.. old, Node(NodeRelation, 0, 0, (0, ulong.MaxValue))])).Message, StringComparison.Ordinal);
        var t = Parse([.. old, Processor(PackageRelation, (0, ulong.MaxValue), (1, 15)), Node(NodeRelation, 0, 0, (0, ulong.MaxValue)),
            Node(NodeExRelation, 0, 2, (0, ulong.MaxValue), (1, 15))]);
        Assert.Equal("0-67", CpuList.Format(Assert.Single(t.Nodes).Cpus));
        Assert.Equal("0-67", CpuList.Format(Assert.Single(t.Packages).Cpus));
    }

    [Fact]
    public void A_gap_in_a_groups_mask_is_a_gap_in_the_numbers() =>
        Assert.Equal("1,65", CpuList.Format(Parse(Processor(CoreRelation, (0, 2)), Processor(CoreRelation, (1, 2)), Node(NodeRelation, 0, 2, (0, 2), (1, 2))).AllowedCpus));

    [Fact]
    public void Every_cut_of_the_buffer_is_refused_in_one_line_or_still_makes_sense()
    {
        var whole = TwoGroups().SelectMany(r => r).ToArray();
        var refused = 0;
        for (var length = 0; length < whole.Length; length++)
            try
            {
                Assert.NotEmpty(WindowsTopology.Parse(whole.AsSpan(0, length), _ => 1).Cpus);
            }
            catch (TopologyException e)
            {
                refused++;
                Assert.StartsWith("GetLogicalProcessorInformationEx: ", e.Message, StringComparison.Ordinal);
            }
        Assert.True(refused > whole.Length - 10);
    }

    [Fact]
    public void A_record_that_claims_more_masks_than_it_holds_is_refused()
    {
        var lying = Processor(CoreRelation, (0, 1));
        Word(lying, 30, 2);
        Assert.Contains("too short", Assert.Throws<TopologyException>(() => Parse(lying)).Message, StringComparison.Ordinal);
        var zero = Processor(CoreRelation, (0, 1));
        BinaryPrimitives.WriteInt32LittleEndian(zero.AsSpan(4), 0);
        Assert.Contains("record of 0 bytes", Assert.Throws<TopologyException>(() => Parse(zero)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_answer_is_refused() => Assert.Throws<TopologyException>(() => Parse());
}
