// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Broken twins of the books of kernel memory: each test damages one thing and reads what the audit says.</summary>
public sealed unsafe class KmemAuditTests
{
    private static void Expect<TC>(string text, Action<KmemBox<TC>, nint, nint> damage) where TC : struct, IMemoryController
    {
        using var box = new KmemBox<TC>();
        Memcg* memcg = box.Group();
        void* obj = box.Charged(memcg);
        box.AssertBalanced();
        damage(box, (nint)memcg, (nint)obj);
        Balance balance = box.Core.Audit(quiesce: false);
        Assert.Contains(balance.Wrong, w => w.Contains(text, StringComparison.Ordinal));
    }

    private static Page* SlabOf(in ThisCpu cpu, nint obj) => MemMap.PageOfAddress(MemMap.Of(cpu), (void*)obj);
    private static GuardedPtr<Objcg>* SlotOf(in ThisCpu cpu, nint obj) => ObjVector.Find(cpu, KmemCacheState.Of(SlabOf(cpu, obj)), SlabOf(cpu, obj), (void*)obj);

    [Fact]
    public void A_kmem_counter_that_lost_a_page_is_seen() =>
        Expect<PinCaches>("kmem usage 0, its kernel pages are 1", (box, memcg, obj) => PinCaches.CancelKmem(box.Cpu(), (Memcg*)memcg, 1));

    [Fact]
    public void An_object_that_lost_its_owner_is_seen_by_its_bytes() =>
        Expect<ObjectOwners>("no multiple of a page (I2)", (box, memcg, obj) => GuardedPtr<Objcg>.Set(SlotOf(box.Cpu(), obj), null));

    [Fact]
    public void An_object_that_lost_its_owner_is_seen_by_the_references() =>
        Expect<ObjectOwners>("2 references, 1 holders are found (I13)", (box, memcg, obj) => GuardedPtr<Objcg>.Set(SlotOf(box.Cpu(), obj), null));

    [Fact]
    public void A_leaked_reference_on_a_pointer_is_seen() =>
        Expect<PointerByObject>("3 references, 2 holders are found (I13)", (box, memcg, obj) =>
            PerCpuRef.Get(box.Cpu(), &AtomicPtr<Objcg>.Load(&MemcgKmem.Of((Memcg*)memcg)->Objcg)->Ref));

    [Fact]
    public void A_leaked_reference_on_the_objcg_of_a_node_is_seen() =>
        Expect<PagesAndObjects>("3 references, 2 holders are found (I13)", (box, memcg, obj) =>
            PerCpuRef.Get(box.Cpu(), &AtomicPtr<Objcg>.Load(&NodeObjcg.Of((Memcg*)memcg, 0)->Active)->Ref));

    [Fact]
    public void A_leaked_reference_on_a_group_is_a_pin_that_nobody_explains() // I19
    {
        using var box = new KmemBox<ObjectOwners>();
        Memcg* memcg = box.Group();
        Css.Get(box.Cpu(), &memcg->Css);
        box.Remove(memcg);
        DyingGroup zombie = Assert.Single(box.Zombies());
        Assert.Equal(1, zombie.Other);
        Assert.Equal(new Dictionary<string, long> { ["other"] = 1 }, DyingGroups.Breakdown([zombie]));
        Css.Put(box.Cpu(), &memcg->Css);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void An_objcg_whose_owner_is_freed_is_seen() => // I10
        Expect<ObjectOwners>("which is Free", (box, memcg, obj) =>
        {
            Memcg* gone = box.Group();
            box.Remove(gone);
            AtomicPtr<Memcg>.Store(&AtomicPtr<Objcg>.Load(&MemcgKmem.Of((Memcg*)memcg)->Objcg)->Memcg, gone);
        });

    [Fact]
    public void An_objcg_on_the_wrong_list_is_seen() =>
        Expect<ObjectOwners>("names another owner (I11)", (box, memcg, obj) =>
            AtomicPtr<Memcg>.Store(&AtomicPtr<Objcg>.Load(&MemcgKmem.Of((Memcg*)memcg)->Objcg)->Memcg, box.Core.Accounting.Root));

    [Fact]
    public void A_stock_of_nobody_is_seen() =>
        Expect<ObjectOwners>("stocks 96 bytes of nobody", (box, memcg, obj) => AtomicInt.Store(&SlabCpu.Of(box.Core.Cpus.Area(0))->Bytes, 96));

    [Fact]
    public void A_slot_with_another_groups_cache_is_seen() =>
        Expect<MoveCaches>("holds a cache of group", (box, memcg, obj) =>
        {
            CacheSlots* slots = AtomicPtr<CacheSlots>.Load(&box.Dentry->Slots);
            AtomicPtr<SlabCache>.Store(CacheSlots.At(slots, 0), CacheCreation.Find(box.Dentry, Guarded<int>.Get(&((Memcg*)memcg)->Id)));
        });

    [Fact]
    public void A_copy_that_is_on_no_groups_list_is_seen() =>
        Expect<MoveCachesRef>("1 on lists of roots, 0 on lists of groups (I14)", (box, memcg, obj) => IntrusiveList.Init(&MemcgKmem.Of((Memcg*)memcg)->Caches));

    [Fact]
    public void A_copy_whose_owner_is_not_whose_list_it_is_on_is_seen() =>
        Expect<MoveCaches>("belongs to another (I11)", (box, memcg, obj) =>
            AtomicLong.Store(&CacheCreation.Find(box.Dentry, Guarded<int>.Get(&((Memcg*)memcg)->Id))->Owner, (long)box.Core.Accounting.Root));

    [Fact]
    public void A_slab_that_names_another_owner_than_its_cache_is_seen() =>
        Expect<PointerByPage>("names another owner than its cache (I15)", (box, memcg, obj) =>
        {
            Objcg* other = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(box.Group())->Objcg);
            AtomicLong.Store(&SlabOf(box.Cpu(), obj)->Memcg, (long)other | KmemWord.Owner);
        });

    [Fact]
    public void An_empty_slab_with_an_owner_left_in_its_vector_fails_at_once()
    {
        using var box = new KmemBox<ObjectOwners>();
        Memcg* memcg = box.Group();
        void* obj = box.Alloc(memcg);
        Page* slab = SlabOf(box.Cpu(), (nint)obj);
        nint at = (nint)slab;
        string message = Assert.Throws<BugException>(() => ObjVector.Release(box.Cpu(), KmemCacheState.Of((Page*)at), (Page*)at)).Message;
        Assert.Contains("still has an owner", message, StringComparison.Ordinal);
    }

    private static void Fails<TC>(string text, Action<KmemBox<TC>, nint, nint> damage) where TC : struct, IMemoryController
    {
        var box = new KmemBox<TC>(); // not disposed: it is damaged
        Memcg* memcg = box.Group();
        nint group = (nint)memcg, obj = (nint)box.Charged(memcg);
        Assert.Contains(text, Assert.Throws<BugException>(() => damage(box, group, obj)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_roots_kmem_counter_has_what_it_inherited_and_what_was_freed_since() // I1b
    {
        using var box = new KmemBox<ObjectOwners>();
        Memcg* memcg = box.Group(), root = box.Core.Accounting.Root;
        void* obj = box.Charged(memcg);
        box.Remove(memcg);
        box.AssertBalanced();
        Assert.Equal((1, 0), (KmemBox<ObjectOwners>.Kmem(root), AtomicLong.Load(&box.Tree->RootDrift)));
        box.Free(obj);
        box.AssertBalanced();
        Assert.Equal((1, 1), (KmemBox<ObjectOwners>.Kmem(root), AtomicLong.Load(&box.Tree->RootDrift)));
    }

    [Fact]
    public void A_drift_of_the_root_that_is_more_than_what_was_freed_is_seen() => // I1b
        Expect<MoveCaches>("0 were freed as the root's (I1b)", (box, memcg, obj) => MoveCaches.CancelKmem(box.Cpu(), box.Core.Accounting.Root, 1));

    [Fact]
    public void A_slot_of_the_stock_with_pages_of_nobody_is_seen() => // I3
        Expect<ObjectOwners>("pages of nobody (I3)", (box, memcg, obj) => AtomicByte.Store(&StockOf(box)->Pages + 6, 3));

    [Fact]
    public void A_group_in_two_slots_of_a_stock_is_seen() => // I3
        Expect<ObjectOwners>("are the same group's (I3)", (box, memcg, obj) =>
        {
            AtomicPtr<Memcg>.Store(&StockOf(box)->Cached + 4, (Memcg*)memcg);
            AtomicPtr<Memcg>.Store(&StockOf(box)->Cached + 5, (Memcg*)memcg);
        });

    private static SevenSlotLine* StockOf(KmemBox<ObjectOwners> box) => (SevenSlotLine*)((byte*)box.Core.Cpus.Area(0) + CpuArea.AxesOffset);

    [Fact]
    public void A_single_slot_with_more_than_a_batch_is_seen() => // I3
        Expect<PinCaches>("pages, at most 32 (I3)", (box, memcg, obj) => AtomicInt.Store(&((SingleSlot*)((byte*)box.Core.Cpus.Area(0) + CpuArea.AxesOffset))->Pages, 33));

    [Fact]
    public void A_charge_of_a_refused_allocation_that_stays_is_seen() => // I16
        Expect<PointerByPage>("kmem usage 2, its kernel pages are 1", (box, memcg, obj) => Charging.TryChargeKmem<PointerByPage>(box.Cpu(), (Memcg*)memcg, 1, Gfp.Kernel));

    /// <summary>A removed group that somebody still holds, so that it can be damaged.</summary>
    private static Memcg* Held<TC>(KmemBox<TC> box) where TC : struct, IMemoryController
    {
        Memcg* gone = box.Group();
        Css.Get(box.Cpu(), &gone->Css);
        box.Remove(gone);
        return gone;
    }

    [Fact]
    public void An_offline_group_that_hands_out_an_objcg_is_seen() => // I10
        Expect<ObjectOwners>("still hands out its objcg (I10)", (box, memcg, obj) =>
            AtomicPtr<Objcg>.Store(&MemcgKmem.Of(Held(box))->Objcg, AtomicPtr<Objcg>.Load(&MemcgKmem.Of((Memcg*)memcg)->Objcg)));

    [Fact]
    public void An_offline_group_that_owns_a_copy_is_seen() => // I10
        Expect<MoveCaches>("still owns copies of caches (I10)", (box, memcg, obj) =>
        {
            SlabCache* copy = CacheCreation.Find(box.Dentry, Guarded<int>.Get(&((Memcg*)memcg)->Id));
            IntrusiveList.Move(&MemcgKmem.Of(Held(box))->Caches, &copy->Mine);
        });

    [Fact]
    public void A_second_living_copy_for_one_group_is_seen() => // I14, D12
        Expect<MoveCaches>("two living copies of one cache (I14)", (box, memcg, obj) =>
        {
            SlabCache* second = SlabCaches.Copy<MoveCaches>(box.Cpu(), box.Dentry, Guarded<int>.Get(&((Memcg*)memcg)->Id), perCpuRef: false);
            ReparentCaches.Bind(box.Cpu(), second, (Memcg*)memcg);
            IntrusiveList.Add(&MemcgKmem.Of((Memcg*)memcg)->Caches, &second->Mine);
        });

    [Fact]
    public void A_request_for_an_offline_group_is_seen() => // I14, D2
        Expect<MoveCaches>("a copy is still to be made for offline group", (box, memcg, obj) =>
        {
            var request = (CacheRequest*)Kmalloc.AllocZeroed(box.Cpu(), sizeof(CacheRequest));
            GuardedPtr<Memcg>.Set(&request->Memcg, Held(box));
            IntrusiveList.AddTail(&box.Slab.State->Queue, &request->List);
        });

    [Fact]
    public void A_cache_in_the_slot_of_an_offline_group_is_seen() => // I14
        Expect<MoveCaches>("still has a cache in its slot (I14)", (box, memcg, obj) =>
            AtomicInt.Store(&((Memcg*)memcg)->Css.State, (int)CssState.Offline));

    [Fact]
    public void An_objcg_released_with_a_part_of_a_page_fails_at_once() => // I12, E8
        Fails<ObjectOwners>("released with a part of a page charged", (box, memcg, obj) =>
        {
            AtomicInt.Add(&AtomicPtr<Objcg>.Load(&MemcgKmem.Of((Memcg*)memcg)->Objcg)->Residue, 5);
            box.Remove((Memcg*)memcg);
            box.Free((void*)obj);
            box.Settle();
        });

    [Fact]
    public void An_objcg_released_while_its_group_is_online_fails_at_once() => // I12
        Fails<ObjectOwners>("released while its group is online", (box, memcg, obj) => LastPut(box, AtomicPtr<Objcg>.Load(&MemcgKmem.Of((Memcg*)memcg)->Objcg)));

    [Fact]
    public void A_pointer_released_while_its_group_is_online_fails_at_once() => // I12, E3
        Fails<PointerByObject>("released while its group is online", (box, memcg, obj) => LastPut(box, AtomicPtr<Objcg>.Load(&MemcgKmem.Of((Memcg*)memcg)->Objcg)));

    private static void LastPut<TC>(KmemBox<TC> box, Objcg* objcg) where TC : struct, IMemoryController
    {
        PerCpuRef.Init(&objcg->Ref, null, (delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&objcg->Ref.Release));
        PerCpuRef.Put(box.Cpu(), &objcg->Ref);
    }

    [Fact]
    public void A_group_whose_last_reference_goes_while_it_is_online_fails_at_once() => // I17
        Fails<ObjectOwners>("the last reference is gone before the group is offline", (box, memcg, obj) =>
        {
            PerCpuRef* r = &((Memcg*)memcg)->Css.Ref;
            PerCpuRef.Init(r, null, (delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&r->Release));
            PerCpuRef.Put(box.Cpu(), r);
        });

    [Fact]
    public void A_group_that_goes_offline_before_its_children_fails_at_once() => // I18
        Fails<ObjectOwners>("offline before its children (I18)", (box, memcg, obj) =>
        {
            Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), (Memcg*)memcg));
            Guarded<int>.Set(&((Memcg*)memcg)->Css.OnlineChildren, 1);
            box.Settle();
        });

    [Fact]
    public void An_id_that_is_neither_used_nor_free_is_seen() => // I20
        Expect<ObjectOwners>("counted (I20)", (box, memcg, obj) => IntrusiveList.Remove(IntrusiveList.First(&box.Tree->Free)));

    [Fact]
    public void A_group_that_believes_to_be_another_is_seen() => // I20
        Expect<MoveCaches>("believes that it is", (box, memcg, obj) =>
        {
            Memcg* other = box.Group();
            Guarded<int>.Set(&other->Id, Guarded<int>.Get(&((Memcg*)memcg)->Id));
        });
}
