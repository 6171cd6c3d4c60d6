// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>Every policy on four nodes at two distances: pages asked and found, exact, as the kernel tells page by page.</summary>
public sealed class PlacementTests
{
    public static TheoryData<string> Kernels => [.. Machines.Kernels];

    public static TheoryData<string, string, string> Exact
    {
        get
        {
            var data = new TheoryData<string, string, string>();
            foreach (string kernel in Machines.Kernels)
            {
                for (int n = 0; n < 4; n++)
                {
                    foreach (string policy in new[] { "local", "bind", "preferred", "thp" }) data.Add(kernel, $"{policy}{n}", $"{n}:4096");
                    data.Add(kernel, $"remote{n}", n < 2 ? "2:4096" : "0:4096");
                }
                data.Add(kernel, "interleave", "0:1024 1:1024 2:1024 3:1024");
                data.Add(kernel, "interleave13", "1:2048 3:2048");
                data.Add(kernel, "weighted31", "0:3072 1:1024");
                data.Add(kernel, "weighted12", "1:1024 2:3072");
                data.Add(kernel, "user", "0:3072 2:1024");
                data.Add(kernel, "thpall", "0:1024 1:1024 2:1024 3:1024");
                data.Add(kernel, "huge2", "2:8");
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Exact))]
    public void Each_policy_puts_every_page_where_it_says(string kernel, string job, string frames)
    {
        Answer answer = Machines.Pairs(kernel)[job];
        Assert.Equal("as_asked", answer.Result.GetProperty("placement").GetProperty("verdict").GetString());
        Assert.Equal(frames, answer.Found);
    }

    [Theory]
    [InlineData("6.1", "bind13", "1", "3")]
    [InlineData("6.12", "bind13", "1", "3")]
    [InlineData("6.1", "many02", "0", "2")]
    [InlineData("6.12", "many02", "0", "2")]
    public void A_set_of_nodes_holds_every_page(string kernel, string job, string one, string other)
    {
        JsonElement found = Machines.Pairs(kernel)[job].Result.GetProperty("placement").GetProperty("found");
        Assert.Equal(4096, found.EnumerateObject().Sum(n => n.Value.GetInt64()));
        Assert.All(found.EnumerateObject(), n => Assert.True(n.Name == one || n.Name == other, n.Name));
    }

    [Fact]
    public void Weights_of_the_kernel_are_read_back_and_met()
    {
        Answer answer = Machines.Pairs("6.12")["weighted"];
        Assert.Contains("node0=3 node1=1 node2=1 node3=1 (read back)", answer.Result.GetProperty("applied").GetString(), StringComparison.Ordinal);
        Assert.Equal("0:3072 1:1024 2:1024 3:1024", answer.Found);
        Assert.StartsWith("MPOL_WEIGHTED_INTERLEAVE by the kernel", Machines.Pairs("6.12")["weighted31"].Result.GetProperty("applied").GetString(), StringComparison.Ordinal);
        Assert.StartsWith("by this program", Machines.Pairs("6.12")["weighted12"].Result.GetProperty("applied").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_kernel_without_weights_says_what_to_write_instead()
    {
        Answer answer = Machines.Pairs("6.1")["weighted"];
        Assert.Equal(3, answer.Status);
        Assert.Matches("^memcgnative: --mem weighted-interleave: needs Linux 6.9 \\(this is 6.1[^)]*\\); --mem weighted-interleave:user splits by frame instead\n$", answer.Error);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Huge_pages_are_dealt_out_whole_even_where_they_do_not_come_out_even(string kernel)
    {
        JsonElement proof = Machines.Pairs(kernel)["thpodd"].Result.GetProperty("placement");
        long[] frames = [.. proof.GetProperty("found").EnumerateObject().Select(n => n.Value.GetInt64()).Order()];
        Assert.Equal([512, 512, 1024, 1024], frames);
        Assert.Equal("as_asked", proof.GetProperty("verdict").GetString());
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void A_node_without_huge_pages_is_named_with_the_command_that_gives_it_some(string kernel)
    {
        Answer answer = Machines.Pairs(kernel)["huge1"];
        Assert.Equal(3, answer.Status);
        Assert.StartsWith("memcgnative: --pages 2M: 8 pages needed on node 1, 0 free. As root: echo 8 > /sys/devices/system/node/node1/hugepages/", answer.Error,
            StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void A_strict_policy_beyond_its_node_is_refused_and_not_killed(string kernel)
    {
        Answer answer = Machines.Pairs(kernel)["full"];
        Assert.Equal(3, answer.Status);
        Assert.Matches("^memcgnative: --mem bind:1: 400 MiB wanted, node 1 can give [0-9]+ MiB. Ask for less, or for more nodes\n$", answer.Error);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void A_preferred_node_that_is_full_spills_to_its_nearest_and_the_proof_says_so(string kernel)
    {
        Answer answer = Machines.Pairs(kernel)["spill"];
        Assert.Equal(3, answer.Status);
        Assert.Matches("^2:[0-9]+ 3:[0-9]+$", answer.Found);
        Assert.Matches("^memcgnative: placement differs: [0-9]+ of 84480 frames on node 2, [0-9]+ on node 3 \\(asked: preferred:3\\). Not measured.\n$", answer.Error);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void A_node_that_is_not_there_is_named(string kernel)
    {
        Answer answer = Machines.Pairs(kernel)["absent"];
        Assert.Equal(3, answer.Status);
        Assert.Equal("memcgnative: --mem bind:4: node 4 does not exist here (nodes: 0-3). Topology: memcgnative topology\n", answer.Error);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void A_node_outside_of_the_cpuset_is_named_and_all_means_those_inside(string kernel)
    {
        Assert.Equal((3, "memcgnative: --mem bind:1: node 1 has memory but this cpuset forbids it (Mems_allowed: 0,2)\n"),
            (Machines.Pairs(kernel)["forbidden"].Status, Machines.Pairs(kernel)["forbidden"].Error));
        Assert.Equal("0:2048 2:2048", Machines.Pairs(kernel)["allowed"].Found);
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void The_first_touch_decides_where_nothing_was_asked(string kernel) =>
        Assert.Equal(Enumerable.Range(0, 8).Select(c => $"{c} {c / 2}:256"), Machines.Pairs(kernel)["touch"].Out.Split('\n', StringSplitOptions.RemoveEmptyEntries));

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Eight_nodes_of_one_CPU_take_their_shares(string kernel)
    {
        Assert.Equal("0:512 1:512 2:512 3:512 4:512 5:512 6:512 7:512", Machines.Eight(kernel)["interleave"].Found);
        Assert.Equal("7:4096", Machines.Eight(kernel)["bind7"].Found);
        Assert.Equal("0:4096", Machines.Eight(kernel)["remote5"].Found);
        Assert.Equal(Enumerable.Range(0, 8).Select(c => $"{c} {c}:256"), Machines.Eight(kernel)["touch"].Out.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }
}
