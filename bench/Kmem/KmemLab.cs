// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>One experiment on one design: an instance with a group to work under, and the books at the end.</summary>
internal abstract class KmemLab<TResult>(InstancePlan plan) : IControllerUser<(TResult Result, Books Books)>
{
    /// <summary>The machine's plan.</summary>
    protected InstancePlan Plan => plan;

    /// <summary>The experiment; what it allocated may stay, but not be reachable: the books say so.</summary>
    protected abstract TResult Experiment<TC>(KmemBench<TC> bench) where TC : struct, IMemoryController;

    /// <inheritdoc/>
    public (TResult Result, Books Books) Use<TC>() where TC : struct, IMemoryController
    {
        using var instance = new Instance<TC>(plan);
        instance.Start();
        TResult result = Experiment(new KmemBench<TC>(instance));
        return (result, instance.Close());
    }
}

/// <summary>What the experiments do with an instance: groups, caches and objects by address, one step per call.</summary>
internal sealed unsafe class KmemBench<TC>(Instance<TC> instance) where TC : struct, IMemoryController
{
    /// <summary>The group all others are made under.</summary>
    public Memcg* Parent => instance.Leaf(0);

    /// <summary>All groups.</summary>
    public MemcgTree* Tree => instance.Accounting.Tree;

    /// <summary>Every cache, as /sys/kernel/slab lists them.</summary>
    public IReadOnlyList<SlabInfo> Caches => instance.SlabLayer().List<TC>();

    /// <summary>Groups removed and not freed.</summary>
    public long Dying => AtomicLong.Load(&Tree->Dying);

    /// <summary>Frames in use by anybody.</summary>
    public long Frames()
    {
        Do((in ThisCpu cpu) => Slab.DrainLocal<TC>(in cpu), all: true);
        return AllocatorStat.Of(instance.Allocator).AllocatedPages;
    }

    /// <summary>Bytes of a group in the tables: itself, its parts on nodes and CPUs.</summary>
    public long GroupBytes => Memcg.Bytes + instance.Nodes.Count * MemcgNode.Bytes + instance.Cpus.Count * MemcgStatCpu.Bytes;

    /// <summary>action on the first CPU, or on all.</summary>
    public void Do(CpuAction action, bool all = false) => instance.Gang.Do(action, all ? 0 : 1);

    /// <summary>Stocks drained, callbacks called, until nothing more follows by itself.</summary>
    public void Settle()
    {
        Do((in ThisCpu cpu) => TC.DrainStocks(in cpu, instance.Accounting.Root));
        for (int turn = 0; turn < 4; turn++) Do(static (in ThisCpu cpu) => Rcu.Barrier(in cpu), all: true);
    }

    /// <summary>A root cache.</summary>
    public SlabCache* Cache(in ThisCpu cpu, string name, int bytes)
    {
        SlabCache* cache = SlabCaches.Create<TC>(in cpu, instance.SlabLayer().Name(name), bytes, accounted: true);
        return cache != null ? cache : throw Full();
    }

    /// <summary>Caches end with their last object; this is nobody's need of them any more.</summary>
    public void Destroy(IEnumerable<nint> caches) => Do((in ThisCpu cpu) =>
    {
        foreach (nint cache in caches) SlabCaches.Destroy<TC>(in cpu, (SlabCache*)cache);
    });

    /// <summary>A group under parent.</summary>
    public static Memcg* Group(in ThisCpu cpu, Memcg* parent)
    {
        Memcg* memcg = MemcgLife.Create<TC>(in cpu, parent);
        return memcg != null ? memcg : throw Full();
    }

    /// <summary>Group number index of those that the experiment is about; the first ones opt in before anybody is in them, where the plan says how many.</summary>
    public Memcg* Group(in ThisCpu cpu, int index)
    {
        Memcg* memcg = Group(in cpu, Parent);
        if (index < instance.Plan.OptIn && !MemcgKmem.TryActivate(in cpu, memcg)) Bug.Fail("kmem: a new group may not opt in", index);
        return memcg;
    }

    /// <summary>A copy of the cache for the group, where the design makes copies, so that the objects that follow are charged.</summary>
    public static void Warm(in ThisCpu cpu, SlabCache* cache, Memcg* memcg)
    {
        KmemObjects.Free<TC>(in cpu, Object(in cpu, cache, memcg));
        CacheCreation.Flush(in cpu);
    }

    /// <summary>An object that memcg pays for.</summary>
    public static void* Object(in ThisCpu cpu, SlabCache* cache, Memcg* memcg)
    {
        void* obj = KmemObjects.Alloc<TC>(in cpu, cache, memcg);
        return obj != null ? obj : throw Full();
    }

    /// <summary>Objects go back.</summary>
    public void Free(IEnumerable<nint> objects) => Do((in ThisCpu cpu) =>
    {
        foreach (nint obj in objects) KmemObjects.Free<TC>(in cpu, (void*)obj);
    });

    /// <summary>rmdir; a parent waits for its children's offline.</summary>
    public static void Remove(in ThisCpu cpu, Memcg* memcg)
    {
        for (int turn = 0; MemcgLife.Remove(in cpu, memcg) == RemoveResult.Busy; turn++)
        {
            if (turn == 64) Bug.Fail("kmem: a group stays busy", Guarded<int>.Get(&memcg->Id));
            Rcu.Barrier(in cpu);
        }
    }

    /// <summary>The zombies and their pins.</summary>
    public IReadOnlyList<DyingGroup> Zombies()
    {
        IReadOnlyList<DyingGroup> found = [];
        Do((in ThisCpu cpu) => found = DyingGroups.Explain<TC>(in cpu, Tree));
        return found;
    }

    private static OsException Full() => new("kmem", 0, "the frames of this experiment are used up; ask for fewer --groups, --caches or --objects, or for more --footprint");
}
