// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Bench;

/// <summary>A scenario as the options that give it again: for --from, and for the command line a report shows.</summary>
internal static class ScenarioText
{
    /// <summary>Options by name; models, workloads and --private are not among them.</summary>
    public static IReadOnlyDictionary<string, string> Options(ScenarioModel s, string seed)
    {
        var o = new Dictionary<string, string>
        {
            ["--cpus"] = s.Cpus,
            ["--threads"] = string.Join(',', s.Threads),
            ["--mem"] = string.Join(',', s.Mem),
            ["--pages"] = s.Pages,
            ["--footprint"] = Number(s.FootprintBytes),
            ["--depth"] = Number(s.Memcg.Depth),
            ["--rcu"] = s.Rcu,
            ["--reps"] = Number(s.Reps),
            ["--duration"] = Time(s.DurationNs),
            ["--seed"] = seed,
        };
        if (!s.Memcg.Private) o["--groups"] = Number(s.Memcg.Groups);
        if (s.Place.Length > 0 && s.Place != "local") o["--place"] = s.Place;
        if (s.FakeNodes > 0) o["--fake-nodes"] = Number(s.FakeNodes);
        if (s.Memcg.LimitBytes is { } limit) o["--limit"] = Number(limit);
        if (s.WarmupNs is { } warmup) o["--warmup"] = Time(warmup);
        if (s.Machines is { } machines) o["--machines"] = Number(machines);
        if (s.UntilPct is { } until) o["--until"] = until.ToString(CultureInfo.InvariantCulture) + "%";
        if (s.MaxTimeNs is { } most) o["--max-time"] = Time(most);
        if (s.Order is { } order) o["--order"] = order;
        if (s.Shares is { } shares) o["--share"] = shares;
        if (s.Objects is > 0 and not 32) o["--objects"] = Number(s.Objects);
        return o;
    }

    /// <summary>The command that measures it again.</summary>
    public static string Command(ScenarioModel s, string seed)
    {
        string workloads = s.Workloads.Count == 1 ? " " + s.Workloads[0] : "";
        string models = string.Concat(s.Models.Select(m => $" -M {m.Model}"));
        string options = string.Concat(Options(s, seed).Select(o => $" {o.Key} {Quoted(o.Value)}"));
        return $"memcgnative sweep{workloads}{models}{options}{(s.Memcg.Private ? " --private" : "")}";
    }

    private static string Quoted(string value) => value.All(c => char.IsAsciiLetterOrDigit(c) || c is ',' or '-' or ':' or '.' or '%' or '=' or '@') ? value : $"'{value}'";

    private static string Number(long n) => n.ToString(CultureInfo.InvariantCulture);

    private static string Time(long ns) => (ns / 1e6).ToString("0.######", CultureInfo.InvariantCulture) + "ms";
}
