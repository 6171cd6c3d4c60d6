// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Allocator;

/// <summary>Bits of page->flags. Bits of one word have different owners, so all changes are locked unless the page is exclusively owned.
/// Linux: enum pageflags, include/linux/page-flags.h; the node in the high bits as include/linux/page-flags-layout.h.</summary>
public static class PageFlags
{
    /// <summary>PG_locked: the page lock.</summary>
    public const long Locked = 1L << 0;
    /// <summary>PG_referenced.</summary>
    public const long Referenced = 1L << 1;
    /// <summary>PG_uptodate.</summary>
    public const long Uptodate = 1L << 2;
    /// <summary>PG_dirty.</summary>
    public const long Dirty = 1L << 3;
    /// <summary>PG_lru: on an LRU list; whoever clears it owns the page's place.</summary>
    public const long Lru = 1L << 4;
    /// <summary>PG_active: which of the two lists.</summary>
    public const long Active = 1L << 5;
    /// <summary>PG_unevictable.</summary>
    public const long Unevictable = 1L << 6;
    /// <summary>PG_swapbacked: anonymous or shmem.</summary>
    public const long SwapBacked = 1L << 7;
    /// <summary>PG_swapcache: private holds a swap entry.</summary>
    public const long SwapCache = 1L << 8;
    /// <summary>PG_writeback.</summary>
    public const long Writeback = 1L << 9;
    /// <summary>PG_slab: the frame belongs to a KmemCache.</summary>
    public const long Slab = 1L << 10;
    /// <summary>PG_head: first page of a block of order 1 or more; the first tail's private holds the order.</summary>
    public const long Head = 1L << 11;
    /// <summary>Any other page of such a block (Linux encodes it in compound_head).</summary>
    public const long Tail = 1L << 12;
    /// <summary>PageBuddy: first page of a free block on a zone's list; private holds the order.</summary>
    public const long Buddy = 1L << 13;
    /// <summary>The frame is the allocator's: in a zone or on a per-CPU list. Linux has no such bit and misses double frees it would catch.</summary>
    public const long Free = 1L << 14;

    /// <summary>Must be clear at the free of a single page (head and tail: not of a block); the rest is cleared. Linux: PAGE_FLAGS_CHECK_AT_FREE.</summary>
    public const long CheckAtFree = Locked | Lru | Active | Unevictable | SwapCache | Writeback | Slab | Head | Tail | Buddy | Free;

    /// <summary>First bit of the node's dense index (not its sparse NodeId).</summary>
    public const int NodeShift = 54;
    /// <summary>Bits of the node index: 1024 nodes, as CONFIG_NODES_SHIFT=10.</summary>
    public const long NodeMask = -1L << NodeShift;

    /// <summary>Dense index of the node that flags name.</summary>
    public static int NodeIndex(long flags) => (int)((ulong)flags >> NodeShift);

    /// <summary>The set bits by name, for messages.</summary>
    public static string Describe(long flags)
    {
        ReadOnlySpan<string> names = 
        [
            "locked", "referenced", "uptodate", "dirty", "lru", "active", "unevictable", "swapbacked", "swapcache", "writeback",
            "slab", "head", "tail", "buddy", "free",
        ];
        List<string> set = [];
        for (int bit = 0; bit < names.Length; bit++)
            if ((flags >> bit & 1) != 0) set.Add(names[bit]);
        return set.Count == 0 ? "none" : string.Join('|', set);
    }
}
