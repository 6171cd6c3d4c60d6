// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// One per frame, 64 bytes, one cache line, in the mem_map of the frame's node. Linux: struct page, include/linux/mm_types.h; the memcg
/// word inside is the form of 2.6.25-2.6.28 and of 3.19 and later.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public struct Page
{
    /// <summary>Bytes of one struct page.</summary>
    public const int Bytes = 64;
    /// <summary>Its logarithm.</summary>
    public const int Shift = 6;
    /// <summary>Offset of <see cref="Lru"/>, for container_of.</summary>
    public const int LruOffset = 40;

    /// <summary>A: <see cref="PageFlags"/>; the node's index in the high bits never changes.</summary>
    [FieldOffset(0)] public AtomicLong Flags;
    /// <summary>A: references; 0 = free or frozen. A free page is never revived by a speculative getter (get_page_unless_zero).</summary>
    [FieldOffset(8)] public AtomicInt RefCount;
    /// <summary>A: mappings, 0 = unmapped. Linux counts from -1.</summary>
    [FieldOffset(12)] public AtomicInt MapCount;
    /// <summary>L: by the zone lock the order of a free block; by the page lock a swap entry; by a slab's node lock its free list.</summary>
    [FieldOffset(16)] public AtomicLong Private;
    /// <summary>L: page lock: what the page caches; low bit set = anonymous. Cleared at free when anonymous, refused otherwise.</summary>
    [FieldOffset(24)] public AtomicLong Mapping;
    /// <summary>L: page lock: offset inside the mapping.</summary>
    [FieldOffset(32)] public AtomicLong Index;
    /// <summary>L: by the LRU lock while PG_lru is set; by the zone lock while free; else by whoever isolated the page.</summary>
    [FieldOffset(LruOffset)] public ListHead Lru;
    /// <summary>A: who pays; opaque to the allocator, which only demands 0 at free.</summary>
    [FieldOffset(56)] public AtomicLong Memcg;
}
