// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>How do two CPUs agree on who owns a page?</summary>
public unsafe interface IPageCgroupDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Bytes per frame beside struct page (0 when the word in struct page is all).</summary>
    static abstract int MetadataBytes { get; }
    /// <summary>Must the owner word be clear when the frame goes back to the allocator? Before 3.19 uncharge left it in place.</summary>
    static abstract bool WordClearAtFree { get; }

    /// <summary>Prepares a new group's state.</summary>
    static abstract void InitMemcg(Memcg* memcg);
    /// <summary>Prepares per-CPU state.</summary>
    static abstract void InitCpu(CpuArea* area);
    /// <summary>Prepares a node's metadata.</summary>
    static abstract void InitNode(AccountingNode* node);

    /// <summary>
    /// Makes memcg the owner. False when the page has one already: nothing changed, the caller gives its charge back (the undo branch
    /// that carried correctness, A9). TLru.OnOwned runs inside the critical section, where the design has one.
    /// </summary>
    static abstract bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign;

    /// <summary>Ends the ownership if the design agrees for this type; the old owner and what to give back come out.</summary>
    static abstract bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign;

    /// <summary>The page's owner; used says whether it is charged. Who may call it when is the design's; every list design uses it for page to book.</summary>
    static abstract Memcg* OwnerOf(Page* page, out bool used);

    /// <summary>An isolated page under the page lock changes hands; to is null for the root. False when from does not pay for it. charge says how much moved.</summary>
    /// <remarks>
    /// A design whose clear takes the link away must do it in one store: between two, the page would be the root's, and a catcher may lock
    /// the root's book, find that right, and hold it while the page goes to the target's list.
    /// </remarks>
    static virtual bool MoveAccount<TSelf, TLru>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        charge = default;
        if (TSelf.OwnerOf(page, out bool used) != from || !used) return false;
        bool anon = PageMapping.IsAnon(page);
        if (!TSelf.TryClear<TLru>(cpu, page, UnchargeType.Force, out _, out charge)) return false;
        return to == null || TSelf.Commit<TLru>(cpu, page, to, anon);
    }
}
