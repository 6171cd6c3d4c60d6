// SPDX-License-Identifier: GPL-2.0-only
using Xunit;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Every case of the registry ends as it says: shipped protocols exhausted, broken twins found.</summary>
public class CaseTests(ITestOutputHelper output)
{
    /// <summary>A race must be found within this many executions.</summary>
    private const long FoundWithin = 120;

    public static TheoryData<string> All => [.. Cases.All.Where(c => c.Id != "litmus" && !c.Heavy).Select(c => c.Name)];

    [Theory, MemberData(nameof(All))]
    public void A_case_ends_as_the_registry_says(string name)
    {
        Case c = Cases.All.Single(x => x.Name == name);
        foreach (MemoryModel m in Enum.GetValues<MemoryModel>())
        {
            ExploreResult r = Explorer.Explore(c, new ExploreOptions { Memory = m, MaxTime = TimeSpan.FromSeconds(60) });
            output.WriteLine($"{m}: {r.Verdict}, {r.Executions:N0} executions, depth {r.Depth} {r.Schedule}");
            if (!c.MustFail(m))
            {
                Assert.True(r.Verdict == Verdict.Exhausted, $"{r.Verdict}: {r.Message}\n{r.Schedule}\n{r.Table}");
                continue;
            }
            Assert.True(r.Failed, $"{m}: the broken twin came through {r.Executions:N0} executions");
            Assert.True(r.Executions <= FoundWithin, $"{m}: found after {r.Executions:N0} executions");
            ExploreResult again = Explorer.Explore(c, new ExploreOptions { Search = Search.Replay, Memory = m, Replay = r.Schedule });
            Assert.Equal((r.Verdict, r.Message, 1L), (again.Verdict, again.Message, again.Executions));
        }
    }

    [Fact]
    public void Names_are_unique() => Assert.Equal(Cases.All.Count, Cases.All.Select(c => c.Name).Distinct().Count());

    /// <summary>Regenerate with: explore --verdicts &gt; tests/Interleavings/VERDICTS.md.</summary>
    [Fact]
    public void The_table_of_verdicts_is_what_the_explorer_says_today() =>
        Assert.Equal(File.ReadAllText(Path.Combine(Source.Root, "tests", "Interleavings", "VERDICTS.md")), Verdicts.Write());
}
