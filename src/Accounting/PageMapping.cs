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

    /// <summary>The same for a page that others can find already; it is locked.</summary>
    public static void SetAnonLocked(Page* page, MmStruct* space, long index)
    {
        AtomicLong.Store(&page->Index, index);
        AtomicLong.Store(&page->Mapping, (long)space | AnonBit);
    }

    /// <summary>A fresh page read from swap: anonymous, but nobody has mapped it yet.</summary>
    public static void SetAnonOrphan(Page* page) => AtomicLong.Init(&page->Mapping, AnonBit);

    /// <summary>The file a cached page belongs to; null for a page of no mapping. Stable under the page lock; not for anonymous pages.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FileSpace* FileOf(Page* page) => (FileSpace*)AtomicLong.Load(&page->Mapping);

    /// <summary>Makes page the page at index of file; the page is locked and in no mapping.</summary>
    public static void SetFile(Page* page, FileSpace* file, long index)
    {
        AtomicLong.Store(&page->Index, index);
        AtomicLong.Store(&page->Mapping, (long)file);
    }

    /// <summary>page gets old's place (mapping and index); page is not yet reachable.</summary>
    public static void CopyPlace(Page* old, Page* page)
    {
        AtomicLong.Store(&page->Index, AtomicLong.Load(&old->Index));
        AtomicLong.Store(&page->Mapping, AtomicLong.Load(&old->Mapping));
    }

    /// <summary>The page belongs to no mapping any more.</summary>
    public static void Clear(Page* page) => AtomicLong.Store(&page->Mapping, 0);
}
