// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;

namespace MemcgNative.Accounting;

/// <summary>
/// What a page table entry can hold: nothing (null), a page, a swap entry (bit 0), or a page in migration (bit 1). Struct pages are 64 bytes
/// apart, so the low bits of a present entry are 0. Linux: pte_none, pte_present, swp_entry, migration_entry.
/// </summary>
public static unsafe class Pte
{
    private const nint SwapBit = 1, MigrationBit = 2;

    /// <summary>A page is mapped.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPresent(Page* pte) => pte != null && ((nint)pte & (SwapBit | MigrationBit)) == 0;

    /// <summary>The page is on the swap device (and perhaps in the swap cache).</summary>
    public static bool IsSwap(Page* pte) => ((nint)pte & SwapBit) != 0;

    /// <summary>The page is being copied; its lock is held until the entry is replaced.</summary>
    public static bool IsMigration(Page* pte) => ((nint)pte & MigrationBit) != 0;

    /// <summary>The entry for a swapped page.</summary>
    public static Page* Of(SwapEntry entry) => (Page*)(((nint)entry.Index << 2) | SwapBit);

    /// <summary>The place a swapped page is at.</summary>
    public static SwapEntry SwapOf(Page* pte) => new((int)((nint)pte >> 2));

    /// <summary>The entry for a page that migrates.</summary>
    public static Page* Migrating(Page* page) => (Page*)((nint)page | MigrationBit);

    /// <summary>The page that migrates.</summary>
    public static Page* MigratingOf(Page* pte) => (Page*)((nint)pte & ~MigrationBit);
}
