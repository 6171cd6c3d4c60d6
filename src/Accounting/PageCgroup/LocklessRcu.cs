// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: dirty-page and I/O tracking want to know a page's group from anywhere, and the bit lock in the way may
// not be taken there. If the object is freed by RCU, a reader needs no lock: it looks, and believes what is not marked obsolete.
//
//   0 --commit: fill, link, publish--> object --uncharge: OBSOLETE, then 0 in the page--> sink of this CPU --16--> RCU --> unlink, put, free
//
//   operation    commit  uncharge  move_lists, scan  reader      X: the page's own life excludes it, W: one winner, R: RCU, L: list lock
//   commit          X        X            L            R
//   uncharge        X        W            L            R
//
//   (A) fill, then publish                        pairs with (B) in LocklessRcu.cs: reader's load of the word (R-A1, R-A2)
//   (C) OBSOLETE, then 0 in the page              pairs with (D) in LocklessRcu.cs: a committer that meets the object waits for the 0
//   The group outlives its obsolete objects by a css reference each (R-A4): got at uncharge, put in the callback.
//
// Patches: 1 atomic flags; 2 sink and batch; 3 RCU; 4 no lock; 5 prefetch of the list's line; 7 PageCgroupReader. 6, mapping cleared before
// the uncharge, is Mm's order of events for every design.
//
// What differs from the posting is ILocklessForm, member by member. (D) is not in the series and not in its discussion: force_empty claims an
// object, is delayed, the page is charged anew, and then the late 0 wipes the new object. Device pages are not charged (cover letter).

/// <summary>An RCU-freed object published in struct page. Never merged; its readers' question was answered by arrays instead (2.6.28).</summary>
[PatchSeries("KAMEZAWA Hiroyuki", "2008-08-20", "memcg: lockless page_cgroup v1", "not merged: put off in favour of page_cgroup arrays (2.6.28)")]
public readonly unsafe partial struct LocklessRcu<TForm, TPrefetch> : IPageCgroupDesign where TForm : struct, ILocklessForm where TPrefetch : struct, IPrefetch
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => $"LocklessRcu({TForm.Name}, prefetch {TPrefetch.Name})";
    /// <inheritdoc/>
    public static int MetadataBytes => 0;
    /// <inheritdoc/>
    public static bool WordClearAtFree => true;
    /// <inheritdoc/>
    public static int ObjectBytes => TForm.ObjectBytes;
    /// <inheritdoc/>
    public static bool HasNode => true;

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node) { }

    [MethodImpl(Inline)]
    private static PageCgroupObject* Of(Page* page) => (PageCgroupObject*)AtomicLong.Load(&page->Memcg); // (B) pairs with (A) in LocklessRcu.cs

    [MethodImpl(Inline)]
    private static bool IsObsolete(PageCgroupObject* pc) => (AtomicLong.Load(&pc->Flags) & PageCgroupObject.Obsolete) != 0;

    /// <inheritdoc/>
    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        if ((TForm.UndoesSecondCharge || anon) && IsCharged(cpu, page)) return false;
        PageCgroupObject* pc = PageCgroupObject.Alloc(cpu);
        if (pc == null) return false;
        TPrefetch.Line(TLru.LineOf(memcg, PageOps.NodeIndex(page)));
        PageCgroupObject.Init(pc, page, memcg, anon);
        Guarded<nint>.Set(&pc->Next, 0);
        if (!TForm.UndoesSecondCharge && Of(page) != null) Bug.Fail("page_cgroup: the page has one already (page)", (long)page); // (A9)
        if (TForm.LinksFirst)
        {
            Link<TLru>(cpu, page, pc, memcg);
            AtomicLong.Store(&page->Memcg, (long)pc); // (A) pairs with (B) in LocklessRcu.cs
            return true;
        }
        AtomicLong.Store(&page->Memcg, (long)pc);
        Link<TLru>(cpu, page, pc, memcg);
        return true;
    }

    [MethodImpl(Inline)]
    private static void Link<TLru>(in ThisCpu cpu, Page* page, PageCgroupObject* pc, Memcg* memcg) where TLru : struct, ILruDesign
    {
        TLru.OnOwned(cpu, page, memcg);
        TLru.OnNodeOwned<LocklessRcu<TForm, TPrefetch>>(cpu, &pc->Lru);
    }

    /// <summary>The look before a charge: true when a live object is there. Leaves RCU on every way out (A6).</summary>
    private static bool IsCharged(in ThisCpu cpu, Page* page)
    {
        while (true)
        {
            Rcu.ReadLock(cpu);
            PageCgroupObject* pc = Of(page);
            bool obsolete = pc != null && IsObsolete(pc);
            Rcu.ReadUnlock(cpu);
            if (!obsolete || !TForm.ClaimsAtomically) return pc != null && !obsolete;
            AtomicLong.AwaitNot(&page->Memcg, (long)pc); // (D) pairs with (C) in LocklessRcu.cs; ended by the CPU that set OBSOLETE, two stores later
        }
    }

    /// <inheritdoc/>
    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        owner = null;
        charge = default;
        using var rcu = new RcuReadGuard(cpu);
        PageCgroupObject* pc = Of(page);
        if (pc == null || IsObsolete(pc) || Keeps(pc, page, type) || !TryClaim(pc)) return false;
        AtomicLong.Store(&page->Memcg, 0); // (C) pairs with (D) in LocklessRcu.cs
        owner = GuardedPtr<Memcg>.Get(&pc->Memcg);
        bool cache = (AtomicLong.Load(&pc->Flags) & PageCgroupObject.Cache) != 0;
        charge = new ClearedCharge(1, 1, 1, cache ? 0 : 1);
        TLru.OnDisowned(cpu, page, owner);
        Css.Get(cpu, &owner->Css); // put by Reaped: the object stays linked to the group's list (R-A4)
        Push<TLru>(cpu, pc);
        return true;
    }

    private static bool Keeps(PageCgroupObject* pc, Page* page, UnchargeType type) =>
        (type == UnchargeType.Mapped && (AtomicLong.Load(&pc->Flags) & PageCgroupObject.Cache) != 0) || UnchargeRule.Keeps(page, type, migrating: false);

    /// <summary>Sets OBSOLETE; true for whoever set it first.</summary>
    [MethodImpl(Inline)]
    private static bool TryClaim(PageCgroupObject* pc)
    {
        if (TForm.ClaimsAtomically) return (AtomicLong.FetchOr(&pc->Flags, PageCgroupObject.Obsolete) & PageCgroupObject.Obsolete) == 0;
        AtomicLong.Or(&pc->Flags, PageCgroupObject.Obsolete); // (A4): everybody who tested before wins
        return true;
    }

    /// <inheritdoc/>
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
    {
        Rcu.ReadLock(cpu);
        PageCgroupObject* pc = Of(page);
        Memcg* owner = pc == null || IsObsolete(pc) ? null : GuardedPtr<Memcg>.Get(&pc->Memcg);
        Rcu.ReadUnlock(cpu);
        used = owner != null;
        return owner;
    }

    /// <inheritdoc/>
    public static ListHead* TryEnter(in ThisCpu cpu, Page* page)
    {
        Rcu.ReadLock(cpu);
        PageCgroupObject* pc = Of(page);
        if (pc != null && !IsObsolete(pc)) return &pc->Lru;
        Rcu.ReadUnlock(cpu);
        return null;
    }

    /// <inheritdoc/>
    public static void Leave(in ThisCpu cpu, Page* page) => Rcu.ReadUnlock(cpu);

    /// <inheritdoc/>
    /// <remarks>Called with the list's lock held, so the object is linked; that the page still shows it means that the frame did not change hands.</remarks>
    public static bool IsLive(ListHead* node)
    {
        var pc = (PageCgroupObject*)node;
        if (IsObsolete(pc)) return false;
        return !TForm.Rechecks || Of(GuardedPtr<Page>.Get(&pc->Page)) == pc;
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Page* PageOfNode(ListHead* node) => GuardedPtr<Page>.Get(&((PageCgroupObject*)node)->Page);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Memcg* OwnerOfNode(ListHead* node) => GuardedPtr<Memcg>.Get(&((PageCgroupObject*)node)->Memcg);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static LruList ListOfNode(ListHead* node) => PageCgroupObject.ListOf((PageCgroupObject*)node);
    /// <inheritdoc/>
    public static void SetListOfNode(ListHead* node, LruList list) => PageCgroupObject.SetListAtomic((PageCgroupObject*)node, list);

    /// <inheritdoc/>
    public static void CheckPage(in ThisCpu cpu, Page* page, ICollection<string> wrong)
    {
        PageCgroupObject* pc = Of(page);
        if (pc == null) return;
        if (GuardedPtr<Page>.Get(&pc->Page) != page) wrong.Add($"page_cgroup: that of page {(nint)page:x} names page {(nint)GuardedPtr<Page>.Get(&pc->Page):x}");
        if (IsObsolete(pc)) wrong.Add($"page_cgroup: page {(nint)page:x} shows an obsolete one");
        if (Guarded<nint>.Get(&pc->Next) != 0) wrong.Add($"page_cgroup: that of page {(nint)page:x} is live and on its way out");
    }
}
