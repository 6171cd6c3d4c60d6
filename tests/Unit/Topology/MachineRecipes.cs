// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>How the made-up machines under Fixtures/machines were made; run the tests with MEMCGNATIVE_UPDATE_FIXTURES=1 to write them anew.</summary>
internal static class MachineRecipes
{
    internal sealed record Node(int Id, string Cpus, int Gib, params int[] Distances);

    internal sealed record Recipe(string Name, string Provenance, Node[] Nodes)
    {
        internal Func<int, int> Package { get; init; } = _ => 0;
        internal Func<int, string> Siblings { get; init; } = cpu => Text(cpu);
        internal Func<int, string?> L3 { get; init; } = _ => null;
        internal int L3KiB { get; init; } = 32768;
        internal string? Offline { get; init; }
        internal string? Isolated { get; init; }
        internal string? AllowedCpus { get; init; }
        internal string? AllowedNodes { get; init; }
        internal int HugePagesPerNode { get; init; }
    }

    internal static readonly Recipe[] All =
    [
        new("two-sockets", "two 8-core sockets whose firmware numbers CPUs in turn, SMT siblings 16 apart",
            [new(0, "0-30:2", 64, 10, 21), new(1, "1-31:2", 64, 21, 10)])
        {
            Package = cpu => cpu % 2,
            Siblings = cpu => $"{cpu % 16},{cpu % 16 + 16}",
            L3 = cpu => cpu % 2 == 0 ? Even(0, 32) : Even(1, 32),
            L3KiB = 25600,
        },
        new("four-nodes", "four sockets in a ring, no SMT",
            [new(0, "0-7", 32, 10, 16, 16, 22), new(1, "8-15", 32, 16, 10, 22, 16), new(2, "16-23", 32, 16, 22, 10, 16), new(3, "24-31", 32, 22, 16, 16, 10)])
        {
            Package = cpu => cpu / 8, L3 = cpu => Block(cpu, 8), L3KiB = 12288,
        },
        new("eight-nodes-256-cpus", "after the published layout of two EPYC 9554 with four nodes per socket",
            [.. Enumerable.Range(0, 8).Select(n => new Node(n, $"{16 * n}-{16 * n + 15},{128 + 16 * n}-{128 + 16 * n + 15}", 96,
                [.. Enumerable.Range(0, 8).Select(m => m == n ? 10 : m / 4 == n / 4 ? 12 : 32)]))])
        {
            Package = cpu => cpu % 128 / 64, Siblings = cpu => $"{cpu % 128},{cpu % 128 + 128}",
            L3 = cpu => $"{Block(cpu % 128, 8)},{Block(cpu % 128 + 128, 8)}", HugePagesPerNode = 512,
        },
        new("sub-numa-clusters", "two sockets of two sub-NUMA clusters; the L3 spans both clusters of a socket",
            [new(0, "0-11,48-59", 64, 10, 11, 20, 20), new(1, "12-23,60-71", 64, 11, 10, 20, 20),
                new(2, "24-35,72-83", 64, 20, 20, 10, 11), new(3, "36-47,84-95", 64, 20, 20, 11, 10)])
        {
            Package = cpu => cpu % 48 / 24, Siblings = cpu => $"{cpu % 48},{cpu % 48 + 48}",
            L3 = cpu => $"{Block(cpu % 48, 24)},{Block(cpu % 48 + 48, 24)}", L3KiB = 36864,
        },
        new("cxl", "two sockets and a memory expander as node 2, nearer to socket 0",
            [new(0, "0-7", 64, 10, 21, 14), new(1, "8-15", 64, 21, 10, 24), new(2, "", 256, 14, 24, 10)])
        {
            Package = cpu => cpu / 8, L3 = cpu => Block(cpu, 8),
        },
        new("memory-less-node", "node 2 has CPUs but empty memory slots",
            [new(0, "0-3", 16, 10, 12, 32), new(1, "4-7", 16, 12, 10, 12), new(2, "8-15", 0, 32, 12, 10)])
        {
            Package = cpu => cpu / 4 == 0 ? 0 : cpu < 8 ? 1 : 2, L3 = cpu => cpu < 8 ? Block(cpu, 4) : "8-15",
        },
        new("nodes-4-to-7", "a partition whose firmware hands out nodes 4 to 7",
            [new(4, "0-3", 8, 10, 20, 40, 40), new(5, "4-7", 8, 20, 10, 40, 40), new(6, "8-11", 8, 40, 40, 10, 20), new(7, "12-15", 8, 40, 40, 20, 10)])
        {
            Package = cpu => 4 + cpu / 8,
        },
        new("1280-cpus", "twenty nodes numbered 0-9 and 64-73, 640 cores, SMT siblings 640 apart",
            [.. Enumerable.Range(0, 20).Select(n => new Node(n < 10 ? n : n + 54, $"{32 * n}-{32 * n + 31},{640 + 32 * n}-{640 + 32 * n + 31}", 128,
                [.. Enumerable.Range(0, 20).Select(m => m == n ? 10 : m / 4 == n / 4 ? 20 : 40)]))])
        {
            Package = cpu => cpu % 640 / 128, Siblings = cpu => $"{cpu % 640},{cpu % 640 + 640}",
            L3 = cpu => $"{Block(cpu % 640, 32)},{Block(cpu % 640 + 640, 32)}",
        },
        new("offline-and-isolated", "eight CPUs: 5 offline, 2-3 isolated and so outside the affinity mask",
            [new(0, "0-4,6-7", 16, 10)])
        {
            Offline = "5", Isolated = "2-3", AllowedCpus = "0-1,4,6-7", L3 = _ => "0-4,6-7",
        },
        new("cpuset", "a container with CPUs 0-3 and memory of node 0 on a machine of 8 CPUs and 2 nodes",
            [new(0, "0-3", 16, 10, 20), new(1, "4-7", 16, 20, 10)])
        {
            Package = cpu => cpu / 4, AllowedCpus = "0-3", AllowedNodes = "0", L3 = cpu => Block(cpu, 4),
        },
    ];

    internal static RecordedSysRoot Build(Recipe recipe)
    {
        var files = new Dictionary<string, string>();
        var cpus = recipe.Nodes.SelectMany(n => Cpus(n.Cpus)).Order().ToArray();
        var offline = Cpus(recipe.Offline ?? "");
        void File(string path, string text) => files[path] = text + "\n";
        void Cpu(int cpu, string path, string text) => File($"sys/devices/system/cpu/cpu{cpu}/{path}", text);

        File("sys/devices/system/cpu/online", Kernel(cpus));
        File("sys/devices/system/cpu/present", Kernel([.. cpus.Concat(offline).Order()]));
        File("sys/devices/system/cpu/possible", Kernel([.. cpus.Concat(offline).Order()]));
        File("sys/devices/system/cpu/offline", recipe.Offline ?? "");
        File("sys/devices/system/cpu/isolated", recipe.Isolated ?? "");
        File("proc/self/status", $"Cpus_allowed_list:\t{recipe.AllowedCpus ?? Kernel(cpus)}\n"
            + $"Mems_allowed_list:\t{recipe.AllowedNodes ?? Kernel([.. recipe.Nodes.Select(n => n.Id)])}");
        foreach (var cpu in cpus)
        {
            Cpu(cpu, "topology/physical_package_id", Text(recipe.Package(cpu)));
            Cpu(cpu, "topology/core_cpus_list", recipe.Siblings(cpu));
            if (recipe.L3(cpu) is not { } sharers)
                continue;
            Cpu(cpu, "cache/index3/level", "3");
            Cpu(cpu, "cache/index3/type", "Unified");
            Cpu(cpu, "cache/index3/size", $"{recipe.L3KiB}K");
            Cpu(cpu, "cache/index3/shared_cpu_list", sharers);
        }
        File("sys/devices/system/node/online", Kernel([.. recipe.Nodes.Select(n => n.Id)]));
        File("sys/devices/system/node/has_memory", Kernel([.. recipe.Nodes.Where(n => n.Gib > 0).Select(n => n.Id)]));
        foreach (var node in recipe.Nodes)
        {
            var dir = $"sys/devices/system/node/node{node.Id}";
            File($"{dir}/cpulist", Kernel(Cpus(node.Cpus)));
            File($"{dir}/distance", string.Join(' ', node.Distances));
            File($"{dir}/meminfo", $"Node {node.Id} MemTotal:       {(long)node.Gib << 20} kB\nNode {node.Id} MemFree:        {(long)node.Gib * 15 / 16 << 20} kB");
            File($"{dir}/hugepages/hugepages-2048kB/nr_hugepages", Text(recipe.HugePagesPerNode));
            File($"{dir}/hugepages/hugepages-2048kB/free_hugepages", Text(recipe.HugePagesPerNode));
        }
        return new RecordedSysRoot(recipe.Name, files, isSynthetic: true);
    }

    internal static string About(string name, string provenance, bool synthetic) =>
        $"{{\n  \"name\": {JsonSerializer.Serialize(name)},\n  \"provenance\": {JsonSerializer.Serialize(provenance)},\n  \"synthetic\": {(synthetic ? "true" : "false")}\n}}\n";

    /// <summary>As the kernel prints: ranges only.</summary>
    private static string Kernel(int[] numbers)
    {
        var runs = new List<string>();
        for (int i = 0, j; i < numbers.Length; i = j)
        {
            for (j = i + 1; j < numbers.Length && numbers[j] == numbers[j - 1] + 1; j++) { }
            runs.Add(j - i == 1 ? Text(numbers[i]) : $"{numbers[i]}-{numbers[j - 1]}");
        }
        return string.Join(',', runs);
    }

    private static int[] Cpus(string list) => list.Length == 0 ? [] : [.. list.Split(',').SelectMany(item =>
    {
        var n = item.Split('-', ':').Select(x => int.Parse(x, CultureInfo.InvariantCulture)).ToArray();
        return n.Length == 1 ? n : Enumerable.Range(n[0], n[1] - n[0] + 1).Where(c => n.Length == 2 || (c - n[0]) % n[2] == 0);
    })];

    private static string Block(int cpu, int size) => $"{cpu / size * size}-{cpu / size * size + size - 1}";

    private static string Even(int first, int end) => string.Join(',', Enumerable.Range(0, end).Where(c => c % 2 == first));

    private static string Text(int n) => n.ToString(CultureInfo.InvariantCulture);
}
