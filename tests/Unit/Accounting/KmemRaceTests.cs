// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Interleavings of the specification that can be played by hand, and what distinguishes the answers.</summary>
public sealed unsafe class KmemRaceTests
{
    [Fact] public void An_allocation_for_an_offline_group_is_its_parents_ObjCgroup() => NullMeansParent<ObjectOwners>(); // E1
    [Fact] public void An_allocation_for_an_offline_group_is_its_parents_ReparentPointer() => NullMeansParent<PointerByObject>();

    private static void NullMeansParent<TC>() where TC : struct, IMemoryController
    {
        using var box = new KmemBox<TC>();
        Memcg* parent = box.Group(), child = box.Group(parent);
        Css.Get(box.Cpu(), &child->Css); // somebody's stale look-up
        box.Remove(child);
        void* obj = box.Alloc(child);
        box.AssertBalanced();
        Assert.Equal(1, KmemBox<TC>.Kmem(parent));
        Assert.Equal(0, KmemBox<TC>.Kmem(child));
        box.Free(obj);
        Css.Put(box.Cpu(), &child->Css);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void A_full_page_left_over_is_uncharged_when_the_objcg_is_released() // E8
    {
        using var box = new KmemBox<ObjectOwners>(cpus: 2);
        Memcg* parent = box.Group(), a = box.Group(parent), b = box.Group(parent);
        box.Free(box.Alloc(a, cpu: 0), cpu: 0); // 1. CPU 0 stocks a
        void* obj = box.Alloc(a, cpu: 1); // 2. CPU 1 charges a page
        box.Free(box.Alloc(b, cpu: 1), cpu: 1); // 3. and turns to b: the rest becomes residue
        box.Free(obj, cpu: 0); // 4. the object's bytes go to CPU 0's stock
        box.Settle(); // 5. which is drained
        Objcg* objcg = AtomicPtr<Objcg>.Load(&MemcgKmem.Of(a)->Objcg);
        Assert.Equal(0, AtomicInt.Load(&objcg->Residue) % 4096);
        Assert.True(AtomicInt.Load(&objcg->Residue) > 0, "whole pages wait in the objcg");
        box.AssertBalanced();
        box.Remove(a);
        box.Remove(b);
        box.AssertBalanced();
        Assert.Equal((0, 0), (box.Dying, KmemBox<ObjectOwners>.Kmem(parent)));
    }

    [Fact]
    public void A_dead_groups_counter_keeps_what_its_parent_uncharges_and_that_is_right() // E6
    {
        using var box = new KmemBox<ObjectOwners>();
        Memcg* parent = box.Group(), child = box.Group(parent);
        void* obj = box.Alloc(child);
        Css.Get(box.Cpu(), &child->Css);
        box.Remove(child);
        box.Free(obj);
        box.AssertBalanced();
        Assert.Equal((0, 1), (KmemBox<ObjectOwners>.Kmem(parent), KmemBox<ObjectOwners>.Kmem(child)));
        DyingGroup zombie = Assert.Single(box.Zombies());
        Assert.Equal((1, 1), (zombie.References, zombie.Other));
        Css.Put(box.Cpu(), &child->Css);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void A_cache_that_was_chosen_before_its_group_went_is_still_safe_to_use() // D4
    {
        using var box = new KmemBox<MoveCaches>(cpus: 2);
        Memcg* memcg = box.Group();
        box.Free(box.Charged(memcg));
        Rcu.ReadLock(box.Cpu(1));
        SlabCache* chosen = CacheCreation.Find(box.Dentry, Guarded<int>.Get(&memcg->Id));
        Assert.True(chosen != null);
        SlabCaches.Destroy<MoveCaches>(box.Cpu(0), box.Dentry); // the copy's last slab goes with CPU 0's stack
        for (int i = 0; i < 10; i++) Poll.Run(box.Cpu(0));
        void* obj = KmemCache<SlabHook<MoveCaches>>.Alloc(box.Cpu(1), SlabCache.StateOf(chosen), Gfp.Kernel);
        Rcu.ReadUnlock(box.Cpu(1));
        if (obj != null) box.Free(obj, cpu: 1);
        box.AssertBalanced();
        Assert.DoesNotContain(box.Slab.List<MoveCaches>(), c => c.Owner != null);
    }

    [Fact]
    public void Shared_caches_fill_their_slabs_where_caches_per_group_do_not() // 5.1
    {
        Assert.True(Utilisation<PinCaches>() < 0.35);
        Assert.True(Utilisation<ObjectOwners>() > 0.7);
    }

    private static double Utilisation<TC>() where TC : struct, IMemoryController
    {
        using var box = new KmemBox<TC>();
        for (int i = 0; i < 40; i++)
        {
            Memcg* memcg = box.Group();
            for (int n = 0; n < 4; n++) box.Charged(memcg);
        }
        SlabInfo[] dentries = [.. box.Slab.List<TC>().Where(c => c.Name.StartsWith("dentry", StringComparison.Ordinal))];
        return (double)dentries.Sum(c => c.Objects) / dentries.Sum(c => c.Slabs * c.PerSlab);
    }

    [Fact]
    public void A_zombies_pins_are_named_by_kind()
    {
        using var box = new KmemBox<PinCaches>();
        Memcg* parent = box.Group(), child = box.Group(parent);
        MemcgLife.Attach(box.Cpu(), box.Core.Space(), child);
        box.Core.FaultAll(0, 3);
        MemcgLife.Attach(box.Cpu(), box.Core.Space(), box.Core.Accounting.Root);
        void* obj = box.Charged(child);
        Page* pipe = KmemObjects.AllocPages<PinCaches>(box.Cpu(), default, child);
        box.Remove(child);
        box.Remove(parent);
        DyingGroup[] zombies = [.. box.Zombies().OrderBy(z => z.Caches)];
        Assert.Equal(2, zombies.Length);
        Assert.Equal((1, 1, 0), (zombies[0].References, zombies[0].Children, zombies[0].Other));
        Assert.Equal((5, 1, 1, 3, 0), (zombies[1].References, zombies[1].Caches, zombies[1].KernelPages, zombies[1].Pages, zombies[1].Other));
        Assert.Contains("1 caches, 1 kernel blocks, 3 pages", zombies[1].ToString(), StringComparison.Ordinal);
        Assert.Equal(new Dictionary<string, long> { ["cache"] = 1, ["dying child"] = 1 }, DyingGroups.Breakdown(zombies));
        box.Free(obj);
        KmemObjects.FreePages<PinCaches>(box.Cpu(), pipe, default);
        box.Core.Unmap(0, 3);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void Without_memory_for_its_objcg_a_group_is_not_made()
    {
        using var box = new KmemBox<ObjectOwners>(mib: 4);
        long before = AtomicLong.Load(&box.Tree->Count);
        List<nint> pages = [];
        for (Page* p; (p = PageAllocator<NoHook>.Alloc(box.Cpu(), Gfp.Kernel)) != null;) pages.Add((nint)p);
        Memcg* memcg = box.Group();
        int made = 0;
        for (; memcg != null && made < 60; made++) memcg = box.Group();
        Assert.True(memcg == null && made < 60, "slabs at hand serve some groups, then there is no memory");
        Assert.Equal(before + made, AtomicLong.Load(&box.Tree->Count));
        foreach (nint p in pages) AllocatorBox.PutAndFree(box.Cpu(), (Page*)p);
        Assert.True(box.Group() != null);
    }

    [Fact]
    public void A_group_is_charged_once_it_was_activated_and_a_never_activated_parent_inherits() // patch 4, opt-in of 3.8 to 4.4
    {
        using var box = new KmemBox<MoveCaches>(plan: new AccountingPlan(MaxGroups: 16) { KmemOptIn = true });
        Memcg* parent = box.Group(), before = box.Group(parent);
        Assert.False(MemcgKmem.TryActivate(box.Cpu(), parent), "a child is in it");
        void* free = box.Charged(before);
        Assert.Equal(0, KmemBox<MoveCaches>.Kmem(before));
        Assert.True(MemcgKmem.TryActivate(box.Cpu(), before));
        Memcg* below = box.Group(before);
        void* own = box.Charged(before), inherited = box.Charged(below);
        Assert.Equal((2, 1), (KmemBox<MoveCaches>.Kmem(before), KmemBox<MoveCaches>.Kmem(below)));
        box.Remove(below);
        box.Remove(before);
        box.AssertBalanced();
        Assert.False(IntrusiveList.IsEmpty(&MemcgKmem.Of(parent)->Caches), "its list was made with the group, active or not");
        Assert.Equal(0, box.Dying);
        foreach (nint obj in (nint[])[(nint)free, (nint)own, (nint)inherited]) box.Free((void*)obj);
        box.AssertBalanced();
        Assert.Equal(0, KmemBox<MoveCaches>.Kmem(parent));
    }
}
