// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Pages on their way to a list: a small array per CPU, so that the list's lock is taken once per batch. Each page in it is held by a
/// reference. Linux: struct pagevec and the lru_add_pvec, include/linux/pagevec.h (14 in 2012, 31 today).
/// </summary>
/// <remarks>A page here is charged, has no LRU bit and is invisible to catchers (B9): whoever empties a group drains all CPUs first.</remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
public unsafe struct Pagevec
{
    /// <summary>PAGEVEC_SIZE of 2012.</summary>
    public const int Size = 14;
    /// <summary>Where the CPU's vectors begin: behind Accounting's head.</summary>
    public const int Offset = CpuArea.MmOffset + 128;

    /// <summary>C: pages waiting.</summary>
    [FieldOffset(0)] public Guarded<int> Count;
    /// <summary>C: first of <see cref="Size"/> pages.</summary>
    [FieldOffset(8)] public GuardedPtr<Page> First;

    /// <summary>This CPU's add vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Pagevec* AddOf(CpuArea* area) => (Pagevec*)((byte*)area + Offset);

    /// <summary>pagevec_add: false when that filled it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Add(Pagevec* vec, Page* page)
    {
        int n = Guarded<int>.Get(&vec->Count);
        GuardedPtr<Page>.Set(&vec->First + n, page);
        Guarded<int>.Set(&vec->Count, n + 1);
        return n + 1 < Size;
    }

    /// <summary>Moves all pages to pages (room for <see cref="Size"/>) and returns how many there were.</summary>
    public static int Take(Pagevec* vec, Page** pages)
    {
        int n = Guarded<int>.Get(&vec->Count);
        for (int i = 0; i < n; i++) pages[i] = GuardedPtr<Page>.Get(&vec->First + i);
        Guarded<int>.Set(&vec->Count, 0);
        return n;
    }
}
