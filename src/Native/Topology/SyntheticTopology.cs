// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Immutable;
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>
/// Machines described in one line, as hwloc's synthetic topologies: <c>pack:2 numa:2 l3:1 core:4 pu:2</c>, each level a count inside the one
/// before. pack, numa and l3 may come in any order, core and pu last; <c>numa:2(memory=96G)</c> and <c>l3:1(size=32M)</c> give sizes.
/// CPUs are numbered along the tree. Distances: 10 local, 12 within a package, 32 between packages.
/// </summary>
public static class SyntheticTopology
{
    /// <summary>Bytes of a node whose memory is not given.</summary>
    public const long DefaultNodeBytes = 16L << 30;
    /// <summary>Bytes of an L3 whose size is not given.</summary>
    public const long DefaultL3Bytes = 32L << 20;

    /// <summary>Most nodes: MAX_NUMNODES of x86-64 (NODES_SHIFT 10). The distances grow with the square.</summary>
    public const int MostNodes = 1024;

    private const string Example = "pack:2 numa:2 l3:1 core:4 pu:2";
    private static readonly string[] Levels = ["pack", "numa", "l3", "core", "pu"];

    private readonly record struct Level(string Kind, int Count, long? Bytes);

    /// <summary>Builds the machine a line describes.</summary>
    /// <exception cref="UsageException">One line: what, at which column, why, and what to write instead.</exception>
    public static Topology Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var levels = ParseLevels(text);
        var total = levels.Aggregate(1, (n, l) => n * l.Count);
        var (node, package, core, l3) = (CpusIn(levels, "numa"), CpusIn(levels, "pack"), CpusIn(levels, "core"), CpusIn(levels, "l3"));
        var l3Bytes = levels.Find(l => l.Kind == "l3").Bytes ?? DefaultL3Bytes;
        var cpus = Enumerable.Range(0, total).Select(cpu => new CpuFact(cpu, node == 0 ? 0 : cpu / node, package == 0 ? 0 : cpu / package,
            core == 0 ? cpu : cpu / core, l3 == 0 ? -1 : cpu / l3, l3Bytes)).ToArray();
        var packages = cpus.GroupBy(c => c.Node).OrderBy(g => g.Key).Select(g => g.Select(c => c.Package).ToHashSet()).ToArray();
        var bytes = levels.Find(l => l.Kind == "numa").Bytes ?? DefaultNodeBytes;
        return new Topology(new TopologyFacts
        {
            Origin = $"synthetic: {string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))}",
            IsSynthetic = true,
            Cpus = cpus,
            Nodes = [.. packages.Select((mine, i) => new NodeFact(i, true, bytes, bytes, [],
                [.. packages.Select((theirs, j) => i == j ? 10 : mine.Overlaps(theirs) ? 12 : 32)]))],
        });
    }

    private static List<Level> ParseLevels(string text)
    {
        var levels = new List<Level>();
        long total = 1;
        for (var at = 0; at < text.Length;)
        {
            if (char.IsWhiteSpace(text[at]))
            {
                at++;
                continue;
            }
            var end = at;
            while (end < text.Length && !char.IsWhiteSpace(text[end]))
                end++;
            var level = ParseLevel(text[at..end], at + 1);
            var where = $"'{ListText.Shown(text[at..end])}' at column {at + 1}";
            if (levels.Exists(l => l.Kind == level.Kind))
                throw new UsageException($"{where}: {level.Kind} is already there");
            if (levels.Exists(l => l.Kind == "pu" || (l.Kind == "core" && level.Kind != "pu")))
                throw new UsageException($"{where} cannot be inside {levels[^1].Kind}; write for example {Example}");
            if ((total *= level.Count) > KernelList.Limit)
                throw new UsageException($"{where} makes {total} CPUs; at most {KernelList.Limit}");
            levels.Add(level);
            at = end;
            var inside = levels.FindIndex(l => l.Kind == "numa") + 1;
            var nodes = levels.Take(inside).Aggregate(1L, (n, l) => n * l.Count);
            if (nodes > MostNodes)
                throw new UsageException($"{where} makes {nodes} nodes; at most {MostNodes}");
        }
        return levels.Count > 0 ? levels : throw new UsageException($"the description is empty; write for example {Example}");
    }

    private static Level ParseLevel(string item, int column)
    {
        var colon = item.IndexOf(':', StringComparison.Ordinal);
        var word = colon < 0 ? item : item[..colon];
        var kind = word.ToLowerInvariant() switch
        {
            "package" or "socket" => "pack",
            "node" or "numanode" => "numa",
            "l3cache" => "l3",
            var other => Array.Find(Levels, l => l == other),
        };
        if (kind is null || colon < 0)
            throw new UsageException($"'{ListText.Shown(item)}' at column {column} is not a level and a count; write for example {Example}");
        var open = item.IndexOf('(', StringComparison.Ordinal);
        var count = open < 0 ? item[(colon + 1)..] : item[(colon + 1)..open];
        if (!int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var n) || n == 0)
            throw new UsageException($"'{ListText.Shown(count)}' at column {column + colon + 1} is not a count of {kind}, 1 or more");
        return new Level(kind, n, open < 0 ? null : Attribute(kind, item[open..], column + open));
    }

    private static long Attribute(string kind, string text, int column)
    {
        var name = kind switch { "numa" => "(memory=", "l3" => "(size=", _ => null };
        if (name is null)
            throw new UsageException($"'{ListText.Shown(text)}' at column {column}: {kind} takes no attribute; only numa:2(memory=96G) and l3:1(size=32M) do");
        var size = text.StartsWith(name, StringComparison.Ordinal) && text.EndsWith(')') ? text[name.Length..^1] : "";
        var digits = size.TakeWhile(char.IsAsciiDigit).Count();
        var shift = size[digits..] switch { "K" or "KiB" => 10, "M" or "MiB" => 20, "G" or "GiB" => 30, "T" or "TiB" => 40, _ => 0 };
        return shift > 0 && int.TryParse(size.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n > 0 && n <= (1L << 46) >> shift
            ? (long)n << shift : throw new UsageException($"'{ListText.Shown(text)}' at column {column} is not {name}SIZE), SIZE being a number and K, M, G or T, up to 64T");
    }

    /// <summary>CPUs in one object of a level; 0 without such a level.</summary>
    private static int CpusIn(List<Level> levels, string kind)
    {
        var index = levels.FindIndex(l => l.Kind == kind);
        return index < 0 ? 0 : levels.Skip(index + 1).Aggregate(1, (n, l) => n * l.Count);
    }
}
