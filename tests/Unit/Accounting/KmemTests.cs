// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>What every answer of the kmem axis keeps: written once, run on each.</summary>
public abstract unsafe class KmemRules<TC> where TC : struct, IMemoryController
{
    /// <summary>Does a live object keep its removed group?</summary>
    protected abstract bool Pins { get; }

    [Fact]
    public void Objects_are_charged_and_uncharged_and_the_books_balance()
    {
        using var box = new KmemBox<TC>();
        Memcg* memcg = box.Group();
        var objects = new nint[300];
        for (int i = 0; i < objects.Length; i++) objects[i] = (nint)box.Charged(memcg);
        box.AssertBalanced();
        long pages = KmemBox<TC>.Kmem(memcg);
        Assert.InRange(pages, 300 * KmemBox<TC>.DentryBytes / 4096, 300 * KmemBox<TC>.DentryBytes / 4096 + 8);
        foreach (nint obj in objects) box.Free((void*)obj);
        box.AssertBalanced();
        box.Remove(memcg);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void A_live_object_of_a_removed_group_is_its_parents_from_then_on_or_pins_it_and_goes_with_its_free()
    {
        using var box = new KmemBox<TC>(cpus: 2);
        Memcg* parent = box.Group(), child = box.Group(parent);
        void* obj = box.Charged(child);
        box.Remove(child);
        box.AssertBalanced();
        Assert.Equal(Pins ? 1 : 0, box.Dying);
        Assert.True(KmemBox<TC>.Kmem(parent) >= 1);
        box.Free(obj, cpu: 1); // remote
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
        Assert.Equal(0, KmemBox<TC>.Kmem(parent));
        Assert.Equal(0, AccountingBox<TC>.Usage(parent));
        box.Remove(parent);
        box.AssertBalanced();
        Assert.Equal(1, AtomicLong.Load(&box.Tree->Count));
    }

    [Fact]
    public void An_object_outlives_three_generations()
    {
        using var box = new KmemBox<TC>();
        Memcg* top = box.Group(), middle = box.Group(top), leaf = box.Group(middle);
        void* a = box.Charged(leaf), b = box.Charged(middle);
        box.Remove(leaf);
        box.Remove(middle);
        box.Remove(top);
        box.AssertBalanced();
        box.Free(a);
        box.Free(b);
        box.AssertBalanced();
        Assert.Equal((0, 1), (box.Dying, AtomicLong.Load(&box.Tree->Count)));
    }

    [Fact]
    public void A_thousand_removed_groups_with_one_object_each()
    {
        using var box = new KmemBox<TC>(mib: 24, groups: 1200);
        var objects = new nint[1000];
        var groups = new nint[1000];
        Memcg* parent = box.Group();
        for (int i = 0; i < 1000; i++)
        {
            groups[i] = (nint)box.Group(parent);
            objects[i] = (nint)box.Charged((Memcg*)groups[i]);
        }
        foreach (nint g in groups) Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), (Memcg*)g));
        box.Settle();
        Assert.Equal(Pins ? 1000 : 0, box.Dying);
        IReadOnlyList<DyingGroup> zombies = box.Zombies();
        Assert.Equal(Pins ? 1000 : 0, zombies.Count);
        Assert.All(zombies, z => Assert.Equal((1, 0), (z.Caches, z.Other)));
        if (Pins) Assert.Equal(new Dictionary<string, long> { ["cache"] = 1000 }, DyingGroups.Breakdown(zombies));
        box.AssertBalanced();
        foreach (nint obj in objects) box.Free((void*)obj);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
        Assert.Equal(0, KmemBox<TC>.Kmem(parent));
    }

    [Fact]
    public void At_the_limit_an_object_is_refused_and_nothing_stays_charged()
    {
        using var box = new KmemBox<TC>();
        Memcg* memcg = box.Group();
        void* first = box.Charged(memcg);
        box.AssertBalanced();
        long usage = KmemBox<TC>.Kmem(memcg);
        Assert.True(TC.TrySetLimit(memcg, CounterKind.Memory, usage));
        List<nint> more = [];
        for (void* obj; (obj = box.Alloc(memcg)) != null;)
        {
            more.Add((nint)obj);
            Assert.True(more.Count < 1000, "the limit holds");
        }
        Assert.True(AtomicLong.Load(&memcg->ChargesFailed) > 0);
        box.AssertBalanced();
        Assert.Equal(usage, KmemBox<TC>.Kmem(memcg));
        foreach (nint obj in more) box.Free((void*)obj);
        box.Free(first);
        box.AssertBalanced();
    }

    [Fact]
    public void The_limit_of_kmem_alone_holds_too()
    {
        using var box = new KmemBox<TC>();
        Memcg* memcg = box.Group();
        box.Free(box.Charged(memcg));
        box.AssertBalanced();
        Assert.True(TC.TrySetLimit(memcg, CounterKind.Kmem, KmemBox<TC>.Kmem(memcg) + 2));
        List<nint> objects = [];
        for (void* obj; (obj = box.Alloc(memcg)) != null && objects.Count < 1000;) objects.Add((nint)obj);
        Assert.True(objects.Count < 1000);
        Assert.True(TC.FailCount(memcg, CounterKind.Kmem) > 0);
        foreach (nint obj in objects) box.Free((void*)obj);
        box.AssertBalanced();
    }

    [Fact]
    public void A_destroyed_cache_goes_with_its_last_object_and_takes_its_copies_along()
    {
        using var box = new KmemBox<TC>(cpus: 2);
        long before = box.Slab.List<TC>().Count;
        Memcg* memcg = box.Group();
        SlabCache* cache = box.Cache("inode", 600);
        var objects = new nint[40];
        for (int i = 0; i < objects.Length; i++, Poll.Run(box.Cpu(i % 2))) objects[i] = (nint)KmemObjects.Alloc<TC>(box.Cpu(i % 2), cache, memcg);
        SlabCaches.Destroy<TC>(box.Cpu(), cache);
        box.AssertBalanced();
        for (int i = 0; i < objects.Length; i++) box.Free((void*)objects[i], i / 3 % 2);
        box.AssertBalanced();
        Assert.Equal(before, box.Slab.List<TC>().Count);
        Assert.InRange(KmemBox<TC>.Kmem(memcg), 0, 1); // the rests of two stocks may make a page, which goes with the objcg (E8)
        box.Remove(memcg);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void A_reused_id_has_a_cache_and_an_owner_of_its_own() // D15
    {
        using var box = new KmemBox<TC>(groups: 4);
        Memcg* a = box.Group();
        void* old = box.Charged(a);
        box.Remove(a);
        if (Pins) return;
        Memcg* b = box.Group();
        Assert.True(a == b, "ids are handed out last-freed first");
        void* mine = box.Charged(b);
        box.AssertBalanced();
        Assert.Equal(box.Slab.List<TC>().Count, box.Slab.List<TC>().DistinctBy(c => c.Name).Count());
        box.Free(old);
        box.AssertBalanced();
        Assert.Equal(1, KmemBox<TC>.Kmem(b));
        box.Free(mine);
        box.Remove(b);
        box.AssertBalanced();
        Assert.Equal((0, 1), (box.Dying, AtomicLong.Load(&box.Tree->Count)));
    }

    [Fact]
    public void Blocks_of_pages_are_charged_and_outlive_their_group()
    {
        using var box = new KmemBox<TC>();
        Memcg* memcg = box.Group();
        Page* pipe = KmemObjects.AllocPages<TC>(box.Cpu(), default, memcg);
        void* large = KmemObjects.Kmalloc<TC>(box.Cpu(), 10_000, memcg, Gfp.Account);
        Assert.True(pipe != null && large != null);
        long expected = typeof(TC) == typeof(MoveCaches) ? 0 : 5; // the series of 2014 does not charge what no cache owns
        Assert.Equal(expected, KmemBox<TC>.Kmem(memcg));
        box.AssertBalanced();
        box.Remove(memcg);
        bool pinned = typeof(TC) == typeof(PinCaches) || typeof(TC) == typeof(MoveCachesRef);
        Assert.Equal(pinned ? 1 : 0, box.Dying);
        if (pinned) Assert.Equal((2, 0), (box.Zombies()[0].KernelPages, box.Zombies()[0].Other));
        KmemObjects.FreePages<TC>(box.Cpu(), pipe, default);
        box.Free(large);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void Objects_of_two_nodes_are_freed_from_the_other_one()
    {
        using var box = new KmemBox<TC>(cpus: 2, nodes: 2);
        Memcg* memcg = box.Group();
        var objects = new nint[200];
        for (int i = 0; i < objects.Length; i++) objects[i] = (nint)box.Charged(memcg, i % 2);
        for (int i = 0; i < objects.Length; i++) box.Free((void*)objects[i], (i + 1) % 2);
        box.AssertBalanced();
        box.Remove(memcg);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
    }

    [Fact]
    public void Random_work_on_three_threads_with_groups_coming_and_going_leaks_nothing() => KmemStress.Run<TC>();
}

public sealed class KmemPerCachePinTests : KmemRules<PinCaches>
{
    protected override bool Pins => true;
}

public sealed class KmemReparentCachesTests : KmemRules<MoveCaches>
{
    protected override bool Pins => false;
}

public sealed class KmemReparentCachesRefTests : KmemRules<MoveCachesRef>
{
    protected override bool Pins => false;
}

public sealed class KmemReparentPointerByPageTests : KmemRules<PointerByPage>
{
    protected override bool Pins => false;
}

public sealed class KmemReparentPointerTests : KmemRules<PointerByObject>
{
    protected override bool Pins => false;
}

public sealed class KmemObjCgroupTests : KmemRules<ObjectOwners>
{
    protected override bool Pins => false;
}

public sealed class KmemObjCgroupPerNodeTests : KmemRules<PagesAndObjects>
{
    protected override bool Pins => false;
}
