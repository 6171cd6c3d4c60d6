// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using MemcgNative.Accounting;
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class TraceTests
{
    private static readonly TraceHeader header = new()
    {
        Kernel = "6.18.0", Cgroup = "v1", Command = "none", Source = "tracepoints", Recorded = "2026-11-27T00:00:00Z", Cpus = 2, Synthetic = true,
    };

    private static TraceFile Small(int pages = 300) => new(header,
    [
        new(TraceKind.Group, 0, 0, 1), new(TraceKind.Group, 0, 10, 2, 1),
        .. Enumerable.Range(0, pages).Select(i => new TraceEvent(i % 3 == 0 ? TraceKind.File : TraceKind.Anon, i % 2, 100 + i * 10, 2, i, 1)),
        new(TraceKind.Kernel, 0, 9_000_000, 2, pages, 4), new(TraceKind.Slab, 1, 9_100_000, 2, pages + 1, 192),
        new(TraceKind.Free, 1, 9_200_000, Object: pages, Amount: 1, Second: 2), new(TraceKind.Free, 0, 9_300_000, Object: 0, Amount: 1),
            new(TraceKind.Free, 0, 9_400_000, Object: pages + 1, Amount: 1),
        new(TraceKind.Checkpoint, 0, 10_000_000, 1, Values: new CounterValues(pages + 2, pages + 4, 3, 0, 0)),
        new(TraceKind.Checkpoint, 0, 10_000_001, 2, Values: new CounterValues(pages + 2, -1, 3, pages - (pages + 2) / 3, (pages + 2) / 3 - 1)),
        new(TraceKind.Held, 1, 10_000_001, 2, Amount: 3), new(TraceKind.TryCharge, 1, 10_000_001, 2, Amount: 1, Second: 5),
        new(TraceKind.Refill, 1, 10_000_001, 2, Amount: 1), new(TraceKind.CounterCharge, 1, 10_000_001, 2, 0, 64, 5), new(TraceKind.CounterUncharge, 1, 10_000_002, 2, 1, 64),
        new(TraceKind.Offline, 0, 10_000_002, 2), new(TraceKind.Released, 0, 10_000_002, 2), new(TraceKind.Remove, 0, 10_000_002, 2),
    ]);

    private static TraceEvent Last(TraceFile trace) => trace.Events.Last(e => e.Kind == TraceKind.Checkpoint);

    private static byte[] Bytes(TraceFile trace)
    {
        string path = Path.Combine(Path.GetTempPath(), $"trace-{Guid.NewGuid():N}.mtrace");
        TraceFormat.Write(path, trace);
        byte[] bytes = File.ReadAllBytes(path);
        File.Delete(path);
        return bytes;
    }

    [Fact]
    public void What_is_written_is_read_again()
    {
        TraceFile trace = Small(40_000); // several blocks
        TraceFile again = TraceFormat.Read(new MemoryStream(Bytes(trace)), "t");
        Assert.Equal(trace.Header, again.Header);
        Assert.Equal(trace.Events, again.Events);
    }

    [Theory]
    [InlineData("2.6.29")]
    [InlineData("3.19")]
    [InlineData("6.18")]
    public void A_replay_gives_the_counters_of_the_recording(string model)
    {
        TraceFile trace = Small();
        ReplayResult result = ReplayCommand.Replay(trace, Model.Parse(model), 2, TestContext.Current.CancellationToken);
        Assert.Empty(result.Wrong);
        Assert.Equal(0, result.Refused);
        Assert.DoesNotContain(ReplayReport.Rows(trace, result), r => !r.Ok);
        Assert.Equal(Last(trace).Values.Anon, result.Checkpoints[1].Port.Anon);
        Assert.Equal(Last(trace).Values.File, result.Checkpoints[1].Port.File);
    }

    [Fact]
    public void A_kernel_that_counts_otherwise_is_found()
    {
        TraceFile trace = Small();
        TraceFile wrong = trace with { Events = [.. trace.Events.Select(e => e.Kind == TraceKind.Checkpoint ? e with { Values = e.Values with { Usage = 3000 } } : e)] };
        Assert.Contains(ReplayReport.Rows(wrong, ReplayCommand.Replay(wrong, Model.Parse("6.18"), 2, TestContext.Current.CancellationToken)), r => !r.Ok && r.Counter == "usage");
    }

    [Fact]
    public void A_flipped_bit_is_found_by_the_checksum()
    {
        byte[] bytes = Bytes(Small());
        bytes[^40] ^= 1;
        Assert.Contains("block", Assert.Throws<UsageException>(() => TraceFormat.Read(new MemoryStream(bytes), "t")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_was_cut_off_is_refused()
    {
        byte[] bytes = Bytes(Small());
        foreach (int length in (int[])[0, 5, 12, 30, bytes.Length - 1])
            Assert.Throws<UsageException>(() => TraceFormat.Read(new MemoryStream(bytes[..length]), "t"));
    }

    /// <summary>Also with checksums that are right, so that the decoder itself meets the damage. MEMCGNATIVE_FUZZ=100000 for the long form.</summary>
    [Fact]
    public void Damaged_recordings_are_refused_in_one_line()
    {
        int count = FuzzTests.Asked ?? 4000;
        byte[] good = Bytes(Small(60));
        var encoder = new TraceEncoder();
        foreach (TraceEvent e in Small(60).Events) encoder.Add(e);
        byte[] events = encoder.Bytes.ToArray();
        var random = new Random(4711);
        for (int i = 0; i < count; i++)
        {
            byte[] bytes = (byte[])(i % 2 == 0 ? good : events).Clone();
            for (int n = random.Next(1, 5); n > 0; n--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (random.Next(4) == 0) bytes = bytes[..random.Next(bytes.Length)];
            try
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                if (i % 2 == 0) TraceFormat.Read(new MemoryStream(bytes), "t");
                else
                {
                    var decoder = new TraceDecoder("t", 2);
                    decoder.Add(bytes, 1);
                    if (i % 8 == 1) Drive(new TraceFile(header, decoder.Events));
                }
                Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 64 << 20, $"input {i} took {GC.GetAllocatedBytesForCurrentThread() - before} bytes");
            }
            catch (UsageException e)
            {
                Assert.StartsWith("t: ", e.Message, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>Headers bent and checksummed anew: what is taken can be replayed and reported.</summary>
    [Fact]
    public void Damaged_headers_are_refused_in_one_line()
    {
        int count = FuzzTests.Asked ?? 4000;
        byte[] good = JsonSerializer.SerializeToUtf8Bytes(header, TraceJson.Default.TraceHeader);
        TraceFile small = Small(3);
        ReplayResult result = ReplayCommand.Replay(small, Model.Parse("6.18"), 2, TestContext.Current.CancellationToken);
        string[] words = ["null", "-1", "99999999999.9", "1e9", "\"\"", "\"9999999999.1\"", "\"\\n\"", "8192", "[]", "0.5", "true"];
        var random = new Random(4712);
        for (int i = 0; i < count; i++)
        {
            string text = Encoding.UTF8.GetString(good);
            if (i % 2 == 0) // another value
            {
                MatchCollection values = Regex.Matches(text, "(?<=:)(\"[^\"]*\"|[^,}\"]+)");
                Match value = values[random.Next(values.Count)];
                text = string.Concat(text.AsSpan(0, value.Index), words[random.Next(words.Length)], text.AsSpan(value.Index + value.Length));
            }
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            if (i % 4 > 1) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                TraceHeader read = TraceFormat.Header(bytes, "t");
                ReplayReport.Rows(small with { Header = read }, result);
            }
            catch (UsageException e)
            {
                Assert.StartsWith("t: ", e.Message, StringComparison.Ordinal);
            }
        }
    }

    /// <summary>What could be read is replayed too: whatever it says, in order.</summary>
    private static void Drive(TraceFile trace)
    {
        try
        {
            if (ChargeReplay.Has(trace)) ChargeReplay.Run(trace, TestContext.Current.CancellationToken);
            ReplayCommand.Replay(trace, Model.Parse("6.18"), 2, TestContext.Current.CancellationToken);
        }
        catch (UsageException e)
        {
            Assert.StartsWith("replay: the recording holds ", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_raw_page_of_the_ring_buffer_is_decoded()
    {
        byte[] page = new byte[RingPage.Bytes];
        BinaryPrimitives.WriteInt64LittleEndian(page, 1000); // time of the page
        int at = RingPage.HeaderBytes;
        void Word(uint w)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(page.AsSpan(at), w);
            at += 4;
        }
        Word(2 | 5 << 5); // two words of data, 5 ns on
        Word(11);
        Word(12);
        Word(30 | 3 << 5); // a time extend of 1 << 27, and 3
        Word(1);
        Word(0 | 7 << 5); // long form: the length comes first
        Word(8);
        Word(13);
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(8), (ulong)(at - RingPage.HeaderBytes) | 1UL << 31 | 1UL << 30);
        BinaryPrimitives.WriteInt64LittleEndian(page.AsSpan(at), 42);
        var found = new List<(long, int, uint)>();
        long lost = RingPage.Read(page, (time, data) => found.Add((time, data.Length, BinaryPrimitives.ReadUInt32LittleEndian(data))));
        Assert.Equal([(1005, 8, 11u), (1005 + (1L << 27) + 3 + 7, 4, 13u)], found);
        Assert.Equal(42, lost);
    }

    [Fact]
    public void Random_pages_never_lead_outside()
    {
        var random = new Random(5);
        byte[] page = new byte[RingPage.Bytes];
        for (int i = 0; i < 20_000; i++)
        {
            random.NextBytes(page);
            int length = random.Next(page.Length + 1);
            RingPage.Read(page.AsSpan(0, length), static (_, data) => Assert.True(data.Length <= RingPage.Bytes));
        }
    }

    [Fact]
    public void The_format_of_an_event_is_read_from_the_kernels_text()
    {
        EventFormat format = EventFormat.Parse("mm_page_alloc", "name: mm_page_alloc\nID: 512\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
            + "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\tfield:unsigned long pfn;\toffset:8;\tsize:8;\tsigned:0;\n"
            + "\tfield:unsigned int order;\toffset:16;\tsize:4;\tsigned:0;\n");
        Assert.Equal((512, new EventField(8, 8)), (format.Id, format["pfn"]));
        Assert.Equal(new EventField(16, 4), format["order"]);
        Assert.Throws<UsageException>(() => format["node"]);
    }
}
