// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Bench;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>Exit codes, those of memcgnative.</summary>
internal static class ExitCode
{
    public const int Success = 0, Failed = 1, Usage = 2, NotHere = 3, Broken = 5, Inconclusive = 7;
}

/// <summary>What to torture, how long and how hard.</summary>
internal sealed record TortureOptions
{
    public string Type { get; private set; } = "all";
    public TimeSpan For { get; init; } = TimeSpan.FromSeconds(30);
    public ulong Seed { get; init; } = (ulong)Environment.TickCount64;
    /// <summary>Workers; 0 = one more than the CPUs this process may use, at least three.</summary>
    public int Threads { get; init; }
    /// <summary>One marked access in so many is delayed, every other second; a power of two, 0 = never.</summary>
    public int Delay { get; init; } = 256;
    /// <summary>One allocation in so many fails, every other phase; a power of two, 0 = never.</summary>
    public int Fail { get; init; } = 128;
    /// <summary>One step in so many takes the CPU out and back.</summary>
    public int Hotplug { get; init; } = 2000;

    /// <summary>The only model of accounting and counters; null = all in turn.</summary>
    public Accounting.Model? Model { get; init; }
    /// <summary>Operations after which an episode ends; each type then has one episode for each of its designs. 0 = by time.</summary>
    public long Ops { get; init; }
    /// <summary>Seconds without an operation before the watchdog speaks.</summary>
    public int Stall { get; init; } = 10;

    public const string Help = """
        usage: torture [--type all|busted|NAME[,NAME...]] [--for 30s | --ops N] [--model ERA[,AXIS=ANSWER...]] [--seed N]
                       [--threads N] [--delay N] [--fail N] [--hotplug N] [--stall N] [--list]

        Random operations on pinned threads, with every book compared at rest. --delay, --fail, --hotplug: once in N accesses, allocations,
        steps (delay and fail: a power of two, 0 = never). --stall: seconds. A name's first part is enough: locks, rcu, busted.
        --ops 10M: instead of a time, so many operations (k, M) on each design of a type: every answer of the kmem axis for kmem, every era
        for accounting and counters, every form of list locks for books; or on the one of --model.

        Exit: 0 success, 2 wrong usage, 3 this machine cannot, 5 a rule was broken, 7 inconclusive: something was never seen.
        With --type busted every type has a planted bug; exit 1 if one was not caught within --for (60s).
        """;

    /// <exception cref="UsageException">One line: element, cause, cure.</exception>
    public static TortureOptions Parse(IReadOnlyList<string> args)
    {
        var o = new TortureOptions();
        bool timed = false;
        for (int i = 0; i < args.Count; i += 2)
        {
            if (i + 1 == args.Count) throw new UsageException($"{args[i]}: no value; write for example --for 30s (--help shows all)");
            string value = args[i + 1];
            switch (args[i])
            {
                case "--type":
                    o = o with { Type = value };
                    Select(value);
                    break;
                case "--for":
                    o = o with { For = DurationText.Parse("--for", value) };
                    timed = true;
                    break;
                case "--seed":
                    o = o with { Seed = SeedText.Parse(value) };
                    break;
                case "--threads":
                    o = o with { Threads = Number("--threads", value, 1, 1024) };
                    break;
                case "--delay":
                    o = o with { Delay = Power("--delay", value) };
                    break;
                case "--fail":
                    o = o with { Fail = Power("--fail", value) };
                    break;
                case "--hotplug":
                    o = o with { Hotplug = Number("--hotplug", value, 1, int.MaxValue) };
                    break;
                case "--ops":
                    o = o with { Ops = Operations(value) };
                    break;
                case "--model":
                    o = o with { Model = Accounting.Model.Parse(value) };
                    break;
                case "--stall":
                    o = o with { Stall = Number("--stall", value, 1, 3600) };
                    break;
                default:
                    throw new UsageException($"'{args[i]}' is no option of torture; --help shows all");
            }
        }
        if (timed && o.Ops != 0) throw new UsageException("--ops: counts operations where --for gives a time; name one of them");
        return timed || !o.IsBusted ? o : o with { For = TimeSpan.FromSeconds(60) };
    }

    /// <summary>True when every type selected has a planted bug.</summary>
    public bool IsBusted => Select(Type).All(t => TypeList.Busted.Contains(t));

    /// <summary>The types a --type value names, in their order.</summary>
    public static IReadOnlyList<(string Name, int Weight, Func<int, TortureType> Make)> Select(string value)
    {
        if (value == "all") return TypeList.Honest;
        var chosen = new List<(string, int, Func<int, TortureType>)>();
        foreach (string name in value.Split(','))
        {
            var found = TypeList.Honest.Concat(TypeList.Busted).Where(t => t.Name == name || t.Name.StartsWith(name + ".", StringComparison.Ordinal)).ToArray();
            if (found.Length == 0) throw new UsageException($"--type: '{name}' is not known. Known: all, "
                + $"{string.Join(", ", TypeList.Honest.Concat(TypeList.Busted).Select(t => t.Name))}");
            chosen.AddRange(found);
        }
        if (chosen.Any(t => TypeList.Busted.Contains(t)) && !chosen.All(t => TypeList.Busted.Contains(t)))
            throw new UsageException($"--type: '{value}' mixes types that must hold with busted ones that must fail; run them apart");
        return chosen;
    }

    private static int Number(string option, string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n >= least && n <= most
            ? n : throw new UsageException($"{option}: '{text}' is not a number from {least} to {most}");

    private static long Operations(string text)
    {
        int unit = text.EndsWith('M') ? 1_000_000 : text.EndsWith('k') ? 1000 : 1;
        return (long)Number("--ops", unit == 1 ? text : text[..^1], 1, 1_000_000_000) * unit;
    }

    private static int Power(string option, string text) =>
        Number(option, text, 0, 4096) is var n && (n & (n - 1)) == 0 ? n : throw new UsageException($"{option}: '{text}' is no power of two up to 4096, nor 0");
}
