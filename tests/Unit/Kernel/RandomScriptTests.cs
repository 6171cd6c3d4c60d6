// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class RandomScriptTests
{
    [Fact]
    public void Forty_random_scenarios_agree_with_the_sum_over_their_regions()
    {
        RandomConformance.Outcome outcome = RandomConformance.Run(1, 40, 2, [new PortBackend(Model.Parse("6.18")), new PortBackend(Model.Parse("3.3"))],
            _ => { }, TestContext.Current.CancellationToken);
        Assert.Equal(40, outcome.Ran);
        Assert.Empty(outcome.Failures);
    }

    [Fact]
    public void A_seed_gives_the_same_file_each_time() => Assert.Equal(RandomScript.Make(7, 2).Text("x"), RandomScript.Make(7, 2).Text("x"));

    [Theory]
    [InlineData("set L max ")]
    [InlineData("expect L failcnt >= 1")]
    [InlineData("expect L failcnt exactly 0")]
    [InlineData("\npipes t")]
    [InlineData("expect O oom_kill exactly 1")]
    public void Limits_kernel_memory_events_and_kills_are_among_them(string line) =>
        Assert.Contains(Enumerable.Range(1, 40), seed => RandomScript.Make((ulong)seed, 2).Text("x").Contains(line, StringComparison.Ordinal));

    [Fact]
    public void A_machine_that_forgets_to_uncharge_tmpfs_is_found_with_the_smallest_file()
    {
        RandomConformance.Outcome outcome = RandomConformance.Run(1, 40, 2, [new Forgetful()], _ => { }, TestContext.Current.CancellationToken);
        Assert.NotEmpty(outcome.Failures);
        foreach ((ulong _, string text, IReadOnlyList<ScriptRun> runs) in outcome.Failures)
        {
            string[] deeds = [.. text.Split('\n').Where(l => l.Length > 0 && !l.StartsWith('#') && !l.StartsWith("group", StringComparison.Ordinal)
                && !l.StartsWith("task", StringComparison.Ordinal) && !l.StartsWith("expect", StringComparison.Ordinal))];
            Assert.Equal(2, deeds.Length);
            Assert.Matches(@"^shm t[01] r\d+ \d+p$", deeds[0]);
            Assert.Matches(@"^free r\d+$", deeds[1]);
            Assert.Contains(runs, r => r.Failed);
        }
    }

    /// <summary>The busted twin: the port, but what is on tmpfs is never freed.</summary>
    private sealed class Forgetful : IScriptBackend
    {
        private readonly PortBackend port = new(Model.Parse("3.19,stock=None"));

        public string Name => "forgetful";
        public string? WhyNot(Script script) => null;
        public string? Differs(Script script) => null;

        public IScriptMachine Open(Script script)
        {
            string[] kept = [.. script.Steps.Where(s => s.Verb == Verb.Shm).Select(s => s.Object)];
            return port.Open(script with { Steps = [.. script.Steps] }) is { } machine ? new Machine(machine, kept) : throw new InvalidOperationException();
        }

        private sealed class Machine(IScriptMachine inner, string[] kept) : IScriptMachine
        {
            public string Name => inner.Name;
            public void Do(ScriptStep step)
            {
                if (step.Verb != Verb.Free || !kept.Contains(step.Subject)) inner.Do(step);
            }
            public Reading Read(string group, string key) => inner.Read(group, key);
            public string EndOf(string task) => inner.EndOf(task);
            public IReadOnlyList<string> Finish() => inner.Finish();
            public void Dispose() => inner.Dispose();
        }
    }
}
