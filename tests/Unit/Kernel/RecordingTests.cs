// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Bench;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Real recordings (Fixtures/recordings), each with what the kernel's own counters said while it was made.</summary>
public sealed class RecordingTests
{
    private static string Folder => Path.Combine(Repository.Root, "tests/Unit/Fixtures/recordings");

    private static TraceFile Read(string name) => TraceFormat.Read(Path.Combine(Folder, name));

    private static IEnumerable<string> Names => Directory.GetFiles(Folder, "*.mtrace").Select(f => Path.GetFileName(f));

    public static TheoryData<string> Pages => [.. Names.Where(n => !n.Contains("charges", StringComparison.Ordinal))];

    public static TheoryData<string> Charges => [.. Names.Where(n => n.Contains("charges", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Pages))]
    public void A_recording_of_pages_and_objects_agrees_with_the_kernels_counters_at_every_checkpoint(string name)
    {
        TraceFile trace = Read(name);
        Assert.Equal(0, trace.Header.Lost);
        Assert.True(trace.Header.Unattributed <= ReplayReport.MostUnattributed * (trace.Header.Attributed + trace.Header.Unattributed), "more than 5 % without an owner");
        foreach (string model in (string[])["6.18", "6.18,stock=SingleSlot64", "3.19", "2.6.29"])
        {
            ReplayResult result = ReplayCommand.Replay(trace, Model.Parse(model), trace.Header.Cpus, TestContext.Current.CancellationToken);
            Assert.Empty(result.Wrong);
            Assert.Equal(0, result.Refused);
            IEnumerable<string> differ = ReplayReport.Rows(trace, result).Where(r => !r.Ok && !Sockets(name, r))
                .Select(r => $"{model} {r.Seconds:0.000} {r.Counter}: kernel {r.Kernel}, port {r.Port}, within {r.Tolerance}");
            Assert.Empty(differ);
        }
    }

    /// <summary>Socket buffers are in the kernel's usage and not in its kernel memory, and an era without kernel memory has neither.</summary>
    private static bool Sockets(string name, ReplayRow row) => name == "guest-net.mtrace" && row.Counter == "usage-kmem" && row.Port < row.Kernel;

    [Theory]
    [MemberData(nameof(Charges))]
    public void A_recording_in_full_fidelity_agrees_to_the_page_at_every_call(string name)
    {
        TraceFile trace = Read(name);
        ChargeResult result = ChargeReplay.Run(trace, TestContext.Current.CancellationToken);
        Assert.True(result.Compared > 100, $"only {result.Compared} calls carry the kernel's counter");
        Assert.Null(result.First);
        long kernel = trace.Events.Last(e => e.Kind == TraceKind.Checkpoint).Values.Usage;
        Assert.Equal(kernel, result.AtEnd[1]);
    }

    [Theory]
    [MemberData(nameof(Charges))]
    public void Another_batch_is_caught(string name) =>
        Assert.NotEqual(0, ChargeReplay.Run<SingleSlotStock<Batch32>>(Read(name), TestContext.Current.CancellationToken).Different);
}
