// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class PortScenarioTests
{
    private static ScriptRun Run(string model, string text) => ScriptRunner.Run(ScriptParser.Parse("s", text), new PortBackend(Model.Parse(model)), default);

    [Theory]
    [InlineData("2.6.27")]
    [InlineData("3.14")]
    [InlineData("rfc-2014-kmemcg")]
    [InlineData("6.18")]
    public void Every_scenario_agrees_with_the_port_or_says_why_it_is_not_run(string model)
    {
        foreach (string name in ScenarioFiles.Names)
        {
            ScriptRun run = ScriptRunner.Run(ScenarioFiles.Read(name), new PortBackend(Model.Parse(model)), TestContext.Current.CancellationToken);
            IEnumerable<string> failed = run.Checks.Where(c => c.Ok == false).Select(c => $"{c.Step.Text}: {c.Value}");
            Assert.True(!run.Failed, $"{name} on {run.Machine}: {string.Join("; ", failed)} {string.Join("; ", run.Wrong)}");
        }
    }

    [Theory]
    [InlineData("3.19,stock=None", 100)]
    [InlineData("3.19", 128)]
    [InlineData("6.18", 128)]
    public void Usage_is_ahead_by_what_the_stock_holds(string model, long usage)
    {
        ScriptRun run = Run(model, "group A\ntask t in A cpu 0\nanon t heap 100p\nexpect A usage 100p\nexpect A usage exactly 100p");
        Assert.Equal(usage, run.Checks[0].Number);
        Assert.True(run.Checks[0].Ok);
        Assert.Equal(usage == 100, run.Checks[1].Ok);
    }

    [Fact]
    public void A_known_difference_must_be_one()
    {
        const string Text = "differs kmem=ObjCgroup invented\ngroup A\ntask t in A cpu 0\nanon t heap 100p\nexpect A anon ";
        Assert.False(Run("6.18", Text + "10p").Failed);
        Assert.Equal("kmem=ObjCgroup: invented", Run("6.18", Text + "10p").Differs);
        Assert.True(Run("6.18", Text + "100p").Failed);
        Assert.True(Run("3.14", Text + "10p").Failed);
        Assert.False(Run("3.14", Text + "100p").Failed);
    }

    [Fact]
    public void A_wrong_expectation_is_found()
    {
        ScriptRun run = Run("6.18", "group A\ntask t in A cpu 0\nanon t heap 100p\nexpect A usage 10p\nexpect A anon exactly 100p");
        Assert.Equal([false, true], run.Checks.Select(c => c.Ok!.Value));
        Assert.True(run.Failed);
    }

    [Fact]
    public void The_largest_task_of_a_full_group_is_killed()
    {
        ScriptRun run = Run("3.19,stock=None", "group A max 300p\ntask big in A cpu 0\ntask small in A cpu 1\nanon big one 250p\nanon small two 100p\n"
            + "expect big killed\nexpect small ok\nexpect A anon exactly 100p\nexpect A oom_kill exactly 1");
        Assert.DoesNotContain(run.Checks, c => c.Ok != true);
        Assert.Empty(run.Wrong);
    }

    [Fact]
    public void Pages_migrate_between_the_nodes_of_a_scenario()
    {
        ScriptRun run = Run("6.18", "needs nodes 2\ngroup A\ntask t in A cpu 0\nanon t heap 64p\nwait quiet\nexpect A numa.0.anon exactly 64p\n"
            + "migrate heap node 1\nwait quiet\nexpect A numa.1.anon exactly 64p\nexpect A numa.0.anon exactly 0\nexpect A anon exactly 64p");
        Assert.DoesNotContain(run.Checks, c => c.Ok != true);
        Assert.Empty(run.Wrong);
    }

    [Fact]
    public void What_an_era_does_not_count_is_skipped_with_the_reason()
    {
        ScriptRun run = Run("3.17", "group A\ntask t in A cpu 0\npipes t p 1 fill 1\nexpect A kmem >= 1p");
        Assert.Equal("era 3.17 does not count kernel memory", run.Skip);
    }

    [Fact]
    public void Conform_speaks_KTAP_and_fails_with_5()
    {
        string file = Path.Combine(Path.GetTempPath(), $"conform-{Guid.NewGuid():N}.memcg");
        File.WriteAllText(file, "group A\nexpect A usage exactly 1p\n");
        try
        {
            CliBox.Answer answer = CliBox.Run("conform", file);
            Assert.Equal(5, answer.Code);
            Assert.Contains("    not ok 1 line 2: expect A usage exactly 1p\n    # is 0; tolerance 0: exact\n", answer.Out, StringComparison.Ordinal);
            Assert.StartsWith("KTAP version 1\n1..1\n", answer.Out, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
