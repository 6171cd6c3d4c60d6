// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its authors' terms: since 3.19 a page pins its group, and page cache lives long: 1,560 dying groups on a host after a week,
// more than 100 GB on the worst. Moving page by page (to 3.18) is slow and racy. If pages name an objcg, all pages of a group and node change
// hands by one store, while both groups' list locks are held and the lists are joined.
//
//   offline: list_lrus, then per node: lock child's lists, lock parent's, switch the objcgs, join the lists, unlock, kill the objcg
//            then local statistics to the parent, then the stocks are drained
//
// Statistics: a group is marked dying a grace period before this runs, and writers who see the mark, inside RCU, count for the first ancestor
// that is not (H7). So the sums that are moved here are final.
//
// Nodes are done one after the other: for a while pages of node 0 are the parent's and pages of node 1 still the child's (G3).
// Pinned still: by swap entries that record the group, and by a CPU's stock that remembers it. 7.1 takes objcg_lock before the list locks;
// here it is the innermost, so that a put under a list lock could release an objcg.

/// <summary>At offline all pages of the group become the parent's at once. Linux: memcg_reparent_objcgs with LRU lists, 7.1.</summary>
[PatchSeries("Muchun Song, Qi Zheng", "2026", "Eliminate Dying Memory Cgroup (reparent the LRU pages, v6)", "merged in 7.1")]
public readonly unsafe struct SpliceToParent : IResidentsDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => "SpliceToParent";
    /// <inheritdoc/>
    public static Pins Pins => Pins.Stocks;

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnUncounting(in ThisCpu cpu) { }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) => Css.Get(cpu, &memcg->Css); // put by OnStockDropped
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) => Css.Put(cpu, &memcg->Css); // got by OnStockCached

    private struct Switch<TC> : ISpliceSwitch where TC : struct, IMemoryController
    {
        public Objcg* Active;

        public void Run(in ThisCpu cpu, Memcg* child, Memcg* parent, int node) => Active = TC.KmemDetach(cpu, child, parent, node);
    }

    /// <inheritdoc/>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController
    {
        Memcg* parent = Memcg.ParentOf(memcg);
        for (int node = 0; node < Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes); node++)
        {
            var change = new Switch<TC>();
            if (!TC.LruSplice(cpu, memcg, parent, node, ref change)) Bug.Fail("residents: the list design cannot join lists (node)", node);
            PerCpuRef.Kill(in cpu, &change.Active->Ref);
        }
        MemcgStat.MoveToParent(in cpu, memcg, parent);
        TC.DrainStocks(cpu, memcg);
    }
}
