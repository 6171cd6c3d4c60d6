// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using System.Runtime.Versioning;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`kernel probe`: what charging costs the running kernel, by loops inside and outside of groups of ours.</summary>
internal sealed class ProbeCommand(CommandContext context)
{
    public static readonly Option<bool> Root = new("--root")
        { Description = "also in the root group, which is not charged: tasks of the probe enter it; costs are then against it" };
    private static readonly TimeSpan defaultBatch = TimeSpan.FromMilliseconds(20);

    public int Run(ParseResult parsed)
    {
        OptionSet o = context.Options;
        Topology topology = context.Environment.Topology();
        CpuId[] cpus = [.. CpuList.Parse(parsed.GetValue(o.Cpus) ?? "all", topology)];
        int[] counts = parsed.GetValue(o.Threads) is { } text ? ThreadLadder.Parse(text, cpus.Length) : ThreadLadder.Default(topology, cpus);
        int rounds = Rounds(parsed.GetValue(o.Reps));
        TimeSpan batch = parsed.GetValue(o.Duration) is { } d ? DurationText.Parse("--duration", d) : defaultBatch;
        ulong seed = parsed.GetValue(o.Seed) is { } s ? SeedText.Parse(s) : (ulong)Environment.TickCount64;
        string format = OptionSet.Word("--format", parsed.GetValue(o.Format), "table", "json");
        ResultFile? file = parsed.GetValue(o.Out) is { } name && name != "-" ? ResultFile.Open(name) : null;
        return Supervised.Run(context, host =>
        {
            if (!OperatingSystem.IsLinux()) return ExitCode.NotHere;
            ProbeResult result = Probe(host, [.. cpus.Take(counts.Max()).Select(c => c.Value)], counts, rounds, batch, seed, parsed.GetValue(Root));
            string json = JsonSerializer.Serialize(result, ProbeJson.Default.ProbeResult);
            file?.Write(json + "\n");
            if (format == "json") context.Out.WriteLine(json);
            else Table(result, context.Out);
            return ExitCode.Done;
        });
    }

    [SupportedOSPlatform("linux")]
    private ProbeResult Probe(HostChanges host, int[] cpus, int[] counts, int rounds, TimeSpan batch, ulong seed, bool root)
    {
        CgroupHost cgroups = CgroupHost.Find();
        OwnDirectory top = host.MakeGroup(cgroups.Parent);
        if (cgroups.V2) top.Write("cgroup.subtree_control", "+memory");
        using var probe = new KernelProbe(top, cgroups, cpus, batch, seed, root);
        IReadOnlyList<ProbeSeries> series = probe.Run(counts, rounds, _ => { }, context.Environment.Stop);
        return new ProbeResult
        {
            Kernel = SystemFacts.KernelRelease, Cgroup = cgroups.Version, Seed = SeedText.Format(seed), CpusHere = Environment.ProcessorCount,
            Started = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            LevelsHere = cgroups.Parent[cgroups.Mount.TrimEnd('/').Length..].Count(c => c == '/'), BatchNs = (long)batch.TotalNanoseconds,
            Series = [.. series.Select(x => new ProbeSeriesModel(x.Loop, x.Place, x.Cpus, [.. x.OpsPerSecond], x.Median, x.Spread * 100))],
        };
    }

    private static int Rounds(string? text) => text is null ? 15
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n is > 0 and <= 1000 ? n
            : throw new UsageException($"--reps: '{text}' is not a number from 1 to 1000");

    /// <summary>Ratios are taken inside a round, then the median over rounds: what else ran fell on both.</summary>
    public static void Table(ProbeResult result, TextWriter to)
    {
        CultureInfo c = CultureInfo.InvariantCulture;
        string[] places = [.. result.Series.Select(x => x.Place).Distinct()];
        to.WriteLine(string.Create(c, $"kernel {result.Kernel}, cgroup {result.Cgroup}, this process {result.LevelsHere} level(s) deep; "
            + $"seed {result.Seed}; cost against {(places[0] == "root" ? "the root group, which is not charged" : "where this process is")}"));
        to.WriteLine("per second of CPU time; '~' before a cost: cannot tell from none, the rounds spread as wide");
        to.WriteLine($"loop        CPUs  {places[0],8}        spread   {string.Concat(places.Skip(1).Select(p => p.PadRight(19)))}".TrimEnd());
        foreach (var group in result.Series.GroupBy(s => (s.Loop, s.Cpus)))
        {
            ProbeSeriesModel free = group.First(s => s.Place == places[0]);
            string cells = string.Concat(group.Where(s => s != free).Select(s => Cost(free, s).PadRight(19)));
            to.WriteLine(string.Create(c, $"{group.Key.Loop,-10} {group.Key.Cpus,5} {free.MedianOpsPerS / 1000,8:0} kop/s {free.SpreadPct,7:0.0} %   {cells}").TrimEnd());
        }
    }

    private static string Cost(ProbeSeriesModel here, ProbeSeriesModel there)
    {
        double[] ratios = [.. here.OpsPerS.Zip(there.OpsPerS, (h, t) => t == 0 ? double.NaN : (h / t - 1) * 100).Order()];
        double median = ratios[ratios.Length / 2], spread = (ratios[ratios.Length * 3 / 4] - ratios[ratios.Length / 4]) / 2;
        return string.Create(CultureInfo.InvariantCulture, $"{(Math.Abs(median) <= spread ? '~' : ' ')}{Math.Round(median, 1) + 0.0,6:+0.0;-0.0;0.0} % +-{spread,4:0.0} %");
    }
}
