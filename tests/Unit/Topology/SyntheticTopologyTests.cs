// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class SyntheticTopologyTests
{
    [Fact]
    public void Two_packages_of_two_nodes_of_four_cores_of_two_threads()
    {
        var t = SyntheticTopology.Parse("pack:2 numa:2 l3:1 core:4 pu:2");
        Assert.Equal((2, 4, 4, 16, 32, 2), (t.Packages.Length, t.Nodes.Length, t.L3Domains.Length, t.Cores.Length, t.Cpus.Length, t.SmtWidth));
        Assert.Equal(new CpuInfo(new CpuId(31), new NodeId(3), 15, 1, 3, 1, false, true), t.Cpu(new CpuId(31)));
        Assert.Equal([10, 12, 32, 32], t.Nodes[0].Distances);
        Assert.Equal([32, 32, 12, 10], t.Nodes[3].Distances);
        Assert.True(t.IsSynthetic && !t.IsThisMachine);
        Assert.Equal("synthetic: pack:2 numa:2 l3:1 core:4 pu:2", t.Origin);
    }

    [Fact]
    public void Levels_left_out_are_there_once_and_an_l3_may_hold_nodes()
    {
        var t = SyntheticTopology.Parse("core:4");
        Assert.Equal((1, 1, 0, 4, 4), (t.Packages.Length, t.Nodes.Length, t.L3Domains.Length, t.Cores.Length, t.Cpus.Length));
        t = SyntheticTopology.Parse("socket:2 L3:1 node:2 core:3");
        Assert.Equal((2, 4, 2), (t.L3Domains.Length, t.Nodes.Length, t.L3Domains[0].Cpus.Select(c => t.Cpu(c).Node).Distinct().Count()));
        t = SyntheticTopology.Parse("numa:1 pack:2 core:1");
        Assert.Contains(TopologyText.Tree(t), l => l.Contains("Node 0", StringComparison.Ordinal) && l.EndsWith("packages 0-1", StringComparison.Ordinal));
    }

    [Fact]
    public void Sizes_are_attributes_as_in_hwloc()
    {
        var t = SyntheticTopology.Parse("numa:2(memory=96GiB) l3:1(size=16M) core:1");
        Assert.Equal((96L << 30, 16L << 20), (t.Nodes[1].MemoryBytes, t.L3Domains[0].SizeBytes));
        Assert.Equal(192L << 30, t.MemoryBytes);
    }

    [Theory]
    [InlineData("", "the description is empty; write for example pack:2 numa:2 l3:1 core:4 pu:2")]
    [InlineData("pack:2 cor:4", "'cor:4' at column 8 is not a level and a count; write for example pack:2 numa:2 l3:1 core:4 pu:2")]
    [InlineData("pack", "'pack' at column 1 is not a level and a count; write for example pack:2 numa:2 l3:1 core:4 pu:2")]
    [InlineData("pack:2 numa:x", "'x' at column 13 is not a count of numa, 1 or more")]
    [InlineData("core:0", "'0' at column 6 is not a count of core, 1 or more")]
    [InlineData("core:-1", "'-1' at column 6 is not a count of core, 1 or more")]
    [InlineData("core:2 numa:2", "'numa:2' at column 8 cannot be inside core; write for example pack:2 numa:2 l3:1 core:4 pu:2")]
    [InlineData("pu:2 core:2", "'core:2' at column 6 cannot be inside pu; write for example pack:2 numa:2 l3:1 core:4 pu:2")]
    [InlineData("numa:2 numa:2", "'numa:2' at column 8: numa is already there")]
    [InlineData("numa:1024 core:128", "'core:128' at column 11 makes 131072 CPUs; at most 8192")]
    [InlineData("pack:2 numa:513", "'numa:513' at column 8 makes 1026 nodes; at most 1024")]
    [InlineData("numa:2147483647 core:2147483647", "'numa:2147483647' at column 1 makes 2147483647 CPUs; at most 8192")]
    [InlineData("core:2(size=4K)", "'(size=4K)' at column 7: core takes no attribute; only numa:2(memory=96G) and l3:1(size=32M) do")]
    [InlineData("numa:2(memory=96GB)", "'(memory=96GB)' at column 7 is not (memory=SIZE), SIZE being a number and K, M, G or T, up to 64T")]
    [InlineData("numa:2(memory=96G", "'(memory=96G' at column 7 is not (memory=SIZE), SIZE being a number and K, M, G or T, up to 64T")]
    public void A_wrong_line_says_what_and_where(string text, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => SyntheticTopology.Parse(text)).Message);

    [Fact]
    public void Any_text_is_a_machine_or_a_usage_error()
    {
        var words = Gen.Elements("pack:", "numa:", "l3:", "core:", "pu:", "1", "2", "3", "0", " ", "(memory=1G)", "(size=2M)", "(", "x");
        Prop.ForAll(words.ListOf().Select(string.Concat).ToArbitrary(), text =>
        {
            try
            {
                return SyntheticTopology.Parse(text).Cpus.Length > 0;
            }
            catch (UsageException)
            {
                return true;
            }
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void The_tree_has_a_form_without_box_drawing()
    {
        var lines = TopologyText.Tree(SyntheticTopology.Parse("pack:2 numa:2 l3:1 core:4 pu:2"), unicode: false);
        Assert.All(lines, l => Assert.True(l.All(char.IsAscii), l));
        Assert.Equal("Machine 64 GiB, 4 nodes, 2 packages, 16 cores, 32 CPUs (SMT 2)      allowed here: 0-31, nodes 0-3", lines[0]);
        Assert.Equal("|- Package 0", lines[2]);
        Assert.Equal("|  |- Node 0   16 GiB (16 GiB free)   CPUs 0-7", lines[3]);
        Assert.Equal("|  |  `- L3 0   32 MiB   cores 0-3   CPUs 0-7", lines[4]);
    }

    [Fact]
    public void The_plain_model_survives_json()
    {
        foreach (var name in Machines.Names)
        {
            var model = TopologyModel.From(Machines.Load(name));
            var json = JsonSerializer.Serialize(model);
            Assert.Equal(json, JsonSerializer.Serialize(JsonSerializer.Deserialize<TopologyModel>(json)));
        }
        var cxl = TopologyModel.From(Machines.Load("cxl"));
        Assert.True(cxl.Synthetic);
        Assert.Equal(("none", 256L << 30, 24), (cxl.Nodes[2].Cpus, cxl.Nodes[2].MemoryBytes, cxl.Nodes[2].Distances[1]));
    }
}
