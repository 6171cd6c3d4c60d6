// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>
/// One range of addresses for all frames and one for all struct pages, so that pfn, struct page and frame follow from each other by
/// an add and a shift. Each node owns a run of pfns; its part of either range is placed on that node. Linux: SPARSEMEM_VMEMMAP,
/// include/asm-generic/memory_model.h. Overhead: 64 / 4096 = 1/64.
/// </summary>
[SharedState, StructLayout(LayoutKind.Sequential)]
public unsafe struct MemMap
{
    /// <summary>Bytes of a frame.</summary>
    public const int FrameBytes = 4096;
    /// <summary>Its logarithm.</summary>
    public const int FrameShift = 12;

    /// <summary>I: struct page of pfn 0 (vmemmap).</summary>
    public GuardedPtr<Page> Pages;
    /// <summary>I: frame of pfn 0.</summary>
    public GuardedPtr<byte> Frames;
    /// <summary>I: number of frames; pfns are 0 to one less.</summary>
    public Guarded<long> Count;

    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>The map behind this CPU's allocator.</summary>
    [MethodImpl(Inline)]
    public static MemMap* Of(in ThisCpu cpu) => &AllocatorState.Of(in cpu)->Map;

    /// <summary>pfn_to_page. The caller knows that pfn exists.</summary>
    [MethodImpl(Inline)]
    public static Page* PageOf(MemMap* map, Pfn pfn) => GuardedPtr<Page>.Get(&map->Pages) + pfn.Value;

    /// <summary>page_to_pfn.</summary>
    [MethodImpl(Inline)]
    public static Pfn PfnOf(MemMap* map, Page* page) => new(((nint)page - (nint)GuardedPtr<Page>.Get(&map->Pages)) >> Page.Shift);

    /// <summary>page_address: the frame's first byte.</summary>
    [MethodImpl(Inline)]
    public static byte* FrameOf(MemMap* map, Page* page)
        => GuardedPtr<byte>.Get(&map->Frames) + (((nint)page - (nint)GuardedPtr<Page>.Get(&map->Pages)) << (FrameShift - Page.Shift));

    /// <summary>virt_to_page: the struct page of the frame that address lies in.</summary>
    [MethodImpl(Inline)]
    public static Page* PageOfAddress(MemMap* map, void* address)
        => GuardedPtr<Page>.Get(&map->Pages) + (((nint)address - (nint)GuardedPtr<byte>.Get(&map->Frames)) >> FrameShift);

    /// <summary>True when page points at a struct page of this map; misaligned pointers are none.</summary>
    [MethodImpl(Inline)]
    public static bool Owns(MemMap* map, Page* page) => Owns(GuardedPtr<Page>.Get(&map->Pages), Guarded<long>.Get(&map->Count), page);

    /// <summary>As <see cref="Owns(MemMap*, Page*)"/> with the map's values at hand. The rotation makes a misaligned offset a huge index.</summary>
    [MethodImpl(Inline)]
    internal static bool Owns(Page* pages, long count, Page* page)
        => System.Numerics.BitOperations.RotateRight((ulong)((nint)page - (nint)pages), Page.Shift) < (ulong)count;
}
