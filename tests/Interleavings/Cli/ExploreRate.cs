// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Tests.Interleavings;

/// <summary>How many schedules a second: the figure that decides what can be exhausted.</summary>
internal static class ExploreRate
{
    /// <summary>Three CPUs that take a lock twice each; repetitions that are not worth a schedule's length would flatter it.</summary>
    public const string CaseName = "lock/tas/3x2";

    public static int Run(TextWriter output)
    {
        foreach (bool threads in FiberHandover.IsSupported ? new[] { false, true } : [true])
            foreach (Search search in new[] { Search.Dfs, Search.Dpor, Search.Random })
                output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{CaseName} {(threads ? "threads" : "fibers"),-7} {search.ToString().ToLowerInvariant(),-6} {Best(search, threads),12:N0} schedules/s"));
        return 0;
    }

    /// <summary>The best of five: what others take from this CPU only makes it slower.</summary>
    public static double Best(Search search, bool threads)
    {
        Case c = Cases.Find(CaseName)[0];
        double best = 0;
        for (int i = 0; i < 5; i++)
        {
            ExploreResult r = Explorer.Explore(c, new ExploreOptions { Search = search, Threads = threads, MaxExecutions = threads ? 3_000 : 200_000 });
            best = Math.Max(best, r.Executions / r.Time.TotalSeconds);
        }
        return best;
    }
}
