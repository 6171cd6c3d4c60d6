// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>Objects allocated here and freed there, groups and caches coming and going, a limit that refuses; free objects are poisoned.</summary>
internal static unsafe class KmemStress
{
    private const int Shelf = 128, Workers = 3;

    private struct Arguments
    {
        public Memcg* Parent;
        public SlabCache* Cache;
        public AtomicLong* Shelf;
        public int CacheName;
        public int Steps;
    }

    public static void Run<TC>() where TC : struct, IMemoryController
    {
        using var box = new KmemBox<TC>(Workers, groups: 512, mib: 24);
        Memcg* parent = box.Group();
        TC.TrySetLimit(parent, CounterKind.Memory, 200);
        for (int i = 0; i < Workers; i++) Rcu.CpuOffline(box.Cpu(i)); // the gang brings them back
        long[] shelf = new long[Shelf];
        fixed (long* slots = shelf)
        {
            var arguments = new Arguments { Parent = parent, Cache = box.Dentry, Shelf = (AtomicLong*)slots, CacheName = box.Slab.Name("churn"), Steps = 4000 };
            using (var gang = new CpuGang(box.Core.Cpus, new PretendPinner()))
                gang.Run(&Work<TC>, &arguments);
        }
        for (int i = 0; i < Workers; i++) Rcu.CpuOnline(box.Cpu(i));
        box.AssertBalanced();
        Assert.True(shelf.Count(o => o != 0) > Shelf / 4, "the run did something");
        foreach (long obj in shelf)
            if (obj != 0) box.Free((void*)obj);
        box.AssertBalanced();
        box.Remove(parent);
        box.AssertBalanced();
        Assert.Equal((0, 1), (box.Dying, AtomicLong.Load(&box.Tree->Count)));
        Assert.DoesNotContain(box.Slab.List<TC>(), c => c.Name.StartsWith("churn", StringComparison.Ordinal) || c.Owner != null);
        Assert.Equal(0, box.Slab.List<TC>()
            .Where(c => c.Name.Contains("cg", StringComparison.Ordinal) || c.Name.StartsWith("dentry", StringComparison.Ordinal)).Sum(c => c.Objects));
    }

    private static void Work<TC>(in ThisCpu cpu, void* argument) where TC : struct, IMemoryController
    {
        var a = (Arguments*)argument;
        ulong state = 0x5eed + (ulong)cpu.Index * 0x9e3779b97f4a7c15;
        Memcg* own = MemcgLife.Create<TC>(cpu, a->Parent);
        SlabCache* churn = SlabCaches.Create<TC>(cpu, a->CacheName, 100, accounted: true, checkObjects: true);
        for (int step = 0; step < a->Steps; step++, Poll.Run(cpu))
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            AtomicLong* slot = a->Shelf + (int)(state >> 8 & (Shelf - 1));
            switch (state >> 40 & 31)
            {
                case 0:
                    Memcg* next = MemcgLife.Create<TC>(cpu, a->Parent);
                    if (next == null) break;
                    MemcgLife.Remove(cpu, own);
                    own = next;
                    break;
                case 1 when churn != null:
                    SlabCaches.Destroy<TC>(cpu, churn);
                    churn = SlabCaches.Create<TC>(cpu, a->CacheName, 100, accounted: true, checkObjects: true);
                    break;
                case 2:
                    TC.DrainStocks(cpu, a->Parent);
                    break;
                default:
                    void* fresh = (state >> 50 & 3) switch
                    {
                        0 when churn != null => KmemObjects.Alloc<TC>(cpu, churn, own),
                        1 => KmemObjects.Kmalloc<TC>(cpu, 1 + (int)(state >> 16 & 4095), own, Gfp.Account),
                        _ => KmemObjects.Alloc<TC>(cpu, a->Cache, own),
                    };
                    if (fresh != null) *(long*)fresh = step;
                    var old = (void*)AtomicLong.Exchange(slot, (long)fresh);
                    if (old != null) KmemObjects.Free<TC>(cpu, old);
                    break;
            }
        }
        MemcgLife.Remove(cpu, own);
        if (churn != null) SlabCaches.Destroy<TC>(cpu, churn);
    }
}
