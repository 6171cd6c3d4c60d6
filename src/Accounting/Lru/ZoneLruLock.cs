// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: a page sat on two lists, the zone's and its group's private one, and both had to be kept in step
// under two locks. If the group's list is the only list, page_cgroup needs no list node and reclaim of a group walks nothing else.
//
//   off list --Add--> on list (LRU bit) --Isolate/Delete--> off list        every arrow under the zone's lru_lock
//
//   operation   Add  Delete  Isolate  Putback          X: excluded by the zone lock, all groups of the zone together
//   any          X      X       X        X
//
// The owner of a page on a list does not change (the rule of 3.3): who rewrites it takes the page off first. So translation page to
// lruvec and list work happen in one critical section and need no recheck.
// (A) the LRU bit is set and cleared under the lock; IsolateTail relies on it for pages whose last reference goes meanwhile.

/// <summary>One lock per zone guards every group's lists in it. Linux 3.3 to 5.10 (per zone to 4.7, per node afterwards; one zone per node here).</summary>
[PatchSeries("Johannes Weiner", "2012-01", "mm: collect LRU list heads into struct lruvec; make per-memcg LRU lists exclusive", "merged in 3.3 (925b7673cce3)")]
public readonly unsafe struct ZoneLruLock<TLock> : ILruDesign where TLock : struct, ILockKind
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => "ZoneLruLock(" + TLock.Name + ")";

    private static Lruvec* Vec(Memcg* memcg, int node) => (Lruvec*)((byte*)Memcg.OnNode(memcg, node) + MemcgNode.LruSlot);

    /// <summary>page to lruvec: the owner's, or the root's when nobody owns the page (mem_cgroup_page_lruvec).</summary>
    [MethodImpl(Inline)]
    private static Lruvec* VecOf<TPc>(in ThisCpu cpu, Page* page, int node) where TPc : struct, IPageCgroupDesign =>
        VecOf(cpu, TPc.OwnerOf(cpu, page, out _), node);

    [MethodImpl(Inline)]
    private static Lruvec* VecOf(in ThisCpu cpu, Memcg* owner, int node)
    {
        if (owner == null) owner = MemcgTree.Root(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree));
        return Vec(owner, node);
    }

    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node) => TLock.Init(&AccountingNode.Slot<ZoneLruState>(node, AccountingNode.LruSlot)->Lock);

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode) => Lruvec.Init((Lruvec*)((byte*)memcgNode + MemcgNode.LruSlot));
    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }
    /// <inheritdoc/>
    public static void OnOwned(in ThisCpu cpu, Page* page, Memcg* memcg) { }
    /// <inheritdoc/>
    public static void OnDisowned(in ThisCpu cpu, Page* page, Memcg* memcg) { }

    /// <inheritdoc/>
    public static void Add<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new ZoneHold<TLock>();
        for (int i = 0; i < n; i++) Link<TPc>(cpu, pages[i], hold.Relock(cpu, pages[i]));
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    public static void Putback<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign => Add<TPc>(cpu, pages, n);

    [MethodImpl(Inline)]
    private static void Link<TPc>(in ThisCpu cpu, Page* page, int node) where TPc : struct, IPageCgroupDesign
    {
        long flags = AtomicLong.Load(&page->Flags);
        if ((flags & PageFlags.Lru) != 0) Bug.Fail("lru: page added twice (page, flags)", (long)page, flags);
        PageOps.Set(page, PageFlags.Lru);
        Lruvec.Add(VecOf(cpu, TPc.OwnerAtAdd<TPc>(cpu, page), node), page, Lruvec.ListOf(flags));
    }

    /// <inheritdoc/>
    public static void Delete<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new ZoneHold<TLock>();
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            if (!PageOps.Test(page, PageFlags.Lru)) continue;
            int node = hold.Relock(cpu, page);
            long flags = AtomicLong.Load(&page->Flags);
            // Nobody can isolate a page without references, so the bit cannot have gone while we waited for the lock.
            if ((flags & PageFlags.Lru) == 0) Bug.Fail("lru: a page without references left its list (page, flags)", (long)page, flags);
            Lruvec.Delete(VecOf<TPc>(cpu, page, node), page, Lruvec.ListOf(flags));
            PageOps.ClearExclusive(page, PageFlags.Lru | PageFlags.Active | PageFlags.Unevictable);
        }
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    public static bool Isolate<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (!PageOps.Test(page, PageFlags.Lru)) return false;
        var hold = new ZoneHold<TLock>();
        int node = hold.Relock(cpu, page);
        bool mine = PageOps.Test(page, PageFlags.Lru);
        if (mine)
        {
            PageOps.Get(page); // put by whoever puts it back
            Lruvec.Delete(VecOf<TPc>(cpu, page, node), page, Lruvec.ListOf(AtomicLong.Load(&page->Flags)));
            PageOps.Clear(page, PageFlags.Lru);
        }
        hold.Unlock(cpu);
        return mine;
    }

    /// <inheritdoc/>
    public static int IsolateTail<TPc>(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        Lruvec* vec = Vec(memcg, node);
        ListHead* head = Lruvec.Head(vec, list);
        int taken = 0;
        var hold = new ZoneHold<TLock>();
        hold.Lock(cpu, node);
        for (int scanned = 0; scanned < n && !IntrusiveList.IsEmpty(head); scanned++)
        {
            Page* page = PageOps.OfLru(IntrusiveList.Last(head));
            if (!PageOps.GetUnlessZero(page)) // its last putter waits for our lock to take it off the list
            {
                IntrusiveList.Move(head, &page->Lru);
                continue;
            }
            PageOps.Clear(page, PageFlags.Lru);
            Lruvec.Delete(vec, page, list);
            pages[taken++] = page;
        }
        hold.Unlock(cpu, taken);
        return taken;
    }

    /// <inheritdoc/>
    public static void Activate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign =>
        Requeue<TPc>(cpu, pages, n, PageFlags.Active, tail: false);

    /// <inheritdoc/>
    public static void Rotate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign =>
        Requeue<TPc>(cpu, pages, n, 0, tail: true);

    /// <summary>Pages on an inactive list change place; those that are active, unevictable or on no list stay where they are.</summary>
    private static void Requeue<TPc>(in ThisCpu cpu, Page** pages, int n, long set, bool tail) where TPc : struct, IPageCgroupDesign
    {
        var hold = new ZoneHold<TLock>();
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            if (!Lruvec.Requeues(AtomicLong.Load(&page->Flags))) continue;
            int node = hold.Relock(cpu, page);
            long flags = AtomicLong.Load(&page->Flags);
            if (!Lruvec.Requeues(flags)) continue;
            Lruvec* vec = VecOf<TPc>(cpu, page, node);
            Lruvec.Delete(vec, page, Lruvec.ListOf(flags));
            if (set != 0) PageOps.Set(page, set);
            if (tail) Lruvec.AddTail(vec, page, Lruvec.ListOf(flags | set));
            else Lruvec.Add(vec, page, Lruvec.ListOf(flags | set));
        }
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    /// <remarks>lrucare of 3.3: one hold of the zone's lock, so an isolator that has the page off its list puts it back under the new owner (B4).</remarks>
    public static void Rehome<TPc, TSwitch>(in ThisCpu cpu, Page* page, ref TSwitch change)
        where TPc : struct, IPageCgroupDesign where TSwitch : struct, IOwnerSwitch
    {
        var hold = new ZoneHold<TLock>();
        int node = hold.Relock(cpu, page);
        long flags = AtomicLong.Load(&page->Flags);
        bool listed = (flags & PageFlags.Lru) != 0;
        if (listed) Lruvec.Delete(VecOf<TPc>(cpu, page, node), page, Lruvec.ListOf(flags));
        change.Run(cpu, page);
        if (listed) Lruvec.Add(VecOf(cpu, TPc.OwnerAtAdd<TPc>(cpu, page), node), page, Lruvec.ListOf(flags));
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    public static CatchResult Catch<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (!PageOps.Test(page, PageFlags.Lru)) return CatchResult.Missed;
        var hold = new ZoneHold<TLock>();
        int node = hold.Relock(cpu, page);
        bool mine = PageOps.Test(page, PageFlags.Lru) && PageOps.GetUnlessZero(page); // put by whoever puts it back
        if (mine)
        {
            Lruvec.Delete(VecOf<TPc>(cpu, page, node), page, Lruvec.ListOf(AtomicLong.Load(&page->Flags)));
            PageOps.Clear(page, PageFlags.Lru);
        }
        hold.Unlock(cpu);
        return mine ? CatchResult.Caught : CatchResult.Missed;
    }

    /// <inheritdoc/>
    public static void AddLocks(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks) => ZoneLruState.AddTo(cpu, memcg, node, locks);

    /// <inheritdoc/>
    public static long Count(Memcg* memcg, int node, LruList list) => Lruvec.Count(Vec(memcg, node), list);

    /// <inheritdoc/>
    public static void Check<TPc>(in ThisCpu cpu, Memcg* memcg, int node, ICollection<string> wrong) where TPc : struct, IPageCgroupDesign
    {
        ZoneLruState* zone = ZoneLruState.Of(cpu, node);
        TLock.Acquire(cpu, &zone->Lock);
        Lruvec.Check<TPc>(cpu, Vec(memcg, node), memcg, node, wrong);
        TLock.Release(cpu, &zone->Lock);
    }
}
