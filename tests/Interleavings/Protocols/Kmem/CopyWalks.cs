// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What a walker of copies counts (slabinfo, tuning, sysfs attributes), under the slab mutex.</summary>
internal unsafe interface IWalksCopies
{
    static abstract long Count(SlabCache* root, Memcg* a, Memcg* b);
}

/// <summary>Patch 6, shipped: the root's list of all its copies.</summary>
internal readonly unsafe struct BySiblings : IWalksCopies
{
    public static long Count(SlabCache* root, Memcg* a, Memcg* b) => IntrusiveList.Walk(&root->Siblings);
}

/// <summary>Before patch 6: the root's array, which names living groups' copies only.</summary>
internal readonly unsafe struct BySlots : IWalksCopies
{
    public static long Count(SlabCache* root, Memcg* a, Memcg* b)
    {
        long count = 0;
        CacheSlots* slots = AtomicPtr<CacheSlots>.Load(&root->Slots);
        for (int id = 0; id < Guarded<int>.Get(&slots->Size); id++)
            if (AtomicPtr<SlabCache>.Load(CacheSlots.At(slots, id)) != null) count++;
        return count;
    }
}

/// <summary>Patch 5, shipped: groups' lists, each node inside its copy.</summary>
internal readonly unsafe struct ByBackPointer : IWalksCopies
{
    public static long Count(SlabCache* root, Memcg* a, Memcg* b) => Of(root, a) + Of(root, b);

    private static long Of(SlabCache* root, Memcg* memcg)
    {
        long count = 0;
        ListHead* mine = &MemcgKmem.Of(memcg)->Caches;
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at))
            if (SlabCache.RootOf(SlabCache.OfMine(at)) == root) count++;
        return count;
    }
}

/// <summary>Before patch 5: a node says root and owner, and the copy is what the root's slot for that owner holds.</summary>
internal readonly unsafe struct ThroughSlot : IWalksCopies
{
    public static long Count(SlabCache* root, Memcg* a, Memcg* b) => Of(a) + Of(b);

    private static long Of(Memcg* memcg)
    {
        long count = 0;
        ListHead* mine = &MemcgKmem.Of(memcg)->Caches;
        for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at))
        {
            SlabCache* node = SlabCache.OfMine(at);
            if (CacheCreation.Find(SlabCache.RootOf(node), Guarded<int>.Get(&ReparentCaches.OwnerOf(node)->Id)) == node) count++;
        }
        return count;
    }
}

/// <summary>Patches 5 and 6: copies are walked while their group goes. A copy with a live object is found, whoever owns it.</summary>
internal readonly unsafe struct WalkAgainstOffline<TWalks> : ICase where TWalks : struct, IWalksCopies
{
    public static int Cpus => CopyScene.Cpus;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        CopyScene.Object<Copies>();
        CopyScene.Kill();
    }

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 1) CopyScene.Offline(self);
        else
        {
            Lock.Acquire(self, &CopyScene.Slab->Mutex);
            long found = TWalks.Count(CopyScene.Root, CopyScene.Child, CopyScene.Parent);
            Lock.Release(self, &CopyScene.Slab->Mutex);
            if (found != 1) Bug.Fail("copies that a walker finds, of one", found);
        }
        Rcu.CpuOffline(self);
    }
}

/// <summary>What makes the name of a copy in sysfs.</summary>
internal unsafe interface INames
{
    static abstract long Of(SlabCache* copy);
}

/// <summary>Patch 12: the id, and what no other copy ever had (there its address, here a serial number).</summary>
internal readonly unsafe struct BySerial : INames
{
    public static long Of(SlabCache* copy) => Guarded<long>.Get(&copy->Serial) << 16 | (long)Guarded<int>.Get(&copy->Id);
}

/// <summary>3.14: root(id:group), which the next group of that id and name has too.</summary>
internal readonly unsafe struct ById : INames
{
    public static long Of(SlabCache* copy) => Guarded<int>.Get(&copy->Id);
}

/// <summary>D15, patch 12: the last object of an inherited copy is freed, sooner or later, and a new group of that id gets a copy.</summary>
internal readonly unsafe struct NameAgainstReuse<TNames> : ICase where TNames : struct, INames
{
    private static void* obj;
    private static Memcg* reused;
    public static int Cpus => CopyScene.Cpus;

    public static void Setup() => CopyScene.ReuseId(out obj, out reused);

    public static void Body(int cpu)
    {
        ThisCpu self = CopyScene.Box[cpu];
        if (cpu == 0) KmemObjects.Free<Copies>(self, obj);
        else
        {
            CacheCreation.Flush(self);
            Lock.Acquire(self, &CopyScene.Slab->Mutex);
            ListHead* all = &CopyScene.Root->Siblings;
            for (ListHead* a = IntrusiveList.First(all); a != all; a = IntrusiveList.NextOf(a))
                for (ListHead* b = IntrusiveList.First(all); b != a; b = IntrusiveList.NextOf(b))
                    if (TNames.Of(SlabCache.OfSibling(a)) == TNames.Of(SlabCache.OfSibling(b))) 
                        Bug.Fail("two copies of one name: sysfs refuses the second, and its group goes uncharged");
            Lock.Release(self, &CopyScene.Slab->Mutex);
        }
        Rcu.CpuOffline(self);
    }

    public static void Final()
    {
        CopyScene.Settle();
        CopyScene.AssertBooks<Copies>();
    }
}

/// <summary>Every guard of the series with the race it is for, and without it.</summary>
internal static class CopyCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Pair<CreateAgainstDestroy<GuardOn, N1>, CreateAgainstDestroy<GuardOff, N1>>("D1", "patch1", "1c1d"),
        Case.Of<CreateAgainstDestroy<GuardOn, N3>>("D1", "patch1", "3c1d"),
        .. Pair<CreateAgainstOffline<GuardOn>, CreateAgainstOffline<GuardOff>>("D2", "patch1", "1c1o"),
        .. Pair<LastObjectAgainstOffline<GuardOn>, LastObjectAgainstOffline<GuardOff>>("D3", "patch2", "1f1w"),
        Case.Of<AllocateAgainstOffline<GuardOn>>("D4", "ReparentCaches", "1a1o"),
        Case.Of<AllocateAgainstOffline<GuardOff>>("D4", "ReparentCachesAsPosted", "1a1o", Expect.Broken),
        .. Pair<DestroyAgainstOffline<GuardOn>, DestroyAgainstOffline<GuardOff>>("D5", "patch3", "1r1o"),
        .. Pair<LastFreeAgainstEnd<GuardOn>, LastFreeAgainstEnd<GuardOff>>("D6", "rcu", "1f1w"),
        .. Pair<AllocateAgainstAttach<GuardOn>, AllocateAgainstAttach<GuardOff>>("D7", "patch7", "1a1m"),
        .. Pair<ChargeAgainstReparent<GuardOn>, ChargeAgainstReparent<GuardOff>>("D8", "owner-before-put", "1c1o"),
        .. Pair<EndAgainstOffline<GuardOn>, EndAgainstOffline<GuardOff>>("D9", "slab-mutex", "1w1o"),
        .. Pair<GrowAgainstOffline<GuardOn>, GrowAgainstOffline<GuardOff>>("D10", "slab-mutex", "1g1o"),
        Case.Of<GrowAgainstAllocate<N1>>("D10", "array", "1g1a"),
        Case.Of<GrowAgainstAllocate<N3>>("D10", "array", "1g3a"),
        .. Pair<Creators<GuardOn, N2>, Creators<GuardOff, N2>>("D12", "recheck", "2c"),
        Case.Of<Creators<GuardOn, N4>>("D12", "recheck", "4c"),
        Case.Of<CreateAgainstAllocate>("D13", "release", "1c1a"),
        Case.Of<CreateAgainstAllocate>("D13", "no-release", "1c1a", Expect.Broken).Mutated("CacheCreation.Create#3", MutationOp.StoreRelaxed),
        .. Pair<InheritedAgainstReuse<GuardOn>, InheritedAgainstReuse<GuardOff>>("D15", "slot-owner", "1w1c"),
        .. Pair<NameAgainstReuse<BySerial>, NameAgainstReuse<ById>>("D15", "patch12", "1w1c"),
        .. Pair<FreeAgainstShrink<GuardOn>, FreeAgainstShrink<GuardOff>>("D17", "dead-keeps-none", "1f1w"),
        .. Pair<RequestAgainstDestroy<GuardOn>, RequestAgainstDestroy<GuardOff>>("D18", "one-lock", "1a1d"),
        .. Pair<WalkAgainstOffline<BySiblings>, WalkAgainstOffline<BySlots>>("patch6", "siblings", "1w1c"),
        .. Pair<WalkAgainstOffline<ByBackPointer>, WalkAgainstOffline<ThroughSlot>>("patch5", "back-pointer", "1w1o"),
    ];

    private static Case[] Pair<TWith, TWithout>(string id, string guard, string shape) where TWith : struct, ICase where TWithout : struct, ICase =>
        [Case.Of<TWith>(id, guard, shape), Case.Of<TWithout>(id, $"no-{guard}", shape, Expect.Broken)];
}
