// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>A range of a file mapped at a range of an address space. Linux: vm_area_struct on i_mmap.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 32)]
public struct FileMapping
{
    /// <summary>I: the address space (MmStruct*).</summary>
    [FieldOffset(0)] public Guarded<nint> Space;
    /// <summary>I: its first entry.</summary>
    [FieldOffset(8)] public Guarded<long> FirstEntry;
    /// <summary>I: the file page at that entry.</summary>
    [FieldOffset(16)] public Guarded<long> FirstIndex;
    /// <summary>I: pages.</summary>
    [FieldOffset(24)] public Guarded<long> Count;
}

/// <summary>A sparse file: pages exist only in the page cache. Linux: struct address_space.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct FileSpace
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 192;
    /// <summary>Most mappings of one file.</summary>
    public const int MaxMappings = 4;

    /// <summary>A: pages in the cache (nrpages).</summary>
    [FieldOffset(0)] public AtomicLong Pages;
    [FieldOffset(8)] private AtomicInt mappings;
    [FieldOffset(64)] private FileMapping first;

    /// <summary>An empty file that nobody maps.</summary>
    public static void Init(FileSpace* file)
    {
        AtomicLong.Init(&file->Pages, 0);
        AtomicInt.Init(&file->mappings, 0);
    }

    /// <summary>mmap: at set-up, before the range is used, by one caller at a time. False when the file has <see cref="MaxMappings"/>.</summary>
    public static bool TryMap(FileSpace* file, MmStruct* space, long firstEntry, long firstIndex, long count)
    {
        int n = AtomicInt.Load(&file->mappings);
        if (n == MaxMappings) return false;
        FileMapping* m = MappingAt(file, n);
        Guarded<nint>.Set(&m->Space, (nint)space);
        Guarded<long>.Set(&m->FirstEntry, firstEntry);
        Guarded<long>.Set(&m->FirstIndex, firstIndex);
        Guarded<long>.Set(&m->Count, count);
        AtomicInt.Store(&file->mappings, n + 1); // publishes the mapping
        return true;
    }

    /// <summary>Number of mappings.</summary>
    public static int Mappings(FileSpace* file) => AtomicInt.Load(&file->mappings);

    /// <summary>Mapping i, below <see cref="Mappings"/>.</summary>
    public static FileMapping* MappingAt(FileSpace* file, int i) => &file->first + i;
}
