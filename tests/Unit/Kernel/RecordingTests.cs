// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Real recordings (Fixtures/recordings), each with what the kernel's own counters said while it was made.</summary>
public sealed class RecordingTests
{
    private static string Folder => Path.Combine(Repository.Root, "tests/Unit/Fixtures/recordings");

    private static TraceFile Read(string name) => TraceFormat.Read(Path.Combine(Folder, name));

    private static IEnumerable<string> Names => Directory.GetFiles(Folder, "*.mtrace").Select(f => Path.GetFileName(f));

    public static TheoryData<string> Pages => [.. Names.Where(n => !n.Contains("charges", StringComparison.Ordinal) && !n.Contains("refused", StringComparison.Ordinal))];

    public static TheoryData<string> Charges => [.. Names.Where(n => n.Contains("charges", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_recording_of_pages_and_objects_agrees_with_the_kernels_counters_at_every_checkpoint(string name)
    {
        TraceFile trace = Read(name);
        Assert.Equal(0, trace.Header.Lost);
        Assert.True(trace.Header.Unattributed <= ReplayReport.MostUnattributed * (trace.Header.Attributed + trace.Header.Unattributed), "more than 5 % without an owner");
        string[] eras = [.. Eras.All.Select(e => e.Name), "6.18,stock=SingleSlot64"];
        foreach (string model in eras)
        {
            ReplayResult result = ReplayCommand.Replay(trace, Model.Parse(model), trace.Header.Cpus, TestContext.Current.CancellationToken);
            Assert.Empty(result.Wrong);
            Assert.Equal(0, result.Refused);
            IEnumerable<string> differ = ReplayReport.Rows(trace, result).Where(r => !r.Ok)
                .Select(r => $"{model} {r.Seconds:0.000} {r.Counter}: kernel {r.Kernel}, port {r.Port}, within {r.Tolerance}");
            Assert.Empty(differ);
        }
    }

    [Fact]
    public void What_an_era_does_not_count_is_a_named_row()
    {
        TraceFile trace = Read("guest-net.mtrace");
        ReplayResult result = ReplayCommand.Replay(trace, Model.Parse("rfc-2014-kmemcg"), trace.Header.Cpus, TestContext.Current.CancellationToken);
        IReadOnlyList<ReplayRow> rows = ReplayReport.Rows(trace, result);
        ReplayRow row = rows.Where(r => r.Counter == "usage").MaxBy(r => r.Named)!;
        Assert.Contains("pages are nobody's", row.Mechanism, StringComparison.Ordinal);
        Assert.True(Math.Abs(row.Kernel - row.Port - row.Named) < Math.Abs(row.Kernel - row.Port), "the pages named are not those that are missing");
    }

    [Fact]
    public void No_checkpoint_counts_when_more_than_5_percent_of_the_events_have_no_owner()
    {
        TraceFile trace = Read("guest-shell.mtrace");
        TraceFile doubtful = trace with { Header = trace.Header with { Attributed = 94, Unattributed = 6 } };
        ReplayResult result = ReplayCommand.Replay(doubtful, Model.Parse("6.12"), trace.Header.Cpus, TestContext.Current.CancellationToken);
        Assert.All(ReplayReport.Rows(doubtful, result), r => Assert.False(r.Ok));
    }

    [Theory]
    [MemberData(nameof(Charges))]
    public void A_recording_in_full_fidelity_agrees_to_the_page_at_every_call(string name)
    {
        TraceFile trace = Read(name);
        ChargeResult result = ChargeReplay.Run(trace, TestContext.Current.CancellationToken)[0];
        Assert.True(result.Compared > 100, $"only {result.Compared} calls carry the kernel's counter");
        Assert.Null(result.First);
        Assert.True(result.Counted > 10, $"only {result.Counted} calls of the counter");
        long kernel = trace.Events.Last(e => e.Kind == TraceKind.Checkpoint).Values.Usage;
        Assert.Equal(kernel, result.AtEnd[1]);
    }

    [Theory]
    [MemberData(nameof(Charges))]
    public void Another_batch_is_caught(string name) =>
        Assert.NotEqual(0, ChargeReplay.Run(Read(name), TestContext.Current.CancellationToken).Single(r => r.Stock == SingleSlotStock<Batch32>.Name).Different);

    [Theory]
    [MemberData(nameof(Charges))]
    public void One_page_more_in_one_call_is_caught(string name)
    {
        TraceFile trace = Read(name);
        var events = trace.Events.ToList();
        int at = events.FindIndex(events.Count / 2, e => e.Kind == TraceKind.Refill && e.Second > 0);
        events[at] = events[at] with { Amount = events[at].Amount + 1 };
        Assert.NotEqual(0, ChargeReplay.Run(trace with { Events = events }, TestContext.Current.CancellationToken)[0].Different);
    }

    [Theory]
    [MemberData(nameof(Charges))]
    public void A_call_of_the_counter_that_is_missing_is_caught(string name)
    {
        TraceFile trace = Read(name);
        var events = trace.Events.ToList();
        events.RemoveAt(events.FindLastIndex(e => e.Kind == TraceKind.CounterCharge && e.Second > 0));
        Assert.NotEqual(0, ChargeReplay.Run(trace with { Events = events }, TestContext.Current.CancellationToken)[0].Different);
    }

    /// <summary>Of the nine groups that end: freed without its offline, twice, before a child, charged afterwards.</summary>
    [Theory]
    [InlineData("no offline", "was not offline before")]
    [InlineData("freed twice", "was Released before")]
    [InlineData("child of another", "before its child")]
    [InlineData("charged after", "the group was freed before")]
    public void The_end_of_a_group_out_of_order_is_caught(string planted, string said)
    {
        TraceFile trace = Read("guest-groups-charges.mtrace");
        var events = trace.Events.ToList();
        int freed = events.FindIndex(e => e.Kind == TraceKind.Released);
        long group = events[freed].Group, alive = events.Last(e => e.Kind == TraceKind.Released).Group;
        int offline = events.FindIndex(e => e.Kind == TraceKind.Offline && e.Group == group);
        int created = events.FindIndex(e => e.Kind == TraceKind.Group && e.Group == alive);
        int own = events.FindIndex(e => e.Kind == TraceKind.Group && e.Group == group);
        int charged = events.FindIndex(e => e.Kind == TraceKind.TryCharge && e.Group == group && e.Second > 0);
        switch (planted)
        {
            case "no offline":
                events.RemoveAt(offline);
                break;
            case "freed twice":
                events.Insert(freed, events[freed]);
                break;
            case "child of another":
                (events[Math.Min(own, created)], events[Math.Max(own, created)]) = (events[own], events[created] with { Object = group });
                break;
            default:
                events.Insert(freed + 1, events[charged] with { Cpu = events[freed].Cpu, TimeNs = events[freed].TimeNs, Second = 0, Kind = TraceKind.Refill, Amount = 0 });
                break;
        }
        ChargeResult result = ChargeReplay.Run(trace with { Events = events }, TestContext.Current.CancellationToken)[0];
        Assert.NotEqual(0, result.Different);
        if (planted != "charged after") Assert.Contains(said, result.First, StringComparison.Ordinal);
    }

    /// <summary>dd into ramfs in a group of 3 MiB: the counter is asked for a batch, then for what is needed, then again after reclaim.</summary>
    [Fact]
    public void A_recording_in_which_a_limit_refused_a_charge_is_refused()
    {
        TraceFile trace = Read("guest-limit.refused.mtrace");
        UsageException refused = Assert.Throws<UsageException>(() => ChargeReplay.Run(trace, TestContext.Current.CancellationToken));
        Assert.Contains("in 110 call(s) of this recording a limit refused the charge", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>CPU 0 came first and read its counter last: only the recorded values say so.</summary>
    [Theory]
    [InlineData(130, true)]
    [InlineData(105, false)] // it had moved the counter before CPU 1 came
    public void Calls_of_two_CPUs_that_overlapped_are_put_in_the_order_that_the_counters_show(long moved, bool possible)
    {
        TraceHeader header = Read("guest-shell.mtrace").Header with { Cpus = 2, Synthetic = true };
        TraceFile trace = new(header,
        [
            new(TraceKind.Group, 0, 0, 1), new(TraceKind.TryCharge, 0, 100, 1, Amount: 1, Second: 65), new(TraceKind.TryCharge, 1, 110, 1, Amount: 1, Second: 1),
            new(TraceKind.CounterCharge, 1, 112, 1, 0, 64, 1), new(TraceKind.CounterCharge, 0, moved, 1, 0, 64, 65), new(TraceKind.Offline, 0, moved + 1, 1),
        ]);
        Assert.Equal(possible, ChargeReplay.Run(trace, TestContext.Current.CancellationToken)[0].Different == 0);
    }

    /// <summary>Nine groups take turns in stocks of seven slots: evicted in order, as 7.1 does, none twice, and nothing is left behind.</summary>
    [Fact]
    public void Several_groups_in_stocks_of_one_and_of_seven_slots_differ_as_the_kernels_do()
    {
        IReadOnlyList<ChargeResult> results = ChargeReplay.Run(Read("guest-groups-charges.mtrace"), TestContext.Current.CancellationToken);
        Assert.Equal((9, 9), results[0].Groups);
        Assert.Equal(0, results[0].Different);
        Assert.NotEqual(0, results.Single(r => r.Stock == SevenSlotStock<Batch64>.Name).Different);
    }
}
