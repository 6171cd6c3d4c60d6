// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Objects = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerGroup>>;
using Pointers = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut, MemcgNative.Accounting.PinPerPage,
    MemcgNative.Accounting.ReparentPointer>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One offline callback of one group, by how many pointers it has inherited and how many objects name its own.</summary>
internal readonly unsafe struct OneOffline<TC, TInherited, TObjects> : ICase where TC : struct, IMemoryController where TInherited : struct, ISize where TObjects : struct, ISize
{
    private static SimulatedAccounting box;
    private static Memcg* group;

    public static int Cpus => 1;

    public static void Setup()
    {
        box = SimulatedAccounting.New<TC>(1, 10);
        SimulatedSlab.New(box.AllCpus, 1, 12, 128, 256);
        group = MemcgLife.Create<TC>(box[0], box.Group<TC>());
        PerCpuRef.GetMany(box[0], &AtomicPtr<Objcg>.Load(&MemcgKmem.Of(group)->Objcg)->Ref, TObjects.N);
        for (int i = 0; i < TInherited.N; i++)
        {
            Memcg* child = MemcgLife.Create<TC>(box[0], group);
            PerCpuRef.Get(box[0], &AtomicPtr<Objcg>.Load(&MemcgKmem.Of(child)->Objcg)->Ref); // an object's: the pointer outlives its group
            TC.OnOffline(box[0], child);
        }
    }

    public static void Body(int cpu) => TC.OnOffline(box[cpu], group);
}

/// <summary>One offline callback of 2014, by the copies of caches that the group has and the objects in each.</summary>
internal readonly unsafe struct OneOfflineOfCopies<TCopies, TObjects> : ICase where TCopies : struct, ISize where TObjects : struct, ISize
{
    public static int Cpus => 1;

    public static void Setup()
    {
        CopyScene.New<Copies>(copy: true);
        for (int i = 1; i < TCopies.N; i++)
        {
            SlabCache* root = SlabCaches.Create<Copies>(CopyScene.Box[0], 0, 512, accounted: true);
            if (root == null) Bug.Fail("set-up: no cache", i);
            Guarded<int>.Set(&SlabCache.StateOf(root)->PerSlab, CopyScene.PerSlab);
            CacheCreation.Request(CopyScene.Box[0], root, CopyScene.Child);
            CacheCreation.Flush(CopyScene.Box[0]);
        }
        for (int i = 0; i < TObjects.N; i++) CopyScene.Object<Copies>();
    }

    public static void Body(int cpu) => CopyScene.Reparent(CopyScene.Box[cpu]);
}

/// <summary>
/// In what one offline is linear, by the marked accesses it makes and not by a clock: 2014 in the group's copies, not in their objects; 2019 in the
/// pointers inherited from removed children alone, and so the objcg of 5.9.
/// </summary>
public class OfflineStepsTests
{
    [Fact]
    public void In_2019_and_since_an_offline_costs_a_step_for_each_inherited_pointer_and_none_for_an_object()
    {
        Linear(Steps<OneOffline<Pointers, N0, N1>>(), Steps<OneOffline<Pointers, N1, N1>>(), Steps<OneOffline<Pointers, N2, N1>>(), Steps<OneOffline<Pointers, N4, N1>>());
        Linear(Steps<OneOffline<Objects, N0, N1>>(), Steps<OneOffline<Objects, N1, N1>>(), Steps<OneOffline<Objects, N2, N1>>(), Steps<OneOffline<Objects, N4, N1>>());
        Assert.Equal(Steps<OneOffline<Pointers, N2, N1>>(), Steps<OneOffline<Pointers, N2, N4>>());
        Assert.Equal(Steps<OneOffline<Objects, N2, N1>>(), Steps<OneOffline<Objects, N2, N4>>());
    }

    [Fact]
    public void In_2014_an_offline_costs_steps_for_each_copy_and_none_for_an_object()
    {
        int one = Steps<OneOfflineOfCopies<N1, N1>>(), two = Steps<OneOfflineOfCopies<N2, N1>>(), three = Steps<OneOfflineOfCopies<N3, N1>>();
        Assert.True(two > one, $"{one} steps with a copy, {two} with two");
        Assert.Equal(two - one, three - two);
        Assert.Equal(one, Steps<OneOfflineOfCopies<N1, N2>>());
    }

    /// <summary>By 0, 1, 2 and 4 of them.</summary>
    private static void Linear(int none, int one, int two, int four)
    {
        Assert.True(one > none, $"{none} steps without, {one} with one");
        Assert.Equal((one - none, 2 * (one - none)), (two - one, four - two));
    }

    private static int Steps<T>() where T : struct, ICase
    {
        ExploreResult r = Explorer.Explore(Case.Of<T>("offline", typeof(T).Name), new ExploreOptions());
        Assert.True(r.Verdict == Verdict.Exhausted, r.Message);
        Assert.Equal(1, r.Executions);
        return r.Depth;
    }
}
