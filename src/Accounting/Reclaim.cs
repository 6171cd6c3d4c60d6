// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Reclaim on behalf of a group at its limit: walks the lists of its subtree from the tail, frees clean pages and
/// sends dirty ones to the device. Linux:
/// try_to_free_mem_cgroup_pages, mm/vmscan.c.
/// </summary>
/// <remarks>Dropped from Linux: priorities, generations, shrinkers, the scan balance between file and anonymous pages. Kept: isolation in
/// batches, page lock by trylock, unmap through the page's place, freeze before free, putback that relocks for every page.</remarks>
public static unsafe class Reclaim
{
    /// <summary>SWAP_CLUSTER_MAX: pages isolated per lock hold.</summary>
    public const int Batch = 32;

    private static ReadOnlySpan<LruList> Order => [LruList.InactiveFile, LruList.InactiveAnon];

    /// <summary>Tries to free wanted pages from root's subtree; returns pages freed. One round: every list is scanned once at most.</summary>
    public static long Shrink<TC>(in ThisCpu cpu, Memcg* root, long wanted) where TC : struct, IMemoryController
    {
        Mm.LruAddDrain<TC>(cpu);
        Writeback.CompleteOwn<TC>(cpu); // what the last round sent out is clean now (Linux: congestion_wait)
        MemcgTree* tree = Memcg.TreeOf(root);
        long freed = 0;
        int capacity = Guarded<int>.Get(&tree->Capacity), own = Guarded<int>.Get(&root->Id);
        for (int i = 0; i < capacity && freed < wanted; i++)
        {
            Memcg* memcg = TryGet(cpu, tree, (own + i) % capacity, root); // root first: a leaf at its limit looks no further
            if (memcg == null) continue;
            for (int node = 0; node < Guarded<int>.Get(&tree->Nodes) && freed < wanted; node++)
                freed += ShrinkNode<TC>(cpu, memcg, node, wanted - freed);
            Css.Put(cpu, &memcg->Css);
        }
        return freed;
    }

    /// <summary>The group with this id if it is alive and below root, with a css reference.</summary>
    private static Memcg* TryGet(in ThisCpu cpu, MemcgTree* tree, int id, Memcg* root)
    {
        using var rcu = new RcuReadGuard(cpu);
        Memcg* memcg = MemcgTree.ById(tree, id);
        if (Css.StateOf(&memcg->Css) == CssState.Free || !Css.TryGet(cpu, &memcg->Css)) return null;
        if (Memcg.IsDescendant(memcg, root)) return memcg;
        Css.Put(cpu, &memcg->Css);
        return null;
    }

    private static long ShrinkNode<TC>(in ThisCpu cpu, Memcg* memcg, int node, long wanted) where TC : struct, IMemoryController
    {
        long freed = 0;
        foreach (LruList inactive in Order)
        {
            if (TC.LruCount(memcg, node, inactive) < TC.LruCount(memcg, node, inactive + 1)) Deactivate<TC>(cpu, memcg, node, inactive + 1);
            for (long left = TC.LruCount(memcg, node, inactive); left > 0 && freed < wanted; left -= Batch)
            {
                long got = ShrinkBatch<TC>(cpu, memcg, node, inactive);
                if (got < 0) break;
                freed += got;
            }
        }
        return freed;
    }

    /// <summary>shrink_active_list: the oldest active pages become inactive.</summary>
    private static void Deactivate<TC>(in ThisCpu cpu, Memcg* memcg, int node, LruList active) where TC : struct, IMemoryController
    {
        Page** pages = stackalloc Page*[Batch];
        int n = TC.LruIsolateTail(cpu, memcg, node, active, pages, Batch);
        for (int i = 0; i < n; i++) PageOps.Clear(pages[i], PageFlags.Active);
        TC.LruPutback(cpu, pages, n);
        Mm.ReleasePages<TC>(cpu, pages, n);
    }

    /// <summary>One hold of the list lock: isolate, free what can be freed, put the rest back. -1 when the list gave nothing.</summary>
    private static long ShrinkBatch<TC>(in ThisCpu cpu, Memcg* memcg, int node, LruList list) where TC : struct, IMemoryController
    {
        Page** isolated = stackalloc Page*[Batch];
        Page** free = stackalloc Page*[Batch];
        int n = TC.LruIsolateTail(cpu, memcg, node, list, isolated, Batch), kept = 0, freed = 0;
        if (n == 0) return -1;
        TC.OnBatchBegin(cpu);
        for (int i = 0; i < n; i++)
        {
            if (TryFree<TC>(cpu, isolated[i])) free[freed++] = isolated[i];
            else isolated[kept++] = isolated[i];
        }
        TC.OnBatchEnd(cpu);
        TC.LruPutback(cpu, isolated, kept);
        Mm.ReleasePages<TC>(cpu, isolated, kept);
        if (freed == 0) return 0;
        MemcgStatCpu.Add(Memcg.OnCpu(cpu, memcg), MemcgStatItem.PgReclaimed, freed);
        Mm.FreeUnreferenced<TC>(cpu, free, freed);
        return freed;
    }

    /// <summary>shrink_page_list for one page: lock, a place on the device, unmap, write, freeze. True when the page is ours alone with count 0.</summary>
    private static bool TryFree<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        if (!PageOps.TryLock(page)) return false;
        bool ours = TryFreeLocked<TC>(cpu, page);
        PageOps.Unlock(page);
        return ours;
    }

    private static bool TryFreeLocked<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        if (PageOps.Test(page, PageFlags.Writeback | PageFlags.Unevictable)) return false;
        bool anon = PageMapping.IsAnon(page);
        SwapDevice* device = SwapDevice.Of(cpu);
        if (anon && PageOps.Test(page, PageFlags.Dirty) && !PageOps.Test(page, PageFlags.SwapCache) && (device == null || !SwapCache.TryAdd(cpu, device, page))) return false;
        if (!Rmap.TryUnmap<TC>(cpu, page)) return false;
        if (PageOps.Test(page, PageFlags.Dirty))
        {
            // swap_writepage: a place that no entry names is not written but given up. An unmap that saw the page outside the swap cache may be about
            // to uncharge it (mem_cgroup_uncharge_page: that test is not stable), so under writeback it would lose the group that counts it.
            if (SwapCache.TryFree<TC>(cpu, device, page)) return false;
            Writeback.Start<TC>(cpu, page); // clean when it comes back, and next in line
            return false;
        }
        // The isolation's reference, and a cache's, are the last; getters fail from here on.
        if (PageOps.Test(page, PageFlags.SwapCache)) return SwapCache.TryRemoveFrozen<TC>(cpu, device, page);
        if (anon || PageMapping.FileOf(page) == null) return PageOps.Freeze(page, 1);
        if (!PageCache.TryRemove(cpu, page, freeze: 2)) return false;
        TC.OnCacheRemoved(cpu, page);
        return true;
    }
}
