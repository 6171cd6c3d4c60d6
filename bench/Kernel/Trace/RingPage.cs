// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;

namespace MemcgNative.Bench;

/// <summary>Called with each event of a page: absolute nanoseconds and the event's bytes.</summary>
internal delegate void RingEvent(long timeNs, ReadOnlySpan<byte> data);

/// <summary>
/// A page of trace_pipe_raw (Linux: kernel/trace/ring_buffer.c, struct buffer_data_page): u64 time, u64 commit, events. An event begins with
/// 5 bits of type or length and 27 bits of nanoseconds since the one before.
/// </summary>
internal static class RingPage
{
    public const int Bytes = 4096, HeaderBytes = 16;
    private const uint Padding = 29, TimeExtend = 30, TimeStamp = 31;
    private const ulong CommitMask = 0xfffff, Missed = 1UL << 31, MissedStored = 1UL << 30;

    /// <summary>Calls back for each event; the number of events lost before this page (-1: some, not known how many).</summary>
    public static long Read(ReadOnlySpan<byte> page, RingEvent found)
    {
        if (page.Length < HeaderBytes) return 0;
        long time = BinaryPrimitives.ReadInt64LittleEndian(page);
        ulong commit = BinaryPrimitives.ReadUInt64LittleEndian(page[8..]);
        int end = HeaderBytes + (int)Math.Min(commit & CommitMask, (ulong)(page.Length - HeaderBytes));
        for (int at = HeaderBytes; at + 4 <= end;)
        {
            uint head = BinaryPrimitives.ReadUInt32LittleEndian(page[at..]);
            uint type = head & 31;
            long delta = head >> 5;
            at += 4;
            switch (type)
            {
                case Padding:
                    if (delta == 0 || at + 4 > end) return Lost(page, commit, end);
                    at += (int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(page[at..]), (uint)(end - at));
                    time += delta;
                    break;
                case TimeExtend or TimeStamp:
                    if (at + 4 > end) return Lost(page, commit, end);
                    long high = (long)BinaryPrimitives.ReadUInt32LittleEndian(page[at..]) << 27;
                    time = type == TimeExtend ? time + high + delta : time & ~((1L << 59) - 1) | high | delta;
                    at += 4;
                    break;
                default:
                    time += delta;
                    int length = (int)type * 4, from = at;
                    if (type == 0)
                    {
                        if (at + 4 > end) return Lost(page, commit, end);
                        length = (int)Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(page[at..]), Bytes) - 4;
                        from = at + 4;
                        at = from;
                    }
                    if (length < 0 || from + length > end) return Lost(page, commit, end);
                    found(time, page.Slice(from, length));
                    at = from + length;
                    break;
            }
        }
        return Lost(page, commit, end);
    }

    private static long Lost(ReadOnlySpan<byte> page, ulong commit, int end)
    {
        if ((commit & Missed) == 0) return 0;
        return (commit & MissedStored) != 0 && end + 8 <= page.Length ? BinaryPrimitives.ReadInt64LittleEndian(page[end..]) : -1;
    }
}
