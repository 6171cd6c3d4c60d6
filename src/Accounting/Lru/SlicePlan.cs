// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// How the frames of a node are cut into books, with or without groups: runs of 2^Order frames, each a book of its own (Books = 0) or dealt
/// out to Books books in turn. Source: the 2012 mail ("one book per 256Mb"); the posted v3 interleaves, by default 4 books and order 12.
/// </summary>
/// <param name="Order">Frames of a run, as a power of two; -1: one book per node.</param>
/// <param name="Books">Books that take turns; 0: as many as there are runs.</param>
public sealed record SlicePlan(int Order, int Books)
{
    /// <summary>Frames of a 2 MiB page; a page that lay in two slices would have two books (B14).</summary>
    public const int HugePageOrder = 9;
    /// <summary>Most books per group and node.</summary>
    public const int MaxBooks = 1024;

    /// <summary>One book per group and node.</summary>
    public static SlicePlan Whole { get; } = new(-1, 1);

    /// <summary>True when every node has one book per group.</summary>
    public bool IsWhole => Order < 0;

    /// <summary>Books of one group on a node of nodeBytes.</summary>
    /// <exception cref="UsageException">More than <see cref="MaxBooks"/>.</exception>
    public int BooksOn(long nodeBytes)
    {
        if (IsWhole) return 1;
        long runBytes = 1L << Order + MemMap.FrameShift, runs = Math.Max(1, (nodeBytes + runBytes - 1) / runBytes);
        long books = Books == 0 ? runs : Books;
        return books <= MaxBooks ? (int)books
            : throw new UsageException($"lru.slice={this}: {books} books for a node of {nodeBytes >> 20} MiB, at most {MaxBooks}; choose larger slices");
    }

    /// <summary>Reads none, a size (256M: one book per 256 MiB) or interleave:N@order.</summary>
    /// <exception cref="UsageException">Neither, or a slice that a huge page would not fit in.</exception>
    public static SlicePlan Parse(string text)
    {
        if (text.Equals("none", StringComparison.OrdinalIgnoreCase)) return Whole;
        return text.StartsWith("interleave:", StringComparison.OrdinalIgnoreCase) ? Interleaved(text) : Contiguous(text);
    }

    private static SlicePlan Interleaved(string text)
    {
        string[] parts = text["interleave:".Length..].Split('@');
        if (parts.Length > 2 || !TryNumber(parts[0], out int books) || books < 1) throw Malformed(text);
        int order = 12;
        if (parts.Length == 2 && !TryNumber(parts[1], out order)) throw Malformed(text);
        if (books > MaxBooks) throw new UsageException($"lru.slice={text}: {books} books, at most {MaxBooks}; ask for fewer");
        return Checked(text, new SlicePlan(order, books));
    }

    private static SlicePlan Contiguous(string text)
    {
        int unit = text.Length == 0 ? -1 : "KMGT".IndexOf(char.ToUpperInvariant(text[^1]), StringComparison.Ordinal);
        if (unit < 0 || !TryNumber(text[..^1], out int n) || n < 1) throw Malformed(text);
        if (!int.IsPow2(n)) throw new UsageException($"lru.slice={text}: a slice is a power of two; write for example 256M");
        return Checked(text, new SlicePlan(int.Log2(n) + 10 * (unit + 1) - MemMap.FrameShift, 0));
    }

    private static SlicePlan Checked(string text, SlicePlan plan)
    {
        if (plan.Order < HugePageOrder)
            throw new UsageException($"lru.slice={text}: a huge page (order {HugePageOrder}) would lie in two slices; a slice is at least 2M, an order at least {HugePageOrder}");
        if (plan.Order > 40) throw new UsageException($"lru.slice={text}: no node is that large; choose a smaller slice");
        return plan;
    }

    private static bool TryNumber(string text, out int n) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out n);

    private static UsageException Malformed(string text) =>
        new($"lru.slice={text} is not a slice; write none, a size such as 256M, or interleave:N@order such as interleave:4@12");

    /// <summary>As <see cref="Parse"/> takes it.</summary>
    public override string ToString() => IsWhole ? "none" : Books == 0 ? $"{1L << Order + MemMap.FrameShift - 20}M" : $"interleave:{Books}@{Order}";
}
