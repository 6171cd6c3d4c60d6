// SPDX-License-Identifier: GPL-2.0-only
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
            var watch = System.Diagnostics.Stopwatch.StartNew();
            Differential.Outcome o = Differential.Compare(f);
            output.WriteLine($"{f.Name}: {o.Programs} programs, {o.Disagreements} disagreements, {o.DfsExecutions:N0} executions -> {o.DporExecutions:N0}, {watch.Elapsed.TotalSeconds:F1} s");
            Assert.True(o.Disagreements == 0, o.First);
            programs += o.Programs;
        }
        Assert.True(programs >= 2000, $"only {programs} programs");
    }
}
