// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Two-phase charge: try_charge may reclaim and fail, commit binds the page, cancel gives back. Linux: mm/memcontrol.c 3.16 on.</summary>
public static unsafe class Charging
{
    /// <summary>MEM_CGROUP_RECLAIM_RETRIES: rounds that free nothing before the charge fails.</summary>
    public const int FruitlessRounds = 5;

    /// <summary>
    /// Charges pages to memcg. The root's counter is not touched: it has no limit, and one shared counter for the whole machine cost 3.17
    /// dearly; its pages are bound to it all the same. False after five fruitless rounds of reclaim.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryCharge<TC>(in ThisCpu cpu, Memcg* memcg, int pages, Gfp gfp) where TC : struct, IMemoryController
    {
        if (Memcg.IsRoot(memcg)) return true;
        Unsafe.SkipInit(out Refusal refused);
        return TC.TryCharge(cpu, memcg, pages, ref refused) || TryChargeSlow<TC>(cpu, memcg, pages, gfp, refused);
    }

    /// <summary>Makes room where the charge was refused, and tries again. Order as 3.19: reclaim, then once drain the stocks, then count the round.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryChargeSlow<TC>(in ThisCpu cpu, Memcg* memcg, int pages, Gfp gfp, Refusal refused) where TC : struct, IMemoryController
    {
        bool drained = false;
        for (int fruitless = 0; (gfp & (Gfp.NoWait | Gfp.Atomic)) == 0 && fruitless < FruitlessRounds;)
        {
            AtomicLong.Add(&refused.Memcg->ReclaimRounds, 1);
            long freed = Reclaim.Shrink<TC>(cpu, refused.Memcg, Math.Max(pages, Reclaim.Batch));
            if (TC.TryCharge(cpu, memcg, pages, ref refused)) return true;
            if (!drained)
            {
                TC.DrainStocks(cpu, refused.Memcg);
                drained = true;
                if (TC.TryCharge(cpu, memcg, pages, ref refused)) return true;
            }
            if (freed == 0) fruitless++;
        }
        AtomicLong.Add(&refused.Memcg->ChargesFailed, 1);
        return false;
    }

    /// <summary>
    /// memcg_charge_kmem: the kmem counter first, then memory, as 3.8 to 4.4. A reference that counted pages hold under the residents'
    /// answer goes back at once: who holds the group up for kernel memory is the kmem design's business (5.3: css_put_many after the charge).
    /// </summary>
    public static bool TryChargeKmem<TC>(in ThisCpu cpu, Memcg* memcg, int pages, Gfp gfp) where TC : struct, IMemoryController
    {
        if (Memcg.IsRoot(memcg)) return true;
        Refusal refused = default;
        if (!TC.TryChargeKmem(cpu, memcg, pages, ref refused))
        {
            AtomicLong.Add(&refused.Memcg->ChargesFailed, 1); // nothing to reclaim: shrinkers are not modelled
            return false;
        }
        if (!TryCharge<TC>(cpu, memcg, pages, gfp))
        {
            TC.CancelKmem(cpu, memcg, pages);
            return false;
        }
        TC.DropChargePin(cpu, memcg, pages);
        return true;
    }

    /// <summary>
    /// memcg_uncharge_kmem. The caller keeps memcg from being recycled: by a reference, or by being inside RCU. The root's own objects are never charged;
    /// what it inherited was, through its counter, and is not uncharged there, as in Linux. The audit wants to know how much that is (I1b).
    /// </summary>
    public static void UnchargeKmem<TC>(in ThisCpu cpu, Memcg* memcg, int pages) where TC : struct, IMemoryController
    {
        if (!Memcg.IsRoot(memcg)) TC.UnchargeKmem(cpu, memcg, pages);
        else AtomicLong.Add(&Memcg.TreeOf(memcg)->RootDrift, pages);
    }

    /// <summary>Binds page to memcg, which was charged for it; a page that somebody else bound meanwhile gives the charge back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Commit<TC>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TC : struct, IMemoryController
    {
        if (!TC.Commit(cpu, page, memcg, anon)) Cancel<TC>(cpu, memcg, 1);
    }

    /// <summary>
    /// mem_cgroup_commit_charge_swapin: page is locked, mapped, perhaps on a list (not yet on one since 5.8). While it stays in the swap cache it carries its own memsw charge,
    /// so the entry's is given back now; the entry may live for long.
    /// </summary>
    internal static void CommitSwapIn<TC>(in ThisCpu cpu, Page* page, Memcg* memcg, SwapDevice* device) where TC : struct, IMemoryController
    {
        if (!(TC.LruBitKeepsOwner ? TC.Commit(cpu, page, memcg, anon: true) : TC.CommitLrucare(cpu, page, memcg, anon: true))) Cancel<TC>(cpu, memcg, 1);
        if (PageOps.Test(page, PageFlags.SwapCache)) SwapRecord.Uncharge<TC>(cpu, device, SwapCache.EntryOf(page));
    }

    /// <summary>Gives back a charge that was never committed.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Cancel<TC>(in ThisCpu cpu, Memcg* memcg, int pages) where TC : struct, IMemoryController
    {
        if (!Memcg.IsRoot(memcg)) TC.Cancel(cpu, memcg, pages);
    }

    /// <summary>get_mem_cgroup_from_mm: the group mm is in, with a css reference (the root's too). Put by Css.Put.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* MemcgOf(in ThisCpu cpu, MmStruct* mm)
    {
        Rcu.ReadLock(cpu);
        Memcg* memcg = AtomicPtr<Memcg>.Load(&mm->Memcg);
        // Only a space that is being moved out of a dying group loops; the mover's store of the new group ends it.
        while (!Css.TryGetOnline(cpu, &memcg->Css)) memcg = AtomicPtr<Memcg>.AwaitNot(&mm->Memcg, memcg);
        Rcu.ReadUnlock(cpu);
        return memcg;
    }
}
