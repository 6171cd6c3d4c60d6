// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class ScriptParserTests
{
    private const string Good = "group A max 30M\ntask t in A cpu 0\nanon t heap 10p\nexpect A usage 10p\n";

    [Fact]
    public void A_scenario_is_read_line_by_line()
    {
        Script script = ScriptParser.Parse("s", Good);
        Assert.Equal([Verb.Group, Verb.Task, Verb.Anon, Verb.Expect], script.Steps.Select(s => s.Verb));
        Assert.Equal(("max", 30L << 8), script.Steps[0].Limits[0]);
        Assert.Equal([0], script.Cpus);
        Assert.Equal(10, script.PeakPages);
    }

    [Fact]
    public void A_loop_is_unrolled()
    {
        Script script = ScriptParser.Parse("s", Good + "repeat 3\n repeat 2\n  free heap # each time\n  anon t heap 4K\n end\nend\n");
        Assert.Equal(4 + 3 * 2 * 2, script.Steps.Count);
        Assert.Equal(10, script.PeakPages);
    }

    [Theory]
    [InlineData("48K", 12)]
    [InlineData("12p", 12)]
    [InlineData("50M", 12800)]
    [InlineData("1G", 262144)]
    public void Sizes_are_pages_or_powers_of_1024(string size, long pages) =>
        Assert.Equal(pages, ScriptParser.Parse("s", $"group A\nexpect A usage exactly {size}").Steps[1].Expect!.Low);

    [Theory]
    [InlineData("exactly 3p", 3, 3)]
    [InlineData("3p..4p", 3, 4)]
    [InlineData(">= 3p", 3, long.MaxValue)]
    [InlineData("> 3p", 4, long.MaxValue)]
    [InlineData("< 3p", long.MinValue, 2)]
    [InlineData("3p close 10%", 3, 3)]
    public void Values_bind_as_they_are_written(string value, long low, long high)
    {
        Expectation expect = ScriptParser.Parse("s", $"group A\nexpect A usage {value}").Steps[1].Expect!;
        Assert.Equal((low, high), (expect.Low, expect.High));
    }

    [Theory]
    [InlineData("grup A", "s:1: 'grup' is no verb; did you mean 'group'?")]
    [InlineData("group ../x", "s:1: '../x' cannot be a group")]
    [InlineData("group /x", "s:1: '/x' cannot be a group")]
    [InlineData("group A\ngroup A", "s:2: group A is there already")]
    [InlineData("group A/B", "s:1: 'A' is no group. Known: none yet")]
    [InlineData("group A maxx 3M", "s:1: 'maxx' is no limit; did you mean 'max'?")]
    [InlineData("group A max 300", "s:1: '300' is not a size or 'none'; write pages as 12p, or 48K, 50M, 1G; a bare number could mean bytes or pages")]
    [InlineData("group A max 3K", "s:1: '3K' is not whole pages of 4K; write 0K or 4K")]
    [InlineData("group A max 99999T", "s:1: '99999T' is more than a scenario can ask for (16T)")]
    [InlineData("group A\ntask t in A cpu", "s:2: 'task t in A cpu' ends where a CPU should be")]
    [InlineData("group A\ntask t at A cpu 0", "s:2: 'at' where 'in' should be")]
    [InlineData("group A\n\n\nremove A B", "s:4: 'B' is one word too many")]
    [InlineData("group A\ntask tom in A cpu 0\nanon tim x 1p", "s:3: 'tim' is no task; did you mean 'tom'?")]
    [InlineData("group A\ntask t in A cpu 0\nremove A", "s:3: task t is in A; move it or let it exit first")]
    [InlineData("group A\ngroup A/B\nremove A", "s:3: A has a child, A/B; remove it first")]
    [InlineData("group A\nexpect A usge 3p", "s:2: 'usge' is no value of a group; did you mean 'usage'?")]
    [InlineData("group A\nexpect A usage 9p..3p", "s:2: '9p..3p' ends before it begins")]
    [InlineData("group A\nexpect A failcnt many", "s:2: 'many' is not a count; write a whole number")]
    [InlineData("group A\nexpect A usage 3p close x", "s:2: 'x' is not a percentage; write for example 3%")]
    [InlineData("end", "s:1: 'end' without repeat")]
    [InlineData("repeat 3\ngroup A", "s:1: repeat without 'end'")]
    [InlineData("group A", "s: expects nothing, so it cannot fail; add an expect line")]
    [InlineData("group A\nwait 9m", "s:2: '9m': wait at most 5m")]
    [InlineData("needs moon", "s:1: 'moon' is no need")]
    public void What_is_wrong_is_said_with_its_line(string text, string begin)
    {
        var e = Assert.Throws<UsageException>(() => ScriptParser.Parse("s", text));
        Assert.StartsWith(begin, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void Loops_cannot_ask_for_the_machine()
    {
        string nested = string.Concat(Enumerable.Repeat("repeat 50000\n", 4)) + "# nothing\n" + string.Concat(Enumerable.Repeat("end\n", 4));
        Assert.Contains("repeat less often", Assert.Throws<UsageException>(() => ScriptParser.Parse("s", nested)).Message, StringComparison.Ordinal);
        Assert.Contains("at most 4 within each other", Assert.Throws<UsageException>(() => ScriptParser.Parse("s",
            string.Concat(Enumerable.Repeat("repeat 2\n", 9)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_scenario_of_the_program_can_be_read()
    {
        Assert.NotEmpty(ScenarioFiles.Names);
        foreach (string name in ScenarioFiles.Names) Assert.NotEmpty(ScenarioFiles.Read(name).Steps);
    }

    /// <summary>Broken texts are refused in one line or read; nothing else may happen. MEMCGNATIVE_FUZZ=100000 for the long form.</summary>
    [Fact]
    public void Mutated_scenarios_are_read_or_refused()
    {
        int count = FuzzTests.Asked ?? 4000;
        string[] texts = [.. ScenarioFiles.Names.Select(ScenarioFiles.Text), Good];
        var random = new Random(20261127);
        for (int i = 0; i < count; i++)
        {
            string text = Mutate(texts[random.Next(texts.Length)], random);
            try
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                ScriptParser.Parse("fuzz", text);
                Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 512 << 20, text);
            }
            catch (UsageException e)
            {
                Assert.StartsWith("fuzz:", e.Message, StringComparison.Ordinal);
            }
        }
    }

    private static string Mutate(string text, Random random)
    {
        var chars = text.ToList();
        for (int n = random.Next(1, 6); n > 0 && chars.Count > 0; n--)
        {
            int at = random.Next(chars.Count), length = Math.Min(random.Next(1, 20), chars.Count - at);
            switch (random.Next(4))
            {
                case 0:
                    chars.RemoveRange(at, length);
                    break;
                case 1:
                    chars.InsertRange(at, chars.GetRange(random.Next(chars.Count - length + 1), length));
                    break;
                case 2:
                    chars[at] = (char)random.Next(0x250);
                    break;
                default:
                    chars.InsertRange(at, random.Next(1_000_000_000).ToString(System.Globalization.CultureInfo.InvariantCulture));
                    break;
            }
        }
        return new string([.. chars]);
    }
}
