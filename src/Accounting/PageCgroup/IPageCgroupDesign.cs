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
}
