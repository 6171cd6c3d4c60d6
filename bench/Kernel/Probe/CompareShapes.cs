// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Throughput by number of CPUs of one thing: a design of the port, a place of the probe, a will-it-scale run.</summary>
internal sealed record Curve(string Name, string What, IReadOnlyDictionary<int, double> Throughput)
{
    /// <summary>Relative spread of each point, where the file says it: a smaller difference is none.</summary>
    public IReadOnlyDictionary<int, double> Spread { get; init; } = new Dictionary<int, double>();

    /// <summary>Against its own first point; the unit falls out, so curves of different things can be set side by side.</summary>
    public double SpeedUp(int cpus) => Throughput.TryGetValue(cpus, out double t) && First > 0 ? t / First : double.NaN;

    private double First => Throughput.Count == 0 ? 0 : Throughput.MinBy(p => p.Key).Value;
}

/// <summary>Reads curves from result files of this program, from will-it-scale (CSV) and lkp (JSON).</summary>
internal static class CurveFiles
{
    private const long MostBytes = 64L << 20;

    public static IReadOnlyList<Curve> Read(string path)
    {
        string text;
        try
        {
            var info = new FileInfo(path);
            if (info.Exists && info.Length > MostBytes) throw new UsageException($"{path}: {info.Length} bytes are more than a result has");
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"{path}: cannot be read: {e.Message.TrimEnd('.')}");
        }
        string name = Path.GetFileName(path);
        try
        {
            return text.TrimStart().StartsWith('{') ? Json(name, text) : WillItScale(name, text);
        }
        catch (JsonException e)
        {
            throw new UsageException($"{path}: is no JSON: {e.Message.Split('.')[0]}");
        }
    }

    private static Curve[] Json(string name, string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        JsonElement root = document.RootElement;
        if (root.TryGetProperty("series", out JsonElement series) && series.ValueKind == JsonValueKind.Array)
            return Group(Of(series), "kernel");
        if (root.TryGetProperty("points", out JsonElement points) && points.ValueKind == JsonValueKind.Array)
            return Group(points.EnumerateArray().Select(p => Of(p, Depth(root))), "port");
        Curve[] lkp = Lkp(name, root);
        return lkp.Length > 0 ? lkp : throw new UsageException($"{name}: is neither a result of sweep or probe nor of lkp (will-it-scale.per_process_ops)");
    }

    /// <summary>A point of a sweep; fault-root is fault in the root group, as the probe's place "root" is.</summary>
    private static (string, string, int, double, double) Of(JsonElement point, string depth)
    {
        const string InRoot = "-root";
        string workload = Text(point, "workload"), place = workload.EndsWith(InRoot, StringComparison.Ordinal) ? " root" : depth;
        bool measured = point.TryGetProperty("throughput_ops_per_s", out JsonElement t) && t.ValueKind == JsonValueKind.Object;
        return (place == " root" ? workload[..^InRoot.Length] : workload, Text(point, "model") + place, (int)Value(point, "threads"),
            measured ? Value(t, "median") : 0, measured ? Value(t, "spread_pct") / 100 : 0);
    }

    /// <summary>Groups deep, as the probe's places say it: sweeps of several depths set root and child side by side.</summary>
    private static string Depth(JsonElement root) =>
        root.TryGetProperty("scenario", out JsonElement s) && s.ValueKind == JsonValueKind.Object && s.TryGetProperty("memcg", out JsonElement m)
        && m.ValueKind == JsonValueKind.Object && (int)Value(m, "depth") is var depth && depth != 1 ? string.Create(CultureInfo.InvariantCulture, $" depth {depth}") : "";

    private static IEnumerable<(string, string, int, double, double)> Of(JsonElement array) =>
        array.EnumerateArray().Select(p => (Text(p, "loop"), Text(p, "place"), (int)Value(p, "cpus"), Value(p, "median_ops_per_s"), Value(p, "spread_pct") / 100));

    private static Curve[] Group(IEnumerable<(string What, string Who, int Cpus, double Value, double Spread)> points, string side) =>
        [.. from p in points where p.Cpus > 0 && p.Value > 0 group p by (p.What, p.Who) into g
            let byCpus = g.GroupBy(p => p.Cpus)
            select new Curve($"{side} {g.Key.Who}", g.Key.What, byCpus.ToDictionary(p => p.Key, p => p.Average(x => x.Value)))
            { Spread = byCpus.ToDictionary(p => p.Key, p => p.Max(x => x.Spread)) }];

    /// <summary>lkp's stats.json: "will-it-scale.16.processes": [n, ...].</summary>
    private static Curve[] Lkp(string name, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object) return [];
        var curves = new Dictionary<string, Dictionary<int, double>>();
        foreach (JsonProperty p in root.EnumerateObject())
        {
            string[] part = p.Name.Split('.');
            if (part is not ["will-it-scale", var n, ("processes" or "threads") and var kind]
                || !int.TryParse(n, NumberStyles.None, CultureInfo.InvariantCulture, out int cpus) || cpus == 0) continue;
            double[] values = p.Value.ValueKind == JsonValueKind.Array ? [.. p.Value.EnumerateArray().Where(v => v.ValueKind == JsonValueKind.Number).Select(v => v.GetDouble())]
                : p.Value.ValueKind == JsonValueKind.Number ? [p.Value.GetDouble()] : [];
            if (values.Length == 0) continue;
            if (!curves.TryGetValue(kind, out Dictionary<int, double>? curve)) curves[kind] = curve = [];
            curve[cpus] = values.Order().ElementAt(values.Length / 2);
        }
        return [.. curves.Select(c => new Curve($"lkp {c.Key}", name, c.Value))];
    }

    /// <summary>will-it-scale's CSV: tasks,processes,processes_idle,threads,threads_idle,linear.</summary>
    private static Curve[] WillItScale(string name, string text)
    {
        string[] lines = text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string[] head = lines.Length == 0 ? [] : lines[0].Split(',');
        int tasks = Array.IndexOf(head, "tasks");
        if (tasks < 0) throw new UsageException($"{name}: is no CSV of will-it-scale; its first line begins with tasks,processes");
        var curves = new List<Curve>();
        foreach (string kind in (string[])["processes", "threads"])
        {
            int column = Array.IndexOf(head, kind);
            if (column < 0) continue;
            var curve = new Dictionary<int, double>();
            for (int i = 1; i < lines.Length; i++)
            {
                string[] cells = lines[i].Split(',');
                if (cells.Length <= Math.Max(tasks, column) || !int.TryParse(cells[tasks], NumberStyles.None, CultureInfo.InvariantCulture, out int n)
                    || !double.TryParse(cells[column], NumberStyles.Float, CultureInfo.InvariantCulture, out double v))
                    throw new UsageException($"{name}:{i + 1}: '{ScriptLine.Shorten(lines[i])}' is not numbers under {lines[0]}");
                if (n > 0 && v > 0) curve[n] = v;
            }
            if (curve.Count > 0) curves.Add(new Curve($"will-it-scale {kind}", name, curve));
        }
        return [.. curves];
    }

    private static string Text(JsonElement e, string key) => e.TryGetProperty(key, out JsonElement v) && v.ValueKind == JsonValueKind.String ? v.GetString()! : "?";

    private static double Value(JsonElement e, string key) => e.TryGetProperty(key, out JsonElement v) && v.ValueKind == JsonValueKind.Number ? v.GetDouble() : 0;
}
