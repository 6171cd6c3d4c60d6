// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>From options to a scenario. Everything that can be refused without touching the machine is refused here.</summary>
internal sealed class ScenarioReader(ParseResult parsed, OptionSet options, CliEnvironment environment)
{
    /// <summary>The most a sweep without -d may measure.</summary>
    private static readonly TimeSpan sweepBudget = TimeSpan.FromSeconds(32);

    /// <summary>When such a sweep begins no further repetition: on a busy machine everything takes longer, and a minute was promised.</summary>
    private static readonly TimeSpan sweepMaxTime = TimeSpan.FromSeconds(45);

    /// <summary>Memory that fresh machines may map one after the other when their number is not asked for: 4 GiB, seconds of faulting in.</summary>
    private const long MachinesBudget = 4L << 30;

    /// <summary>Repetitions at most under --until when -r is not given.</summary>
    private const int MostReps = 100;
    private const int DefaultReps = 10;

    /// <summary>The most batches of all points together: each keeps 9 bytes.</summary>
    private const double MostBatches = 50e6;

    private readonly Result? from = parsed.GetValue(options.Resume) is { } unfinished ? Unfinished.Load(unfinished, parsed, options)
        : parsed.GetValue(options.From) is { } file ? ResultReader.Load(file) : null;
    private readonly bool resumes = parsed.GetValue(options.Resume) is not null;
    private IReadOnlyDictionary<string, string> given = new Dictionary<string, string>();

    /// <summary>What the user typed, or what the file of --from says.</summary>
    private string? Get(Option<string?> option) => parsed.GetValue(option) ?? given.GetValueOrDefault(option.Name);

    /// <summary>run: one workload or several with commas, or what a preset names; all CPUs unless told.</summary>
    public Scenario Run(string? workload)
    {
        if (from is not null) return Repeat(workload);
        Preset? preset = Get(options.Preset) is { } name ? Preset.Find(name) : null;
        if (preset is null)
        {
            if (workload is null) throw new UsageException($"run: which workload? Known: {string.Join(", ", WorkloadList.All.Select(w => w.Name))}");
            string[] names = workload.Split(',', StringSplitOptions.TrimEntries);
            if (names.GroupBy(n => n).FirstOrDefault(g => g.Count() > 1) is { } twice) throw new UsageException($"run: {twice.Key} is named twice; name each workload once");
            return Read(names, sweep: false);
        }
        string? taken = workload is not null ? $"the workload '{workload}'" : parsed.GetValue(options.Model) is { Length: > 0 } ? "--model"
            : parsed.GetValue(options.Twin) ? "--twin"
            : ((Option<string?>[])[options.Layout, options.Prefetch, options.Lock, options.Depth, options.Groups, options.Limit]).FirstOrDefault(o => Get(o) is not null)?.Name
            ?? (parsed.GetValue(options.Shared) || parsed.GetValue(options.Private) ? "--shared or --private" : null);
        if (taken is not null) throw new UsageException($"--preset {preset.Name}: {taken} is part of the experiment; leave it out");
        return Read([.. preset.Workloads], sweep: false, preset);
    }

    /// <summary>sweep: every workload unless one is named, thread counts up to all CPUs, local memory and each other node.</summary>
    public Scenario Sweep(string? workload) => from is not null ? Repeat(workload) : Read(workload is null ? [.. WorkloadList.Swept] : [workload], sweep: true);

    /// <summary>The scenario of a result or a report, with what the user typed in its place.</summary>
    private Scenario Repeat(string? workload)
    {
        ScenarioModel s = from!.Scenario;
        var options = new Dictionary<string, string>(ScenarioText.Options(s, from.Seed));
        if (workload is not (null or "lru-churn")) options.Remove("--share");
        given = options;
        Scenario scenario = Read(workload is null ? [.. s.Workloads] : [workload], sweep: true);
        return resumes ? Unfinished.Of(from, scenario, workload) : scenario;
    }

    /// <summary>The machine: this one, or with --topology a made-up one that cannot be measured.</summary>
    public Topology Machine(bool mayBeMadeUp)
    {
        if (Get(options.Topology) is not { } text) return environment.Topology();
        if (!mayBeMadeUp) throw new UsageException("--topology: a made-up machine cannot be measured; add --dry-run");
        return Prefixed("--topology", () => SyntheticTopology.Parse(text));
    }

    /// <summary>--mem; several for a sweep.</summary>
    public static NumaPolicy Policy(string text, Topology topology)
    {
        NumaPolicy policy;
        try
        {
            policy = NumaPolicy.Parse(text, list => NodeList.Parse(list, topology));
        }
        catch (UsageException e) when (!e.Message.StartsWith("--mem", StringComparison.Ordinal))
        {
            throw new UsageException($"--mem {text}: {e.Message}", e.OfThisMachine);
        }
        foreach (NodeId node in policy.Nodes)
            if (NodeList.Refuse(topology, node) is { } why) throw new UsageException($"--mem {text}: {why}", ofThisMachine: true);
        NodeId[] nodes = [.. topology.Nodes.Where(n => n.HasMemory && n.IsAllowed).Select(n => n.Id)];
        if (nodes.Length == 1 && policy.Mode is (NumaMode.Remote or NumaMode.Interleave or NumaMode.WeightedInterleave)) throw NumaPolicy.OneNode(nodes[0]);
        return policy;
    }

    /// <summary>--footprint, or null when it is not given.</summary>
    public static long? Footprint(string? text) => text is null ? null : SizeText.Parse("--footprint", text) is var bytes && bytes <= 1L << 47 ? bytes
        : throw new UsageException($"--footprint: '{text}' is more than the 128T a process can address");

    private Scenario Read(string[] workloads, bool sweep, Preset? preset = null)
    {
        WorkloadInfo[] infos = [.. workloads.Select(WorkloadList.Find)];
        bool twin = !sweep && parsed.GetValue(options.Twin);
        if (twin && infos.Length > 1) throw new UsageException("--twin: compares one workload with C; name one");
        if (twin && infos[0].TwinFile is null) throw new UsageException($"--twin: {infos[0].Name} has no C twin; these have: "
            + $"{string.Join(", ", WorkloadList.All.Where(w => w.TwinFile is not null).Select(w => w.Name))}");
        Model[] models = preset is null ? ReadModels() : [.. preset.Models.Select(Model.Parse)];
        if (twin && models.Length > 1) throw new UsageException("--twin: compares one model with C; say -M once");
        if (twin) Twins.Check(infos[0].Name, models[0]);
        Topology topology = Machine(mayBeMadeUp: parsed.GetValue(options.DryRun));
        CpuId[] cpus = ReadCpus(topology);
        int[] threads = ReadThreads(topology, cpus, sweep);
        NumaPolicy[] mem = ReadMem(topology, cpus, sweep);
        int points = infos.Length * threads.Length * mem.Length * models.Length * (twin ? 2 : 1);
        string pages = Get(options.Pages) ?? "4K";
        long footprint = Footprint(Get(options.Footprint)) ?? Math.Max(64L << 20, (long)threads.Max() << 22);
        var scenario = new Scenario
        {
            Topology = topology,
            Workloads = infos,
            Cpus = cpus,
            Threads = threads,
            Mem = mem,
            Pages = PageKind.ParseList(pages),
            PagesText = pages,
            Place = PlaceMap.Parse(Get(options.Place), topology),
            FootprintBytes = footprint,
            FakeNodes = Get(options.FakeNodes) is { } fake ? NumberText.Parse("--fake-nodes", fake, 1, 64) : 0,
            Rcu = OptionSet.Word("--rcu", Get(options.Rcu), "qsbr", "membarrier") == "qsbr" ? RcuFlavour.Qsbr : RcuFlavour.Membarrier,
            Models = models,
            Shape = preset is null ? ReadShape(twin) : new MemcgShape(preset.Depth, preset.Private ? 0 : 1, null),
            Schedule = ReadSchedule(points, footprint * mem.Length * models.Length, sweep),
            Order = OptionSet.Word("--order", Get(options.Order), orders),
            Twin = twin,
            Shares = ReadShares(infos),
            Preset = preset,
            ProbesLines = preset is { Layout: true } || Get(options.Layout) is not null,
            ProbesPrefetch = Get(options.Prefetch) is not null,
            Objects = Get(options.Objects) is { } objects ? NumberText.Parse("--objects", objects, 1, 256) : 32,
        };
        CheckNodes(scenario);
        CheckMemory(scenario);
        if (!topology.IsThisMachine && !parsed.GetValue(options.DryRun)) throw new UsageException($"{topology.Origin}: this is not the machine we run on and cannot be "
            + $"measured; add --dry-run");
        return scenario;
    }

    private ListShares ReadShares(WorkloadInfo[] workloads)
    {
        if (Get(options.Share) is not { } text) return ListShares.Default;
        if (workloads.All(w => w.Name != "lru-churn"))
            throw new UsageException($"--share: is the mix of lru-churn, and {workloads[0].Name} has none; run lru-churn or leave it out");
        return ListShares.Parse(text);
    }

    private Model[] ReadModels()
    {
        string[] texts = parsed.GetValue(options.Model) is { Length: > 0 } typed ? typed : from is not null ? [.. from.Scenario.Models.Select(m => m.Model)] : ["3.19"];
        string? kind = Get(options.Lock) is { } l ? OptionSet.Word("--lock", l, [.. Eras.Answers.Where(a => a.Axis == Axis.LruLock).Select(a => a.Name)]) : null;
        if (kind is not null && texts.Any(t => t.Contains("lru.lock=", StringComparison.OrdinalIgnoreCase)))
            throw new UsageException("--lock: the model already says lru.lock; say it once");
        Model[] models = [.. texts.Select(t => Prefixed("--model", () => Model.Parse(kind is null ? t : $"{t},lru.lock={kind}")))];
        if (Get(options.Layout) is { } layouts)
            models = Vary(models, "--layout", Axis.Counter, layouts.Equals("all", StringComparison.OrdinalIgnoreCase) ? AllLayouts : layouts, AllLayouts, l => $"PageCounter{l}");
        if (Get(options.Prefetch) is { } kinds)
        {
            if (models.FirstOrDefault(m => !m[Axis.PageCgroup].StartsWith("LocklessRcu", StringComparison.Ordinal)) is { } other)
                throw new UsageException($"--prefetch: {other} has page_cgroup={other[Axis.PageCgroup]}, which prefetches nothing; say -M rfc-2008-lockless");
            models = Vary(models, "--prefetch", Axis.PageCgroup, kinds, "none,read,write", k => k == "write" ? "LocklessRcu" : $"LocklessRcu{char.ToUpperInvariant(k[0])}{k[1..]}");
        }
        return Once(models);
    }

    /// <summary>-M, each design once.</summary>
    public static Model[] Models(IEnumerable<string> texts) => Once([.. texts.Select(t => Prefixed("--model", () => Model.Parse(t)))]);

    private static Model[] Once(Model[] models) => models.GroupBy(m => m.ToString()).FirstOrDefault(g => g.Count() > 1) is { } twice
        ? throw new UsageException($"--model: {twice.Key} is named twice; name each design once") : models;

    private const string AllLayouts = "40,112,112Apart,192Legacy,256,192";

    /// <summary>Each model once for every item of a list, with the answer on axis that the item names.</summary>
    private static Model[] Vary(Model[] models, string option, Axis axis, string list, string known, Func<string, string> answer)
    {
        string[] words = [.. list.Split(',').Select(item => OptionSet.Word(option, item.Trim(), known.Split(',')))];
        if (words.GroupBy(w => w).FirstOrDefault(g => g.Count() > 1) is { } twice) throw new UsageException($"{option}: {twice.Key} is named twice; name each once");
        return [.. models.SelectMany(m => words.Select(w => m with { Answers = [.. m.Answers.Select((a, i) => i == (int)axis ? answer(w) : a)] }))];
    }

    private CpuId[] ReadCpus(Topology topology)
    {
        IEnumerable<CpuId> chosen = Get(options.Cpus) is { } list ? Prefixed("--cpus", () => CpuList.Parse(list, topology)) : topology.AllowedCpus.Except(topology.IsolatedCpus);
        CpuId[] cpus = [.. OptionSet.Word("--order", Get(options.Order), orders) switch
        {
            "compact" => CpuOrder.Compact(topology, chosen),
            "scatter" => CpuOrder.Scatter(topology, chosen),
            "linear" => CpuOrder.Linear(chosen),
            _ => CpuOrder.CoresFirst(topology, chosen),
        }];
        return cpus.Length > 0 ? cpus : throw new UsageException("--cpus: every CPU this process may use is isolated; name the ones to use", ofThisMachine: true);
    }

    private static readonly string[] orders = ["cores", "compact", "scatter", "linear"];

    private int[] ReadThreads(Topology topology, CpuId[] cpus, bool sweep) =>
        Get(options.Threads) is { } text ? ThreadLadder.Parse(text, cpus.Length) : sweep ? ThreadLadder.Default(topology, cpus) : [cpus.Length];

    private NumaPolicy[] ReadMem(Topology topology, CpuId[] cpus, bool sweep)
    {
        if (Get(options.Mem) is { } text)
        {
            NumaPolicy[] asked = sweep ? [.. SplitPolicies(text).Select(p => Policy(p, topology))] : [Policy(text, topology)];
            return !asked.Any(p => p.Mode == NumaMode.FirstTouch) ? asked
                : throw new UsageException("--mem first-touch: every frame is touched before a run begins, by one thread; only `placement` knows it. Write local");
        }
        NumaPolicy local = NumaPolicy.Parse("local");
        if (!sweep) return [local];
        NodeId home = topology.Cpu(cpus[0]).Node;
        return [local, .. topology.Nodes.Where(n => n.HasMemory && n.IsAllowed && n.Id != home).Select(n => NumaPolicy.Parse($"bind:{n.Id}"))];
    }

    /// <summary>local,bind:0,1,remote: a comma ends a policy where the name of the next begins.</summary>
    private static List<string> SplitPolicies(string text)
    {
        string[] names = ["local", "bind", "interleave", "preferred", "preferred-many", "weighted-interleave", "remote", "first-touch"];
        var policies = new List<string>();
        foreach (string item in text.Split(','))
        {
            if (policies.Count > 0 && !names.Contains(item.Split(':')[0].Trim())) policies[^1] += "," + item;
            else policies.Add(item.Trim());
        }
        return policies;
    }

    private MemcgShape ReadShape(bool twin)
    {
        string? groups = Get(options.Groups);
        bool shared = parsed.GetValue(options.Shared), each = parsed.GetValue(options.Private) || (!shared && groups is null && from?.Scenario.Memcg.Private == true);
        if (shared && each) throw new UsageException("--shared and --private exclude each other");
        if (groups is not null && (shared || each)) throw new UsageException($"--groups and {(shared ? "--shared" : "--private")} exclude each other: both say how many "
            + $"groups there are");
        int leaves = groups is not null ? NumberText.Parse("--groups", groups, 1, 60000) : each ? 0 : 1;
        int depth = Get(options.Depth) is { } d ? NumberText.Parse("--depth", d, 1, 64) : 1;
        long? limit = Get(options.Limit) is { } size ? SizeText.Parse("--limit", size) : null;
        if (twin && limit is not null) throw new UsageException("--twin: the C twins know no limit; leave --limit out");
        if (limit < 4096) throw new UsageException($"--limit: {limit} bytes are less than a page");
        return new MemcgShape(depth, leaves, limit);
    }

    private Schedule ReadSchedule(int points, long bytes, bool sweep)
    {
        double? until = Get(options.Until) is { } u ? PercentText.Parse("--until", u) : null;
        bool untold = sweep && Get(options.Duration) is null && Get(options.Reps) is null && until is null;
        TimeSpan? most = Get(options.MaxTime) is { } t ? DurationText.Parse("--max-time", t) : untold ? sweepMaxTime : null;
        int reps = Get(options.Reps) is { } r ? NumberText.Parse("--reps", r, 1, 1000) : until is null ? DefaultReps : MostReps;
        int machines = parsed.GetValue(options.Machines) is { } m ? NumberText.Parse("--machines", m, 1, reps)
            : from?.Scenario.Machines is { } before ? Math.Min(before, reps)
            : until is not null ? reps : (int)Math.Clamp(MachinesBudget / Math.Max(1, bytes), 1, Math.Min(reps, Schedule.DefaultMachines));
        TimeSpan duration = Get(options.Duration) is { } d ? DurationText.Parse("--duration", d)
            : !sweep ? TimeSpan.FromMilliseconds(200)
            : TimeSpan.FromSeconds(Math.Clamp(Math.Max(8, sweepBudget.TotalSeconds - bytes * machines / 2e9) / points / reps / 1.35, 0.002, 0.3));
        if (duration < Schedule.Batch) throw new UsageException($"--duration: {DurationText.Format(duration)} is less than one batch of {DurationText.Format(Schedule.Batch)}");
        double batches = Math.Max(1, duration / Schedule.Batch) * reps * points;
        if (batches > MostBatches)
        {
            throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"--duration: {DurationText.Format(duration)} x {reps} repetitions x {points} point(s) are ")
                + string.Create(CultureInfo.InvariantCulture, $"{batches:0} batches, at most {MostBatches:0} are kept; ask for a shorter duration or fewer repetitions"));
        }
        TimeSpan? warmup = Get(options.Warmup) is { } w and not "auto" ? DurationText.Parse("--warmup", w) : null;
        ulong seed = Get(options.Seed) is { } s ? SeedText.Parse(s) : (ulong)DateTime.UtcNow.Ticks & 0xffffffff;
        return new Schedule(duration, reps, warmup, seed, machines, until, most);
    }

    private static void CheckNodes(Scenario scenario)
    {
        foreach (NumaPolicy mem in scenario.Mem)
            if (scenario.FakeNodes > 0 && scenario.InstanceFor(mem, scenario.Models[0]).Nodes().Length is > MemcgTree.MaxNodes and var nodes)
                throw new UsageException($"--fake-nodes: {scenario.FakeNodes} parts of each of {nodes / scenario.FakeNodes} nodes are {nodes} nodes, at most "
                    + $"{MemcgTree.MaxNodes} can be kept; ask for {MemcgTree.MaxNodes * scenario.FakeNodes / nodes} parts or fewer");
    }

    /// <summary>
    /// More than a node has would end in the OOM killer and not in a message. All placements and models are there at a time; memory that a
    /// policy spreads is set against all its nodes together.
    /// </summary>
    private static void CheckMemory(Scenario scenario)
    {
        var asked = new List<(NodeId[] Nodes, long Bytes)>();
        foreach (NumaPolicy mem in scenario.Mem)
            foreach (Allocator.NodeSpec node in scenario.InstanceFor(mem, scenario.Models[0]).Nodes())
                asked.Add((mem.Mode is NumaMode.Local or NumaMode.Remote or NumaMode.Bind || mem.Nodes.Count == 0 ? [node.Physical] : [.. mem.Nodes],
                    node.Bytes * scenario.Models.Count));
        foreach (NodeId[] nodes in asked.Select(a => a.Nodes))
        {
            long sum = asked.Where(a => a.Nodes.All(nodes.Contains)).Sum(a => a.Bytes);
            if (nodes.Any(n => scenario.Topology.Node(n).MemoryBytes is null)) continue;
            long has = nodes.Sum(n => scenario.Topology.Node(n).MemoryBytes ?? 0);
            if (sum <= has / 64 * 63) continue;
            int machines = scenario.Mem.Count * scenario.Models.Count;
            throw new UsageException($"--footprint: {TopologyText.Size(sum)} are asked of {(nodes.Length == 1 ? "node" : "nodes")} {NodeList.Format(nodes)}, which "
                + $"{(nodes.Length == 1 ? "has" : "have")} {TopologyText.Size(has)}{(machines > 1 ? $" ({machines} placements and models at a time)" : "")}; ask for less or for "
                + "more nodes", ofThisMachine: true);
        }
    }

    /// <summary>Runs a parser of src and puts the option's name before its message.</summary>
    public static T Prefixed<T>(string option, Func<T> parse)
    {
        try
        {
            return parse();
        }
        catch (UsageException e)
        {
            throw new UsageException($"{option}: {e.Message}", e.OfThisMachine);
        }
    }
}
