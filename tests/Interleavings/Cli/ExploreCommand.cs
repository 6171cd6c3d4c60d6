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
        if (a.List) return List(output);
        if (a.Verdicts)
        {
            output.Write(Verdicts.Write());
            return Exhausted;
        }
        IReadOnlyList<Case> cases = a.All ? Cases.All : Cases.Find(a.Case!, a.Design);
        if (cases.Count == 0)
        {
            error.WriteLine($"memcgnative: explore: no case '{a.Case}'{(a.Design is null ? "" : $" with -M {a.Design}")}; all of them: memcgnative explore --list");
            return Usage;
        }
        int worst = Exhausted;
        foreach (Case c in cases)
        {
            ExploreResult r = Explorer.Explore(c, a.Options);
            Print(output, a, c, r);
            worst = Worse(worst, r.Failed ? RaceFound : r.Verdict == Verdict.LimitReached ? LimitReached : Exhausted);
            if (r.Failed && !a.All) break;
        }
        return worst;
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
        if (!r.Failed) return;
        output.WriteLine();
        output.WriteLine($"repeat this one: memcgnative explore {c.Name} --schedule {r.Schedule}");
    }
}
