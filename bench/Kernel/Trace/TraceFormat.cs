// SPDX-License-Identifier: GPL-2.0-only
using System.Buffers.Binary;
using System.IO.Compression;
using System.Numerics;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// The file of a recording (bench/Kernel/TRACE.md): "MCGTRACE1\n", then blocks of {u32 raw bytes, u32 stored bytes, u32 CRC-32C of the raw
/// bytes, deflated bytes}, little endian. Block 0 is the header as JSON, the others hold events, a last one of 0 raw bytes ends the file. A
/// reader trusts nothing: sizes are bounded before anything is allocated, every number is checked.
/// </summary>
internal static class TraceFormat
{
    public const int BlockBytes = 1 << 18, MostEvents = 50_000_000, MostCpus = 8192, MostGroups = 50_000;
    public const long MostPages = 1 << 20, MostObject = 1 << 22, MostNs = 1L << 56;
    private static ReadOnlySpan<byte> Magic => "MCGTRACE1\n"u8;

    public static void Write(string path, TraceFile trace)
    {
        string partial = path + ".partial";
        using (FileStream to = File.Create(partial))
        {
            to.Write(Magic);
            Block(to, JsonSerializer.SerializeToUtf8Bytes(trace.Header, TraceJson.Default.TraceHeader));
            var writer = new TraceEncoder();
            foreach (TraceEvent e in trace.Events)
            {
                writer.Add(e);
                if (writer.Bytes.Length < BlockBytes - 256) continue;
                Block(to, writer.Bytes);
                writer.Clear();
            }
            if (writer.Bytes.Length > 0) Block(to, writer.Bytes);
            Block(to, []);
        }
        File.Move(partial, path, overwrite: true);
    }

    private static void Block(Stream to, ReadOnlySpan<byte> raw)
    {
        using var stored = new MemoryStream();
        using (var deflate = new DeflateStream(stored, CompressionLevel.SmallestSize, leaveOpen: true)) deflate.Write(raw);
        Span<byte> head = stackalloc byte[12];
        BinaryPrimitives.WriteInt32LittleEndian(head, raw.Length);
        BinaryPrimitives.WriteInt32LittleEndian(head[4..], (int)stored.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], Crc(raw));
        to.Write(head);
        to.Write(stored.GetBuffer().AsSpan(0, (int)stored.Length));
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="UsageException">Not a recording, or a damaged one: one line with the place.</exception>
    public static TraceFile Read(string path)
    {
        try
        {
            using FileStream from = File.OpenRead(path);
            return Read(from, Path.GetFileName(path));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new UsageException($"{path}: cannot be read: {e.Message.TrimEnd('.')}");
        }
    }

    /// <summary>Reads a stream; name is for messages.</summary>
    public static TraceFile Read(Stream from, string name)
    {
        Span<byte> magic = stackalloc byte[10];
        if (from.ReadAtLeast(magic, magic.Length, throwOnEndOfStream: false) != magic.Length || !magic.SequenceEqual(Magic))
            throw new UsageException($"{name}: is no recording (it does not begin with MCGTRACE1); memcgnative record makes one");
        TraceHeader header = Header(NextBlock(from, name, 0) ?? throw Damaged(name, 0, "has no header"), name);
        var decoder = new TraceDecoder(name, header.Cpus);
        for (int block = 1; ; block++)
        {
            byte[]? raw = NextBlock(from, name, block);
            if (raw is null) break;
            decoder.Add(raw, block);
        }
        return new TraceFile(header, decoder.Events);
    }

    /// <summary>Block 0.</summary>
    public static TraceHeader Header(ReadOnlySpan<byte> json, string name)
    {
        TraceHeader header;
        try
        {
            header = JsonSerializer.Deserialize(json, TraceJson.Default.TraceHeader) ?? throw Damaged(name, 0, "has an empty header");
        }
        catch (JsonException)
        {
            throw Damaged(name, 0, "has a header that is not the JSON expected");
        }
        if (header.Cpus is < 1 or > MostCpus) throw Damaged(name, 0, $"says that it has {header.Cpus} CPUs");
        if (header.Kernel is null || header.Cgroup is null || header.Command is null || header.Source is null || header.Recorded is null)
            throw Damaged(name, 0, "has a header with a text that is null");
        if (StockSize.TryReleaseOf(header.Kernel) is null) throw Damaged(name, 0, "names a kernel without a number");
        if (header.Attributed < 0 || header.Unattributed < 0 || header.Lost < 0 || header.Charged < 0) throw Damaged(name, 0, "counts fewer than no events");
        return header;
    }

    private static byte[]? NextBlock(Stream from, string name, int block)
    {
        Span<byte> head = stackalloc byte[12];
        if (from.ReadAtLeast(head, 12, throwOnEndOfStream: false) != 12) throw Damaged(name, block, "is missing: the file was cut off");
        int raw = BinaryPrimitives.ReadInt32LittleEndian(head), stored = BinaryPrimitives.ReadInt32LittleEndian(head[4..]);
        uint crc = BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
        if (raw is < 0 or > BlockBytes || stored is < 0 or > BlockBytes + 4096) throw Damaged(name, block, $"has a length of {raw} or {stored} bytes, over {BlockBytes}");
        byte[] packed = new byte[stored], bytes = new byte[raw];
        if (from.ReadAtLeast(packed, stored, throwOnEndOfStream: false) != stored) throw Damaged(name, block, "is shorter than it says");
        try
        {
            using var deflate = new DeflateStream(new MemoryStream(packed), CompressionMode.Decompress);
            if (deflate.ReadAtLeast(bytes, raw, throwOnEndOfStream: false) != raw) throw Damaged(name, block, "is shorter than it says");
        }
        catch (InvalidDataException)
        {
            throw Damaged(name, block, "cannot be unpacked");
        }
        if (Crc(bytes) != crc) throw Damaged(name, block, "does not have the checksum it should have");
        return raw == 0 ? null : bytes;
    }

    internal static UsageException Damaged(string name, int block, string what) => new($"{name}: block {block} {what}; record anew, or copy the file again");

    private static uint Crc(ReadOnlySpan<byte> bytes)
    {
        uint crc = ~0u;
        while (bytes.Length >= 8)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[8..];
        }
        foreach (byte b in bytes) crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }
}
