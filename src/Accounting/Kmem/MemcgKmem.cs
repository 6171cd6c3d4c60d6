// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What a group keeps for the kmem axis, in its slot. Each design uses its own half.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 128)]
public unsafe struct MemcgKmem
{
    /// <summary>R: under the design's lock: what new objects point to; null = offline: ask the parent (E1). The root has none.</summary>
    [FieldOffset(0)] public AtomicPtr<Objcg> Objcg;
    /// <summary>L: under the design's lock: objcgs this group owns: inherited ones, and (2019) its own.</summary>
    [FieldOffset(8)] public ListHead Owned;
    /// <summary>A: bytes charged to this group, below a page, that nobody uses (2019; later in the objcg).</summary>
    [FieldOffset(24)] public AtomicInt Residue;

    /// <summary>L: slab mutex: copies of caches this group pays for. Set up with the group, active or not (patch 4 of 2014).</summary>
    [FieldOffset(64)] public ListHead Caches;

    /// <summary>The group's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static MemcgKmem* Of(Memcg* memcg) => Memcg.Slot<MemcgKmem>(memcg, Memcg.KmemSlot);

    /// <summary>Empty lists, no objcg.</summary>
    public static void Init(Memcg* memcg)
    {
        MemcgKmem* kmem = Of(memcg);
        AtomicPtr<Objcg>.Init(&kmem->Objcg, null);
        IntrusiveList.Init(&kmem->Owned);
        AtomicInt.Init(&kmem->Residue, 0);
        IntrusiveList.Init(&kmem->Caches);
    }
}
