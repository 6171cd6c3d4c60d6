// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>The free blocks of one order. Linux: struct free_area, include/linux/mmzone.h, without migrate types.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public struct FreeArea
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 24;

    /// <summary>L: zone lock: first pages of free blocks, linked by lru.</summary>
    [FieldOffset(0)] public ListHead Blocks;
    /// <summary>L: zone lock: blocks on the list.</summary>
    [FieldOffset(16)] public Guarded<long> NrBlocks;
}

/// <summary>
/// Where blocks lie, by index alone: a block of order n starts at a multiple of 2^n, and its buddy differs in bit n. Nodes start and
/// end at multiples of the largest block, so a buddy never lies in another zone. Linux: __find_buddy_pfn, mm/internal.h.
/// </summary>
public static class Buddy
{
    /// <summary>The block that merges with pfn's.</summary>
    public static long Of(long pfn, int order) => pfn ^ (1L << order);

    /// <summary>First frame of the two merged.</summary>
    public static long Merged(long pfn, int order) => pfn & ~(1L << order);

    /// <summary>True when a block of that order may start at pfn.</summary>
    public static bool Aligned(long pfn, int order) => (pfn & ((1L << order) - 1)) == 0;
}
