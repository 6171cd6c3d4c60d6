// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class MachineFixtureTests
{
    private static readonly bool Update = Environment.GetEnvironmentVariable("MEMCGNATIVE_UPDATE_FIXTURES") == "1";

    public static IEnumerable<TheoryDataRow<string>> Names => Machines.Names.Select(n => new TheoryDataRow<string>(n));

    [Fact]
    public void The_made_up_machines_are_what_their_recipes_make()
    {
        foreach (var recipe in MachineRecipes.All)
        {
            var directory = Path.Combine(Machines.Directory, recipe.Name);
            var stream = new MemoryStream();
            MachineRecording.Write(MachineRecipes.Build(recipe), stream);
            Same(Path.Combine(directory, "machine.txt"), System.Text.Encoding.UTF8.GetString(stream.ToArray()));
            Same(Path.Combine(directory, "machine.json"), MachineRecipes.About(recipe.Name, recipe.Provenance, synthetic: true));
        }
    }

    [Fact]
    public void Every_machine_tells_its_provenance_and_the_made_up_ones_say_so()
    {
        foreach (var name in Machines.Names)
        {
            using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(Machines.Directory, name, "machine.json")));
            Assert.Equal(name, json.RootElement.GetProperty("name").GetString());
            Assert.True(json.RootElement.GetProperty("provenance").GetString()!.Length > 10);
            Assert.Equal(MachineRecipes.All.Any(r => r.Name == name), json.RootElement.GetProperty("synthetic").GetBoolean());
            Assert.Equal(json.RootElement.GetProperty("synthetic").GetBoolean(), Machines.Load(name).IsSynthetic);
        }
    }

    [Theory, MemberData(nameof(Names))]
    public void Its_tree_is_the_one_reviewed(string name) =>
        Same(Path.Combine(Machines.Directory, name, "tree.txt"), string.Join('\n', TopologyText.Tree(Machines.Load(name))) + "\n");

    [Theory, MemberData(nameof(Names))]
    public void A_recording_of_a_recording_is_the_same_text(string name)
    {
        var stream = new MemoryStream();
        MachineRecording.Write(Machines.Root(name), stream);
        Assert.Equal(File.ReadAllText(Path.Combine(Machines.Directory, name, "machine.txt")), System.Text.Encoding.UTF8.GetString(stream.ToArray()));
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_lookup_agrees_with_every_list(string name)
    {
        var t = Machines.Load(name);
        Assert.Equal(t.Cpus.Length, t.Cores.Sum(c => c.Cpus.Length));
        Assert.Equal(t.Cpus.Length, t.Packages.Sum(p => p.Cpus.Length));
        Assert.Equal(t.Cpus.Length, t.Nodes.Sum(n => n.Cpus.Length));
        foreach (var cpu in t.Cpus)
        {
            Assert.Same(cpu, t.Cpu(cpu.Id));
            Assert.Equal(cpu.Id, t.Cores[cpu.Core].Cpus[cpu.Smt]);
            Assert.Contains(cpu.Id, t.Packages[cpu.Package].Cpus);
            Assert.Contains(cpu.Id, t.NodeOf(cpu.Id).Cpus);
            if (cpu.L3 >= 0)
                Assert.Contains(cpu.Id, t.L3Domains[cpu.L3].Cpus);
            Assert.Equal(cpu.IsAllowed, t.AllowedCpus.Contains(cpu.Id));
        }
        foreach (var node in t.Nodes)
            Assert.Equal(10, t.Distance(node.Id, node.Id));
    }

    [Fact]
    public void Eight_nodes_of_two_packages_have_sixteen_l3_domains_and_256_cpus()
    {
        var t = Machines.Load("eight-nodes-256-cpus");
        Assert.Equal((8, 2, 16, 128, 256, 2), (t.Nodes.Length, t.Packages.Length, t.L3Domains.Length, t.Cores.Length, t.Cpus.Length, t.SmtWidth));
        Assert.Equal(768L << 30, t.MemoryBytes);
        Assert.Equal("0-15,128-143", CpuList.Format(t.Node(new NodeId(0)).Cpus));
        var cpu = t.Cpu(new CpuId(200));
        Assert.Equal((new NodeId(4), 1, 72, 9, 1), (cpu.Node, cpu.Package, cpu.Core, cpu.L3, cpu.Smt));
        Assert.Equal(new NodeId(4), t.FarthestWithMemory(new NodeId(0)));
        Assert.Equal(new HugePageCount(2 << 20, 512, 512), Assert.Single(t.Nodes[0].HugePages));
    }

    [Fact]
    public void A_memory_expander_is_a_node_without_cpus_and_counts_for_remote()
    {
        var t = Machines.Load("cxl");
        Assert.False(t.Node(new NodeId(2)).HasCpus);
        Assert.True(t.Node(new NodeId(2)).HasMemory);
        Assert.Equal(new NodeId(2), t.FarthestWithMemory(new NodeId(1)));
        Assert.Equal(new NodeId(1), t.FarthestWithMemory(new NodeId(0)));
        Assert.Equal([new NodeId(0), new NodeId(2), new NodeId(1)], t.NodesByDistance(new NodeId(0)));
    }

    [Fact]
    public void A_node_without_memory_sends_its_cpus_to_the_nearest_that_has_some()
    {
        var t = Machines.Load("memory-less-node");
        Assert.False(t.Node(new NodeId(2)).HasMemory);
        Assert.Equal(new NodeId(1), t.NearestWithMemory(new NodeId(2)));
        Assert.Equal(new NodeId(0), t.NearestWithMemory(new NodeId(0)));
        Assert.DoesNotContain(new NodeId(2), t.NodesByDistance(new NodeId(2)));
    }

    [Fact]
    public void Nodes_4_to_7_keep_their_numbers_and_their_distances()
    {
        var t = Machines.Load("nodes-4-to-7");
        Assert.Null(t.FindNode(new NodeId(0)));
        Assert.Equal(20, t.Distance(new NodeId(6), new NodeId(7)));
        Assert.Equal(new NodeId(6), t.FarthestWithMemory(new NodeId(4)));
        Assert.Equal([4, 5], t.Packages.Select(p => p.Number));
        Assert.Empty(t.L3Domains);
        Assert.All(t.Cpus, c => Assert.Equal(-1, c.L3));
    }

    [Fact]
    public void An_l3_may_span_the_nodes_of_a_package()
    {
        var t = Machines.Load("sub-numa-clusters");
        Assert.Equal(2, t.L3Domains.Length);
        Assert.Equal([new NodeId(0), new NodeId(1)], t.L3Domains[0].Cpus.Select(c => t.Cpu(c).Node).Distinct());
    }

    [Fact]
    public void Cpu_1279_and_node_73_are_found()
    {
        var t = Machines.Load("1280-cpus");
        Assert.Equal((new NodeId(73), 639, 1), (t.Cpu(new CpuId(1279)).Node, t.Cpu(new CpuId(1279)).Core, t.Cpu(new CpuId(1279)).Smt));
        Assert.Null(t.FindCpu(new CpuId(1280)));
        Assert.Null(t.FindNode(new NodeId(10)));
    }

    [Fact]
    public void Offline_and_isolated_cpus_and_the_cpuset_are_known()
    {
        var t = Machines.Load("offline-and-isolated");
        Assert.Equal(("5", "2-3", "0-1,4,6-7"), (CpuList.Format(t.OfflineCpus), CpuList.Format(t.IsolatedCpus), CpuList.Format(t.AllowedCpus)));
        t = Machines.Load("cpuset");
        Assert.Equal(("0-3", "0"), (CpuList.Format(t.AllowedCpus), NodeList.Format(t.AllowedNodes)));
        Assert.Null(t.FarthestWithMemory(new NodeId(0)));
        Assert.Equal(new NodeId(0), t.NearestWithMemory(new NodeId(1)));
    }

    [Fact]
    public void This_machine_can_be_read_and_recorded_without_privilege()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Skip("reads /sys");
        var here = Topology.Current();
        Assert.True(here.IsThisMachine && !here.IsSynthetic && here.Origin == "this machine");
        Assert.NotEmpty(here.AllowedCpus);
        var stream = new MemoryStream();
        MachineRecording.Write(new RealSysRoot("/"), stream);
        stream.Position = 0;
        var again = SysfsTopology.Read(MachineRecording.Read(new StreamReader(stream), "here"));
        Assert.Equal(here.Cpus, again.Cpus);
        Assert.Equal(here.Nodes.Select(n => (n.Id, n.HasMemory)), again.Nodes.Select(n => (n.Id, n.HasMemory)));
    }

    private static void Same(string path, string text)
    {
        if (Update)
        {
            System.IO.Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, text);
        }
        Assert.Equal(File.ReadAllText(path), text);
    }
}
