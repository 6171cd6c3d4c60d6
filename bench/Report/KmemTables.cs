// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using Spectre.Console;

namespace MemcgNative.Bench;

/// <summary>`dying`, `offline` and `slab` for people.</summary>
internal static class KmemTables
{
    /// <summary>"1000 by cache, 2 by stock".</summary>
    public static string Pins(DyingModel dying) => dying.Count == 0 ? "-" : string.Join(", ", dying.By.OrderByDescending(b => b.Value).Select(b => $"{b.Value} by {b.Key}"));

    public static void Dying(IReadOnlyList<DyingReport> reports, Terminal terminal, TextWriter writer)
    {
        Write(terminal, ["model", "removed", "dying", "held", "caches left", "groups hold", "frames hold", "all", "dying after free", "frames then"],
            reports.Select(r => (string[])[r.Model, N(r.Groups), N(r.DyingGroups.Count), Pins(r.DyingGroups), N(r.Caches), Bytes(r.GroupBytes), Bytes(r.FrameBytes),
                Bytes(r.GroupBytes + r.FrameBytes), N(r.AfterFree), Bytes(r.FrameBytesAfterFree)]), lefts: ["model", "held"]);
        writer.WriteLine($"each group left {reports[0].Objects} object(s) of 192 bytes; frames: the objects' slabs, caches and counted pointers");
        foreach (DyingReport r in reports.Where(r => r.Example is not null)) writer.WriteLine($"for example  {r.Model}: {r.Example}");
    }

    public static void Offline(IReadOnlyList<OfflineReport> reports, Terminal terminal, TextWriter writer)
    {
        foreach (IGrouping<string, OfflineReport> varied in reports.GroupBy(r => r.Varied))
        {
            Write(terminal, ["model", varied.Key, "offline", "+-", "from rmdir to it", "from it to freed"], varied.Select(r => (string[])[r.Model, N(r.N),
                Numbers.Ns(Estimate.Of(r.OfflineNs).Median), Numbers.Percent(Estimate.Of(r.OfflineNs).SpreadPercent), Numbers.Ns(Estimate.Of(r.GraceNs).Median),
                r.FreedNs is null ? "held" : Numbers.Ns(Estimate.Of(r.FreedNs).Median)]), lefts: ["model"]);
            foreach (IGrouping<string, OfflineReport> model in varied.GroupBy(r => r.Model)) writer.WriteLine(Growth(varied.Key, [.. model]));
            writer.WriteLine();
        }
        writer.WriteLine("offline is the callback alone; the wait before it is the grace period of the kill, with one CPU running and the others parked; medians");
    }

    /// <summary>About a cycle.</summary>
    private const double LeastNs = 0.25;

    /// <summary>
    /// Linear when the last step still costs a third or more of what the step before did, for each unit; when the largest is half again as dear as the
    /// one before; and when a unit costs more than a cycle: less is no loop over the units, but what a group meets in caches that they have filled.
    /// </summary>
    private static string Growth(string varied, OfflineReport[] points)
    {
        (long N, double Ns)[] at = [.. points.OrderBy(p => p.N).Select(p => (p.N, Estimate.PlainMedian(p.OfflineNs.ToArray())))];
        if (at.Length < 3) return $"{points[0].Model}: {at.Length} points say nothing about a shape";
        double Slope(int i) => (at[i].Ns - at[i - 1].Ns) / (at[i].N - at[i - 1].N);
        int last = at.Length - 1;
        bool linear = Slope(last) > LeastNs && Slope(last) > Slope(last - 1) / 3 && at[last].Ns > 1.5 * at[last - 1].Ns;
        return $"{points[0].Model}: {(linear ? $"linear in {varied}, {Numbers.Ns(Slope(last))} for each" : $"constant in {varied}")} "
            + $"({Numbers.Ns(at[0].Ns)} at {at[0].N}, {Numbers.Ns(at[last].Ns)} at {at[last].N})";
    }

    public static void Slab(IReadOnlyList<SlabReport> reports, Terminal terminal, TextWriter writer, bool listing)
    {
        if (listing)
            Write(terminal, ["cache", "owner", "bytes", "objects", "stocked", "slabs", "per slab", "in use", ""], reports[0].Caches.Select(c => (string[])[c.Name,
                c.Owner is { } owner ? N(owner) : "-", N(c.ObjectBytes), N(c.Objects), N(c.StockedObjects), N(c.Slabs), N(c.ObjectsPerSlab), Percent(c.Utilisation),
                c.Draining ? "draining" : ""]), lefts: ["cache", ""]);
        Write(terminal, ["model", "groups", "removed", "accounted caches", "slabs", "in use", "objects per group", "frames per group", "dying"],
            reports.Select(r => (string[])[r.Model, N(r.Groups), N(r.Removed), N(r.Caches.Count(c => !c.Name.StartsWith("kmalloc", StringComparison.Ordinal))), N(r.Slabs),
            Percent(r.Utilisation), Bytes(r.ObjectBytesPerGroup), Bytes(r.FrameBytesPerGroup), Pins(r.DyingGroups)]), lefts: ["model", "dying"]);
        writer.WriteLine("in use: bytes of live objects, of those the pages of accounted caches have room for; frames: these pages, caches, vectors of owners, counted pointers");
        if (!listing) writer.WriteLine("name one model (-M) to see its caches");
    }

    private static void Write(Terminal terminal, string[] columns, IEnumerable<string[]> rows, string[] lefts)
    {
        var table = new Table { Border = TableBorder.None };
        foreach (string column in columns) table.AddColumn(new TableColumn(column) { NoWrap = true, Alignment = lefts.Contains(column) ? Justify.Left : Justify.Right });
        foreach (string[] row in rows) table.AddRow(row.Select(c => (Spectre.Console.Rendering.IRenderable)new Text(c)));
        terminal.Write(table);
    }

    private static string Bytes(long n) => n < 1024 ? $"{n} B"
        : n < 1 << 20 ? string.Create(CultureInfo.InvariantCulture, $"{n / 1024.0:0.0} KiB") : string.Create(CultureInfo.InvariantCulture, $"{n / 1048576.0:0.0} MiB");

    private static string N(long n) => n.ToString(CultureInfo.InvariantCulture);

    private static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.0} %");
}
