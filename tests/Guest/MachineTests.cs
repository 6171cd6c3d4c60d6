// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using Xunit;

[assembly: CollectionBehavior(MaxParallelThreads = -1)] // they wait for machines

namespace MemcgNative.Tests.Guest;

/// <summary>The machine as it was asked for is the machine as it is seen, nodes without memory, without CPUs and without number included.</summary>
public sealed class MachineTests
{
    public static TheoryData<string> Kernels => [.. Machines.Kernels];

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Four_nodes_are_seen_as_asked_for(string kernel) => Assert.Equal(
        ["0 cpus 0-1 10 16 32 32", "1 cpus 2-3 16 10 32 32", "2 cpus 4-5 32 32 10 16", "3 cpus 6-7 32 32 16 10"], Nodes(Machines.Pairs(kernel)));

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Eight_nodes_are_seen_as_asked_for(string kernel) => Assert.Equal(
        Enumerable.Range(0, 8).Select(n => $"{n} cpus {n} {string.Join(' ', Enumerable.Range(0, 8).Select(m => m == n ? 10 : m / 2 == n / 2 ? 12 : 24))}"),
            Nodes(Machines.Eight(kernel)));

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Holes_and_nodes_that_lack_something_are_seen_as_they_are(string kernel)
    {
        Assert.Equal(["0 cpus 0 10 14 20 40", "1 cpus 1 14 10 21 42 no memory", "3 cpus 2 20 21 10 30", "4 cpus none 40 42 30 10"], Nodes(Machines.Odd(kernel)));
        string tree = Machines.Odd(kernel)["tree"].Out;
        Assert.Contains("nodes without memory: 1   nodes without CPUs: 4", tree, StringComparison.Ordinal);
        Assert.DoesNotContain("not allowed", tree, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Memory_is_asked_of_nodes_that_have_it(string kernel)
    {
        Boot odd = Machines.Odd(kernel);
        Assert.Equal((3, "memcgnative: --mem bind:1: node 1 has CPUs 1 but no memory; nearest node with memory is 0 (distance 14)\n"), (odd["bind1"].Status, odd["bind1"].Error));
        Assert.Equal((3, "memcgnative: --mem bind:2: node 2 does not exist here (nodes: 0-1,3-4). Topology: memcgnative topology\n"), (odd["bind2"].Status, odd["bind2"].Error));
        Assert.Equal("4:4096", odd["bind4"].Found);
        Assert.Equal("0:4096", odd["local1"].Found);
        Assert.Equal("4:4096", odd["remote0"].Found);
        Assert.Equal("0:1024 3:1024 4:1024", odd["interleave"].Found);
        Assert.Equal(["0 0:256", "1 0:256", "2 3:256"], Lines(odd["touch"]));
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void The_allocator_goes_from_a_full_node_to_the_nearest_and_the_frames_really_are_there(string kernel)
    {
        Assert.Equal(["0 0:1024 1:1024 2:1024 3:1024", "2 1:1024 0:1024 2:1024 3:1024", "4 2:1024 3:1024 0:1024 1:1024", "6 3:1024 2:1024 0:1024 1:1024"],
            Lines(Machines.Pairs(kernel)["fallback"]));
        Assert.Equal("5 5:1024 4:1024 0:1024 1:1024 2:1024 3:1024 6:1024 7:1024", Lines(Machines.Eight(kernel)["fallback"])[5]);
        Assert.Equal(["0 0:1024 3:1024 4:1024", "1 0:1024 3:1024 4:1024", "2 3:1024 0:1024 4:1024"], Lines(Machines.Odd(kernel)["fallback"]));
    }

    private static string[] Lines(Answer answer)
    {
        Assert.True(answer.Status == 0, answer.Error);
        return answer.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    private static string[] Nodes(Boot boot) =>
    [
        .. boot["topology"].Result.GetProperty("nodes").EnumerateArray().Select(node =>
            $"{node.GetProperty("number")} cpus {node.GetProperty("cpus").GetString()} {string.Join(' ', node.GetProperty("distances").EnumerateArray())}"
            + (node.GetProperty("has_memory").GetBoolean() ? "" : " no memory")),
    ];
}
