// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using Xunit;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Every case of the registry ends as it says: shipped protocols exhausted, broken twins found.</summary>
public class CaseTests(ITestOutputHelper output)
{
    public static TheoryData<string> All => [.. Cases.All.Where(c => c.Id != "litmus" && !c.Heavy).Select(c => c.Name)];

    [Theory, MemberData(nameof(All))]
    public void A_case_ends_as_the_registry_says(string name)
    {
        Case c = Cases.All.Single(x => x.Name == name);
        foreach (MemoryModel m in Enum.GetValues<MemoryModel>())
        {
            if (!c.MustFail(m))
            {
                ExploreResult r = Explorer.Explore(c, new ExploreOptions { Memory = m, MaxTime = TimeSpan.FromSeconds(60) });
                output.WriteLine($"{m}: {r.Verdict}, {r.Executions:N0} executions, depth {r.Depth}");
                Assert.True(r.Verdict == Verdict.Exhausted, $"{r.Verdict}: {r.Message}\n{r.Schedule}\n{r.Table}");
                continue;
            }
            (ExploreResult Result, MemoryModel Searched)? found = Verdicts.Found(c, m);
            Assert.True(found is not null, $"{m}: the broken twin came through {Verdicts.FoundWithin} executions");
            ExploreResult fault = found.Value.Result;
            output.WriteLine($"{m}: {fault.Verdict} by the search under {found.Value.Searched}, {fault.Executions:N0} executions: {fault.Message} {fault.Schedule}");
            ExploreResult again = Explorer.Explore(c, new ExploreOptions { Search = Search.Replay, Memory = m, Replay = fault.Schedule });
            Assert.Equal((fault.Verdict, fault.Message, 1L), (again.Verdict, again.Message, again.Executions));
        }
    }

    /// <summary>What a design that announces itself will be shown: answers that ship come through, the one of 2.6.27 is caught by the race it had.</summary>
    [Theory]
    [InlineData(Axis.PageCgroup, "OwnerWord", null), InlineData(Axis.Lru, "LruvecLruBit", null), InlineData(Axis.Residents, "MoveToParent", null)]
    [InlineData(Axis.Uncharge, "AtFinalPut", null), InlineData(Axis.Uncharge, "AtUnmap27", "C1")]
    public void The_cases_of_designs_that_announce_themselves_tell_right_from_wrong(Axis axis, string name, string? broken)
    {
        IReadOnlyList<Case> cases = AnnouncedCases.Of(axis, name);
        Assert.Equal(4, cases.Count);
        foreach (Case c in broken is null ? cases : cases.Where(c => c.Id == broken))
        {
            ExploreResult r = Explorer.Explore(c, new ExploreOptions { MaxTime = TimeSpan.FromSeconds(10) });
            output.WriteLine($"{c.Name}: {r.Verdict}, {r.Executions:N0} executions");
            Assert.True(r.Failed == (broken is not null), $"{c.Name}: {r.Verdict}: {r.Message}\n{r.Table}");
        }
    }

    [Fact]
    public void Names_are_unique() => Assert.Equal(Cases.All.Count, Cases.All.Select(c => c.Name).Distinct().Count());

    [Fact]
    public void The_table_of_verdicts_is_what_the_explorer_says_today()
    {
        string text = File.ReadAllText(Path.Combine(Source.Root, "tests", "Interleavings", "VERDICTS.md"));
        Assert.True(text == Verdicts.Write(text, null), "VERDICTS.md is out of date: memcgnative explore --tables");
    }

    [Fact]
    public void Every_protocol_of_src_is_exhausted_in_four_shapes_one_of_them_with_four_CPUs()
    {
        (string text, string[] missing) = Coverage.Write();
        Assert.Empty(missing);
        Assert.True(text == File.ReadAllText(Path.Combine(Source.Root, "tests", "Interleavings", "PROTOCOLS.md")), "PROTOCOLS.md is out of date: memcgnative explore --tables");
    }

    [Fact]
    public void Every_race_of_the_mails_is_shown_or_says_why_not() => Assert.DoesNotContain(Races.All, r => Verdicts.IsOpen(r));

    [Fact]
    public void Every_case_with_the_id_of_a_race_is_one_of_the_list() =>
        Assert.Empty(Cases.All.Select(c => c.Id).Where(id => id.Length is 2 or 3 && char.IsAsciiLetterUpper(id[0]) && char.IsAsciiDigit(id[1])).Except(Races.All.Select(r =>
            r.Id)));

    [Fact]
    public void The_list_of_shapes_to_be_exhausted_only_grows() => Assert.Equal(ShapeList.Expected().Select(c =>
        c.Name).Order(StringComparer.Ordinal), ShapeList.Read().Order(StringComparer.Ordinal));
}
