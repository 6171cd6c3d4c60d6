// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class SysfsTopologyTests
{
    private const string Cpu = "sys/devices/system/cpu", Node = "sys/devices/system/node";

    private static Topology Read(params (string Path, string Text)[] files) =>
        SysfsTopology.Read(new RecordedSysRoot("test", files.Select(f => KeyValuePair.Create(f.Path, f.Text))));

    /// <summary>The cpuset machine with some files replaced.</summary>
    private static TopologyException Refused(params (string Path, string? Text)[] changes)
    {
        var files = new Dictionary<string, string>(Machines.Root("cpuset").Files);
        foreach (var (path, text) in changes)
            if (text is null)
                files.Remove(path);
            else
                files[path] = text;
        return Assert.Throws<TopologyException>(() => SysfsTopology.Read(new RecordedSysRoot("test", files)));
    }

    [Fact]
    public void A_kernel_without_numa_and_a_bare_hypervisor_give_one_node_and_cores_of_one_cpu()
    {
        var t = Read(($"{Cpu}/online", "0-3\n"), ("proc/meminfo", "MemTotal: 2048 kB\nMemFree: 1024 kB\n"),
            ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4\n"), ("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "3\n"));
        Assert.Equal((1, 1, 4, 0, 1), (t.Nodes.Length, t.Packages.Length, t.Cores.Length, t.L3Domains.Length, t.SmtWidth));
        Assert.Equal((2L << 20, 1L << 20), (t.Nodes[0].MemoryBytes, t.Nodes[0].FreeBytes));
        Assert.Equal(new HugePageCount(2 << 20, 4, 3), Assert.Single(t.Nodes[0].HugePages));
        Assert.Equal("0-3", CpuList.Format(t.AllowedCpus));
    }

    [Fact]
    public void An_unknown_package_is_package_0_and_older_kernels_name_siblings_otherwise()
    {
        var t = Read(($"{Cpu}/online", "0-1"), ($"{Cpu}/cpu0/topology/physical_package_id", "-1\n"), ($"{Cpu}/cpu0/topology/thread_siblings_list", "0-1\n"));
        Assert.Equal(0, Assert.Single(t.Packages).Number);
        Assert.Equal("0-1", CpuList.Format(Assert.Single(t.Cores).Cpus));
    }

    [Fact]
    public void A_container_that_hides_cpus_of_a_node_gets_the_rest()
    {
        var t = Read(($"{Cpu}/online", "2-3"), ($"{Node}/online", "0"), ($"{Node}/node0/cpulist", "0-7"), ($"{Node}/node0/meminfo", "Node 0 MemTotal: 1 kB\n"));
        Assert.Equal("2-3", CpuList.Format(t.Nodes[0].Cpus));
        Assert.True(t.Nodes[0].HasMemory);
    }

    [Fact]
    public void The_only_node_with_memory_has_what_the_machine_has()
    {
        var t = Read(($"{Cpu}/online", "0"), ($"{Node}/online", "0-1"), ($"{Node}/has_memory", "1"), ("proc/meminfo", "MemTotal: 4096 kB\nMemFree: 2048 kB\n"),
            ($"{Node}/node0/cpulist", "0"), ($"{Node}/node0/meminfo", "Node 0 MemTotal: 0 kB\nNode 0 MemFree: 0 kB\n"),
            ($"{Node}/node1/cpulist", "\n"), ($"{Node}/node1/meminfo", "Node 1 MemTotal: 1024 kB\nNode 1 MemFree: 512 kB\n"));
        Assert.Equal((4L << 20, 2L << 20), (t.Nodes[1].MemoryBytes, t.Nodes[1].FreeBytes));
        Assert.Equal((0L, false), (t.Nodes[0].MemoryBytes, t.Nodes[0].HasMemory));
    }

    [Fact]
    public void A_siblings_offline_thread_is_no_thread_of_the_core()
    {
        var t = Read(($"{Cpu}/online", "0,2"), ($"{Cpu}/present", "0-3"), ($"{Cpu}/cpu0/topology/core_cpus_list", "0-1"));
        Assert.Equal("0", CpuList.Format(t.Cores[0].Cpus));
        Assert.Equal("1,3", CpuList.Format(t.OfflineCpus));
    }

    [Fact]
    public void An_instruction_cache_of_level_3_is_no_l3_domain() =>
        Assert.Empty(Read(($"{Cpu}/online", "0"), ($"{Cpu}/cpu0/cache/index0/level", "3"), ($"{Cpu}/cpu0/cache/index0/type", "Instruction")).L3Domains);

    [Theory]
    [InlineData($"{Cpu}/online", null, "missing; is sysfs mounted on /sys?")]
    [InlineData($"{Cpu}/online", "\n", "no CPU is online")]
    [InlineData($"{Cpu}/online", "0-x\n", "'0-x' is not a list like 0-3,8")]
    [InlineData($"{Cpu}/online", "7-0", "'7-0' is not a list like 0-3,8")]
    [InlineData($"{Cpu}/online", "0-99999999", "'0-99999999' is not a list like 0-3,8")]
    [InlineData($"{Cpu}/online", "0-8", "CPU 8 is online but in no node's cpulist")]
    [InlineData($"{Cpu}/isolated", "many", "'many' is not a list like 0-3,8")]
    [InlineData($"{Cpu}/cpu0/topology/physical_package_id", "a\nb", "'a?b' is not a number")]
    [InlineData($"{Cpu}/cpu0/topology/core_cpus_list", "5", "CPU 0 is not in its own list '5'")]
    [InlineData($"{Cpu}/cpu0/cache/index3/level", "", "'' is not a number")]
    [InlineData($"{Cpu}/cpu0/cache/index3/size", "32 MB", "'32 MB' is not a size like 32768K")]
    [InlineData($"{Cpu}/cpu0/cache/index3/shared_cpu_list", "4-7", "CPU 0 is not in its own list '4-7'")]
    [InlineData($"{Node}/online", "0-", "'0-' is not a list like 0-3,8")]
    [InlineData($"{Node}/node1/cpulist", null, "missing, though the node is online")]
    [InlineData($"{Node}/node1/cpulist", "3-7", "CPU 3 is already in node 0")]
    [InlineData($"{Node}/node0/distance", "10", "1 distances for 2 online nodes")]
    [InlineData($"{Node}/node0/distance", "10 far", "'far' is not a distance")]
    [InlineData($"{Node}/node0/meminfo", "Node 0 MemTotal: much kB\n", "'much kB' is not a size in kB")]
    [InlineData("proc/self/status", "Cpus_allowed_list:\t0-z\n", "'Cpus_allowed_list:?0-z' holds no list")]
    public void Nonsense_is_one_line_that_names_the_file(string path, string? text, string why)
    {
        var message = Refused((path, text)).Message;
        Assert.Contains($"/{path}: {why}", message.Replace($"{Node}/online: CPU", $"{Cpu}/online: CPU", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void A_directory_that_looks_like_a_root_reads_like_the_recording()
    {
        var root = Directory.CreateTempSubdirectory("topology").FullName;
        try
        {
            foreach (var (path, text) in Machines.Root("cxl").Files)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(root, path))!);
                File.WriteAllText(Path.Combine(root, path), text);
            }
            var t = Topology.From(root);
            Assert.Equal(Machines.Load("cxl").Cpus, t.Cpus);
            Assert.Equal($"recorded: {root}", t.Origin);
            Assert.False(t.IsThisMachine);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    [Fact]
    public void A_description_is_a_recording_its_directory_or_a_line()
    {
        var directory = Path.Combine(Machines.Directory, "cxl");
        Assert.Equal("recorded: cxl", Topology.From(directory).Origin);
        var byFile = Topology.From(Path.Combine(directory, "machine.txt"));
        Assert.True(byFile.IsSynthetic && byFile.Origin == "recorded: cxl");   // the watermark cannot be lost by naming the file
        Assert.Equal("synthetic: core:2", Topology.From(" core:2 ").Origin);
        Assert.Throws<UsageException>(() => Topology.From("no/such/directory"));
    }

    [Theory]
    [InlineData("", "x: empty")]
    [InlineData("hello\n", "x:1: not a machine recording (its first line would be '# memcgnative machine recording 1')")]
    [InlineData("# memcgnative machine recording 1\n# a remark\n\nno tab", "x:4: no tab between path and content")]
    [InlineData("# memcgnative machine recording 1\na\tb\\q", "x:2: a backslash is followed by n, t, r or another backslash")]
    [InlineData("# memcgnative machine recording 1\nsys/devices/system/cpu/cpu[0-/x\ty", "x:2: no CPU list between the brackets")]
    public void A_damaged_recording_names_the_line(string text, string message) =>
        Assert.Equal(message, Assert.Throws<TopologyException>(() => MachineRecording.Read(new StringReader(text), "x")).Message);

    [Fact]
    public void Any_content_survives_a_recording()
    {
        var files = new Dictionary<string, string> { [$"{Cpu}/online"] = "a\\n\t\n\r\\", [$"{Cpu}/cpu0/topology/core_id"] = "7", [$"{Cpu}/cpu2/topology/core_id"] = "7" };
        var stream = new MemoryStream();
        MachineRecording.Write(new RecordedSysRoot("x", files), stream);
        stream.Position = 0;
        Assert.Equal(files.OrderBy(f => f.Key, StringComparer.Ordinal), MachineRecording.Read(new StreamReader(stream), "x").Files);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{")]
    [InlineData("[1]")]
    [InlineData("{\"name\":\"a\",\"synthetic\":\"no\"}")]
    public void A_damaged_machine_json_is_one_line(string json)
    {
        var directory = Directory.CreateTempSubdirectory("topology").FullName;
        try
        {
            File.WriteAllText(Path.Combine(directory, "machine.txt"), "# memcgnative machine recording 1\n");
            File.WriteAllText(Path.Combine(directory, "machine.json"), json);
            var message = Assert.Throws<TopologyException>(() => MachineRecording.Open(directory)).Message;
            Assert.EndsWith("machine.json: needs \"name\" and \"synthetic\"", message, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void A_recording_that_is_not_there_is_one_line() =>
        Assert.DoesNotContain('\n', Assert.Throws<TopologyException>(() => MachineRecording.Open("/nowhere/at/all")).Message);
}
