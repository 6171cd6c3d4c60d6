// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;

namespace MemcgNative.Bench;

/// <summary>
/// Commands that are programs of their own, started by name as git does: their sources are compiled against another machine, so they
/// cannot be part of this one. Arguments, streams and exit code are theirs.
/// </summary>
internal sealed record Sibling(string Name, string Project, string What)
{
    public static IReadOnlyList<Sibling> All { get; } =
    [
        new("explore", "Interleavings", "search schedules for races; explore --help"),
        new("torture", "Torture", "run every design under pressure, minutes to hours; torture --help"),
    ];

    /// <summary>So that help and hints name it.</summary>
    public Command Entry() => new(Name, What);

    /// <summary>Starts the program the arguments name; false when they name none.</summary>
    public static bool TryRun(string[] args, TextWriter stderr, out int code)
    {
        code = 0;
        Sibling? wanted = All.FirstOrDefault(s => args.Length > 0 && s.Name == args[0]);
        if (wanted is null) return false;
        string? program = wanted.Places().FirstOrDefault(File.Exists);
        code = program is null ? Missing(wanted, stderr) : Start(wanted, program, args, stderr);
        return true;
    }

    private static int Missing(Sibling s, TextWriter stderr)
    {
        stderr.WriteLine($"memcgnative: {s.Name}: MemcgNative.{s.Project} is not beside this program; build it: ./build.sh");
        return ExitCode.NotHere;
    }

    /// <summary>Beside this program, or where the build puts it.</summary>
    private IEnumerable<string> Places()
    {
        string file = $"MemcgNative.{Project}{(OperatingSystem.IsWindows() ? ".exe" : "")}", own = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar);
        yield return Path.Combine(own, file);
        yield return Path.Combine(own, "..", "..", Project, Path.GetFileName(own), file);
    }

    private static int Start(Sibling s, string program, string[] args, TextWriter stderr)
    {
        var start = new ProcessStartInfo(Path.GetFullPath(program)) { UseShellExecute = false };
        foreach (string a in args) start.ArgumentList.Add(a);
        try
        {
            using Process child = Process.Start(start)!; // the terminal sends it the user's Ctrl-C as well
            child.WaitForExit();
            return child.ExitCode;
        }
        catch (Win32Exception e)
        {
            stderr.WriteLine($"memcgnative: {s.Name}: cannot start {program}: {e.Message}");
            return ExitCode.NotHere;
        }
    }
}
