// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>A topology as plain lines for people: the tree, the distances, and what is unusual.</summary>
public static class TopologyText
{
    private sealed record Branch(string Text, List<Branch> Children);

    /// <summary>The whole picture, no line end in a line; box-drawing characters only if <paramref name="unicode"/>.</summary>
    public static ImmutableArray<string> Tree(Topology topology, bool unicode = true)
    {
        ArgumentNullException.ThrowIfNull(topology);
        var lines = new List<string> { Headline(topology) };
        if (!topology.IsThisMachine)
            lines.Add(topology.Origin + (topology.IsSynthetic && topology.Origin.StartsWith("recorded", StringComparison.Ordinal)
                ? " (synthetic: made up, not a real machine)" : ""));
        Draw(Roots(topology), "", lines, unicode);
        lines.AddRange(Distances(topology));
        lines.Add($"isolated CPUs: {CpuList.Format(topology.IsolatedCpus)}   offline: {CpuList.Format(topology.OfflineCpus)}   "
            + $"nodes without memory: {NodeList.Format(topology.Nodes.Where(n => !n.HasMemory).Select(n => n.Id))}   "
            + $"nodes without CPUs: {NodeList.Format(topology.Nodes.Where(n => !n.HasCpus).Select(n => n.Id))}   processor groups: {Groups(topology)}");
        return [.. lines];
    }

    /// <summary>Powers of 1024 with at most one decimal: 96 GiB, 3.7 GiB, 32 MiB.</summary>
    public static string Size(long bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        var unit = 0;
        double size = bytes;
        for (; size >= 1024 && unit < units.Length - 1; unit++)
            size /= 1024;
        return string.Create(CultureInfo.InvariantCulture, $"{size:0.#} {units[unit]}");
    }

    private static string Headline(Topology t)
    {
        var memory = t.MemoryBytes is { } bytes ? $"{Size(bytes)}, " : "";
        var smt = t.SmtWidth > 1 ? $" (SMT {t.SmtWidth})" : "";
        return $"Machine {memory}{Count(t.Nodes.Length, "node")}, {Count(t.Packages.Length, "package")}, {Count(t.Cores.Length, "core")}, "
            + $"{Count(t.Cpus.Length, "CPU")}{smt}      allowed here: {CpuList.Format(t.AllowedCpus)}, "
            + $"{(t.AllowedNodes.Length == 1 ? "node" : "nodes")} {NodeList.Format(t.AllowedNodes)}";
    }

    /// <summary>Packages with the nodes that lie in them; beside them the nodes that span packages or have no CPU.</summary>
    private static List<Branch> Roots(Topology t)
    {
        var roots = new List<Branch>();
        var home = t.Nodes.ToLookup(n => n.Cpus.Select(c => t.Cpu(c).Package).Distinct().ToArray() is [var only] ? only : -1);
        foreach (var p in t.Packages)
            if (home.Contains(p.Index))
                roots.Add(new Branch($"Package {p.Index}{(p.Number == p.Index ? "" : $" (number {p.Number})")}", [.. home[p.Index].Select(n => NodeBranch(t, n))]));
        roots.AddRange(home[-1].Select(n => NodeBranch(t, n)));
        return roots;
    }

    private static Branch NodeBranch(Topology t, NodeInfo n)
    {
        var free = n.FreeBytes is { } bytes ? $" ({Size(bytes)} free)" : "";
        var memory = !n.HasMemory ? "no memory" : n.MemoryBytes is { } total ? $"{Size(total)}{free}" : $"size not reported{free}";
        var pools = string.Concat(n.HugePages.Where(p => p.TotalPages > 0).Select(p => $"   {Page(p.SizeBytes)} pages {p.FreePages}/{p.TotalPages} free"));
        var packages = n.Cpus.Select(c => t.Cpu(c).Package).Distinct().Order().ToArray();
        var spans = packages.Length > 1 ? $"   packages {ListText.Format(packages)}" : "";
        var cpus = n.HasCpus ? $"   CPUs {CpuList.Format(n.Cpus)}" : "   no CPUs";
        return new Branch($"Node {n.Id}   {memory}{pools}{cpus}{spans}{(n.IsAllowed || !n.HasMemory ? "" : "   not allowed here")}",
            [.. t.L3Domains.Where(l => l.Cpus.Any(c => t.Cpu(c).Node == n.Id)).Select(l => L3Branch(t, n, l))]);
    }

    private static Branch L3Branch(Topology t, NodeInfo n, L3Info l)
    {
        var here = l.Cpus.Where(c => t.Cpu(c).Node == n.Id).ToArray();
        var others = l.Cpus.Select(c => t.Cpu(c).Node).Where(id => id != n.Id).Distinct().ToArray();
        var size = l.SizeBytes is { } bytes ? $"   {Size(bytes)}" : "";
        var shared = others.Length > 0 ? $"   shared with {(others.Length == 1 ? "node" : "nodes")} {NodeList.Format(others)}" : "";
        return new Branch($"L3 {l.Index}{size}   cores {ListText.Format(here.Select(c => t.Cpu(c).Core))}   CPUs {CpuList.Format(here)}{shared}", []);
    }

    private static void Draw(List<Branch> branches, string indent, List<string> lines, bool unicode)
    {
        for (var i = 0; i < branches.Count; i++)
        {
            var last = i == branches.Count - 1;
            lines.Add(indent + (unicode ? last ? "└─ " : "├─ " : last ? "`- " : "|- ") + branches[i].Text);
            Draw(branches[i].Children, indent + (last ? "   " : unicode ? "│  " : "|  "), lines, unicode);
        }
    }

    private static IEnumerable<string> Distances(Topology t)
    {
        if (!t.HasDistances)
            return ["distances: this system does not report them"];
        if (t.Nodes.Length == 1)
            return ["distances: one node"];
        var width = Math.Max(4, t.Nodes.Max(n => Math.Max(n.Id.ToString().Length, n.Distances.Max().ToString(CultureInfo.InvariantCulture).Length)) + 1);
        var rows = t.Nodes.Select(n => $"{Cell("node " + n.Id, 9)}{string.Concat(n.Distances.Select(d => Cell(d.ToString(CultureInfo.InvariantCulture), width)))}");
        return [$"{"distances",-9}{string.Concat(t.Nodes.Select(n => Cell(n.Id.ToString(), width)))}", .. rows];
    }

    private static string Groups(Topology t) => t.ProcessorGroups.IsEmpty ? "n/a" : string.Join(' ', t.ProcessorGroups.Select(g => $"{g.Number}={CpuList.Format(g.Cpus)}"));

    private static string Count(int n, string what) => $"{n} {what}{(n == 1 ? "" : "s")}";

    private static string Page(long bytes) => bytes >= 1 << 30 ? $"{bytes >> 30}G" : bytes >= 1 << 20 ? $"{bytes >> 20}M" : $"{bytes >> 10}K";

    private static string Cell(string text, int width) => text.PadLeft(width);
}
