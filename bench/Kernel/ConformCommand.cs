// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Globalization;
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`conform`: scenario files on the port and on the kernel, rules on the designs.</summary>
internal sealed class ConformCommand(CommandContext context)
{
    private const string DefaultModel = "6.18";

    public static readonly Argument<string[]> Files = new("file")
    {
        Description = "scenario files, or names of `conform --list` (default: all of them, and every rule)",
        Arity = ArgumentArity.ZeroOrMore,
    };

    public static readonly Option<string?> On = new("--on") { HelpName = "port|kernel|port,kernel", Description = "where to run them (default port)" };
    public static readonly Option<string?> Random = new("--random") { HelpName = "N", Description = "N scenarios made from --seed; what disagrees is made small and printed" };
    public static readonly Option<bool> Diff = new("--diff") { Description = "a table in place of KTAP: step, expected, port, kernel, tolerance" };
    public static readonly Option<bool> List = new("--list")
        { Description = "name the scenarios that are part of the program, and the kernel's tests that are not, with the reason" };
    public static readonly Option<bool> Language = new("--language") { Description = "how a scenario file is written" };
    public static readonly Option<string?> Show = new("--show") { HelpName = "NAME", Description = "print a scenario of the program" };

    public int Run(ParseResult parsed)
    {
        if (parsed.GetValue(Language)) return PrintLanguage(context.Out);
        if (parsed.GetValue(Show) is { } show) return Print(context.Out, show);
        if (parsed.GetValue(List))
        {
            foreach (string name in ScenarioFiles.Names) context.Out.WriteLine(name);
            context.Out.WriteLine("\n# tests of the kernel that are not here, and why");
            foreach ((string test, string why) in NotModelled.All) context.Out.WriteLine($"# {test}: {why}");
            return ExitCode.Done;
        }
        string[] files = parsed.GetValue(Files) ?? [];
        int random = Count(parsed.GetValue(Random));
        if (random > 0 && files.Length > 0) throw new UsageException("--random: makes its own scenarios; leave the files out");
        Script[] scripts = random > 0 ? [] : [.. (files.Length == 0 ? ScenarioFiles.Names : files).Select(ScenarioFiles.Read)];
        string[] where = [.. (parsed.GetValue(On) ?? "port").Split(',', StringSplitOptions.TrimEntries).Select(w => OptionSet.Word("--on", w, "port", "kernel")).Distinct()];
        IScriptBackend[] ports = where.Contains("port") ? Ports(parsed) : [];
        if (!where.Contains("kernel")) return random > 0 ? RunRandom(parsed, random, ports) : RunFiles(parsed, scripts, ports, rules: files.Length == 0);
        return Supervised.Run(context, host =>
        {
            if (!OperatingSystem.IsLinux()) return ExitCode.NotHere;
            using var kernel = new KernelBackend(host, reuse: random > 0, context.Environment.Stop);
            IScriptBackend[] both = [.. ports, kernel];
            return random > 0 ? RunRandom(parsed, random, both) : RunFiles(parsed, scripts, both, rules: false);
        });
    }

    private int RunFiles(ParseResult parsed, Script[] scripts, IScriptBackend[] backends, bool rules)
    {
        var results = new List<ConformResult>();
        if (rules) results.AddRange(RuleBook.All.Select(c => new ConformResult($"{c.Rule} on {c.DesignName}: {c.Sentence}", null, c.Run())));
        bool table = parsed.GetValue(Diff);
        foreach (Script script in scripts)
        {
            ScriptRun[] runs = [.. backends.Select(b => ScriptRunner.Run(script, b, context.Environment.Stop))];
            results.AddRange(runs.Select(r => new ConformResult($"{script.Name} on {r.Machine}", r)));
            if (table) ConformReport.Diff(script, runs, context.Out);
        }
        if (!table) ConformReport.Ktap(results, context.Out, parsed.GetValue(context.Options.Verbose));
        return Summary(results, parsed.GetValue(context.Options.Quiet));
    }

    private int RunRandom(ParseResult parsed, int count, IScriptBackend[] backends)
    {
        ulong seed = parsed.GetValue(context.Options.Seed) is { } text ? SeedText.Parse(text) : (ulong)Environment.TickCount64;
        bool quiet = parsed.GetValue(context.Options.Quiet);
        void Progress(int done)
        {
            if (!quiet && done % 50 == 0) context.Error.WriteLine($"conform: {done} of {count}");
        }
        RandomConformance.Outcome outcome = RandomConformance.Run(seed, count, Environment.ProcessorCount, backends, Progress, context.Environment.Stop);
        foreach ((ulong one, string file, IReadOnlyList<ScriptRun> runs) in outcome.Failures)
        {
            context.Out.WriteLine(file);
            ConformReport.Diff(ScriptParser.Parse($"random-{one}", file), runs, context.Out);
        }
        context.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{outcome.Ran} random scenarios from seed {SeedText.Format(seed)} on {string.Join(" and ", backends.Select(b => b.Name))}: {outcome.Failures.Count} disagree"));
        return outcome.Failures.Count > 0 ? ExitCode.Broken : ExitCode.Done;
    }

    private static int Count(string? text) => text is null ? 0
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n is > 0 and <= 1_000_000 ? n
        : throw new UsageException($"--random: '{text}' is not a number of scenarios from 1 to 1000000");

    private int Summary(List<ConformResult> results, bool quiet)
    {
        int failed = results.Count(r => r.Failed), skipped = results.Count(r => r.Run?.Skip is not null);
        if (!quiet) context.Error.WriteLine($"conform: {results.Count - failed - skipped} agree, {failed} do not, {skipped} not run here");
        if (failed > 0) return ExitCode.Broken;
        return skipped == results.Count ? ExitCode.NotHere : ExitCode.Done;
    }

    private IScriptBackend[] Ports(ParseResult parsed)
    {
        Model[] models = [.. (parsed.GetValue(context.Options.Model) is { Length: > 0 } asked ? asked : [DefaultModel]).Select(Model.Parse)];
        if (models.FirstOrDefault(m => Eras.WhyNot(m) is not null) is { } bad) throw new UsageException($"--model: {Eras.WhyNot(bad)}");
        return [.. models.Select(m => new PortBackend(m))];
    }

    private static int Print(TextWriter to, string name)
    {
        string known = name.EndsWith(".memcg", StringComparison.Ordinal) ? name : name + ".memcg";
        if (!ScenarioFiles.Names.Contains(known)) throw new UsageException($"--show: no scenario '{name}'{Nearest.Hint(known, ScenarioFiles.Names)}");
        to.Write(ScenarioFiles.Text(known));
        return ExitCode.Done;
    }

    private static int PrintLanguage(TextWriter to)
    {
        foreach ((string _, Verb _, string form, string what) in ScriptGrammar.Verbs) to.WriteLine($"{form}\n    {what}");
        to.WriteLine("repeat N ... end\n    the lines between, N times");
        to.WriteLine("\nvalues of a group that can be expected:");
        foreach ((string key, ValueUnit unit, string what) in ScriptGrammar.Keys) to.WriteLine($"  {key,-12} {(unit == ValueUnit.Pages ? "size " : "count")}  {what}");
        to.WriteLine($"  numa.N.anon  size   pages on the lists of node N; numa.N.file likewise");
        to.WriteLine("\nVALUE: 200p | exactly 200p | 100p..200p | >= 50M | > 0 | 50M close 3%   (a bare value: within the backend's derived tolerance)");
        to.WriteLine("SIZE:  12p, 48K, 50M, 1G.  # begins a comment.");
        return ExitCode.Done;
    }
}
