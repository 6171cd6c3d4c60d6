// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;

namespace MemcgNative.Bench;

/// <summary>The JSON Schemas of the result files, made from the types it is written from; the copies under bench/schema are tested for drift.</summary>
internal static class ResultSchema
{
    private static readonly JsonSerializerOptions indented = new() { WriteIndented = true };

    /// <summary>Where the copy is.</summary>
    public static string Directory => Find();

    /// <summary>The schema of a file's type, of the result file unless told, with a final line end.</summary>
    public static string Text(Type? type = null)
    {
        JsonNode schema = ResultJson.Default.Options.GetJsonSchemaAsNode(type ?? typeof(Result), new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true });
        return schema.ToJsonString(indented) + "\n";
    }

    private static string Find([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "schema"));
}
