// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
// The page-table lock is substrate, no axis: its kind is fixed.
using PageTableLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>
/// An address space of private anonymous memory: one level of page table entries, one lock per 512 of them (a page table page), and the
/// group that pays for what is faulted in. Linux: struct mm_struct with its page tables and mm_owner's css_set.
/// </summary>
/// <remarks>No rmap chains: a private page has one place, named by page->mapping and page->index, so reclaim finds its entry from there.</remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 128)]
public unsafe struct MmStruct
{
    /// <summary>Entries one lock guards.</summary>
    public const int EntriesPerLock = 512;

    /// <summary>A: the group that pays; read under RCU. Counted in its Tasks: a group with a space in it cannot be removed.</summary>
    [FieldOffset(0)] public AtomicPtr<Memcg> Memcg;
    /// <summary>I: number of entries.</summary>
    [FieldOffset(8)] public Guarded<long> Entries;
    /// <summary>I: first entry, a <see cref="Pte"/>; L: under its lock.</summary>
    [FieldOffset(16)] public GuardedPtr<GuardedPtr<Page>> Table;
    /// <summary>I: first lock; lock i guards entries 512i to 512i+511. A line each.</summary>
    [FieldOffset(24)] public GuardedPtr<byte> Locks;

    /// <summary>I: next space of the family that fork made, a ring; written by <see cref="Join"/> before either space is used by a second CPU.</summary>
    [FieldOffset(32)] private Guarded<nint> family;

    /// <summary>Bytes of table and locks for a space of entries pages.</summary>
    public static long TableBytes(long entries) => LocksAt(entries) + (entries + EntriesPerLock - 1) / EntriesPerLock * CacheLine.Size;

    private static long LocksAt(long entries) => (entries * 8 + CacheLine.Size - 1) & -CacheLine.Size;

    /// <summary>Makes an empty space in memory of <see cref="TableBytes"/> zeroed bytes.</summary>
    public static void Init(MmStruct* mm, long entries, byte* memory)
    {
        AtomicPtr<Accounting.Memcg>.Init(&mm->Memcg, null);
        Guarded<long>.Set(&mm->Entries, entries);
        GuardedPtr<GuardedPtr<Page>>.Set(&mm->Table, (GuardedPtr<Page>*)memory);
        GuardedPtr<byte>.Set(&mm->Locks, memory + LocksAt(entries));
        Guarded<nint>.Set(&mm->family, (nint)mm);
        for (long i = 0; i < entries; i++) GuardedPtr<Page>.Set(Entry(mm, i), null);
        for (long i = 0; i < entries; i += EntriesPerLock) PageTableLock.Init(LockOf(mm, i));
    }

    /// <summary>The entry of one page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static GuardedPtr<Page>* Entry(MmStruct* mm, long index) => GuardedPtr<GuardedPtr<Page>>.Get(&mm->Table) + index;

    /// <summary>The lock of its page table page.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LockWord* LockOf(MmStruct* mm, long index) => (LockWord*)(GuardedPtr<byte>.Get(&mm->Locks) + (index >> 9) * CacheLine.Size);

    /// <summary>The next space in which a page of this one may be mapped at the same index; the space itself when it has no relatives.</summary>
    public static MmStruct* NextOfFamily(MmStruct* mm) => (MmStruct*)Guarded<nint>.Get(&mm->family);

    /// <summary>child becomes a relative of parent (fork), so that shared pages find all their entries.</summary>
    public static void Join(MmStruct* parent, MmStruct* child)
    {
        Guarded<nint>.Set(&child->family, Guarded<nint>.Get(&parent->family));
        Guarded<nint>.Set(&parent->family, (nint)child);
    }
}
