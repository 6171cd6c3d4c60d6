// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using Xunit;

[assembly: CollectionBehavior(DisableTestParallelization = true)] // the simulated machine is one

namespace MemcgNative.Tests.Interleavings;

/// <summary>Is the explorer itself right?</summary>
public class EngineTests(ITestOutputHelper output)
{
    [Fact]
    public void Reduction_and_plain_search_reach_the_same_final_states_on_random_programs()
    {
        int programs = 0;
        foreach (Differential.Family f in Differential.Families)
        {
            var watch = Stopwatch.StartNew();
            Differential.Outcome o = Differential.Compare(f);
            output.WriteLine($"{f.Name}: {o.Programs} programs, {o.Disagreements} disagreements, "
                + $"{o.DfsExecutions:N0} executions -> {o.DporExecutions:N0}, {watch.Elapsed.TotalSeconds:F1} s");
            Assert.True(o.Disagreements == 0, o.First);
            programs += o.Programs;
        }
        Assert.True(programs >= 2000, $"only {programs} programs");
    }

    public static TheoryData<string> Defects => [.. Enum.GetValues<EngineDefect>().Where(d => d != EngineDefect.None).Select(d => d.ToString())];

    [Theory, MemberData(nameof(Defects))]
    public void A_defect_of_the_engine_is_noticed(string name)
    {
        EngineDefect defect = Enum.Parse<EngineDefect>(name);
        foreach (Differential.Family f in Differential.Families)
        {
            Differential.Outcome o = Differential.Compare(f with { Programs = Math.Min(f.Programs, f.Name.Contains("irq sc", StringComparison.Ordinal) ? 5 : 150) }, defect);
            if (o.Disagreements == 0) continue;
            output.WriteLine($"{defect}: noticed by program {o.Programs} of {f.Name}");
            return;
        }
        Assert.Fail($"{defect} survives every random program");
    }

    public static TheoryData<string, string> Shapes => [.. LitmusCases.All.SelectMany(c => Enum.GetNames<MemoryModel>().Select(m => (c.Shape, m)))];

    [Theory, MemberData(nameof(Shapes))]
    public void A_litmus_shape_shows_what_the_literature_says(string shape, string memory)
    {
        MemoryModel model = Enum.Parse<MemoryModel>(memory);
        Case c = LitmusCases.All.Single(x => x.Shape == shape);
        foreach (Search search in new[] { Search.Dpor, Search.Dfs })
        {
            ExploreResult r = Explorer.Explore(c, new ExploreOptions { Memory = model, Search = search });
            Assert.Equal(c.MustFail(model) ? Verdict.Assert : Verdict.Exhausted, r.Verdict);
        }
    }

    [Fact]
    public void Fibers_and_threads_explore_the_same_executions()
    {
        Assert.SkipUnless(FiberHandover.IsSupported, "fibers need x64 Linux; threads are what runs here");
        foreach (Case c in Cases.All)
        {
            foreach (MemoryModel m in Enum.GetValues<MemoryModel>())
            {
                var o = new ExploreOptions { Memory = m, MaxExecutions = 300 };
                ExploreResult fibers = Explorer.Explore(c, o), threads = Explorer.Explore(c, o with { Threads = true });
                Assert.Equal((fibers.Verdict, fibers.Executions, fibers.SleepBlocked, fibers.Steps, fibers.Schedule?.ToString()), (threads.Verdict, threads.Executions,
                    threads.SleepBlocked, threads.Steps, threads.Schedule?.ToString()));
            }
        }
    }

    [Fact]
    public void Collections_during_an_exploration_change_nothing()
    {
        Case c = Cases.Find("lock/tas/3x1", null)[0];
        long expected = Explorer.Explore(c, new ExploreOptions()).Executions;
        using var stop = new CancellationTokenSource();
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.KeepAlive(new byte[100_000]);
                GC.Collect();
                Thread.Sleep(1);
            }
        });
        collector.Start();
        try
        {
            for (int i = 0; i < 300; i++) Assert.Equal(expected, Explorer.Explore(c, new ExploreOptions()).Executions);
        }
        finally
        {
            stop.Cancel();
            collector.Join();
        }
    }

    [Fact]
    public void The_rate_of_each_hand_over_is_printed()
    {
        Case c = Cases.Find("lock/tas/3x2", null)[0];
        foreach (bool threads in new[] { false, true })
        {
            foreach (Search search in new[] { Search.Dfs, Search.Dpor, Search.Random })
            {
                ExploreResult r = Explorer.Explore(c, new ExploreOptions { Search = search, Threads = threads, MaxExecutions = threads ? 3_000 : 300_000 });
                double rate = r.Executions / r.Time.TotalSeconds;
                output.WriteLine($"{(threads ? "threads" : "fibers")} {search}: {rate:N0} schedules/s, {r.Steps / r.Time.TotalSeconds:N0} steps/s");
                Assert.True(rate > 100, $"{rate} schedules/s");
            }
        }
    }
}
