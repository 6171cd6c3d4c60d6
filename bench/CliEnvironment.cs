// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What the program takes from outside its arguments, so that tests can give it another machine, terminal or end.</summary>
internal sealed class CliEnvironment
{
    private static readonly string[] localeVariables = ["LC_ALL", "LC_CTYPE", "LANG"];

    /// <summary>An environment variable.</summary>
    public Func<string, string?> Variable { get; init; } = static _ => null;

    /// <summary>The machine.</summary>
    public Func<Topology> Topology { get; init; } = MemcgNative.Native.Topology.Current;

    /// <summary>stdout is looked at by a person.</summary>
    public bool OutIsTerminal { get; init; }

    /// <summary>stderr is looked at by a person.</summary>
    public bool ErrorIsTerminal { get; init; }

    /// <summary>Columns of the terminal.</summary>
    public int Columns { get; init; } = 80;

    /// <summary>More than ASCII can be written.</summary>
    public bool Unicode { get; init; }

    /// <summary>Set when the user or the system wants an end.</summary>
    public CancellationToken Stop { get; init; }

    /// <summary>The exit code that goes with it: 130 for Ctrl-C, 143 for SIGTERM.</summary>
    public Func<int> StopCode { get; init; } = static () => ExitCode.Interrupted;

    /// <summary>The process's own.</summary>
    public static CliEnvironment OfProcess(Func<int> stopCode, CancellationToken stop) => new()
    {
        Variable = Environment.GetEnvironmentVariable,
        OutIsTerminal = !Console.IsOutputRedirected,
        ErrorIsTerminal = !Console.IsErrorRedirected,
        Columns = Console.IsOutputRedirected ? 80 : Console.WindowWidth is > 0 and var w ? w : 80,
        Unicode = localeVariables.Select(Environment.GetEnvironmentVariable).FirstOrDefault(v => !string.IsNullOrEmpty(v)) is { } locale
            ? locale.Contains("UTF", StringComparison.OrdinalIgnoreCase) : OperatingSystem.IsWindows(),
        Stop = stop,
        StopCode = stopCode,
    };
}

/// <summary>What the program returns.</summary>
internal static class ExitCode
{
    public const int Done = 0, Failed = 1, Usage = 2, NotHere = 3, Slower = 4, Broken = 5, Untrustworthy = 6, Inconclusive = 7, Interrupted = 130, Terminated = 143;
}
