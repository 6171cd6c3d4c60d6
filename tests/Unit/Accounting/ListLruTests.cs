// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Idle objects are on their owner's list, whoever that is by now (spec 3.7).</summary>
public sealed unsafe class ListLruTests
{
    private struct Reap(int keepEvery) : ILruVisitor
    {
        public List<nint> Taken { get; } = [];
        private int seen;

        public LruVerdict Visit(in ThisCpu cpu, ListHead* item)
        {
            if (keepEvery != 0 && ++seen % keepEvery == 0) return LruVerdict.Rotate;
            Taken.Add((nint)item);
            return LruVerdict.Removed;
        }
    }

    private static ListLru* New<TC>(KmemBox<TC> box) where TC : struct, IMemoryController
    {
        ListLru* lru = ListLru.Create(box.Cpu(), box.Tree);
        Assert.True(lru != null);
        return lru;
    }

    /// <summary>An object that memcg pays for, idle: its first words are its place on the list.</summary>
    private static ListHead* Idle<TC>(KmemBox<TC> box, ListLru* lru, Memcg* memcg) where TC : struct, IMemoryController
    {
        void* obj = box.Charged(memcg);
        Assert.True(ListLru.Prepare(box.Cpu(), lru, memcg));
        ListLru.Add<TC>(box.Cpu(), lru, obj, (ListHead*)obj);
        return (ListHead*)obj;
    }

    [Fact] public void Items_follow_their_group_to_its_parent_PerCachePin() => Follow<PinCaches>(survives: true);
    [Fact] public void Items_follow_their_group_to_its_parent_ReparentCaches() => Follow<MoveCaches>();
    [Fact] public void Items_follow_their_group_to_its_parent_ReparentCachesRef() => Follow<MoveCachesRef>();
    [Fact] public void Items_follow_their_group_to_its_parent_ReparentPointerByPage() => Follow<PointerByPage>();
    [Fact] public void Items_follow_their_group_to_its_parent_ReparentPointer() => Follow<PointerByObject>();
    [Fact] public void Items_follow_their_group_to_its_parent_ObjCgroup() => Follow<ObjectOwners>();
    [Fact] public void Items_follow_their_group_to_its_parent_ObjCgroupPerNode() => Follow<PagesAndObjects>();

    private static void Follow<TC>(bool survives = false) where TC : struct, IMemoryController
    {
        using var box = new KmemBox<TC>();
        ListLru* lru = New(box);
        Memcg* parent = box.Group(), child = box.Group(parent);
        ListHead* mine = Idle(box, lru, parent), first = Idle(box, lru, child), second = Idle(box, lru, child);
        Assert.Equal((1, 2), (ListLru.CountOf(lru, 0, parent), ListLru.CountOf(lru, 0, child)));
        box.AssertBalanced();
        box.Remove(child);
        Assert.Equal(3, ListLru.CountOf(lru, 0, parent));
        box.AssertBalanced();
        ListLru.Delete<TC>(box.Cpu(), lru, first, first); // its owner of today says where it is
        box.Free(first);
        Assert.Equal(2, ListLru.CountOf(lru, 0, parent));
        var reap = new Reap(0);
        Assert.Equal(2, ListLru.Walk(box.Cpu(), lru, 0, parent, 100, ref reap));
        Assert.Equal([(nint)mine, (nint)second], reap.Taken);
        foreach (nint obj in reap.Taken) box.Free((void*)obj);
        box.AssertBalanced();
        Assert.Equal(0, box.Dying);
        Assert.True(!survives || AtomicLong.Load(&box.Tree->Count) == 2, "the pin is gone with the last object the shrinker took");
        ListLru.Destroy(box.Cpu(), lru);
    }

    [Fact]
    public void A_visitor_may_rotate_what_is_in_use_and_the_walk_ends()
    {
        using var box = new KmemBox<ObjectOwners>();
        ListLru* lru = New(box);
        Memcg* memcg = box.Group();
        for (int i = 0; i < 10; i++) Idle(box, lru, memcg);
        var reap = new Reap(2);
        Assert.Equal(5, ListLru.Walk(box.Cpu(), lru, 0, memcg, 10, ref reap));
        Assert.Equal(5, ListLru.CountOf(lru, 0, memcg));
        foreach (nint obj in reap.Taken) box.Free((void*)obj);
        box.AssertBalanced();
    }

    [Fact]
    public void A_group_without_lists_uses_its_nearest_ancestors_and_a_dying_one_gets_none() // G2
    {
        using var box = new KmemBox<ObjectOwners>();
        ListLru* lru = New(box);
        Memcg* parent = box.Group(), child = box.Group(parent);
        Assert.True(ListLru.Prepare(box.Cpu(), lru, parent));
        void* obj = box.Charged(child);
        Assert.Equal(RemoveResult.Removed, MemcgLife.Remove(box.Cpu(), child));
        Assert.True(ListLru.Prepare(box.Cpu(), lru, child), "nothing to do is no failure");
        Assert.True(AtomicPtr<ListLruMemcg>.Load(ListLru.EntryOf(lru, child)) == null);
        ListLru.Add<ObjectOwners>(box.Cpu(), lru, obj, (ListHead*)obj);
        Assert.Equal(1, ListLru.CountOf(lru, 0, parent));
        box.AssertBalanced();
        ListLru.Delete<ObjectOwners>(box.Cpu(), lru, obj, (ListHead*)obj);
        box.Free(obj);
        box.AssertBalanced();
    }

    [Fact]
    public void The_audit_sees_a_count_that_differs_from_its_list() // I22
    {
        using var box = new KmemBox<ObjectOwners>();
        ListLru* lru = New(box);
        Memcg* memcg = box.Group();
        ListHead* item = Idle(box, lru, memcg);
        IntrusiveList.Remove(item);
        Assert.Contains(Audit.Run<ObjectOwners>(box.Cpu()).Wrong, w => w.Contains("(I22)", StringComparison.Ordinal));
        box.Free(item);
    }
}
