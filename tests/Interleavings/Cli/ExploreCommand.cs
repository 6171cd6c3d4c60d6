// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Tests.Interleavings;

/// <summary>memcgnative explore: searches schedules for races. Exit 0 exhausted, 2 usage, 5 a race was found, 7 a limit was reached.</summary>
internal static class ExploreCommand
{
    private const int Exhausted = 0, Usage = 2, RaceFound = 5, LimitReached = 7;

    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        if (!ExploreArguments.TryParse(args, out ExploreArguments a, out string wrong))
        {
            error.WriteLine($"memcgnative: explore: {wrong}");
            return Usage;
        }
        if (a.Help) return Help(output);
        if (a.List) return List(output);
        if (a.Mutants) return Mutants(a.Case, output);
        if (a.Rate) return ExploreRate.Run(output);
        if (a.Tables) return Tables(a, output);
        IReadOnlyList<Case> cases = a.All ? Cases.All : Cases.Find(a.Case!, a.Design, a.Model);
        if (cases.Count == 0)
        {
            string? design = a.Design ?? a.Model?.ToString();
            error.WriteLine($"memcgnative: explore: no case '{a.Case}'{(design is null ? "" : $" with -M {design}")}; all of them: memcgnative explore --list");
            return Usage;
        }
        if (a.All) return All(a, output);
        int worst = Exhausted;
        foreach (Case c in cases)
        {
            ExploreResult r = Explorer.Explore(c, a.Options);
            Print(output, a, c, r);
            worst = Worse(worst, r.Failed ? RaceFound : r.Verdict == Verdict.LimitReached ? LimitReached : Exhausted);
        }
        return worst;
    }

    /// <summary>Every case against what it must end in: a twin that is found is as it must be, one that comes through is not.</summary>
    private static int All(ExploreArguments a, TextWriter output)
    {
        int limits = 0;
        var others = new List<string>();
        foreach (Case c in Cases.All)
        {
            ExploreResult r = Explorer.Explore(c, a.Options);
            bool must = c.MustFail(a.Options.Memory), asItMust = c.Id == "litmus" || r.Failed == must || r.Verdict == Verdict.LimitReached;
            if (r.Verdict == Verdict.LimitReached) limits++;
            if (!asItMust) others.Add(c.Name);
            Print(output, a, c, asItMust && r.Failed ? r with { Table = "", Schedule = null } : r);
        }
        if (a.Json) return others.Count > 0 ? RaceFound : limits > 0 ? LimitReached : Exhausted;
        output.WriteLine($"{Cases.All.Count} cases under {a.Options.Memory}: {Cases.All.Count - others.Count - limits} end as they must, {limits} reached the limit, "
            + $"{others.Count} do not{(others.Count > 0 ? ": " + string.Join(", ", others) : "")}");
        return others.Count > 0 ? RaceFound : limits > 0 ? LimitReached : Exhausted;
    }

    private static int Help(TextWriter output)
    {
        output.Write("""
            memcgnative explore CASE [-M DESIGN] [OPTIONS]   search the schedules of a case: the code that ships, on a simulated machine
            memcgnative explore --list                       every case, and what it must end in
            memcgnative explore --all                        all of them, the long ones too, against what each must end in: broken twins found, the rest exhausted
            memcgnative explore --schedule TEXT              one schedule again; TEXT is what a failure prints, in quotes
            memcgnative explore --rate                       schedules a second on this machine
            memcgnative explore --mutants [FILE]             drop, weaken, split, delay each access of src in turn: who is not noticed
            memcgnative explore --tables                     write VERDICTS.md, PROTOCOLS.md, SHAPES.txt of tests/Interleavings; --all: long cases and MATRIX.md too

              CASE           a race (B1), a protocol (lock) or one case (B1/W1/1s1c)
              -M DESIGN      era[,axis=answer], answers for the explorer only allowed: rfc-2012-books,lru.switch=W0; or a design of --list
              --memory M     sc (default), or tso: stores wait in a buffer, as on x86, and on arm64 as .NET compiles marked accesses
              --search S     dpor (default: every schedule that differs), dfs, dfs:2 (preemptions), pct, pct:3 (depth), random
              --max N        executions of one case; --time S seconds of one case (--all: 60); --seed N for pct and random
              --handover H   fibers or threads; --format text or json

            Exit: 0 exhausted, 2 wrong usage, 5 a race was found, 7 a limit was reached.

            """);
        return Exhausted;
    }

    private static int Tables(ExploreArguments a, TextWriter output)
    {
        string folder = Path.Combine(Source.Root, "tests", "Interleavings"), verdicts = Path.Combine(folder, "VERDICTS.md");
        File.WriteAllText(verdicts, Verdicts.Write(File.Exists(verdicts) ? File.ReadAllText(verdicts) : "", a.All ? a.Options.MaxTime : null));
        (string text, string[] missing) = Coverage.Write();
        File.WriteAllText(Path.Combine(folder, "PROTOCOLS.md"), text);
        ShapeList.Grow();
        if (a.All) File.WriteAllText(Path.Combine(folder, "MATRIX.md"), BookMatrix.Write());
        output.WriteLine($"written: VERDICTS.md, PROTOCOLS.md, SHAPES.txt{(a.All ? ", MATRIX.md" : "")} in {folder}");
        foreach (string file in missing) output.WriteLine($"no case: {file}");
        return Exhausted;
    }

    private static int Mutants(string? file, TextWriter output)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        IReadOnlyList<Mutant> all = MutationReport.Run(MutationReport.Core, f => file is null || f.Contains(file, StringComparison.Ordinal));
        foreach (Mutant m in all) output.WriteLine($"{m.Key}\t{m.KilledBy ?? "LIVES"}\t{m.Executions}");
        output.WriteLine($"{all.Count} mutants, {all.Count(m => m.KilledBy is null)} live, {watch.Elapsed.TotalSeconds:F1} s");
        return Exhausted;
    }

    private static int Worse(int a, int b) => a == RaceFound || b == RaceFound ? RaceFound : Math.Max(a, b);

    private static int List(TextWriter output)
    {
        foreach (Case c in Cases.All)
        {
            string must = c.Expect switch { Expect.Exhausted => "exhausted", Expect.Broken => "found broken", _ => "found broken under tso" };
            output.WriteLine($"{c.Name,-48} {c.Cpus} CPUs{(c.Interrupts > 0 ? " + irq" : "")}  must be {must}");
        }
        return Exhausted;
    }

    private static void Print(TextWriter output, ExploreArguments a, Case c, ExploreResult r)
    {
        if (a.Json)
        {
            output.WriteLine(ExploreJson.Of(c, a.Options, r));
            return;
        }
        string rate = r.Time.TotalSeconds > 0 ? (r.Executions / r.Time.TotalSeconds).ToString("N0", CultureInfo.InvariantCulture) : "-";
        string verdict = r.Verdict switch { Verdict.Exhausted when a.Options.Search == Search.Replay => "no failure", Verdict.Exhausted => "exhausted",
            Verdict.LimitReached => "limit reached", _ => "FAILED" };
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{c.Name} {a.Options.Memory.ToString().ToLowerInvariant()} {a.Options.Search.ToString().ToLowerInvariant()}: "
            + $"{verdict}, {r.Executions:N0} executions, depth {r.Depth}, {rate}/s"));
        if (r.Table.Length > 0)
        {
            output.WriteLine();
            output.Write(r.Table);
        }
        if (!r.Failed || r.Schedule is null) return;
        output.WriteLine();
        output.WriteLine($"repeat this one: memcgnative explore --schedule '{r.Schedule}'");
    }
}
