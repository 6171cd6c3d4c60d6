// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its authors' terms: a page that names its group pins it; a shared library in the page cache keeps hundreds of removed
// groups in memory. Objects lost that problem in 5.9, because they name an obj_cgroup and the obj_cgroup names the group. Let pages do the same.
//
//   free (0) --commit--> objcg --final put--> free (0)             who the objcg names may change at any time, upwards only
//
//   operation   commit   clear   OwnerOf   splice        X: excluded by the caller, as in OwnerWord; R: the reader is inside RCU
//   commit         X       X        X         R
//   clear          X       X        X         R
//
// (O1) the owner is loaded inside RCU, and whoever uses it afterwards stays inside until it is done (uncharge, statistics, list lock);
// (O2) the splice stores the new owner under both list locks, then the group goes offline, and is recycled a grace period after its last
// reference: a reader of the old owner subtracts from a group that is still there, which keeps it as residue (E6).
//
// Differs from Linux: a batch of uncharges puts one objcg reference per page and not per batch.

/// <summary>One plain word in struct page names a counted pointer to the owner. Linux: folio->memcg_data with an objcg, 7.1.</summary>
[PatchSeries("Muchun Song, Qi Zheng", "2026", "Eliminate Dying Memory Cgroup (mm: memcontrol: use obj_cgroup for LRU folios)", "merged in 7.1")]
public readonly unsafe struct ObjcgWord : IPageCgroupDesign
{
    /// <inheritdoc/>
    public static string Name => "ObjcgWord";
    /// <inheritdoc/>
    public static bool WordClearAtFree => true;
    /// <inheritdoc/>
    public static bool OwnerMayMove => true;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        if (AtomicLong.Load(&page->Memcg) != 0) return false;
        AtomicLong.Store(&page->Memcg, (long)Objcg.GetOnNode(in cpu, memcg, PageOps.NodeIndex(page))); // put by TryClear
        TLru.OnOwned(cpu, page, memcg);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        var objcg = (Objcg*)AtomicLong.Load(&page->Memcg);
        if (objcg == null)
        {
            owner = null;
            charge = default;
            return false;
        }
        owner = AtomicPtr<Memcg>.Load(&objcg->Memcg);
        TLru.OnDisowned(cpu, page, owner);
        AtomicLong.Store(&page->Memcg, 0);
        charge = ChargeOf(page, objcg);
        PerCpuRef.Put(in cpu, &objcg->Ref); // got by Commit
        return true;
    }

    /// <summary>A page of the root's own was never counted; one that a removed group left to the root was, on the root's counter too (spec 3.4).</summary>
    private static ClearedCharge ChargeOf(Page* page, Objcg* objcg)
    {
        int counted = 1 - Guarded<int>.Get(&objcg->IsRoot);
        return new ClearedCharge(counted, counted, 1, PageMapping.AnonBitOf(page));
    }

    /// <inheritdoc/>
    /// <remarks>On the same node the reference goes along; on another one the group has another objcg. Both pages are off the lists or their lists are held.</remarks>
    public static bool MoveCharge<TSelf, TLru>(in ThisCpu cpu, Page* old, Page* page) where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        if (PageOps.NodeIndex(old) != PageOps.NodeIndex(page))
            return TryClear<TLru>(cpu, old, UnchargeType.Force, out Memcg* owner, out _) && Commit<TLru>(cpu, page, owner, PageMapping.IsAnon(old));
        long word = AtomicLong.Load(&old->Memcg);
        if (word == 0) return false;
        AtomicLong.Store(&old->Memcg, 0);
        AtomicLong.Store(&page->Memcg, word);
        return true;
    }

    /// <inheritdoc/>
    /// <remarks>One store from owner to owner, as OwnerWord.</remarks>
    public static bool MoveAccount<TSelf, TLru>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        charge = default;
        if (from == null || OwnerOf(cpu, page, out _) != from) return false;
        var old = (Objcg*)AtomicLong.Load(&page->Memcg);
        AtomicLong.Store(&page->Memcg, to == null ? 0 : (long)Objcg.GetOnNode(in cpu, to, PageOps.NodeIndex(page)));
        charge = ChargeOf(page, old);
        PerCpuRef.Put(in cpu, &old->Ref);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
    {
        var objcg = (Objcg*)AtomicLong.Load(&page->Memcg);
        used = objcg != null;
        return used ? AtomicPtr<Memcg>.Load(&objcg->Memcg) : null;
    }
}
