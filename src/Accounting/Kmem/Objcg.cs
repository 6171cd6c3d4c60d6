// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// A counted pointer to a group. Many objects share one; when the group goes, this one word changes and all of them have a new owner.
/// Linux: struct mem_cgroup_ptr (2019), struct obj_cgroup (5.9).
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct Objcg
{
    /// <summary>Bytes of one (Linux 56: the percpu_ref is two words there, and list and rcu share; here E5 cannot happen).</summary>
    public const int Bytes = 128;
    private const int RcuOffset = 96;
    internal const int ListOffset = 80;

    /// <summary>A: 1 while it is its group's active one, 1 per object, page and stock.</summary>
    [FieldOffset(0)] public PerCpuRef Ref;
    /// <summary>R: under the design's lock: the owner; moves to the parent when the owner goes offline, never back.</summary>
    [FieldOffset(64)] public AtomicPtr<Memcg> Memcg;
    /// <summary>A: bytes below a page, charged through it and used by nobody (nr_charged_bytes).</summary>
    [FieldOffset(72)] public AtomicInt Residue;
    /// <summary>L: under the design's lock: 1 while on its owner's list.</summary>
    [FieldOffset(76)] public Guarded<int> Listed;
    /// <summary>L: under the design's lock: node on its owner's list.</summary>
    [FieldOffset(ListOffset)] public ListHead List;
    /// <summary>The deferred free.</summary>
    [FieldOffset(RcuOffset)] public RcuHead Rcu;

    /// <summary>One reference, the caller's; owned by memcg, on no list. Null when there is no memory.</summary>
    public static Objcg* Create(in ThisCpu cpu, Memcg* memcg, delegate*<in ThisCpu, PerCpuRef*, void> release)
    {
        var objcg = (Objcg*)Kmalloc.Alloc(in cpu, Bytes);
        if (objcg == null) return null;
        void* counters = Kmalloc.AllocZeroed(in cpu, (int)PerCpuRef.BytesFor(Guarded<int>.Get(&cpu.Table->Count)));
        if (counters == null)
        {
            Kmalloc.Free(in cpu, objcg);
            return null;
        }
        PerCpuRef.Init(&objcg->Ref, counters, release);
        AtomicPtr<Accounting.Memcg>.Init(&objcg->Memcg, memcg);
        AtomicInt.Init(&objcg->Residue, 0);
        Guarded<int>.Set(&objcg->Listed, 0);
        return objcg;
    }

    /// <summary>After its release: freed when no reader can look at it any more.</summary>
    public static void FreeRcu(in ThisCpu cpu, Objcg* objcg) => Native.Rcu.Call(in cpu, &objcg->Rcu, &Free);

    private static void Free(in ThisCpu cpu, RcuHead* head)
    {
        var objcg = (Objcg*)((byte*)head - RcuOffset);
        Kmalloc.Free(in cpu, PerCpuRef.Exit(&objcg->Ref));
        Kmalloc.Free(in cpu, objcg);
    }

    /// <summary>
    /// get_obj_cgroup_from_memcg: the nearest one from memcg upwards, with a reference; null at the root. A group whose word is null is
    /// offline, not unaccounted (E1). A tryget that succeeds after the kill is harmless: zero is not seen within this section (E2).
    /// </summary>
    public static Objcg* Get(in ThisCpu cpu, Memcg* memcg)
    {
        Native.Rcu.ReadLock(in cpu);
        Objcg* found = null;
        for (; memcg != null && found == null; memcg = Accounting.Memcg.ParentOf(memcg))
        {
            found = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(memcg)->Objcg);
            if (found != null && !PerCpuRef.TryGet(in cpu, &found->Ref)) found = null; // reset, or a pointer without reference escapes
        }
        Native.Rcu.ReadUnlock(in cpu);
        return found;
    }

    /// <summary>get_mem_cgroup_from_objcg: the owner with a css reference; put by Css.Put.</summary>
    public static Memcg* GetOwner(in ThisCpu cpu, Objcg* objcg)
    {
        Native.Rcu.ReadLock(in cpu);
        Memcg* memcg = AtomicPtr<Accounting.Memcg>.Load(&objcg->Memcg); // (J1) pairs with (J2) in ObjCgroup.cs and (J1) pairs with (J3) in ReparentPointer.cs
        // An owner without references was switched before its last put (D8): the new one is there or about to be; its store ends the wait.
        while (!Css.TryGet(in cpu, &memcg->Css)) memcg = AtomicPtr<Accounting.Memcg>.AwaitNot(&objcg->Memcg, memcg);
        Native.Rcu.ReadUnlock(in cpu);
        return memcg;
    }

    /// <summary>Charges whole pages to whoever owns objcg now.</summary>
    public static bool TryChargePages<TC>(in ThisCpu cpu, Objcg* objcg, int pages, Gfp gfp) where TC : struct, IMemoryController
    {
        Memcg* memcg = GetOwner(in cpu, objcg);
        bool charged = Charging.TryChargeKmem<TC>(in cpu, memcg, pages, gfp);
        Css.Put(in cpu, &memcg->Css); // got by GetOwner
        return charged;
    }

    /// <summary>Takes whole pages off whoever owns objcg now: its owner of before the switch, which keeps them as residue, or of after (E6).</summary>
    public static void UnchargePages<TC>(in ThisCpu cpu, Objcg* objcg, int pages) where TC : struct, IMemoryController
    {
        Native.Rcu.ReadLock(in cpu); // a group is recycled a grace period after its last reference: no reference needed to subtract
        Charging.UnchargeKmem<TC>(in cpu, AtomicPtr<Accounting.Memcg>.Load(&objcg->Memcg), pages);
        Native.Rcu.ReadUnlock(in cpu);
    }

    internal static Objcg* OfList(ListHead* node) => (Objcg*)((byte*)node - ListOffset);
}
