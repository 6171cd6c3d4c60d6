// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class CpuOrderTests
{
    private const string Small = "pack:2 l3:2 core:2 pu:2";   // CPUs 0-15; siblings adjacent, an L3 is 4 CPUs

    private static string Order(Func<Topology, IEnumerable<CpuId>, IEnumerable<CpuId>> order, string machine, string list = "all")
    {
        var t = machine.Contains(':', StringComparison.Ordinal) ? SyntheticTopology.Parse(machine) : Machines.Load(machine);
        var chosen = CpuList.Parse(list, t);
        var ordered = order(t, chosen).ToArray();
        Assert.Equal(chosen, ordered.Order());   // a permutation
        return string.Join(' ', ordered);
    }

    private static string CoresFirst(string machine, string list = "all") => Order((t, c) => CpuOrder.CoresFirst(t, c), machine, list);

    [Fact]
    public void Cores_first_takes_one_core_of_each_l3_then_all_cores_then_smt_siblings() =>
        Assert.Equal("0 4 8 12 2 6 10 14 1 3 5 7 9 11 13 15", CoresFirst(Small));

    [Fact]
    public void Compact_fills_a_core_then_its_l3_then_the_next() =>
        Assert.Equal("0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", Order((t, c) => CpuOrder.Compact(t, c), Small));

    [Fact]
    public void Compact_follows_the_tree_where_numbers_do_not() =>
        Assert.StartsWith("0 16 2 18 4 20 ", Order((t, c) => CpuOrder.Compact(t, c), "two-sockets"), StringComparison.Ordinal);

    [Fact]
    public void Scatter_goes_as_far_as_it_can_at_every_step() =>
        Assert.Equal("0 8 4 12 2 10 6 14 1 9 5 13 3 11 7 15", Order((t, c) => CpuOrder.Scatter(t, c), Small));

    [Fact]
    public void Linear_is_by_number() => Assert.Equal("0 1 2 3", Order((_, c) => CpuOrder.Linear(c), Small, "3,1,0,2"));

    [Fact]
    public void Without_an_l3_the_node_stands_in() =>
        Assert.Equal("0 4 8 12 1 2 3 5 6 7 9 10 11 13 14 15", CoresFirst("nodes-4-to-7"));

    [Fact]
    public void A_second_thread_alone_on_its_core_counts_as_the_core() =>
        Assert.Equal("1 5 2 3", CoresFirst(Small, "1,3,2,5"));

    [Fact]
    public void Scatter_puts_smt_last_even_where_packages_are_uneven() =>
        Assert.Equal("0 8 10 12 1", Order((t, c) => CpuOrder.Scatter(t, c), "pack:2 core:4 pu:2", "0-1,8,10,12"));

    [Fact]
    public void The_first_sixteen_threads_of_the_large_machine_sit_in_sixteen_l3_domains()
    {
        var t = Machines.Load("eight-nodes-256-cpus");
        var order = CpuOrder.CoresFirst(t, t.AllowedCpus);
        Assert.Equal(16, order.Take(16).Select(c => t.Cpu(c).L3).Distinct().Count());
        Assert.Equal(128, order.Take(128).Select(c => t.Cpu(c).Core).Distinct().Count());
    }
}
