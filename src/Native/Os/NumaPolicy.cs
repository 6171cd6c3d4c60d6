// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>Where the pages of a region are to be born.</summary>
public enum NumaMode
{
    /// <summary>On the node of the CPU that uses them; on the node of the CPU that faults them in until <see cref="NumaPolicy.On"/> names it.</summary>
    Local,
    /// <summary>Only on the nodes named (MPOL_BIND).</summary>
    Bind,
    /// <summary>Round robin over the nodes named (MPOL_INTERLEAVE).</summary>
    Interleave,
    /// <summary>On one node while it has free pages (MPOL_PREFERRED).</summary>
    Preferred,
    /// <summary>On the nodes named while they have free pages (MPOL_PREFERRED_MANY, Linux 5.15).</summary>
    PreferredMany,
    /// <summary>Over the nodes by weight (MPOL_WEIGHTED_INTERLEAVE, Linux 6.9), or by this program in blocks.</summary>
    WeightedInterleave,
    /// <summary>On the node farthest from the CPU that uses them; <see cref="NumaPolicy.On"/> makes a Bind of it.</summary>
    Remote,
    /// <summary>Wherever the first thread that touches a page runs (MPOL_LOCAL).</summary>
    FirstTouch,
}

/// <summary>A node and its share in a weighted interleave, 1 to 255 as in the kernel.</summary>
public readonly record struct NodeWeight(NodeId Node, int Weight);

/// <summary>A memory policy as typed after --mem. Immutable.</summary>
/// <remarks>Linux: struct mempolicy (include/linux/mempolicy.h).</remarks>
public sealed partial class NumaPolicy
{
    private static readonly (string Name, NumaMode Mode, bool TakesList)[] grammar =
    [
        ("local", NumaMode.Local, false), ("bind", NumaMode.Bind, true), ("interleave", NumaMode.Interleave, true),
        ("preferred", NumaMode.Preferred, true), ("preferred-many", NumaMode.PreferredMany, true),
        ("weighted-interleave", NumaMode.WeightedInterleave, true), ("remote", NumaMode.Remote, false), ("first-touch", NumaMode.FirstTouch, false),
    ];

    private NumaPolicy(string text, NumaMode mode, IReadOnlyList<NodeId> nodes, IReadOnlyList<NodeWeight> weights, bool userWeights)
    {
        Text = text;
        Mode = mode;
        Nodes = nodes;
        Weights = weights;
        UserWeights = userWeights;
    }

    /// <summary>As typed.</summary>
    public string Text { get; }

    /// <summary>Which policy.</summary>
    public NumaMode Mode { get; }

    /// <summary>The nodes it names; empty for local, remote, first-touch and a weighted interleave by the kernel's own weights.</summary>
    public IReadOnlyList<NodeId> Nodes { get; }

    /// <summary>Weights per node, for <see cref="NumaMode.WeightedInterleave"/> with weights only.</summary>
    public IReadOnlyList<NodeWeight> Weights { get; }

    /// <summary>True when this program, not the kernel, must split by weight ("weighted-interleave:user:0=3,1=1").</summary>
    public bool UserWeights { get; }

    /// <inheritdoc/>
    public override string ToString() => Text;

    /// <summary>local, bind:L, interleave:L, preferred:N, preferred-many:L, weighted-interleave[:[user:]N=W,...], remote, first-touch.</summary>
    /// <param name="text">As typed after --mem.</param>
    /// <param name="nodeList">Reads the list L, with its own errors; null = the kernel's plain form 0-3,8.</param>
    /// <exception cref="UsageException">Not a policy; the message names the element.</exception>
    public static NumaPolicy Parse(string text, Func<string, IReadOnlyList<NodeId>>? nodeList = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string name = colon < 0 ? text : text[..colon];
        string? list = colon < 0 ? null : text[(colon + 1)..];
        foreach ((string known, NumaMode mode, bool takesList) in grammar)
        {
            if (known != name) continue;
            if (mode == NumaMode.WeightedInterleave) return ParseWeighted(text, list);
            if (!takesList)
                return list is null ? new NumaPolicy(text, mode, [], [], false) : throw new UsageException($"--mem {text}: {name} takes no nodes; write --mem {name}");
            if (string.IsNullOrWhiteSpace(list))
                throw new UsageException($"--mem {text}: which nodes? Write for example {name}:0{(mode == NumaMode.Preferred ? "" : " or " + name + ":0-1")}");
            IReadOnlyList<NodeId> nodes = (nodeList ?? (l => PlainList(text, l)))(list);
            if (nodes.Count == 0) throw new UsageException($"--mem {text}: the list names no node");
            if (mode == NumaMode.Preferred && nodes.Count > 1) throw new UsageException($"--mem {text}: preferred takes one node; for several write preferred-many:{list}");
            return new NumaPolicy(text, mode, nodes, [], false);
        }
        throw new UsageException($"--mem {text}: '{name}' is no policy; write local, bind:L, interleave:L, preferred:N, "
            + "preferred-many:L, weighted-interleave:N=W,..., remote or first-touch");
    }

    /// <summary>Binds what is relative to a CPU to nodes: local to home, remote to farthest. Other policies stay as they are.</summary>
    /// <param name="home">The node of the CPUs that will use the memory.</param>
    /// <param name="farthest">The node with memory farthest from it; null where home is the only one.</param>
    /// <exception cref="OsException">Remote on a machine with one memory node.</exception>
    public NumaPolicy On(NodeId home, NodeId? farthest) => Mode switch
    {
        NumaMode.Local => new NumaPolicy(Text, NumaMode.Local, [home], [], false),
        NumaMode.Remote when farthest is { } far => new NumaPolicy(Text, NumaMode.Bind, [far], [], false),
        NumaMode.Remote => throw OneNode(home),
        _ => this,
    };

    /// <summary>"this machine has one memory node (0): ... nothing to compare".</summary>
    public static OsException OneNode(NodeId node) =>
        new("", 0, $"this machine has one memory node ({node}): local, remote and interleave are the same; nothing to compare");

    /// <summary>
    /// The share of pages each node should get, in the order of the nodes; null when the policy fixes only the set (bind and preferred-many
    /// with several nodes) or nothing (first-touch, unresolved local).
    /// </summary>
    public IReadOnlyDictionary<NodeId, double>? ExpectedShares(IReadOnlyList<NodeWeight>? kernelWeights = null)
    {
        switch (Mode)
        {
            case NumaMode.Interleave:
                return Nodes.ToDictionary(n => n, _ => 1.0 / Nodes.Count);
            case NumaMode.WeightedInterleave:
                IReadOnlyList<NodeWeight> weights = Weights.Count > 0 ? Weights : kernelWeights ?? KernelWeights() ?? [];
                double sum = weights.Sum(w => w.Weight);
                return sum == 0 ? null : weights.ToDictionary(w => w.Node, w => w.Weight / sum);
            default:
                return Nodes.Count == 1 ? new Dictionary<NodeId, double> { [Nodes[0]] = 1.0 } : null;
        }
    }

    /// <summary>The weights the kernel would use, from sysfs; null before Linux 6.9.</summary>
    /// <param name="root">"/", or a recorded machine.</param>
    public static IReadOnlyList<NodeWeight>? KernelWeights(string root = "/")
    {
        string dir = Path.Combine(root, "sys/kernel/mm/mempolicy/weighted_interleave");
        if (!Directory.Exists(dir)) return null;
        var weights = new List<NodeWeight>();
        foreach (NodeId node in HugePages.MemoryNodes(root))
            if (SysText.TryReadLong($"{dir}/node{node}") is { } w) weights.Add(new NodeWeight(node, (int)w));
        return weights.Count > 0 ? weights : null;
    }

    private static NumaPolicy ParseWeighted(string text, string? list)
    {
        bool user = list == "user" || list?.StartsWith("user:", StringComparison.Ordinal) == true;
        if (user) list = list!.Length > 5 ? list[5..] : null;
        if (user && list is null) throw new UsageException($"--mem {text}: which weights? Write for example weighted-interleave:user:0=3,1=1");
        if (list is null) return new NumaPolicy(text, NumaMode.WeightedInterleave, [], [], false);
        var weights = new List<NodeWeight>();
        foreach (string item in list.Split(','))
        {
            string[] pair = item.Split('=');
            if (pair.Length != 2 || !TryNumber(pair[0], out int node) || !TryNumber(pair[1], out int weight))
                throw new UsageException($"--mem {text}: '{item}' is not NODE=WEIGHT; write for example weighted-interleave:0=3,1=1");
            if (weight is < 1 or > 255) throw new UsageException($"--mem {text}: weight {weight} of node {node} is outside of 1 to 255");
            if (weights.Exists(w => w.Node.Value == node)) throw new UsageException($"--mem {text}: node {node} is there twice");
            weights.Add(new NodeWeight(new NodeId(node), weight));
        }
        return new NumaPolicy(text, NumaMode.WeightedInterleave, weights.ConvertAll(w => w.Node), weights, user);
    }

    private static List<NodeId> PlainList(string text, string list)
    {
        var nodes = new List<NodeId>();
        foreach (string item in list.Split(','))
        {
            string[] ends = item.Split('-');
            if (ends.Length > 2 || !TryNumber(ends[0], out int first) || !TryNumber(ends[^1], out int last) || last < first || last > MaxNode)
                throw new UsageException($"--mem {text}: '{item}' is not a node number or range; write for example 0-3,8");
            for (int n = first; n <= last; n++)
                if (!nodes.Contains(new NodeId(n))) nodes.Add(new NodeId(n));
        }
        return nodes;
    }

    /// <summary>Linux: MAX_NUMNODES is at most 1 &lt;&lt; NODES_SHIFT, 1024 (mm/Kconfig).</summary>
    private const int MaxNode = 1023;

    private static bool TryNumber(string text, out int value) =>
        int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
