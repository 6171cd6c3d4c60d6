// SPDX-License-Identifier: GPL-2.0-only
using FsCheck;
using FsCheck.Fluent;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class CpuListTests
{
    private static readonly Topology EightCpus = SyntheticTopology.Parse("pack:1 core:8");

    private static string Cpus(string machine, string list) => CpuList.Format(CpuList.Parse(list, Of(machine)));

    private static string Nodes(string machine, string list) => NodeList.Format(NodeList.Parse(list, Of(machine)));

    private static Topology Of(string machine) => machine.Contains(':', StringComparison.Ordinal) ? SyntheticTopology.Parse(machine) : Machines.Load(machine);

    [Theory]
    [InlineData("two-sockets", "0-3,8", "0-3,8")]
    [InlineData("two-sockets", " 0 , 2 , 4 ", "0,2,4")]
    [InlineData("two-sockets", "0-3,8-15:2", "0-3,8-14:2")]
    [InlineData("two-sockets", "3,1,2,2,1-2", "1-3")]
    [InlineData("two-sockets", "all", "0-31")]
    [InlineData("two-sockets", "!0", "1-31")]
    [InlineData("two-sockets", "!0,1", "2-31")]
    [InlineData("two-sockets", "! 0-29", "30-31")]
    [InlineData("two-sockets", "node:0", "0-30:2")]
    [InlineData("two-sockets", "node:0-1", "0-31")]
    [InlineData("two-sockets", "!node:0", "1-31:2")]
    [InlineData("two-sockets", "node:!0", "1-31:2")]
    [InlineData("two-sockets", "node:all", "0-31")]
    [InlineData("two-sockets", "!node:!0", "0-30:2")]
    [InlineData("two-sockets", "socket:1", "1-31:2")]
    [InlineData("two-sockets", "SMT:0", "0-15")]
    [InlineData("two-sockets", "core:0,2,4", "0,2,4,16-20:2")]
    [InlineData("two-sockets", "core:0-4:2", "0,2,4,16-20:2")]
    [InlineData("two-sockets", "5,core:0,1", "0-1,5,16-17")]
    [InlineData("two-sockets", "core:0,smt:1", "0,16-31")]
    [InlineData("two-sockets", "core:!0-14,core:0", "0,15-16,31")]
    [InlineData("sub-numa-clusters", "l3:1", "24-47,72-95")]
    [InlineData("eight-nodes-256-cpus", "node:0,node:7", "0-15,112-143,240-255")]
    [InlineData("nodes-4-to-7", "node:+0", "0-3")]
    [InlineData("cpuset", "all", "0-3")]
    [InlineData("cpuset", "!6", "0-3")]
    [InlineData("cpuset", "+1-3:2", "1,3")]
    [InlineData("offline-and-isolated", "all", "0-1,4,6-7")]
    [InlineData("offline-and-isolated", "+2-4", "4,6-7")]
    [InlineData("offline-and-isolated", "2-3", "2-3")]
    [InlineData("offline-and-isolated", "node:0", "0-1,4,6-7")]
    [InlineData("offline-and-isolated", "!5,0", "1,4,6-7")]
    [InlineData("1280-cpus", "1024-1279", "1024-1279")]
    [InlineData("1280-cpus", "node:73", "608-639,1248-1279")]
    public void A_list_names(string machine, string list, string cpus) => Assert.Equal(cpus, Cpus(machine, list));

    [Theory]
    [InlineData("pack:1 core:8", "0-x", "'0-x' at column 1 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "9", "CPU 9 does not exist here (online: 0-7). Topology: memcgnative topology")]
    [InlineData("cpuset", "6", "CPU 6 is online but outside this process's cpuset (allowed: 0-3); a container or Slurm set that")]
    [InlineData("offline-and-isolated", "5", "CPU 5 is offline (online: 0-4,6-7). As root: echo 1 > /sys/devices/system/cpu/cpu5/online")]
    [InlineData("pack:1 core:8", "0-15", "CPU 8 does not exist here (online: 0-7). Topology: memcgnative topology")]
    [InlineData("pack:1 core:8", "0-4294967295", "CPU 8 does not exist here (online: 0-7). Topology: memcgnative topology")]
    [InlineData("pack:1 core:8", "99999999999999999999", "CPU 2147483647 does not exist here (online: 0-7). Topology: memcgnative topology")]
    [InlineData("pack:1 core:8", "", "the list is empty; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", " ", "the list is empty; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "0,", "'' at column 3 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "0, y", "'y' at column 4 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "3:2", "'3:2' at column 1 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "-3", "'-3' at column 1 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "1 2", "'1 2' at column 1 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "numa:0", "'numa:0' at column 1 is not a CPU number or range; write for example 0-3,8-15:2, all, !0 or node:1")]
    [InlineData("pack:1 core:8", "0,3-1", "'3-1' at column 3 runs backwards; write 1-3")]
    [InlineData("pack:1 core:8", "0-3:0", "'0-3:0' at column 1 has stride 0; a stride is 1 or more")]
    [InlineData("pack:1 core:8", "0,!1", "'!1' at column 3: '!' inverts a whole list and stands once, at its beginning")]
    [InlineData("pack:1 core:8", "!!1", "'!1' at column 2: '!' inverts a whole list and stands once, at its beginning")]
    [InlineData("pack:1 core:8", "0,all", "'all' at column 3: 'all' stands alone in its list")]
    [InlineData("pack:1 core:8", "all,0", "'0' at column 5: 'all' stands alone in its list")]
    [InlineData("pack:1 core:8", "!all", "'!all' leaves no CPU (usable: 0-7)")]
    [InlineData("cpuset", "+4", "'+4' at column 1 counts past the 4 usable here (0-3); the first is +0")]
    [InlineData("pack:1 core:8", "node:x", "'x' at column 6 is not a node number or range; write for example node:0-1, node:all or node:!0")]
    [InlineData("pack:1 core:8", "node:", "'' at column 6 is not a node number or range; write for example node:0-1, node:all or node:!0")]
    [InlineData("pack:1 core:8", "node:core:0", "'core:0' at column 6 is not a node number or range; write for example node:0-1, node:all or node:!0")]
    [InlineData("pack:1 core:8", "node:1", "node 1 does not exist here (nodes: 0). Topology: memcgnative topology")]
    [InlineData("pack:1 core:8", "core:0,8", "core 8 does not exist here (cores: 0-7). Topology: memcgnative topology")]
    [InlineData("pack:1 core:8", "l3:0", "this machine reports no L3 domains; choose by node:, socket: or core:. Topology: memcgnative topology")]
    [InlineData("cxl", "node:2", "node 2 has no CPU; nodes with CPUs: 0-1. Topology: memcgnative topology")]
    [InlineData("cpuset", "node:1", "node 1 has no CPU inside this process's cpuset (allowed: 0-3); a container or Slurm set that")]
    [InlineData("nodes-4-to-7", "node:0", "node 0 does not exist here (nodes: 4-7). Topology: memcgnative topology")]
    public void A_wrong_list_says_what_where_and_why(string machine, string list, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => Cpus(machine, list)).Message);

    [Theory]
    [InlineData("eight-nodes-256-cpus", "0-3", "0-3")]
    [InlineData("eight-nodes-256-cpus", "socket:1", "4-7")]
    [InlineData("eight-nodes-256-cpus", "l3:0-2", "0-1")]
    [InlineData("eight-nodes-256-cpus", "!0", "1-7")]
    [InlineData("eight-nodes-256-cpus", "node:0-6:2", "0-6:2")]
    [InlineData("nodes-4-to-7", "all", "4-7")]
    [InlineData("nodes-4-to-7", "+0,7", "4,7")]
    [InlineData("cxl", "2", "2")]
    [InlineData("cpuset", "all", "0")]
    [InlineData("memory-less-node", "all", "0-1")]
    [InlineData("1280-cpus", "9,64", "9,64")]
    public void A_node_list_names(string machine, string list, string nodes) => Assert.Equal(nodes, Nodes(machine, list));

    [Theory]
    [InlineData("memory-less-node", "2", "node 2 has CPUs 8-15 but no memory; nearest node with memory is 1 (distance 12)")]
    [InlineData("cpuset", "1", "node 1 has memory but this cpuset forbids it (Mems_allowed: 0)")]
    [InlineData("eight-nodes-256-cpus", "8", "node 8 does not exist here (nodes: 0-7). Topology: memcgnative topology")]
    [InlineData("nodes-4-to-7", "4,0", "node 0 does not exist here (nodes: 4-7). Topology: memcgnative topology")]
    [InlineData("cxl", "0-x", "'0-x' at column 1 is not a node number or range; write for example 0-1,4, all, !0 or socket:1")]
    [InlineData("memory-less-node", "socket:2", "socket 2 has no node with memory this process may use (usable: 0-1)")]
    [InlineData("cxl", "!all", "'!all' leaves no node (usable: 0-2)")]
    public void A_wrong_node_list_says_why(string machine, string list, string message) =>
        Assert.Equal(message, Assert.Throws<UsageException>(() => Nodes(machine, list)).Message);

    [Theory]
    [InlineData("", "none")]
    [InlineData("5", "5")]
    [InlineData("0 1", "0-1")]
    [InlineData("0 2 4", "0,2,4")]
    [InlineData("0 2 4 6", "0-6:2")]
    [InlineData("0 2 4 5 6 7", "0,2,4-7")]
    [InlineData("100 104 108", "100-108:4")]
    [InlineData("3 2 1 1", "1-3")]
    public void Numbers_print_short(string numbers, string text) =>
        Assert.Equal(text, CpuList.Format(numbers.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(n => new CpuId(int.Parse(n, System.Globalization.CultureInfo.InvariantCulture)))));

    [Fact]
    public void A_message_stays_one_line_whatever_was_typed()
    {
        var message = Assert.Throws<UsageException>(() => CpuList.Parse("0,\u001b[31m\n" + new string('x', 500), EightCpus)).Message;
        Assert.DoesNotContain(message, char.IsControl);
        Assert.True(message.Length < 200);
    }

    [Fact]
    public void Printing_and_reading_any_set_gives_it_back()
    {
        var t = SyntheticTopology.Parse("core:200");
        Prop.ForAll(Gen.Choose(0, 199).NonEmptyListOf().ToArbitrary(), numbers =>
        {
            var cpus = numbers.Distinct().Order().Select(n => new CpuId(n)).ToArray();
            var text = CpuList.Format(cpus);
            return CpuList.Parse(text, t).SequenceEqual(cpus) && text.Length <= string.Join(',', cpus.Select(c => c.Value)).Length;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Any_text_is_a_list_that_round_trips_or_a_usage_error_of_one_line()
    {
        var t = Machines.Load("cpuset");
        var words = Gen.Elements("0", "1", "3", "7", "12", "-", ",", ":", "+", "!", "all", "node:", "core:", "l3:", "smt:", "socket:", " ", "x", "\n", "é", "\ud800");
        var noise = ArbMap.Default.ArbFor<string?>().Generator.Select(s => s ?? "");
        var texts = Gen.OneOf(words.ListOf().Select(string.Concat), words.ListOf().Select(w => "0" + string.Concat(w)), noise);
        var read = 0;
        Prop.ForAll(texts.ToArbitrary(), text =>
        {
            try
            {
                var cpus = CpuList.Parse(text, t);
                read++;
                return !cpus.IsEmpty && CpuList.Parse(CpuList.Format(cpus), t).SequenceEqual(cpus);
            }
            catch (UsageException e)
            {
                return e.Message.Length > 0 && !e.Message.Contains('\n', StringComparison.Ordinal);
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
        Assert.True(read > 50, $"only {read} texts were lists: the generator is too wild to test anything");
    }
}
