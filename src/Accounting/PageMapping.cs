// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>page->mapping: what a page caches. The low bit says anonymous; the rest is the address space. Linux: PAGE_MAPPING_ANON.</summary>
public static unsafe class PageMapping
{
    private const long AnonBit = 1;

    /// <summary>PageAnon. Stable under the page lock, by isolation, or after the last put.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsAnon(Page* page) => (AtomicLong.Load(&page->Mapping) & AnonBit) != 0;

    /// <summary>1 for an anonymous page, 0 for a file's: what statistics add.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int AnonBitOf(Page* page) => (int)(AtomicLong.Load(&page->Mapping) & AnonBit);

    /// <summary>Makes page the anonymous page at index of space; the page is not yet reachable.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetAnon(Page* page, MmStruct* space, long index)
    {
        AtomicLong.Init(&page->Mapping, (long)space | AnonBit);
        AtomicLong.Init(&page->Index, index);
    }

    /// <summary>The address space an anonymous page belongs to (the rmap of a private page).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static MmStruct* AnonSpace(Page* page) => (MmStruct*)(AtomicLong.Load(&page->Mapping) & ~AnonBit);
}
