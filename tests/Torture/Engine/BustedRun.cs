// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Globalization;
using MemcgNative.Bench;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// The planted bugs, each in a process of its own, because one that is caught late may have torn the process down already. Caught means
/// FAILURE; a process that dies of its corrupted memory is caught too, and told apart.
/// </summary>
internal static class BustedRun
{
    /// <summary>All selected types; exit 0 when every one was caught.</summary>
    public static int All(TortureOptions options, TextWriter log)
    {
        var missed = new List<string>();
        var types = TortureOptions.Select(options.Type);
        log.WriteLine($"memcg-torture:--- Start of test: type={options.Type} {types.Count} planted bugs, at most {options.For.TotalSeconds} s each, seed={SeedText.Format(options.Seed)}");
        foreach (var (name, _, _) in types)
        {
            (string how, TimeSpan took, bool caught) = One(name, options);
            log.WriteLine(string.Create(CultureInfo.InvariantCulture, $"memcg-torture: {name}: {(caught ? "caught" : "MISSED")} after {took.TotalSeconds:0.0} s: {how}"));
            if (!caught) missed.Add(name);
        }
        log.WriteLine(missed.Count == 0 ? $"memcg-torture:--- End of test: SUCCESS: {types.Count} of {types.Count} planted bugs caught"
            : $"memcg-torture:--- End of test: FAILURE: not caught: {string.Join(", ", missed)}");
        return missed.Count == 0 ? ExitCode.Success : ExitCode.Failed;
    }

    /// <summary>One type in a child process.</summary>
    public static (string How, TimeSpan Took, bool Caught) One(string name, TortureOptions options)
    {
        long start = Stopwatch.GetTimestamp();
        string text = Child(name, options, out int code);
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        string line = text.Split('\n').FirstOrDefault(l => l.Contains("!!!", StringComparison.Ordinal)) ?? "";
        line = line[Math.Max(0, line.IndexOf("seed", StringComparison.Ordinal))..];
        return code switch
        {
            ExitCode.Broken => (line.Length > 160 ? line[..160] : line, took, true),
            > 128 => ($"the process died of it (exit {code})", took, true),
            _ => ($"exit {code}", took, false),
        };
    }

    /// <summary>What the child said and how it ended.</summary>
    public static string Child(string name, TortureOptions options, out int code)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "MemcgNative.Torture" + (OperatingSystem.IsWindows() ? ".exe" : ""));
        var info = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] args = ["torture", "--type", name, "--for", $"{(int)options.For.TotalMilliseconds}ms", "--seed", SeedText.Format(options.Seed), "--delay", $"{options.Delay}", "--stall", "3"];
        foreach (string arg in args) info.ArgumentList.Add(arg);
        info.Environment["DOTNET_DbgEnableMiniDump"] = "0";
        using Process child = Process.Start(info)!;
        child.ErrorDataReceived += (_, _) => { };
        child.BeginErrorReadLine();
        string text = child.StandardOutput.ReadToEnd();
        child.WaitForExit();
        code = child.ExitCode;
        return text;
    }
}
