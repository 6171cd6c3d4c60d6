// SPDX-License-Identifier: GPL-2.0-only
using Xunit;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Every verdict is reached by a program with that fault, is told with names, and replays.</summary>
public class VerdictTests(ITestOutputHelper output)
{
    private static Case Of<T>() where T : struct, IFault => Case.Of<FaultCase<T>>("fault", shape: typeof(T).Name);

    private static readonly (Case Case, Verdict Verdict)[] faults =
    [
        (Of<UnorderedPlainStores>(), UnorderedPlainStores.Verdict),
        (Of<FreeWithoutOrder>(), FreeWithoutOrder.Verdict),
        (Of<AccessAfterFree>(), AccessAfterFree.Verdict),
        (Of<FreeTwice>(), FreeTwice.Verdict),
        (Of<WildPointer>(), WildPointer.Verdict),
        (Of<NeverFreed>(), NeverFreed.Verdict),
        (Of<NeverWritten>(), NeverWritten.Verdict),
        (Of<TwoOrders>(), TwoOrders.Verdict),
        (Of<LockedUnderIrq>(), LockedUnderIrq.Verdict),
        (Of<LockedWithIrqsOff>(), LockedWithIrqsOff.Verdict),
        (Of<TornByIrq>(), TornByIrq.Verdict),
        (Of<ReleasesWhatItDoesNotHold>(), ReleasesWhatItDoesNotHold.Verdict),
        (Of<NeverEnds>(), NeverEnds.Verdict),
        (Of<NullDereference>(), NullDereference.Verdict),
    ];

    public static TheoryData<string> Names => [.. faults.Select(f => f.Case.Shape)];

    [Theory, MemberData(nameof(Names))]
    public void A_fault_gets_its_verdict_under_either_model_and_hand_over_and_replays_in_one_execution(string name)
    {
        (Case c, Verdict verdict) = faults.Single(f => f.Case.Shape == name);
        foreach (MemoryModel m in Enum.GetValues<MemoryModel>())
        {
            foreach (bool threads in new[] { false, true })
            {
                var o = new ExploreOptions { Memory = m, Threads = threads, MaxSteps = 200 };
                ExploreResult r = Explorer.Explore(c, o);
                Assert.True(verdict == r.Verdict, $"{r.Verdict}: {r.Message}");
                if (!r.Failed) continue;
                output.WriteLine($"{m}: {r.Message}");
                ExploreResult again = Explorer.Explore(c, o with { Search = Search.Replay, Replay = r.Schedule, Threads = !threads });
                Assert.Equal((r.Verdict, r.Message, 1L), (again.Verdict, again.Message, again.Executions));
            }
        }
    }

    [Theory, MemberData(nameof(Names))]
    public void A_schedule_found_under_sc_fails_alike_under_tso(string name)
    {
        (Case c, _) = faults.Single(f => f.Case.Shape == name);
        if (name == nameof(NeverEnds)) return; // its schedule is the step limit itself
        ExploreResult r = Explorer.Explore(c, new ExploreOptions());
        if (!r.Failed) return;
        ExploreResult tso = Explorer.Explore(c, new ExploreOptions { Search = Search.Replay, Replay = r.Schedule, Memory = MemoryModel.TSO });
        Assert.Equal((r.Verdict, r.Message), (tso.Verdict, tso.Message));
    }

    [Fact]
    public void A_deadlock_says_who_waits_for_whom_and_where()
    {
        ExploreResult r = Explorer.Explore(Of<TwoOrders>(), new ExploreOptions());
        Assert.Contains("CPU0 waits for the lock lock[1].", r.Message, StringComparison.Ordinal);
        Assert.Contains("held by CPU1", r.Message, StringComparison.Ordinal);
        Assert.Contains("Faulty.cs:", r.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_has_a_column_per_cpu_and_names_access_value_and_line()
    {
        ExploreResult r = Explorer.Explore(Of<TornByIrq>(), new ExploreOptions());
        output.WriteLine(r.Table);
        string[] lines = r.Table.Split('\n');
        Assert.Contains("CPU0", lines[0], StringComparison.Ordinal);
        Assert.Contains("CPU1", lines[0], StringComparison.Ordinal);
        Assert.Contains(lines, l => l.Contains("irq: cell.Marked", StringComparison.Ordinal) && l.Contains("Faulty.cs:", StringComparison.Ordinal));
        Assert.Contains("Assert: ", r.Table, StringComparison.Ordinal);
    }

    [Theory, InlineData(Search.Pct), InlineData(Search.Random), InlineData(Search.Dfs)]
    internal void Other_searches_find_a_race_too(Search search)
    {
        ExploreResult r = Explorer.Explore(Of<TwoOrders>(), new ExploreOptions { Search = search, MaxExecutions = 10_000 });
        Assert.Equal(Verdict.Deadlock, r.Verdict);
        Assert.Equal(Verdict.Deadlock, Explorer.Explore(Of<TwoOrders>(), new ExploreOptions { Search = Search.Replay, Replay = r.Schedule }).Verdict);
    }

    [Fact]
    public void A_race_that_needs_one_preemption_is_not_found_with_none()
    {
        Assert.Equal(Verdict.Exhausted, Explorer.Explore(Of<TwoOrders>(), new ExploreOptions { Search = Search.Dfs, Preemptions = 0 }).Verdict);
        Assert.Equal(Verdict.Deadlock, Explorer.Explore(Of<TwoOrders>(), new ExploreOptions { Search = Search.Dfs, Preemptions = 1 }).Verdict);
    }

    [Theory, InlineData("mn1:B1/rfc-2012-books,lru.switch=W0/1s1c:TSO:0x8,1x5,i0,d1x2,0"), InlineData("mn1:B8/relock/1d1r:TSO+membarrier:0x8,d0,1")]
    public void A_schedule_survives_being_written_and_read(string text)
    {
        Assert.True(Schedule.TryParse(text, out Schedule? s, out _));
        Assert.Equal(text, s!.ToString());
    }

    [Theory, InlineData("0x8"), InlineData("mn1:B1:PSO:0"), InlineData("mn1:B1:SC:0x"), InlineData("mn1:B1:SC:q0"), InlineData("mn1:B1:SC:9"), InlineData("mn1:B1:SC:0x99999")]
    public void A_broken_schedule_is_refused_by_name(string text)
    {
        Assert.False(Schedule.TryParse(text, out _, out string error));
        Assert.Contains('\'', error);
    }
}
