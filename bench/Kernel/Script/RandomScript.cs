// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Bench;

/// <summary>
/// A scenario made from a seed: groups, tasks, memory that comes, goes and moves; in some of them kernel memory, a group of page cache under a limit that
/// changes, a task that is killed for going over one. What it expects comes from a sum over regions, a third opinion beside port and kernel. Its
/// deeds can be left out one by one, which is how a failing one is made small.
/// </summary>
internal sealed class RandomScript
{
    /// <summary>Below this much page cache a limited group has room for its task's own kernel memory too.</summary>
    private const int SmallestLimit = 250, KillLimit = 300;
    /// <summary>Pages a task may have of its own on the kernel, and a stock of each of two CPUs.</summary>
    private const int Own = 256;
    private static readonly string[] groups = ["A", "A/K", "B"];
    private readonly List<Deed> deeds;
    private readonly int cpus;

    private RandomScript(List<Deed> deeds, int cpus) => (this.deeds, this.cpus) = (deeds, cpus);

    /// <summary>What a task does; Group is where a move goes, or whose limit is set.</summary>
    private sealed record Deed(string Verb, string Task, string Region, long Pages, string Group = "");

    /// <summary>Deeds it has.</summary>
    public int Count => deeds.Count;

    /// <summary>The scenario of a seed.</summary>
    public static RandomScript Make(ulong seed, int cpus, int length = 14)
    {
        var random = new SeededRandom(seed);
        var deeds = new List<Deed>();
        var live = new List<string>();
        bool kernel = random.Next(3) == 0, limit = random.Next(3) == 0, kill = random.Next(6) == 0;
        if (limit) deeds.Add(new Deed("limit", "", "", SmallestLimit + random.Next(500), "L"));
        for (int i = 0; i < length; i++)
        {
            string task = "t" + random.Next(2), region = "r" + i.ToString(CultureInfo.InvariantCulture);
            int what = random.Next(10);
            if (limit && random.Next(4) == 0)
            {
                if (random.Next(3) == 0) deeds.Add(new Deed("limit", "", "", SmallestLimit + random.Next(500), "L"));
                else
                {
                    deeds.Add(new Deed("file", "t2", region, 1 + random.Next(900)));
                    live.Add(region);
                }
            }
            else if (what < 6 || live.Count == 0)
            {
                string verb = kernel && random.Next(4) == 0 ? "pipes" : what switch { < 3 => "anon", < 5 => "shm", _ => "file" };
                deeds.Add(new Deed(verb, task, region, 1 + random.Next(verb == "pipes" ? 40 : what == 0 ? 900 : 200)));
                live.Add(region);
            }
            else if (what < 9)
            {
                int at = random.Next(live.Count);
                deeds.Add(new Deed("free", "", live[at], 0));
                live.RemoveAt(at);
            }
            else deeds.Add(new Deed("move", task, "", 0, groups[random.Next(groups.Length)]));
        }
        if (kill) deeds.Add(new Deed("overrun", "t3", "r99", KillLimit + Own + random.Next(900), "O"));
        return new RandomScript(deeds, cpus);
    }

    /// <summary>Without count deeds from first on, and without what needed them; null when nothing would be left.</summary>
    public RandomScript? Without(int first, int count)
    {
        var kept = deeds.Where((_, i) => i < first || i >= first + count).ToList();
        var made = new HashSet<string>();
        kept.RemoveAll(d => d.Verb switch { "free" => !made.Remove(d.Region), "move" or "limit" => false, _ => !made.Add(d.Region) });
        int needs = kept.FindIndex(d => d.Task == "t2"), makes = kept.FindIndex(d => d.Verb == "limit");
        if (needs >= 0 && (makes < 0 || makes > needs)) return null;
        return kept.Count == 0 ? null : new RandomScript(kept, cpus);
    }

    /// <summary>With the pages of deed i halved; null when it has one or none.</summary>
    public RandomScript? Halved(int i)
    {
        if (deeds[i].Pages < 2 || deeds[i].Verb is "limit" or "overrun") return null;
        var kept = deeds.ToList();
        kept[i] = kept[i] with { Pages = kept[i].Pages / 2 };
        return new RandomScript(kept, cpus);
    }

    /// <summary>The file.</summary>
    public string Text(string title)
    {
        var to = new StringBuilder($"# {title}\n");
        if (deeds.Any(d => d.Verb == "pipes"))
            to.Append("differs kmem=ReparentCaches the 2014 series charges slab pages alone, pipe buffers are nobody's (its patches 8 to 10)\nneeds kmem\n");
        foreach (string group in groups) to.Append(CultureInfo.InvariantCulture, $"group {group}\n");
        to.Append(CultureInfo.InvariantCulture, $"task t0 in A/K cpu 0\ntask t1 in B cpu {cpus - 1}\n");
        var where = new Dictionary<string, string> { ["t0"] = "A/K", ["t1"] = "B", ["t2"] = "L" };
        var live = new Dictionary<string, (string Group, string Kind, long Pages)>();
        long limit = 0, highest = 0, over = 0, inLimited = 0;
        bool tight = false;
        for (int i = 0; i < deeds.Count; i++)
        {
            Deed d = deeds[i];
            string group = d.Group.Length > 0 ? d.Group : where.GetValueOrDefault(d.Task, "");
            to.Append(Line(d, first: limit == 0));
            switch (d.Verb)
            {
                case "free":
                    live.Remove(d.Region);
                    break;
                case "move":
                    where[d.Task] = d.Group;
                    break;
                case "limit":
                    (limit, highest) = (d.Pages, Math.Max(highest, d.Pages));
                    break;
                case "pipes":
                    live[d.Region] = (group, d.Verb, 2 * d.Pages);
                    long kernel = live.Values.Where(r => r.Group == group && r.Kind == "pipes").Sum(r => r.Pages);
                    to.Append(CultureInfo.InvariantCulture, $"expect {group} kmem >= {kernel}p\n");
                    break;
                case "overrun":
                    break;
                default:
                    live[d.Region] = (group, d.Verb, d.Pages);
                    if (group == "L") (over, inLimited) = (Math.Max(over, d.Pages - limit), inLimited + d.Pages);
                    break;
            }
            tight |= inLimited > 0 && inLimited + Own >= limit;
            if (group == "L") ExpectLimited(to, limit, highest, over, fits: !tight);
            else if (i % 4 == 3 || i == deeds.Count - 1) Expect(to, live.Values);
        }
        return to.ToString();
    }

    private string Line(Deed d, bool first) => d.Verb switch
    {
        "free" => $"free {d.Region}\n",
        "move" => $"move {d.Task} {d.Group}\n",
        "limit" when first => string.Create(CultureInfo.InvariantCulture, $"group L max {d.Pages}p\ntask t2 in L cpu 0\n"),
        "limit" => string.Create(CultureInfo.InvariantCulture, $"set L max {d.Pages}p\n"),
        "pipes" => string.Create(CultureInfo.InvariantCulture, $"pipes {d.Task} {d.Region} {d.Pages} fill 2\n"),
        "overrun" => string.Create(CultureInfo.InvariantCulture, $"group O max {KillLimit}p\ntask t3 in O cpu {cpus - 1}\nanon t3 {d.Region} {d.Pages}p\n"
            + $"expect t3 killed\nexpect O oom_kill exactly 1\nexpect O failcnt >= 1\nexpect O peak <= {KillLimit}p\nexit t3\n"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{d.Verb} {d.Task} {d.Region} {d.Pages}p\n"),
    };

    private static void Expect(StringBuilder to, IReadOnlyCollection<(string Group, string Kind, long Pages)> live)
    {
        foreach (string group in groups)
        {
            long below = live.Where(r => r.Group == group || r.Group.StartsWith(group + "/", StringComparison.Ordinal)).Sum(r => r.Pages);
            long anon = live.Where(r => r.Group == group && r.Kind == "anon").Sum(r => r.Pages);
            long file = live.Where(r => r.Group == group && r.Kind is "shm" or "file").Sum(r => r.Pages);
            to.Append(CultureInfo.InvariantCulture, $"expect {group} usage {below}p\nexpect {group} anon {anon}p\nexpect {group} file {file}p\n");
        }
    }

    /// <summary>Page cache under a limit: never above it, nobody is killed, and the counter failed exactly when it had to.</summary>
    private static void ExpectLimited(StringBuilder to, long limit, long highest, long over, bool fits)
    {
        to.Append(CultureInfo.InvariantCulture, $"expect L limit exactly {limit}p\nexpect L usage <= {limit}p\nexpect L peak <= {highest}p\nexpect L oom_kill exactly 0\n");
        if (over > 0) to.Append("expect L failcnt >= 1\n");
        else if (fits) to.Append("expect L failcnt exactly 0\n");
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
