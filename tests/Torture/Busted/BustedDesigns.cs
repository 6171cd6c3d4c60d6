// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>D16: nothing is moved at css_free, so a page charged after the last turn names a group that is gone, and later a stranger's list.</summary>
internal readonly unsafe struct MovesOnce : IResidentsDesign
{
    public static string Name => "moves-once";
    public static void InitMemcg(Memcg* memcg) => MoveToParent.InitMemcg(memcg);
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    public static void OnUncounting(in ThisCpu cpu) => MoveToParent.OnUncounting(cpu);
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) => MoveToParent.OnUncounted(cpu, memcg, pages);
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) { }
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => MoveToParent.OnOffline<TC>(cpu, memcg);
}

/// <summary>D14, the form of 3.14: a block of pages is charged without a css reference, and uncharged from whatever group has its payer's place by then.</summary>
internal readonly unsafe struct PinAsIn314 : ICacheOwner
{
    public static string Name => "pin-3.14";
    public static bool LeavesResidue => false;
    public static bool PinsCss => true;
    public static void Bind(in ThisCpu cpu, SlabCache* child, Memcg* memcg) => PerCachePin.Bind(cpu, child, memcg);
    public static void Unbind(in ThisCpu cpu, SlabCache* child) => PerCachePin.Unbind(cpu, child);
    public static void Reparent<TC>(in ThisCpu cpu, Memcg* memcg, Memcg* parent) where TC : struct, IMemoryController { }
    public static bool TryCharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab, Gfp gfp) where TC : struct, IMemoryController =>
        PerCachePin.TryCharge<TC>(cpu, child, slab, gfp);
    public static void Uncharge<TC>(in ThisCpu cpu, SlabCache* child, Page* slab) where TC : struct, IMemoryController => PerCachePin.Uncharge<TC>(cpu, child, slab);

    public static bool TryChargePages<TC>(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) where TC : struct, IMemoryController
    {
        if (!Charging.TryChargeKmem<TC>(cpu, memcg, (int)order.Pages, gfp)) return false;
        AtomicLong.Store(&page->Memcg, (long)memcg | KmemWord.Owner);
        return true;
    }

    public static void UnchargePages<TC>(in ThisCpu cpu, Page* page, Order order) where TC : struct, IMemoryController
    {
        Memcg* memcg = KmemWord.Target<Memcg>(AtomicLong.Load(&page->Memcg));
        AtomicLong.Store(&page->Memcg, 0);
        Charging.UnchargeKmem<TC>(cpu, memcg, (int)order.Pages);
    }

    public static Memcg* OwnerOf(SlabCache* child) => PerCachePin.OwnerOf(child);
    public static Memcg* OwnerOf(long word) => PerCachePin.OwnerOf(word);
}

/// <summary>Page to book as usual, by a CPU that is often interrupted around its look at the owner: wide windows for catchers that look wrongly (W3).</summary>
internal readonly unsafe struct SlowLook : IBookMap
{
    [ThreadStatic] private static uint random;

    public static string Name => "slow";
    public static bool Slices => false;

    public static Memcg* GroupOf<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        Delay();
        Memcg* group = TPc.OwnerOf(cpu, page, out _);
        Delay();
        return group;
    }

    private static void Delay()
    {
        random = random * 1664525 + 1013904223;
        if ((random >> 29) == 0) Perturb.Spin((int)(random >> 20 & 127));
    }
}
