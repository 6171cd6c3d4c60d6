// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// Eras agree where they must: the same stream of events on every era, drained at each checkpoint. What a group should have is counted from page
/// tables, files and the swap device; every difference from that is a row with a mechanism and a number, and nothing else may differ.
/// </summary>
public sealed class AgreementTests
{
    public static TheoryData<string> AllEras => [.. Eras.All.Select(e => e.Name)];

    [Theory, MemberData(nameof(AllEras))]
    public void Every_counter_an_era_declares_is_what_the_stream_predicts(string era)
    {
        Checkpoint[] checkpoints = Matrix.Bind(Model.Parse(era), new StreamOn(Eras.Find(era)!));
        Assert.Equal(EraStream.Names, checkpoints.Select(c => c.Name));
        foreach (Checkpoint c in checkpoints)
        {
            Assert.Empty(Differences(c));
            foreach (Row row in c.Rows) TestContext.Current.TestOutputHelper?.WriteLine($"{era,-18} {c.Name,-24} {row.Mechanism,-40} {row.Pages:+0;-0}");
        }
    }

    private static IEnumerable<string> Differences(Checkpoint c)
    {
        long rows = c.Rows.Sum(r => r.Pages);
        if (c.Memory != c.Used + rows) yield return $"{c.Name}: memory {c.Memory}, used {c.Used}, rows {rows}";
        if (c.Memsw is { } memsw && memsw != c.Used + c.Swapped + rows) yield return $"{c.Name}: memsw {memsw}, used {c.Used}, swapped {c.Swapped}, rows {rows}";
    }

    [Fact]
    public void Every_named_difference_shows_in_some_era_and_not_in_another()
    {
        var seen = Eras.All.SelectMany(e => Matrix.Bind(Model.Parse(e.Name), new StreamOn(e)).SelectMany(c => c.Rows), (e, r) => (e.Name, r.Mechanism))
            .ToLookup(x => x.Mechanism, x => x.Name);
        Assert.Equal(EraStream.Mechanisms.Order(StringComparer.Ordinal), seen.Select(s => s.Key).Order(StringComparer.Ordinal));
        Assert.All(seen, s => Assert.InRange(s.Distinct().Count(), 1, Eras.All.Count - 1));
    }

    [Fact]
    public void A_counter_that_is_off_by_a_page_is_seen_and_so_is_a_row_that_predicts_too_much()
    {
        var right = new Checkpoint("put", 45, 47, 40, 2, [new Row(EraStream.HeldUnmapped, 5)]);
        Assert.Empty(Differences(right));
        Assert.Single(Differences(right with { Memory = 46 }));
        Assert.Single(Differences(right with { Memsw = 46 }));
        Assert.Equal(2, Differences(right with { Rows = [new Row(EraStream.HeldUnmapped, 6)] }).Count());
    }

    [Theory, MemberData(nameof(AllEras))]
    public void Early_uncharge_misses_pages_that_are_held_and_late_uncharge_keeps_those_of_page_vectors(string era)
    {
        bool early = Eras.Find(era)!.Answers[(int)Axis.Uncharge].StartsWith("AtUnmap", StringComparison.Ordinal);
        (long sum, long low, long high) = Matrix.Bind(Model.Parse(era), new IntegralOn());
        TestContext.Current.TestOutputHelper?.WriteLine($"{era,-18} sum of (charged - really used) over {IntegralOn.Steps} steps: {sum} page-steps, least {low}, most {high}");
        Assert.InRange(low, early ? -EraStream.MostPins : 0, early ? -1 : 0);
        Assert.InRange(high, early ? 0 : 1, early ? 0 : Pagevec.Size);
        Assert.InRange(sum, (long)IntegralOn.Steps * low, (long)IntegralOn.Steps * high);
        Assert.Equal(early, sum < 0);
    }

    private sealed class StreamOn(Era era) : IControllerUser<Checkpoint[]>
    {
        public Checkpoint[] Use<TC>() where TC : struct, IMemoryController
        {
            using var stream = new EraStream<TC>(era);
            return [.. stream.Run()];
        }
    }

    private sealed class IntegralOn : IControllerUser<(long Sum, long Low, long High)>
    {
        public const int Steps = 2000;

        public (long Sum, long Low, long High) Use<TC>() where TC : struct, IMemoryController => EraStream<TC>.Integral(Steps);
    }
}
