// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Honest = MemcgNative.Accounting.ObjCgroup<MemcgNative.Accounting.OnePerGroup>;

namespace MemcgNative.Tests.Torture;

/// <summary>Frees objects without giving their charge back: the slot in the slab's vector keeps an owner (I15).</summary>
internal readonly unsafe struct FreesUncharged : IKmemDesign
{
    public static string Name => "FreesUncharged";
    public static bool LeavesResidue => true;
    public static void InitMemcg(Memcg* memcg, Memcg* parent) => Honest.InitMemcg(memcg, parent);
    public static void InitCpu<TC>(CpuArea* area) where TC : struct, IMemoryController => Honest.InitCpu<TC>(area);
    public static bool OnOnline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => Honest.OnOnline<TC>(cpu, memcg);
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => Honest.OnOffline<TC>(cpu, memcg);

    public static void* Alloc<TC>(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        Honest.Alloc<TC>(cpu, cache, memcg, gfp);

    public static void Free<TC>(in ThisCpu cpu, Page* slab, void* obj) where TC : struct, IMemoryController
    {
        Rcu.ReadLock(cpu);
        KmemCache<SlabHook<TC>>.Free(cpu, KmemCacheState.Of(slab), obj);
        Rcu.ReadUnlock(cpu);
    }

    public static void OnSlabRelease<TC>(in ThisCpu cpu, SlabCache* cache, Page* slab) where TC : struct, IMemoryController => Honest.OnSlabRelease<TC>(cpu, cache, slab);
    public static Memcg* OwnerOfObject(in ThisCpu cpu, Page* slab, void* obj) => Honest.OwnerOfObject(cpu, slab, obj);

    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController =>
        Honest.TryChargePages<TC>(cpu, page, order, memcg, gfp);

    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController => Honest.UnchargePages<TC>(cpu, page, order);
    public static void DrainStocks<TC>(in ThisCpu cpu, Memcg* root) where TC : struct, IMemoryController => Honest.DrainStocks<TC>(cpu, root);
    public static void Count<TC>(in ThisCpu cpu, KmemBooks books) where TC : struct, IMemoryController => Honest.Count<TC>(cpu, books);
}
