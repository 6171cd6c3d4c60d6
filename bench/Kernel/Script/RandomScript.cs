// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Bench;

/// <summary>
/// A scenario made from a seed: groups, tasks, memory that comes, goes and moves. What it expects comes from a sum over regions, a third
/// opinion beside port and kernel. Its deeds can be left out one by one, which is how a failing one is made small.
/// </summary>
internal sealed class RandomScript
{
    private static readonly string[] groups = ["A", "A/K", "B"];
    private readonly List<(string Verb, string Task, string Region, long Pages, string Group)> deeds;
    private readonly int cpus;

    private RandomScript(List<(string, string, string, long, string)> deeds, int cpus) => (this.deeds, this.cpus) = (deeds, cpus);

    /// <summary>Deeds it has.</summary>
    public int Count => deeds.Count;

    /// <summary>The scenario of a seed.</summary>
    public static RandomScript Make(ulong seed, int cpus, int length = 14)
    {
        var random = new SeededRandom(seed);
        var deeds = new List<(string, string, string, long, string)>();
        var live = new List<string>();
        for (int i = 0; i < length; i++)
        {
            string task = "t" + random.Next(2);
            int what = random.Next(10);
            if (what < 6 || live.Count == 0)
            {
                string region = "r" + i.ToString(CultureInfo.InvariantCulture);
                deeds.Add((what switch { < 3 => "anon", < 5 => "shm", _ => "file" }, task, region, 1 + random.Next(what == 0 ? 900 : 200), ""));
                live.Add(region);
            }
            else if (what < 9)
            {
                int at = random.Next(live.Count);
                deeds.Add(("free", "", live[at], 0, ""));
                live.RemoveAt(at);
            }
            else deeds.Add(("move", task, "", 0, groups[random.Next(groups.Length)]));
        }
        return new RandomScript(deeds, cpus);
    }

    /// <summary>Without count deeds from first on, and without what needed them; null when nothing would be left.</summary>
    public RandomScript? Without(int first, int count)
    {
        var kept = deeds.Where((_, i) => i < first || i >= first + count).ToList();
        var made = new HashSet<string>();
        kept.RemoveAll(d => d.Verb == "free" ? !made.Remove(d.Region) : d.Verb != "move" && !made.Add(d.Region));
        return kept.Count == 0 ? null : new RandomScript(kept, cpus);
    }

    /// <summary>With the pages of deed i halved; null when it has one or none.</summary>
    public RandomScript? Halved(int i)
    {
        if (deeds[i].Pages < 2) return null;
        var kept = deeds.ToList();
        kept[i] = kept[i] with { Pages = kept[i].Pages / 2 };
        return new RandomScript(kept, cpus);
    }

    /// <summary>The file.</summary>
    public string Text(string title)
    {
        var to = new StringBuilder($"# {title}\n");
        foreach (string group in groups) to.Append(CultureInfo.InvariantCulture, $"group {group}\n");
        to.Append(CultureInfo.InvariantCulture, $"task t0 in A/K cpu 0\ntask t1 in B cpu {cpus - 1}\n");
        var where = new Dictionary<string, string> { ["t0"] = "A/K", ["t1"] = "B" };
        var live = new Dictionary<string, (string Group, string Kind, long Pages)>();
        for (int i = 0; i < deeds.Count; i++)
        {
            (string verb, string task, string region, long pages, string group) = deeds[i];
            to.Append(verb switch { "free" => $"free {region}\n", "move" => $"move {task} {group}\n",
                _ => string.Create(CultureInfo.InvariantCulture, $"{verb} {task} {region} {pages}p\n") });
            if (verb == "free") live.Remove(region);
            else if (verb == "move") where[task] = group;
            else live[region] = (where[task], verb, pages);
            if (i % 4 == 3 || i == deeds.Count - 1) Expect(to, live.Values);
        }
        return to.ToString();
    }

    private static void Expect(StringBuilder to, IReadOnlyCollection<(string Group, string Kind, long Pages)> live)
    {
        foreach (string group in groups)
        {
            long below = live.Where(r => r.Group == group || r.Group.StartsWith(group + "/", StringComparison.Ordinal)).Sum(r => r.Pages);
            long anon = live.Where(r => r.Group == group && r.Kind == "anon").Sum(r => r.Pages), file = live.Where(r => r.Group == group && r.Kind != "anon").Sum(r => r.Pages);
            to.Append(CultureInfo.InvariantCulture, $"expect {group} usage {below}p\nexpect {group} anon {anon}p\nexpect {group} file {file}p\n");
        }
    }
}

/// <summary>Runs random scenarios, and makes those that disagree small.</summary>
internal static class RandomConformance
{
    /// <summary>What became of count scenarios from seed on.</summary>
    /// <param name="Ran">How many were run.</param>
    /// <param name="Failures">The smallest file of each that disagrees, with the seed.</param>
    internal sealed record Outcome(int Ran, IReadOnlyList<(ulong Seed, string Text, IReadOnlyList<ScriptRun> Runs)> Failures);

    private const int MostFailures = 3;

    public static Outcome Run(ulong seed, int count, int cpus, IReadOnlyList<IScriptBackend> backends, Action<int> progress, CancellationToken stop)
    {
        var failures = new List<(ulong, string, IReadOnlyList<ScriptRun>)>();
        int ran = 0;
        for (; ran < count && failures.Count < MostFailures; ran++)
        {
            ulong one = seed + (ulong)ran;
            var script = RandomScript.Make(one, cpus);
            if (!Fails(script, one, backends, stop, out _)) progress(ran + 1);
            else if (Shrink(script, one, backends, stop) is { } found) failures.Add((one, found.Text, found.Runs));
        }
        return new Outcome(ran, failures);
    }

    private static bool Fails(RandomScript script, ulong seed, IReadOnlyList<IScriptBackend> backends, CancellationToken stop, out IReadOnlyList<ScriptRun> runs)
    {
        Script parsed = ScriptParser.Parse($"random-{seed}", script.Text($"seed {seed}"));
        ScriptRun[] all = [.. backends.Select(b => ScriptRunner.Run(parsed, b, stop))];
        runs = all;
        return all.Any(r => r.Failed);
    }

    /// <summary>Leaves out ever smaller runs of deeds, then halves sizes, as long as it still fails. Null: it did not fail a second time.</summary>
    internal static (string Text, IReadOnlyList<ScriptRun> Runs)? Shrink(RandomScript script, ulong seed, IReadOnlyList<IScriptBackend> backends, CancellationToken stop)
    {
        if (!Fails(script, seed, backends, stop, out IReadOnlyList<ScriptRun> runs)) return null;
        for (int size = script.Count / 2; size > 0; size /= 2)
            for (int first = 0; first < script.Count;)
            {
                if (script.Without(first, size) is { } fewer && Fails(fewer, seed, backends, stop, out IReadOnlyList<ScriptRun> again)) (script, runs) = (fewer, again);
                else first += size;
            }
        for (int i = 0; i < script.Count; i++)
            while (script.Halved(i) is { } smaller && Fails(smaller, seed, backends, stop, out IReadOnlyList<ScriptRun> again)) (script, runs) = (smaller, again);
        return (script.Text($"seed {seed}, made small"), runs);
    }
}
