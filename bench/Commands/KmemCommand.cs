// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`dying`, `offline`, `slab`: experiments on what a removed group leaves behind, one design after the other on the same plan.</summary>
internal sealed class KmemCommand(CommandContext context, ParseResult parsed)
{
    /// <summary>One core, only the answer to the kmem question differs; 7.1 last, which cannot be had without its other answers.</summary>
    private static readonly string[] designs =
    [
        "5.9,kmem=PerCachePin", "5.9,kmem=ReparentCaches", "5.9,kmem=ReparentCachesRef", "5.9,kmem=ReparentPointerByPage", "5.9,kmem=ReparentPointer", "5.9", "7.1",
    ];

    /// <summary>The three commands.</summary>
    public static IEnumerable<Command> Of(OptionSet o, CommandContext context) =>
    [
        CommandTree.Make("dying", "remove groups while objects of theirs live: what is left, and what holds it", [o.Model, o.Groups, o.Objects, o.OptIn, .. o.Kmem],
            r => new KmemCommand(context, r).Dying()),
        CommandTree.Make("offline", "the cost of one removal by caches, objects, inherited pointers", [o.Model, o.Caches, o.Objects, o.Inherited, o.Reps, .. o.Kmem],
            r => new KmemCommand(context, r).Offline()),
        CommandTree.Make("slab", "caches after groups have used them, as /sys/kernel/slab lists them", [o.Model, o.Groups, o.Objects, o.OptIn, o.Removed, o.Seed, .. o.Kmem],
            r => new KmemCommand(context, r).Slab()),
    ];

    private const int MostGroups = 60_000, MostObjects = 10_000_000;
    private readonly OptionSet o = context.Options;
    private readonly List<string> wrong = [];

    /// <summary>Zombies and their pins.</summary>
    public int Dying()
    {
        int groups = Number(o.Groups, 1000, MostGroups), objects = Number(o.Objects, 1, MostObjects);
        return Report(ForEach(plan => new DyingLab(plan, groups, objects), groups + 1, 256L * groups * objects + ((long)groups << 15)), (r, tool) =>
            new KmemResult { Tool = tool, Seed = "none", OptIn = OptIn, Dying = r, Wrong = wrong }, (r, t) => KmemTables.Dying(r, t, context.Out));
    }

    /// <summary>What a removal costs.</summary>
    public int Offline()
    {
        int[] caches = Numbers(o.Caches, [1, 10, 50, 200], 1, 1000), objects = Numbers(o.Objects, [1, 1000, 1_000_000], 1, MostObjects);
        int[] inherited = Numbers(o.Inherited, [0, 10, 100, 1000], 0, 10_000);
        OfflineShape[] shapes =
        [
            .. caches.Select(n => new OfflineShape("caches", n, n, n, 0)),
            .. objects.Select(n => new OfflineShape("objects", n, 1, n, 0)),
            .. inherited.Select(n => new OfflineShape("inherited", n, 1, 1, n)),
        ];
        int reps = parsed.GetValue(o.Reps) is { } r ? NumberText.Parse("--reps", r, 1, 10_000) : 11;
        long bytes = 192L * objects.Max() + ((long)caches.Max() << 15) + ((long)inherited.Max() << 15);
        return Report(ForEach(plan => new OfflineLab(plan, shapes, reps), inherited.Max() + 8, bytes).SelectMany(x => x).ToArray(), (all, tool) =>
            new KmemResult { Tool = tool, Seed = "none", Offline = all, Wrong = wrong }, (all, t) => KmemTables.Offline(all, t, context.Out));
    }

    /// <summary>The caches.</summary>
    public int Slab()
    {
        int groups = Number(o.Groups, 50, MostGroups), objects = Number(o.Objects, 12, 10_000);
        bool removed = parsed.GetValue(o.Removed), one = parsed.GetValue(o.Model) is { Length: 1 };
        ulong seed = parsed.GetValue(o.Seed) is { } s ? SeedText.Parse(s) : 1;
        long bytes = 12L * 2048 * groups * objects + ((long)groups << 18);
        return Report(ForEach(plan => new SlabLab(plan, groups, objects, removed, seed), groups + 1, bytes), (r, tool) =>
            new KmemResult { Tool = tool, Seed = SeedText.Format(seed), OptIn = OptIn, Slab = r, Wrong = wrong }, (r, t) => KmemTables.Slab(r, t, context.Out, listing: one));
    }

    private TResult[] ForEach<TResult>(Func<InstancePlan, KmemLab<TResult>> lab, int groups, long bytes)
    {
        Topology topology = context.Environment.Topology();
        CpuId[] cpus = parsed.GetValue(o.Cpus) is { } list ? [.. ScenarioReader.Prefixed("--cpus", () => CpuList.Parse(list, topology))] : [.. topology.AllowedCpus.Take(2)];
        long footprint = ScenarioReader.Footprint(parsed.GetValue(o.Footprint)) ?? Math.Max(64L << 20, bytes);
        if (topology.MemoryBytes is { } has && footprint > has / 64 * 63)
            throw new UsageException($"--footprint: {TopologyText.Size(footprint)} are needed, this machine has {TopologyText.Size(has)}; ask for less", ofThisMachine: true);
        if (OptIn >= groups) throw new UsageException($"--opt-in: {OptIn} of {groups - 1} groups cannot opt in; give --opt-in 0 to {groups - 1}, or more --groups");
        Model[] models = ScenarioReader.Models(parsed.GetValue(o.Model) is { Length: > 0 } given ? given : designs);
        if (models.FirstOrDefault(m => m[Axis.Kmem] == NoKmem.Name) is { } none)
            throw new UsageException($"--model: {none} charges no kernel objects; choose "
                + $"{string.Join(", ", Eras.All.Where(e => e.Answers[(int)Axis.Kmem] != NoKmem.Name).Select(e => e.Name))}, or add kmem=ANSWER (`list axes`)");
        var results = new List<TResult>();
        foreach (Model model in models)
        {
            context.Environment.Stop.ThrowIfCancellationRequested();
            (TResult result, Books books) = Matrix.Bind(model, lab(new InstancePlan
            {
                Topology = topology,
                Cpus = cpus,
                Mem = NumaPolicy.Parse("local"),
                Pages = PageKind.ParseList("4K"),
                FootprintBytes = footprint,
                Place = PlaceMap.Parse(null, topology),
                Shape = new MemcgShape(1, 1, null),
                Model = model,
                Rcu = RcuFlavour.Qsbr,
                FakeNodes = 0,
                ExtraGroups = groups,
                OptIn = OptIn,
            }));
            results.Add(result);
            wrong.AddRange(books.Wrong.Select(w => $"{model}: {w}"));
        }
        return [.. results];
    }

    private int Report<TResult>(TResult results, Func<TResult, ToolModel, KmemResult> model, Action<TResult, Terminal> table)
    {
        string format = OptionSet.Word("--format", parsed.GetValue(o.Format), "table", "json");
        string? name = parsed.GetValue(o.Out);
        if (name == "-") format = "json";
        string json = JsonSerializer.Serialize(model(results, ResultBuilder.Tool()), ResultJson.Default.KmemResult);
        if (format == "json") context.Out.WriteLine(json);
        else table(results, Terminal.Make(context.Out, context.Environment.OutIsTerminal,
            OptionSet.Word("--color", parsed.GetValue(o.Color), "auto", "always", "never"), context.Environment));
        if (name is not null and not "-") ResultFile.Open(name).Write(json + "\n");
        if (wrong.Count == 0) return ExitCode.Done;
        context.Error.WriteLine($"memcgnative: the books do not balance: {string.Join("; ", wrong.Take(5))}");
        return ExitCode.Broken;
    }

    /// <summary>Null: all groups.</summary>
    private int? OptIn => parsed.CommandResult.Command.Options.Contains(o.OptIn) && parsed.GetValue(o.OptIn) is { } text ? NumberText.Parse("--opt-in", text, 0, MostGroups) : null;

    private int Number(Option<string?> option, int usual, int most) => parsed.GetValue(option) is { } text ? NumberText.Parse(option.Name, text, 1, most) : usual;

    private int[] Numbers(Option<string?> option, int[] usual, int least, int most) =>
        parsed.GetValue(option) is { } text ? [.. text.Split(',').Select(t => NumberText.Parse(option.Name, t.Trim(), least, most)).Distinct()] : usual;
}
