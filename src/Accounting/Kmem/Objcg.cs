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
    /// <summary>I: 1 = the root's own: whoever it names was never counted (7.1; a page reparented up to the root was).</summary>
    [FieldOffset(112)] public Guarded<int> IsRoot;

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
        Guarded<int>.Set(&objcg->IsRoot, 0);
        return objcg;
    }

    /// <summary>The root's own: never released, so its counters need no memory of their own.</summary>
    internal static void InitRoot(Objcg* objcg, Memcg* root)
    {
        PerCpuRef.Init(&objcg->Ref, null, null);
        AtomicPtr<Accounting.Memcg>.Init(&objcg->Memcg, root);
        AtomicInt.Init(&objcg->Residue, 0);
        Guarded<int>.Set(&objcg->Listed, 0);
        Guarded<int>.Set(&objcg->IsRoot, 1);
    }

    /// <summary>Nobody has seen it: it goes back at once.</summary>
    internal static void Discard(in ThisCpu cpu, Objcg* objcg)
    {
        Kmalloc.Free(in cpu, PerCpuRef.Exit(&objcg->Ref));
        Kmalloc.Free(in cpu, objcg);
    }

    /// <summary>After its release: freed when no reader can look at it any more.</summary>
    public static void FreeRcu(in ThisCpu cpu, Objcg* objcg) => Native.Rcu.Call(in cpu, &objcg->Rcu, &Free);

    private static void Free(in ThisCpu cpu, RcuHead* head) => Discard(in cpu, (Objcg*)((byte*)head - RcuOffset));

    /// <summary>
    /// get_obj_cgroup_from_memcg: the nearest one from memcg upwards, with a reference; null at the root. A group whose word is null is
    /// offline, not unaccounted (E1). A tryget that succeeds after the kill is harmless: zero is not seen within this section (E2).
    /// </summary>
    public static Objcg* Get(in ThisCpu cpu, Memcg* memcg)
    {
        Native.Rcu.ReadLock(in cpu);
        Objcg* found = null;
        for (; memcg != null && found == null; memcg = Accounting.Memcg.ParentOf(memcg)) found = TryGet(in cpu, &MemcgKmem.Of(memcg)->Objcg);
        Native.Rcu.ReadUnlock(in cpu);
        return found;
    }

    /// <summary>The same where a group has one per node (7.1). The root has its own there, so this finds one always.</summary>
    public static Objcg* GetOnNode(in ThisCpu cpu, Memcg* memcg, int node)
    {
        Native.Rcu.ReadLock(in cpu);
        Objcg* found = null;
        for (; found == null; memcg = Accounting.Memcg.ParentOf(memcg)) found = TryGet(in cpu, &NodeObjcg.Of(memcg, node)->Active);
        Native.Rcu.ReadUnlock(in cpu);
        return found;
    }

    /// <summary>What the word names, with a reference; null when there is none to be had: a pointer without reference must not escape.</summary>
    private static Objcg* TryGet(in ThisCpu cpu, AtomicPtr<Objcg>* word)
    {
        Objcg* objcg = AtomicPtr<Objcg>.Load(word);
        return objcg != null && PerCpuRef.TryGet(in cpu, &objcg->Ref) ? objcg : null;
    }

    /// <summary>
    /// The switch, for any number of objects: new ones find NULL (E1), and every objcg of the list, the active one included, is the parent's (I11).
    /// Returns the active one, whose base reference the caller kills after the lock. objcg_lock, a leaf (E9).
    /// </summary>
    internal static Objcg* Reparent(in ThisCpu cpu, AtomicPtr<Objcg>* word, ListHead* owned, ListHead* parents, Memcg* parent)
    {
        LockWord* l = &SlabState.Of(in cpu)->ObjcgLock;
        TestAndSetLock.Acquire(in cpu, l); // objcg_lock is substrate: nobody on a hot path takes it
        Objcg* active = AtomicPtr<Objcg>.Exchange(word, null);
        IntrusiveList.Add(owned, &active->List);
        Guarded<int>.Set(&active->Listed, 1);
        for (ListHead* at = IntrusiveList.First(owned); at != owned; at = IntrusiveList.NextOf(at))
            AtomicPtr<Accounting.Memcg>.Store(&OfList(at)->Memcg, parent); // (J2) pairs with (J1) in Objcg.cs
        IntrusiveList.Splice(parents, owned);
        TestAndSetLock.Release(in cpu, l);
        return active;
    }

    /// <summary>Off its owner's list, under objcg_lock; then freed by RCU.</summary>
    internal static void Unlink(in ThisCpu cpu, Objcg* objcg)
    {
        LockWord* l = &SlabState.Of(in cpu)->ObjcgLock;
        TestAndSetLock.Acquire(in cpu, l);
        if (Guarded<int>.Get(&objcg->Listed) == 0) ReleasedOnline(AtomicPtr<Accounting.Memcg>.Load(&objcg->Memcg)); // the active one is on no list
        IntrusiveList.Remove(&objcg->List);
        Guarded<int>.Set(&objcg->Listed, 0);
        TestAndSetLock.Release(in cpu, l);
        FreeRcu(in cpu, objcg);
    }

    /// <summary>Never released online: offline kills the base reference, and nobody else may have put it.</summary>
    internal static void ReleasedOnline(Memcg* memcg) => Bug.Fail("objcg: released while its group is online, id", Guarded<int>.Get(&memcg->Id));

    /// <summary>get_mem_cgroup_from_objcg: the owner with a css reference; put by Css.Put.</summary>
    public static Memcg* GetOwner(in ThisCpu cpu, Objcg* objcg)
    {
        Native.Rcu.ReadLock(in cpu);
        Memcg* memcg = AtomicPtr<Accounting.Memcg>.Load(&objcg->Memcg); // (J1) pairs with (J2) in Objcg.cs and (J1) pairs with (J3) in ReparentPointer.cs
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
        Memcg* memcg = GetOwner(in cpu, objcg); // a reference: the stock may remember it
        Charging.UnchargeKmem<TC>(in cpu, memcg, pages);
        Css.Put(in cpu, &memcg->Css); // got by GetOwner
    }

    internal static Objcg* OfList(ListHead* node) => (Objcg*)((byte*)node - ListOffset);
}
