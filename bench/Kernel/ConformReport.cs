// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Bench;

/// <summary>One result of `conform`: a scenario on a machine, or a rule on a design.</summary>
internal sealed record ConformResult(string Name, ScriptRun? Run, string? Broken = null)
{
    public bool Failed => Run?.Failed ?? Broken is not null;
}

/// <summary>KTAP as the kernel's selftests print it (Documentation/dev-tools/ktap.rst), and the table of --diff.</summary>
internal static class ConformReport
{
    /// <summary>One test per scenario and machine with a subtest per expectation; one test per rule and design.</summary>
    public static void Ktap(IReadOnlyList<ConformResult> results, TextWriter to, bool verbose)
    {
        to.WriteLine("KTAP version 1");
        to.WriteLine($"1..{results.Count}");
        int number = 0;
        foreach (ConformResult result in results)
        {
            number++;
            if (result.Run is { Skip: null } run) Subtests(run, to, verbose);
            string line = $"{(result.Failed ? "not ok" : "ok")} {number} {result.Name}";
            string? why = result.Run switch
            {
                { Skip: { } skip } => $"SKIP {skip}",
                { Differs: { } differs } => $"{(result.Failed ? "does not differ any more" : "differs as known")}: {differs}",
                _ => null,
            };
            to.WriteLine(why is null ? line : $"{line} # {why}");
            if (result.Broken is { } broken) to.WriteLine($"# {broken}");
        }
    }

    private static void Subtests(ScriptRun run, TextWriter to, bool verbose)
    {
        to.WriteLine("    KTAP version 1");
        to.WriteLine($"    1..{run.Checks.Count + 1}");
        int number = 0;
        foreach (Check check in run.Checks)
        {
            number++;
            string name = $"line {check.Step.Line}: {check.Step.Text.Replace("#", "", StringComparison.Ordinal)}";
            if (check.Ok is null) to.WriteLine($"    ok {number} {name} # SKIP {check.Tolerance}");
            else to.WriteLine($"    {(check.Ok.Value ? "ok" : "not ok")} {number} {name}");
            if (check.Ok == false || (verbose && check.Ok == true)) to.WriteLine($"    # is {check.Value}; tolerance {Span(check)}: {check.Tolerance}");
        }
        to.WriteLine($"    {(run.Wrong.Count == 0 ? "ok" : "not ok")} {number + 1} the books balance at the end");
        foreach (string wrong in run.Wrong.Take(5)) to.WriteLine($"    # {wrong}");
    }

    /// <summary>Step, expected, a column per machine, tolerance of each.</summary>
    public static void Diff(Script script, IReadOnlyList<ScriptRun> runs, TextWriter to)
    {
        ScriptRun[] ran = [.. runs.Where(r => r.Skip is null)];
        to.WriteLine();
        to.WriteLine($"{script.Name}");
        foreach (ScriptRun skipped in runs.Where(r => r.Skip is not null)) to.WriteLine($"  not on {skipped.Machine}: {skipped.Skip}");
        foreach (ScriptRun known in runs.Where(r => r.Skip is null && r.Differs is not null)) to.WriteLine($"  {known.Machine} differs as known: {known.Differs}");
        if (ran.Length == 0) return;
        var rows = new List<string[]> { (string[])["line", "step", "expected", .. ran.Select(r => r.Machine), "tolerance"] };
        for (int i = 0; i < ran[0].Checks.Count; i++)
        {
            ScriptStep step = ran[0].Checks[i].Step;
            string words = string.Join(' ', step.Text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Take(step.Expect!.Key is "" or "dying" ? 2 : 3));
            rows.Add((string[])[step.Line.ToString(CultureInfo.InvariantCulture), words, step.Expect.Shown,
                .. ran.Select(r => r.Checks[i].Value + (r.Checks[i].Ok == false ? " !" : "")),
                string.Join(" | ", ran.Select(r => r.Checks[i].Ok is null ? $"not read: {r.Checks[i].Tolerance}" : $"{Span(r.Checks[i])} {r.Checks[i].Tolerance}"))]);
        }
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(c => rows.Max(r => r[c].Length))];
        foreach (string[] row in rows)
            to.WriteLine("  " + string.Join("  ", row.Select((cell, c) => c == row.Length - 1 ? cell : c is 0 or > 1 ? cell.PadLeft(widths[c]) : cell.PadRight(widths[c]))));
    }

    private static string Span(Check check) => check.Slack is { Below: 0, Above: 0 } ? "0" : $"-{check.Slack.Below}/+{check.Slack.Above}";
}
