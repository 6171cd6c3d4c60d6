// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;

namespace MemcgNative.Native;

/// <summary>Lists of memory nodes, in the grammar of <see cref="CpuList"/>. "all", "!" and selectors mean nodes with memory this process may use.</summary>
public static class NodeList
{
    private const string Hint = "Topology: memcgnative topology";

    /// <summary>The nodes a list names, ascending, each once, at least one; all have memory and are allowed.</summary>
    /// <exception cref="UsageException">One line: what, at which column, why, and what to write instead.</exception>
    public static ImmutableArray<NodeId> Parse(string text, Topology topology)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(topology);
        var nodes = new ListDomain
        {
            Name = "node",
            Example = "0-1,4, all, !0 or socket:1",
            Usable = [.. topology.Nodes.Where(n => n.HasMemory && n.IsAllowed).Select(n => n.Id.Value)],
            Refuse = (n, leftOut) => Refuse(topology, new NodeId(n), leftOut),
            Expand = n => [n],
        };
        return [.. new ListParser(text, nodes, word => Selector(topology, word, nodes)).Parse().Select(n => new NodeId(n))];
    }

    /// <summary>The short form: ranges, and strides where shorter. "none" for no node.</summary>
    public static string Format(IEnumerable<NodeId> nodes) => ListText.Format(nodes.Select(n => n.Value));

    /// <summary>Why this node cannot take memory, in the words the user sees, or null when it can.</summary>
    public static string? Refuse(Topology topology, NodeId id)
    {
        ArgumentNullException.ThrowIfNull(topology);
        return Refuse(topology, id, leftOut: false);
    }

    private static string? Refuse(Topology t, NodeId id, bool leftOut)
    {
        if (t.FindNode(id) is not { } node)
            return $"node {id} does not exist here (nodes: {Format(t.Nodes.Select(n => n.Id))}). {Hint}";
        if (leftOut)
            return null;
        if (!node.HasMemory)
            return $"node {id} has {(node.HasCpus ? $"CPUs {CpuList.Format(node.Cpus)} but no memory" : "neither CPUs nor memory")}; "
                + (t.NearestWithMemory(id) is { } near ? $"nearest node with memory is {near} (distance {t.Distance(id, near)})" : "no node here has memory this process may use");
        return node.IsAllowed ? null : $"node {id} has memory but this cpuset forbids it (Mems_allowed: {Format(t.AllowedNodes)})";
    }

    private static ListDomain? Selector(Topology t, string word, ListDomain nodes)
    {
        if (word == "node")
            return nodes;
        if (CpuList.Domains(t, word) is not { } domains)
            return null;
        IEnumerable<int> NodesOf(int n) => domains[n].Select(c => c.Node.Value).Distinct().Where(nodes.Usable.Contains);
        return new ListDomain
        {
            Name = CpuList.NameOf(word),
            Example = $"{word}:0-1, {word}:all or {word}:!0",
            Usable = [.. domains.Select(d => d.Key).Where(n => NodesOf(n).Any()).Order()],
            Refuse = (n, leftOut) => CpuList.RefuseDomain(t, word, domains, n)
                ?? (leftOut || NodesOf(n).Any() ? null : $"{CpuList.NameOf(word)} {n} has no node with memory this process may use (usable: {ListText.Format(nodes.Usable)})"),
            Expand = NodesOf,
        };
    }
}
