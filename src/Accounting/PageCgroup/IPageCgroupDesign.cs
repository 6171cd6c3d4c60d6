// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>How do two CPUs agree on who owns a page?</summary>
public unsafe partial interface IPageCgroupDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Bytes per frame beside struct page (0 when the word in struct page is all).</summary>
    static virtual int MetadataBytes => 0;
    /// <summary>Must the owner word be clear when the frame goes back to the allocator? Before 3.19 uncharge left it in place.</summary>
    static abstract bool WordClearAtFree { get; }
    /// <summary>
    /// May the owner of a charged page change while nobody excludes it (7.1)? Then whoever asks for it stays inside RCU until it is done with the
    /// answer, statistics of a dying group are its first living ancestor's, and pages the root inherited are on the root's counter.
    /// </summary>
    static virtual bool OwnerMayMove => false;

    /// <summary>Prepares a new group's state.</summary>
    static virtual void InitMemcg(Memcg* memcg) { }
    /// <summary>Prepares per-CPU state.</summary>
    static virtual void InitCpu(CpuArea* area) { }
    /// <summary>Prepares a node's metadata.</summary>
    static virtual void InitNode(AccountingNode* node) { }

    /// <summary>
    /// Makes memcg the owner. False when the page has one already: nothing changed, the caller gives its charge back (the undo branch
    /// that carried correctness, A9). TLru.OnOwned runs inside the critical section, where the design has one.
    /// </summary>
    static abstract bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign;

    /// <summary>Ends the ownership if the design agrees for this type; the old owner and what to give back come out.</summary>
    static abstract bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign;

    /// <summary>The page's owner; used says whether it is charged. Who may call it when is the design's; every list design uses it for page to book.</summary>
    static abstract Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used);

    // Verbs only some answers do in their own way. The defaults compose the two above; their callers exclude everyone else from the page.

    /// <summary>
    /// The charge of old becomes new's, counters untouched: old is not used afterwards. Both pages locked, new without a charge, neither on a
    /// list. False when old was never charged (C16). The source mail leaves old associated but without its charges (C9, C-I9).
    /// </summary>
    static virtual bool MoveCharge<TSelf, TLru>(in ThisCpu cpu, Page* old, Page* page) where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign =>
        TSelf.TryClear<TLru>(cpu, old, UnchargeType.Force, out Memcg* owner, out _) && TSelf.Commit<TLru>(cpu, page, owner, PageMapping.IsAnon(old));

    /// <summary>
    /// The memsw part of a frozen page goes to its swap entry. charge is what the caller takes off the counters and statistics at once: an answer
    /// without a bit for it ends the ownership here (3.19), one with a bit gives nothing back now and memory only at the final put (3.17).
    /// </summary>
    static virtual bool ReleaseMemsw<TSelf, TLru>(in ThisCpu cpu, Page* page, out Memcg* owner, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        if (!TSelf.TryClear<TLru>(cpu, page, UnchargeType.Force, out owner, out charge)) return false;
        charge = charge with { Memsw = 0 };
        return true;
    }

    /// <summary>An isolated page under the page lock changes hands; to is null for nobody. False when from does not pay for it. charge says how much moved.</summary>
    /// <remarks>
    /// A design whose clear takes the link away must do it in one store: between two, the page would be the root's, and a catcher may lock
    /// the root's book, find that right, and hold it while the page goes to the target's list.
    /// </remarks>
    static virtual bool MoveAccount<TSelf, TLru>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        charge = default;
        if (TSelf.OwnerOf(cpu, page, out bool used) != from || !used) return false;
        bool anon = PageMapping.IsAnon(page);
        if (!TSelf.TryClear<TLru>(cpu, page, UnchargeType.Force, out _, out charge)) return false;
        return to == null || TSelf.Commit<TLru>(cpu, page, to, anon);
    }

    /// <summary>
    /// Sets the mark that keeps an unmapped page charged while it migrates (PCG_MIGRATION). False when nobody pays for the page: an anonymous page may
    /// be unmapped, and uncharged, by whoever does not hold its lock. Answers that uncharge at the final put need no mark.
    /// </summary>
    static virtual bool TryMarkMigrating(in ThisCpu cpu, Page* page, out Memcg* owner)
    {
        Bug.Fail("page_cgroup: no place for a mark (page); Eras.WhyNot should have refused this model", (long)page);
        owner = null;
        return false;
    }

    /// <summary>Clears the mark.</summary>
    static virtual void ClearMigrating(in ThisCpu cpu, Page* page) { }

    /// <summary>Is a device page that a driver inserts charged? 2.6.25 to 2.6.27 did; the 2008 series leaves it out.</summary>
    static virtual bool ChargesInsertedPages => false;
}
