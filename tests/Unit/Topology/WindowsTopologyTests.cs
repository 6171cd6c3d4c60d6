// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;
using MemcgNative.Native;
using Xunit;
using static MemcgNative.Tests.Unit.WindowsRecords;

namespace MemcgNative.Tests.Unit;

/// <summary>What is made of the records that Windows answers with.</summary>
public sealed class WindowsTopologyTests
{
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
