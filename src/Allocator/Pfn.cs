// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Allocator;

/// <summary>Page frame number: index of a frame and of its struct page in the mem_map, dense over all nodes. Linux: pfn, include/linux/pfn.h.</summary>
public readonly record struct Pfn(long Value) : IComparable<Pfn>
{
    /// <inheritdoc/>
    public int CompareTo(Pfn other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Order by number.</summary>
    public static bool operator <(Pfn a, Pfn b) => a.Value < b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator >(Pfn a, Pfn b) => a.Value > b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator <=(Pfn a, Pfn b) => a.Value <= b.Value;
    /// <summary>Order by number.</summary>
    public static bool operator >=(Pfn a, Pfn b) => a.Value >= b.Value;
}

/// <summary>Binary logarithm of a block's size in frames, 0 to <see cref="MaxValue"/>. Linux: order, include/linux/mmzone.h (MAX_ORDER 11 up to 6.3).</summary>
public readonly record struct Order(int Value)
{
    /// <summary>Largest order: blocks of 1024 frames, 4 MiB.</summary>
    public const int MaxValue = 10;
    /// <summary>Number of orders.</summary>
    public const int Count = MaxValue + 1;
    /// <summary>Frames in a block of the largest order; every node is a multiple of it.</summary>
    public const long MaxPages = 1L << MaxValue;

    /// <summary>Frames in a block of this order.</summary>
    public long Pages => 1L << Value;

    /// <summary>Orders are written as literals.</summary>
    public static implicit operator Order(int value) => new(value);

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}
