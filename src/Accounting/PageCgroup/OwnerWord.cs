// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: with pages charged under proper serialisation and uncharged after the last reference, nobody can
// look at the owner while it changes. The lock, the bits and the whole second array are then unnecessary; one word in struct page is left.
//
//   free (0) --commit--> owner --final put--> free (0)
//
//   operation   commit   clear   OwnerOf        X: the caller excludes the other, -: free
//   commit         X       X        X *         * by page lock, LRU isolation or an exclusive reference (Documentation of 3.19)
//   clear          X       X        X *
//
// (A) commit happens before the page becomes reachable: the page-table lock, the page lock or the LRU lock publishes it (R-C1).
// (B) every access happens before the last reference is dropped, which is a full-fence RMW and precedes clear (R-C2).

/// <summary>One plain word in struct page names the owner. Linux: page->mem_cgroup, 3.19.</summary>
[PatchSeries("Johannes Weiner", "2014-11-02", "mm: embed the memcg pointer directly into struct page", "merged in 3.19 (1306a85aed3e)")]
public readonly unsafe struct OwnerWord : IPageCgroupDesign
{
    /// <inheritdoc/>
    public static string Name => "OwnerWord";
    /// <inheritdoc/>
    public static bool WordClearAtFree => true;

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        if (AtomicLong.Load(&page->Memcg) != 0) return false;
        AtomicLong.Store(&page->Memcg, (long)memcg);
        TLru.OnOwned(cpu, page, memcg);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        owner = (Memcg*)AtomicLong.Load(&page->Memcg);
        if (owner == null)
        {
            charge = default;
            return false;
        }
        TLru.OnDisowned(cpu, page, owner);
        AtomicLong.Store(&page->Memcg, 0);
        charge = ChargeOf(page);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ClearedCharge ChargeOf(Page* page) => new(1, 1, 1, PageMapping.AnonBitOf(page));

    /// <inheritdoc/>
    /// <remarks>One store from owner to owner: list designs that look from page to book without a lock never see the word clear.</remarks>
    public static bool MoveAccount<TSelf, TLru>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        charge = default;
        if (from == null || AtomicLong.Load(&page->Memcg) != (long)from) return false;
        TLru.OnDisowned(cpu, page, from);
        AtomicLong.Store(&page->Memcg, (long)to);
        if (to != null) TLru.OnOwned(cpu, page, to);
        charge = ChargeOf(page);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
    {
        var owner = (Memcg*)AtomicLong.Load(&page->Memcg);
        used = owner != null;
        return owner;
    }
}
