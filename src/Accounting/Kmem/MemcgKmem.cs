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

    /// <summary>O: written under the tree lock: 1 = the group's kernel objects are charged, where that is opt-in (3.8 to 4.4: KMEM_ACCOUNTED_ACTIVE).</summary>
    [FieldOffset(28)] public AtomicInt Active;

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
        AtomicInt.Init(&kmem->Active, 1);
    }

    /// <summary>
    /// memcg_activate_kmem, by the first write to memory.kmem.limit_in_bytes: from now on memcg's objects are charged, and those of its children to come. False
    /// (EBUSY) while a task or a child is in it, because what they have already was charged to nobody.
    /// </summary>
    public static bool TryActivate(in ThisCpu cpu, Memcg* memcg)
    {
        LockWord* l = &Memcg.TreeOf(memcg)->Lock;
        TestAndSetLock.Acquire(in cpu, l); // activate_kmem_mutex
        bool active = AtomicInt.Load(&Of(memcg)->Active) != 0;
        bool may = active || (AtomicInt.Load(&memcg->Tasks) == 0 && Guarded<int>.Get(&memcg->Css.OnlineChildren) == 0 && Css.StateOf(&memcg->Css) == CssState.Online);
        if (may) AtomicInt.Store(&Of(memcg)->Active, 1);
        TestAndSetLock.Release(in cpu, l);
        return may;
    }
}
