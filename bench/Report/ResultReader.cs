// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json;
using System.Text.Json.Nodes;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Reads results back: a .json file, or the data inside a report. What is not one gets one line, and exit 2.</summary>
internal static class ResultReader
{
    private static readonly JsonDocumentOptions once = new() { AllowDuplicateProperties = false };

    private const string SchemaMark = "/result-1.json";
    private const string DataBegin = "<script type=\"application/json\" id=\"result\">", DataEnd = "</script>";

    /// <summary>The element that holds the data in a report.</summary>
    public static string Embed(string json) => DataBegin + json.Replace("<", "\\u003c", StringComparison.Ordinal) + DataEnd;

    /// <summary>A result.</summary>
    /// <exception cref="UsageException">One line: the file, what is wrong with it, where.</exception>
    public static Result Load(string path) => Load(path, Json(path), null);

    private static Result Load(string path, string json, JsonNode? parsed)
    {
        Result? result = Parse(path, json, static j => JsonSerializer.Deserialize(j, ResultJson.Default.Result));
        if (result!.Schema?.EndsWith(SchemaMark, StringComparison.Ordinal) != true)
            throw new UsageException($"{path}: its $schema is '{result.Schema}', and this program reads result-1; use the program that wrote it");
        if (NullIn(parsed ?? Node(path, json)) is { } where) throw new UsageException($"{path}: damaged: {where} has an element that is null");
        return Checked(path, result);
    }

    private static JsonNode Node(string path, string json) => Parse(path, json, static j => JsonNode.Parse(j, null, once));

    /// <summary>The first list with a null in it, which no type forbids; standard errors of a fit may be.</summary>
    private static string? NullIn(JsonNode? node) => node switch
    {
        JsonObject o => o.Select(member => NullIn(member.Value)).FirstOrDefault(found => found is not null),
        JsonArray a => a.Any(e => e is null) && !a.GetPath().EndsWith(".se", StringComparison.Ordinal) ? a.GetPath()
            : a.Select(NullIn).FirstOrDefault(found => found is not null),
        _ => null,
    };

    /// <summary>A result, or what `matrix` wrote.</summary>
    public static (Result? Result, MatrixReport? Matrix) LoadAny(string path) => ReadAny(path, Json(path));

    /// <summary>The same of the text of the data; path is for the refusal.</summary>
    public static (Result? Result, MatrixReport? Matrix) ReadAny(string path, string json)
    {
        JsonNode node = Node(path, json);
        return node is JsonObject o && !o.ContainsKey("points") && o.ContainsKey("matrices")
            ? (null, Parse(path, json, static j => JsonSerializer.Deserialize(j, ResultJson.Default.MatrixReport)))
            : (Load(path, json, node), null);
    }

    /// <summary>The text of the data: the file itself, or what a report embeds.</summary>
    public static string Json(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            string cause = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : Directory.Exists(path) ? "that is a directory"
                : e is UnauthorizedAccessException ? "permission denied" : e.Message.TrimEnd('.');
            throw new UsageException($"{path}: cannot read: {cause}");
        }
        return Data(path, text);
    }

    /// <summary>The data in the text of a file.</summary>
    public static string Data(string path, string text)
    {
        if (!text.AsSpan().TrimStart().StartsWith("<", StringComparison.Ordinal)) return text;
        int begin = text.IndexOf(DataBegin, StringComparison.Ordinal);
        int end = begin < 0 ? -1 : text.IndexOf(DataEnd, begin, StringComparison.Ordinal);
        return end > 0 ? text[(begin + DataBegin.Length)..end].Trim()
            : throw new UsageException($"{path}: no data in it: not a report of this program, or cut off");
    }

    private static T Parse<T>(string path, string json, Func<string, T?> parse) where T : class
    {
        try
        {
            return parse(json) ?? throw new UsageException($"{path}: holds null, not a result");
        }
        catch (JsonException e)
        {
            string at = e.LineNumber is { } line ? $" at line {line + 1}{(e.Path is { Length: > 1 } p ? $" ({p})" : "")}" : "";
            string what = json.AsSpan().Trim().IsEmpty ? "the file is empty" : $"not a result file, or cut off or damaged{at}";
            throw new UsageException($"{path}: {what}: {Short(e.Message)}");
        }
    }

    private static string Short(string message)
    {
        string line = message.ReplaceLineEndings(" ");
        int end = line.IndexOf(" Path:", StringComparison.Ordinal);
        line = end > 0 ? line[..end] : line;
        end = line.IndexOf(". ", StringComparison.Ordinal);
        return (end > 0 ? line[..end] : line).TrimEnd('.');
    }

    /// <summary>What the types cannot say: numbers that make no sense together.</summary>
    private static Result Checked(string path, Result r)
    {
        for (int i = 0; i < r.Points.Count; i++)
        {
            PointModel p = r.Points[i];
            string? wrong = p.Threads < 1 ? $"threads is {p.Threads}" : p.ThroughputOpsPerS.Samples.Any(s => !(s >= 0)) ? "a sample is negative"
                : p.ThroughputOpsPerS.Ci95 is { Count: not 2 } ? "ci95 is not a pair" : p.LatencyNs.Block < 1 ? $"block is {p.LatencyNs.Block}"
                : p.LatencyNs.Histogram.Buckets.Any(b => b.Length != 2) ? "a bucket is not a pair" : null;
            if (wrong is not null) throw new UsageException($"{path}: damaged: points[{i}]: {wrong}");
        }
        return r;
    }
}
