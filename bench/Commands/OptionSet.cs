// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// The options of experience: one spelling each, meaning the same on every command that has them. All are read as text; what they mean is
/// decided by our own parsers, whose one line is all the user sees.
/// </summary>
internal sealed class OptionSet
{
    public readonly Option<string?> Cpus = Text("--cpus", "-C", "LIST", "CPUs to use: 0-3,8-15:2, all, !0, node:1, core:0-3 (default: all allowed)");
    public readonly Option<string?> Threads = Text("--threads", "-t", "N|N%|LADDER", "threads, one per CPU: 8, 50%, 1..64:x2, 1,2,4 (default run: all CPUs; sweep: 1 to all)");
    public readonly Option<string?> Mem = Text("--mem", "-m", "POLICY",
        "where frames are: local, bind:L, interleave:L, preferred:N, preferred-many:L, weighted-interleave:N=W,..., remote (default local)");
    public readonly Option<string?> Pages = Text("--pages", "-p", "KIND", "4K, 2M, 1G, thp, nothp, or a wish list such as 2M,4K (default 4K)");
    public readonly Option<string[]?> Model = new("--model", "-M")
    {
        HelpName = "ERA,AXIS=ANSWER",
        Description = "which designs, see `list eras` and `list axes` (default 3.19); say it again to set designs side by side in the same rounds",
    };
    public readonly Option<string?> Duration = Text("--duration", "-d", "TIME",
        "measured time of one repetition: 250ms, 5s, 2m (default run: 200ms; sweep: so that all takes under a minute)");
    public readonly Option<string?> Warmup = Text("--warmup", "-w", "auto|TIME", "warm-up of all points together (default auto: until steady)");
    public readonly Option<string?> Reps = Text("--reps", "-r", "N", "repetitions (default 10)");
    public readonly Option<string?> Seed = Text("--seed", null, "N", "order of points and resampling (default: from the clock; printed)");
    public readonly Option<string?> Format = Text("--format", null, "FORMAT", "table or json (compare: also md; report: html, md, csv, hgrm, will-it-scale, lkp, json)");
    public readonly Option<string?> Out = Text("--out", "-o", "FILE", "also write the result as JSON; .json is added unless there");
    public readonly Option<bool> DryRun = Flag("--dry-run", null, "print the plan and touch nothing");
    public readonly Option<string?> Place = Text("--place", null, "NAME=WHERE,...",
        "where metadata lives: mem_map, memcg, memcg_node, percpu, page_cgroup, zones, slab, mm; WHERE is local, nodeN or interleave");
    public readonly Option<string?> Depth = Text("--depth", null, "N", "levels of groups (default 1)");
    public readonly Option<string?> Groups = Text("--groups", "--count", "N", "groups at the last level, threads spread over them (default 1)");
    public readonly Option<string?> Objects = Text("--objects", null, "N|LIST",
        "objects of each group (offline-with-kmem 32, dying 1, slab 12 of each cache); offline: a list to vary (default 1,1000,1000000)");
    public readonly Option<string?> Caches = Text("--caches", null, "LIST", "caches the group has objects of, a list to vary (default 1,10,50,200)");
    public readonly Option<string?> Inherited = Text("--inherited", null, "LIST", "removed children that left an object each, a list to vary (default 0,10,100,1000)");
    public readonly Option<string?> OptIn = Text("--opt-in", null, "N",
        "only the first N groups opt in to the charge of kernel objects, as a write to memory.kmem.limit_in_bytes did from 3.8 to 4.4; PerCachePin and ReparentCaches "
        + "heed it, later designs charge every group (default: all groups)");
    public readonly Option<bool> Removed = Flag("--removed", null, "remove the groups before the caches are listed");
    public readonly Option<bool> Shared = Flag("--shared", null, "one group for all threads (the default)");
    public readonly Option<bool> Private = Flag("--private", null, "a group per thread");
    public readonly Option<string?> Limit = Text("--limit", null, "SIZE", "limit of each group at the last level (default none)");
    public readonly Option<string?> Footprint = Text("--footprint", null, "SIZE", "memory to map and prove (default run: 64M, or 4M per thread; placement: 256M)");
    public readonly Option<string?> FakeNodes = Text("--fake-nodes", null, "N", "split each node's memory into N allocator nodes, as numa=fake=N does");
    public readonly Option<string?> Rcu = Text("--rcu", null, "qsbr|membarrier", "how grace periods are found (default qsbr)");
    public readonly Option<bool> GrowPool = Flag("--grow-pool", null,
        "raise the pool of huge pages for -p 2M or 1G to what is needed, at most 25 % of memory, and put it back at the end (root)");
    public readonly Option<string?> Rehearse = Text("--rehearse", null, "TIME",
        "make one change of each kind that this machine allows (groups, a tracing instance, a raised pool), keep them for TIME, put all back");
    public readonly Option<string?> Lock = Text("--lock", null, "tas|ticket|mcs", "kind of the LRU lock; short for -M ...,lru.lock=KIND; with -timed behind it holds are timed");
    public readonly Option<string?> Share = Text("--share", null, "KIND=N,...", $"the mix of lru-churn, as weights (default {ListShares.Default})");
    public readonly Option<string?> Layout = Text("--layout", null, "LIST",
        "counter layouts side by side, in place of the model's: 40, 112, 112Apart, 192Legacy, 256, 192, or all");
    public readonly Option<string?> Prefetch = Text("--prefetch", null, "none,read,write",
        "prefetches of the 2008 series side by side; for page_cgroup=LocklessRcu");
    public readonly Option<string?> Preset = Text("--preset", null, "NAME",
        "a published experiment and its table beside ours, in place of a workload; see `list presets`");
    public readonly Option<bool> Twin = Flag("--twin", null, "also run the C twin in the same rounds and print the ratio");
    public readonly Option<bool> Strict = Flag("--strict", null, "exit 6 when a point is not trustworthy");
    public readonly Option<string?> Topology = Text("--topology", null, "TEXT", "a made-up machine, \"pack:2 numa:2 l3:2 core:4 pu:2\"; only for `topology` and --dry-run");
    public readonly Option<string?> Line = Text("--line", null, "LINE", "page_counter, lru_lock or stock (default all)");
    public readonly Option<string?> Threshold = Text("--threshold", null, "PERCENT", "changes under this are no change (default 2%)");
    public readonly Option<string?> FailOn = Text("--fail-on", null, "WHAT,...", "what gives exit 4: slower, faster, unknown, env, none (default slower)");
    public readonly Option<bool> Prove = Flag("--prove", null, "show on this machine that the same design is not told apart and a 3 % cost is found");
    public readonly Option<bool> Html = Flag("--html", null, "also write the report, as NAME.html beside -o NAME, or last.html in $XDG_STATE_HOME/memcgnative (sweep does)");
    public readonly Option<bool> NoHtml = Flag("--no-html", null, "no report");
    public readonly Option<bool> Extract = Flag("--extract", null, "print the data a report holds, as the .json it was made from");
    public readonly Option<string?> From = Text("--from", null, "FILE", "repeat the scenario of a result or a report; what is typed beside it wins");
    public readonly Option<string?> Resume = Text("--resume", null, "FILE",
        "go on with an interrupted result behind its last whole machine (--machines), and write it there again; it knows all other options");
    public readonly Option<string?> Machines = Text("--machines", null, "N",
        "fresh machines (memory, threads, groups) the repetitions are spread over, because where memory lies has a speed of its own (default 5)");
    public readonly Option<string?> Until = Text("--until", null, "PERCENT", "repeat until every interval is within this of its median, at least 5 and at most -r times");
    public readonly Option<string?> MaxTime = Text("--max-time", null, "TIME", "begin no repetition after this time");
    public readonly Option<string?> Order = Text("--order", null, "cores|compact|scatter|linear",
        "how threads take CPUs: a core of each L3, then all cores, then SMT siblings (default); fill up; far apart; by number");
    public readonly Option<string?> Color = Recursive(Text("--color", null, "auto|always|never", "escapes in the output (default auto; NO_COLOR and TERM=dumb are heeded)"));
    public readonly Option<bool> Quiet = Recursive(Flag("--quiet", "-q", "nothing on stderr but errors"));
    public readonly Option<bool> Verbose = Recursive(Flag("--verbose", "-v", "more on stderr"));
    public readonly Option<bool> Debug = Recursive(Flag("--debug", null, "the stack of an error as well"));

    /// <summary>What run and sweep take.</summary>
    public IEnumerable<Option> Experiment =>
    [
        Cpus, Threads, Mem, Pages, Model, Duration, Warmup, Reps, Seed, Format, Out, DryRun, Place, Depth, Groups, Shared, Private, Limit,
        Objects, Footprint, FakeNodes, GrowPool, Rcu, Lock, Share, Layout, Prefetch, Strict, Topology, From, Resume, Machines, Until, MaxTime, Order, Html, NoHtml,
    ];

    /// <summary>What the commands on kernel memory take beside their own.</summary>
    public IEnumerable<Option> Kmem => [Cpus, Footprint, Format, Out];

    /// <summary>What every command takes.</summary>
    public IEnumerable<Option> Common => [Color, Quiet, Verbose, Debug];

    private static Option<string?> Text(string name, string? alias, string help, string description)
    {
        Option<string?> option = alias is null ? new(name) : new(name, alias);
        option.HelpName = help;
        option.Description = description;
        return option;
    }

    private static Option<bool> Flag(string name, string? alias, string description)
    {
        Option<bool> option = alias is null ? new(name) : new(name, alias);
        option.Description = description;
        return option;
    }

    private static Option<T> Recursive<T>(Option<T> option)
    {
        option.Recursive = true;
        return option;
    }

    /// <summary>One of a few words.</summary>
    /// <exception cref="UsageException">Another word.</exception>
    public static string Word(string option, string? text, params string[] known)
    {
        if (text is null) return known[0];
        return known.Contains(text) ? text : throw new UsageException($"{option}: '{text}' is not one of "
            + $"{string.Join(", ", known)}{(Nearest.Find(text, known) is { } meant ? $"; did you mean '{meant}'?" : "")}");
    }
}
