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
}
