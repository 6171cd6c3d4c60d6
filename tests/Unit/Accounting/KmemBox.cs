// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>A core with a slab layer whose objects are poisoned while free, and one accounted cache called dentry.</summary>
internal sealed unsafe class KmemBox<TC> : IDisposable where TC : struct, IMemoryController
{
    public const int DentryBytes = 192;

    public KmemBox(int cpus = 1, int mib = 16, int nodes = 1, int groups = 64, AccountingPlan? plan = null)
    {
        Core = new AccountingBox<TC>(cpus, mib, nodes, plan ?? new AccountingPlan(MaxGroups: groups));
        Slab = Core.Accounting.Slab ?? Slab.Build(Core.Memory, Core.Cpus, checkObjects: true);
        Dentry = Cache("dentry", DentryBytes);
    }

    public AccountingBox<TC> Core { get; }
    public Slab Slab { get; }
    public SlabCache* Dentry { get; }
    public MemcgTree* Tree => Core.Accounting.Tree;
    public long Dying => AtomicLong.Load(&Tree->Dying);
    public ThisCpu Cpu(int i = 0) => Core.Cpu(i);
    public Memcg* Group(Memcg* parent = null) => Core.Group(parent);
    public static long Kmem(Memcg* memcg) => TC.Usage(memcg, CounterKind.Kmem);

    public SlabCache* Cache(string name, int bytes, bool accounted = true)
    {
        SlabCache* cache = SlabCaches.Create<TC>(Cpu(), Slab.Name(name), bytes, accounted, checkObjects: true);
        Assert.True(cache != null);
        return cache;
    }

    public void* Alloc(Memcg* memcg, int cpu = 0) => KmemObjects.Alloc<TC>(Cpu(cpu), Dentry, memcg);

    /// <summary>An object that memcg pays for. Where a group's first objects are nobody's, they go again once the group has its own cache.</summary>
    public void* Charged(Memcg* memcg, int cpu = 0)
    {
        void* obj = Alloc(memcg, cpu);
        Assert.True(obj != null);
        Poll.Run(Cpu(cpu));
        if (CacheCreation.Find(Dentry, Guarded<int>.Get(&memcg->Id)) == null) return obj;
        Free(obj, cpu);
        obj = Alloc(memcg, cpu);
        Assert.True(obj != null);
        return obj;
    }

    public void Free(void* obj, int cpu = 0) => KmemObjects.Free<TC>(Cpu(cpu), obj);

    public void Remove(Memcg* memcg)
    {
        for (int i = 0; i < 10; i++)
        {
            RemoveResult result = MemcgLife.Remove(Cpu(), memcg);
            if (result == RemoveResult.Removed) break;
            Assert.Equal(RemoveResult.Busy, result);
            Core.Quiesce();
        }
        Core.Quiesce();
    }

    /// <summary>Also long chains of callbacks: an object's last put, its cache's end, its group's release.</summary>
    public void Settle()
    {
        for (int i = 0; i < 4; i++) Core.Quiesce();
    }

    public void AssertBalanced()
    {
        Settle();
        Core.AssertBalanced();
    }

    public IReadOnlyList<DyingGroup> Zombies() => DyingGroups.Explain<TC>(Cpu(), Tree);
    public void Dispose() => Core.Dispose();
}
