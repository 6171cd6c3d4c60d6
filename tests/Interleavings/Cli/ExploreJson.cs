// SPDX-License-Identifier: GPL-2.0-only
using System.Text.Json.Nodes;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One result as one line of JSON.</summary>
internal static class ExploreJson
{
    public static string Of(Case c, ExploreOptions o, ExploreResult r) => new JsonObject
    {
        ["case"] = c.Name,
        ["id"] = c.Id,
        ["design"] = c.Design,
        ["shape"] = c.Shape,
        ["cpus"] = c.Cpus,
        ["memory"] = o.Memory.ToString().ToLowerInvariant(),
        ["search"] = o.Search.ToString().ToLowerInvariant(),
        ["verdict"] = r.Verdict.ToString(),
        ["executions"] = r.Executions,
        ["sleepBlocked"] = r.SleepBlocked,
        ["steps"] = r.Steps,
        ["depth"] = r.Depth,
        ["timeMs"] = Math.Round(r.Time.TotalMilliseconds, 3),
        ["message"] = r.Failed ? r.Message : null,
        ["site"] = r.Failed ? r.Site : null,
        ["schedule"] = r.Schedule?.ToString(),
    }.ToJsonString();
}
