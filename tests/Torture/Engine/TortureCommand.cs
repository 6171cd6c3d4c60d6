// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Globalization;
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>The command: types in turn, first and last line with all parameters, one verdict. Linux: rcutorture's manner.</summary>
internal static class TortureCommand
{
    private static readonly TimeSpan longestEpisode = TimeSpan.FromSeconds(20), accountingEpisode = TimeSpan.FromSeconds(2.5);

    public static int Run(IReadOnlyList<string> args, TextWriter log, TextWriter error)
    {
        try
        {
            if (args is ["--help"] or ["-h"])
            {
                log.WriteLine(TortureOptions.Help);
                return ExitCode.Success;
            }
            if (args is ["--list"])
            {
                foreach (var (name, _, _) in TypeList.Honest.Concat(TypeList.Busted)) log.WriteLine(name);
                return ExitCode.Success;
            }
            TortureOptions options = TortureOptions.Parse(args);
            return options.IsBusted && TortureOptions.Select(options.Type).Count > 1 ? BustedRun.All(options, log) : Honest(options, log);
        }
        catch (UsageException e)
        {
            error.WriteLine("memcg-torture: " + e.Message);
            return ExitCode.Usage;
        }
        catch (OsException e)
        {
            error.WriteLine("memcg-torture: " + e.Message);
            return ExitCode.NotHere;
        }
    }

    private static int Honest(TortureOptions options, TextWriter log)
    {
        IReadOnlyList<CpuId> owned = ThreadAffinity.Allowed();
        int threads = options.Threads != 0 ? options.Threads : Math.Max(3, owned.Count + 1);
        string parameters = $"type={options.Type} seed={SeedText.Format(options.Seed)}"
            + string.Create(CultureInfo.InvariantCulture, $" {(options.Ops == 0 ? $"for={options.For.TotalSeconds}s" : $"ops={options.Ops}")} threads={threads}")
            + string.Create(CultureInfo.InvariantCulture, $" cpus={owned.Count} oversubscribed={Math.Max(0, threads - owned.Count)} delay={Once(options.Delay)}")
            + $" fail={Once(options.Fail)} hotplug={Once(options.Hotplug)} models={options.Model?.ToString() ?? Models.All.Count.ToString(CultureInfo.InvariantCulture)}";
        log.WriteLine($"memcg-torture:--- Start of test: {parameters}");
        Models.Only = options.Model;
        var types = TortureOptions.Select(options.Type);
        double share = options.For.TotalSeconds / types.Sum(t => t.Weight);
        long operations = 0, start = Stopwatch.GetTimestamp();
        var blind = new List<string>();
        foreach (var (name, weight, make) in types)
        {
            (long done, string? broken, IEnumerable<string> unseen) = OneType(name, make, TimeSpan.FromSeconds(share * weight), options, owned, threads, log);
            operations += done;
            blind.AddRange(unseen);
            if (broken is null) continue;
            log.WriteLine($"memcg-torture: !!! {name}: {broken}");
            log.WriteLine($"memcg-torture:--- End of test: FAILURE: {parameters} ops={operations}");
            return ExitCode.Broken;
        }
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        string rate = string.Create(CultureInfo.InvariantCulture, $"ops={operations} ops/s={operations / seconds:0}");
        if (blind.Count != 0)
        {
            log.WriteLine($"memcg-torture: never seen: {string.Join("; ", blind)}");
            log.WriteLine($"memcg-torture:--- End of test: INCONCLUSIVE: {parameters} {rate}");
            return ExitCode.Inconclusive;
        }
        log.WriteLine($"memcg-torture:--- End of test: SUCCESS: {parameters} {rate}");
        return ExitCode.Success;
    }

    /// <summary>One type for a time, in episodes: each with new state, a seed of its own, and another model where the type has models.</summary>
    private static (long Operations, string? Broken, IEnumerable<string> Unseen) OneType(string name, Func<int, TortureType> make, TimeSpan length,
        TortureOptions options, IReadOnlyList<CpuId> owned, int threads, TextWriter log)
    {
        long start = Stopwatch.GetTimestamp(), operations = 0, hotplugs = 0, delays = 0, waits = 0, injected = 0;
        long[] counts = [];
        TortureType type;
        int number = 0, first = (int)(options.Seed % 1024);
        do
        {
            type = make(number == 0 || options.Ops != 0 ? number : number + first); // the first era always
            TimeSpan left = length - Stopwatch.GetElapsedTime(start), most = type.Detail.Length != 0 ? accountingEpisode : longestEpisode;
            ulong seed = options.Seed + (ulong)number * 0x9e37;
            (CpuId, NodeId)[] cpus = [.. Enumerable.Range(0, threads).Select(i => (owned[i % owned.Count], new NodeId(i & 1)))];
            RcuFlavour flavour = type.Wants ?? ((seed >> 4 & 1) == 0 ? RcuFlavour.Qsbr : RcuFlavour.Membarrier);
            EpisodeResult result = new Episode(type, new Setting(cpus, flavour, seed), options, log).Run(left < most ? left : most);
            operations += result.Workers.Sum(w => w.Operations);
            if (result.Broken is not null) return (operations, $"episode {number}, seed {SeedText.Format(seed)}: {result.Broken}", []);
            log.WriteLine(result.Statistics);
            if (counts.Length == 0) counts = new long[type.Counters.Count];
            for (int i = 0; i < counts.Length; i++) counts[i] += result.Workers.Sum(w => w.Count(i));
            hotplugs += result.Workers.Sum(w => w.Hotplugs);
            delays += result.Workers.Sum(w => w.Delays);
            waits += result.Workers.Sum(w => w.Waits);
            injected += result.Workers.Sum(w => w.Injected);
            number++;
        } while (options.Ops == 0 ? Stopwatch.GetElapsedTime(start) < length : number < Models.DesignsOf(name));
        var unseen = type.BlindSpots.Where(i => counts[i] == 0).Select(i => type.Counters[i]).ToList();
        if (hotplugs == 0) unseen.Add("hotplug");
        if (delays == 0 && options.Delay != 0) unseen.Add("delays");
        if (type.Allocates && injected == 0 && options.Fail != 0) unseen.Add("injected allocation failure");
        return (operations, null, type.Busted ? [] : unseen.Select(u => $"{name}: {u}"));
    }

    private static string Once(int n) => n == 0 ? "never" : string.Create(CultureInfo.InvariantCulture, $"1/{n}");
}
