// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: pages were charged before their mapping was set, so their type was known only from the calling
// context, so uncharge had to happen in unmap, page-cache removal and swap-cache truncation, well before the page is free; and all of
// that had to be synchronised. After the last put nobody looks at the page any more: uncharge it there, once, without a lock.
//
//   charged --unmap, cache removal--> charged --last put, off the LRU--> uncharged --> allocator
//   charged --swap-out, frozen--> memory on the page, memsw on the entry --last put--> memsw on the entry --swap free--> uncharged
//   charged --migrated, replaced--> the new page is charged, the old one is not
//
//   operation     OnUnmap  OnFinalPut        Everything is excluded by exclusivity: refcount 0 and off the LRU (C-I5).
//   (A) the last reference is dropped by a full-fence RMW; every use of the page happens before it (R-C2).

/// <summary>Uncharge after the last reference is gone, gathered per owner. Linux: mem_cgroup_uncharge_list, 3.17.</summary>
[PatchSeries("Johannes Weiner", "2014-06", "mm: memcontrol: rewrite uncharge API", "merged in 3.17 (0a31bc97c80c)")]
public readonly unsafe struct AtFinalPut : IUnchargeDesign
{
    /// <inheritdoc/>
    public static string Name => "AtFinalPut";

    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        for (int i = 0; i < n;) i = UnchargeRun<TC>(cpu, pages, i, n);
    }

    /// <summary>Uncharges the pages of one owner from at on, up to the first page of another; returns where that is.</summary>
    /// <remarks>A small loop without a call: its totals stay in registers. The owner is asked before the page is cleared, hence twice, in cache.</remarks>
    private static int UnchargeRun<TC>(in ThisCpu cpu, Page** pages, int at, int n) where TC : struct, IMemoryController
    {
        Memcg* owner = null;
        int memory = 0, memsw = 0, cleared = 0, anon = 0;
        for (; at < n; at++)
        {
            Page* page = pages[at];
            Memcg* of = TC.OwnerOf(cpu, page, out bool used);
            if (!used)
            {
                if (of != null) TC.TryClear(cpu, page, UnchargeType.FinalPut, out _, out _); // named and not charged: left by a migration (C-I9)
                continue;
            }
            if (of != owner)
            {
                if (owner != null) break;
                owner = of;
            }
            if (!TC.TryClear(cpu, page, UnchargeType.FinalPut, out _, out ClearedCharge charge)) continue;
            memory += charge.Memory;
            memsw += charge.Memsw;
            cleared += charge.Pages;
            anon += charge.Anon;
        }
        if (cleared != 0) UnchargeGather.Flush<TC>(cpu, owner, memory, memsw, anon, cleared - anon);
        return at;
    }

    /// <inheritdoc/>
    /// <remarks>A page still charged since before it was swapped out needs nothing: the page lock keeps it so (try_charge returns no group).</remarks>
    public static bool ChargesSwapIn<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        TC.OwnerOf(cpu, page, out bool used);
        return !used;
    }

    /// <inheritdoc/>
    public static void OnSwapCacheDeleted<TC>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    /// <remarks>Only reclaim comes here, so nobody has to guess the direction (C2). What the page keeps is uncharged at its final put.</remarks>
    public static void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController
    {
        if (Guarded<int>.Get(&GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree)->SwapAccounting) == 0) return;
        if (!TC.ReleaseMemsw(cpu, page, out Memcg* owner, out ClearedCharge charge)) return; // readahead that nobody mapped was never charged
        SwapRecord.Charge<TC>(cpu, SwapDevice.Of(cpu), entry, owner);
        if (charge.Pages != 0) UnchargeGather.Flush<TC>(cpu, owner, charge.Memory, charge.Memsw, charge.Anon, charge.Pages - charge.Anon);
    }

    /// <inheritdoc/>
    public static bool OnMigratePrepare<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => true;

    /// <inheritdoc/>
    public static void OnMigrateEnd<TC>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    public static void OnMigrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => Migrate<TC>(cpu, old, page, lrucare: false);

    /// <inheritdoc/>
    public static void OnReplaced<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => Migrate<TC>(cpu, old, page, lrucare: true);

    /// <summary>
    /// mem_cgroup_migrate. A page that was page cache before has a charge already and keeps it (C8); an old page without one gives none: migrated
    /// twice, readahead, or put back uncharged (C16). Otherwise the charge moves, and old's final put finds nothing (C9).
    /// </summary>
    private static void Migrate<TC>(in ThisCpu cpu, Page* old, Page* page, bool lrucare) where TC : struct, IMemoryController
    {
        TC.OwnerOf(cpu, page, out bool used);
        if (used) return;
        Memcg* owner = TC.OwnerOf(cpu, old, out used);
        if (!used) return;
        if (lrucare && TC.LruBitKeepsOwner) ChargeToo<TC>(cpu, page, owner);
        else TC.MoveCharge(cpu, old, page, lrucare);
    }

    /// <summary>mem_cgroup_migrate since 4.8: old may be on a list and keeps its charge, and with it the group, to its final put; page is charged beside it.</summary>
    private static void ChargeToo<TC>(in ThisCpu cpu, Page* page, Memcg* owner) where TC : struct, IMemoryController
    {
        if (!Memcg.IsRoot(owner)) TC.ChargeForced(cpu, owner, 1);
        Charging.Commit<TC>(cpu, page, owner, PageMapping.IsAnon(page));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnBatchBegin(in ThisCpu cpu) { }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnBatchEnd<TC>(in ThisCpu cpu) where TC : struct, IMemoryController { }
}
