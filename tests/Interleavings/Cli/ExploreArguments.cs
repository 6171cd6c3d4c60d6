// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The command line of explore.</summary>
internal sealed class ExploreArguments
{
    public bool List { get; private set; }
    public bool All { get; private set; }
    public bool Help { get; private set; }
    /// <summary>Mutate the source and say who lives.</summary>
    public bool Mutants { get; private set; }
    /// <summary>Measure how fast schedules are run.</summary>
    public bool Rate { get; private set; }
    /// <summary>Write VERDICTS.md, PROTOCOLS.md and SHAPES.txt.</summary>
    public bool Tables { get; private set; }
    public bool Json { get; private set; }
    public string? Case { get; private set; }
    /// <summary>-M as the list of cases spells it; null: every design of the case.</summary>
    public string? Design { get; private set; }
    /// <summary>-M as everywhere: every design whose answers are this model's.</summary>
    public Model? Model { get; private set; }
    public ExploreOptions Options { get; private set; } = new();

    /// <summary>The error names the element, the cause and the cure.</summary>
    public static bool TryParse(string[] args, out ExploreArguments a, out string error)
    {
        a = new ExploreArguments();
        error = "";
        MemoryModel? memory = null;
        for (int i = 0; i < args.Length; i++)
        {
            switch (args[i])
            {
                case "--list": a.List = true; continue;
                case "--all": a.All = true; continue;
                case "--tables": a.Tables = true; continue;
                case "--rate": a.Rate = true; continue;
                case "--mutants": a.Mutants = true; continue;
                case "-h" or "--help": a.Help = true; continue;
            }
            if (args[i].StartsWith('-') && i + 1 == args.Length)
            {
                error = $"{args[i]} needs a value";
                return false;
            }
            error = args[i] switch
            {
                "-M" => a.SetDesign(args[++i]),
                "--memory" => a.SetMemory(args[++i], ref memory),
                "--search" => a.SetSearch(args[++i]),
                "--schedule" => a.SetSchedule(args[++i]),
                "--max" => a.SetMax(args[++i]),
                "--time" => a.SetTime(args[++i]),
                "--seed" => a.SetSeed(args[++i]),
                "--handover" => a.SetHandover(args[++i]),
                "--format" => a.SetFormat(args[++i]),
                ['-', ..] => $"{args[i]} is no option; --list, --all, --tables, --rate, --mutants, --help, "
                    + "-M, --memory, --search, --schedule, --max, --time, --seed, --handover, --format",
                _ => a.SetCase(args[i]),
            };
            if (error.Length > 0) return false;
        }
        return a.Check(memory, out error);
    }

    private bool Check(MemoryModel? memory, out string error)
    {
        error = "";
        if (Options.Replay is { } schedule)
        {
            Case ??= schedule.Case;
            if (memory == MemoryModel.SC && schedule.Memory == MemoryModel.TSO) error = "--memory sc: the schedule was found under tso and names store buffers; leave --memory out";
            Options = Options with { Memory = memory ?? schedule.Memory, Search = Search.Replay };
        }
        else if (Case is null && !List && !All && !Tables && !Rate && !Mutants && !Help) error = "which case? memcgnative explore --list names them";
        if (All && Options.MaxTime == TimeSpan.MaxValue) Options = Options with { MaxTime = TimeSpan.FromSeconds(60) };
        return error.Length == 0;
    }

    private string SetCase(string name)
    {
        if (Case is not null) return $"'{name}': one case at a time, '{Case}' is already named";
        Case = name;
        return "";
    }

    private string SetDesign(string text)
    {
        if (Cases.All.Any(c => c.Design == text))
        {
            Design = text;
            return "";
        }
        try
        {
            Model = Model.ParseForExplorer(text);
            return "";
        }
        catch (UsageException e)
        {
            return $"-M: {e.Message}; or a design as --list shows it";
        }
    }

    private string SetMemory(string text, ref MemoryModel? memory)
    {
        memory = text switch { "sc" => MemoryModel.SC, "tso" => MemoryModel.TSO, _ => null };
        if (memory is null) return $"--memory: '{text}' is no memory model; sc or tso";
        Options = Options with { Memory = memory.Value };
        return "";
    }

    private string SetSearch(string text)
    {
        string[] parts = text.Split(':');
        int depth = 0;
        bool ok = parts.Length == 1 || (parts.Length == 2 && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out depth));
        Search? search = parts[0] switch { "dpor" => Search.Dpor, "dfs" => Search.Dfs, "pct" => Search.Pct, "random" => Search.Random, _ => null };
        if (!ok || search is null || (parts.Length == 2 && search is not (Search.Pct or Search.Dfs)) || (search == Search.Pct && parts.Length == 2 && depth is < 1 or > 64))
            return $"--search: '{text}' is no search; dpor, dfs, dfs:2 (preemptions), pct, pct:3 (depth 1..64) or random";
        Options = Options with { Search = search.Value, PctDepth = search == Search.Pct ? depth : 0, Preemptions = search == Search.Dfs && parts.Length == 2 ? depth : -1 };
        if (search is Search.Pct or Search.Random && Options.MaxExecutions == long.MaxValue) Options = Options with { MaxExecutions = 100_000 };
        return "";
    }

    private string SetSchedule(string text)
    {
        if (!Schedule.TryParse(text, out Schedule? schedule, out string error)) return "--schedule: " + error;
        Options = Options with { Replay = schedule };
        return "";
    }

    private string SetMax(string text)
    {
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long max) || max < 1)
            return $"--max: '{text}' is no number of executions; write for example 1000000";
        Options = Options with { MaxExecutions = max };
        return "";
    }

    private string SetTime(string text)
    {
        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int seconds) || seconds < 1)
            return $"--time: '{text}' is no number of seconds; write for example 60";
        Options = Options with { MaxTime = TimeSpan.FromSeconds(seconds) };
        return "";
    }

    private string SetSeed(string text)
    {
        bool hex = text.StartsWith("0x", StringComparison.Ordinal);
        if (!ulong.TryParse(hex ? text[2..] : text, hex ? NumberStyles.HexNumber : NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed))
            return $"--seed: '{text}' is no seed; write for example 7 or 0x5eed";
        Options = Options with { Seed = seed };
        return "";
    }

    private string SetHandover(string text)
    {
        if (text is not ("fibers" or "threads")) return $"--handover: '{text}' is no hand-over; fibers or threads";
        if (text == "fibers" && !FiberHandover.IsSupported) return "--handover: fibers need x64 Linux; threads works everywhere";
        Options = Options with { Threads = text == "threads" };
        return "";
    }

    private string SetFormat(string text)
    {
        if (text is not ("text" or "json")) return $"--format: '{text}' is no format; text or json";
        Json = text == "json";
        return "";
    }
}
