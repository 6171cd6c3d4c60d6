// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its authors' terms: reclaim of one group must not walk the pages of all others. So a page is on two lists: itself on the
// zone's, its page_cgroup on its group's. How far the two are kept in step is what changed.
//
//   asynchronous (2.6.25 to 2.6.28): the group's list follows the charge, under a lock of its own; place and ACTIVE of the two may differ
//   synchronous  (2.6.29 to 3.2):    the group's list follows the zone's, under the zone's lock
//
//   operation       zone's list   group's list        Z: the zone's lock, G: the group's own, T: the page_cgroup's bit lock, tried
//   add, delete          Z          -     | Z         left: asynchronous, right: synchronous
//   charge, uncharge     -          G     | -
//   activate, putback    Z          Z,T,G | Z
//   isolate a tail       Z          Z,G   | Z
//   Lock order: Z, then G; the page_cgroup's own lock, then G; under Z it is only tried.
//
// The scanner of an asynchronous list skips pages off the zone's list and puts right what is on the wrong list. Under Z a page with the LRU
// bit cannot pass through the allocator, so an object that its page still shows then is the page's (A8).
//
// What differs from Linux: five lists per group instead of two, as in the -mm tree of 2008, so that reclaim is the same for every design; and who
// scans the root scans the zone's lists, as global reclaim did: the root's own page_cgroups are linked like any group's, and nobody walks them.

/// <summary>When a group's list follows.</summary>
public interface ITwinForm
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>With the charge; else with the zone's list.</summary>
    static abstract bool FollowsCharge { get; }
}

/// <summary>2.6.25 to 2.6.28.</summary>
public readonly struct Async : ITwinForm
{
    /// <inheritdoc/>
    public static string Name => "async";
    /// <inheritdoc/>
    public static bool FollowsCharge => true;
}

/// <summary>2.6.29 to 3.2.</summary>
public readonly struct Sync : ITwinForm
{
    /// <inheritdoc/>
    public static string Name => "sync";
    /// <inheritdoc/>
    public static bool FollowsCharge => false;
}

/// <summary>A list of page_cgroups per group and zone beside the zone's list of pages. Linux 2.6.25 to 3.2.</summary>
[PatchSeries("KAMEZAWA Hiroyuki", "2008-02; 2008-12", "per-zone and reclaim enhancements for memory controller; memcg: synchronized LRU",
    "merged in 2.6.25 (1ecaab2bd221) and 2.6.29 (08e552c69c6930); replaced in 3.3")]
public readonly unsafe partial struct TwinLists<TForm, TLock> : ILruDesign where TForm : struct, ITwinForm where TLock : struct, ILockKind
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => $"TwinLists({TForm.Name}, {TLock.Name})";
    /// <inheritdoc/>
    public static bool Twin => true;

    [MethodImpl(Inline)]
    private static TwinListState* Of(Memcg* memcg, int node) => (TwinListState*)((byte*)Memcg.OnNode(memcg, node) + MemcgNode.LruSlot);
    [MethodImpl(Inline)]
    private static Lruvec* ZoneVec(in ThisCpu cpu, int node) => &TwinZoneState.Of(AccountingCpu.Node(cpu, node))->Lists;

    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node)
    {
        TLock.Init(&TwinZoneState.Of(node)->Zone.Lock);
        Lruvec.Init(&TwinZoneState.Of(node)->Lists);
    }

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }

    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode)
    {
        var own = (TwinListState*)((byte*)memcgNode + MemcgNode.LruSlot);
        TLock.Init(&own->Lock);
        Lruvec.Init(&own->Lists);
    }

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
    public static void Putback<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new ZoneHold<TLock>();
        for (int i = 0; i < n; i++)
        {
            Link<TPc>(cpu, pages[i], hold.Relock(cpu, pages[i]));
            if (TForm.FollowsCharge) MoveLists<TPc>(cpu, pages[i]);
        }
        hold.Unlock(cpu);
    }

    private static void Link<TPc>(in ThisCpu cpu, Page* page, int node) where TPc : struct, IPageCgroupDesign
    {
        long flags = AtomicLong.Load(&page->Flags);
        if ((flags & PageFlags.Lru) != 0) Bug.Fail("lru: page added twice (page, flags)", (long)page, flags);
        PageOps.Set(page, PageFlags.Lru);
        LruList list = Lruvec.ListOf(flags);
        Lruvec.Add(ZoneVec(cpu, node), page, list);
        if (!TForm.FollowsCharge) LinkNode<TPc>(cpu, page, node, list, tail: false);
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
            if (!PageOps.Test(page, PageFlags.Lru)) Bug.Fail("lru: a page without references left its list (page)", (long)page);
            Unlink<TPc>(cpu, page, node);
            PageOps.ClearExclusive(page, PageFlags.Lru | PageFlags.Active | PageFlags.Unevictable);
        }
        hold.Unlock(cpu);
    }

    /// <summary>Off the zone's list and, if the group's follows it, off that. The LRU bit is the caller's.</summary>
    private static void Unlink<TPc>(in ThisCpu cpu, Page* page, int node) where TPc : struct, IPageCgroupDesign
    {
        LruList list = Lruvec.ListOf(AtomicLong.Load(&page->Flags));
        Lruvec.Delete(ZoneVec(cpu, node), page, list);
        if (!TForm.FollowsCharge) UnlinkNode<TPc>(cpu, page, node, list);
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
            Unlink<TPc>(cpu, page, node);
            PageOps.Clear(page, PageFlags.Lru);
        }
        hold.Unlock(cpu);
        return mine;
    }

    /// <inheritdoc/>
    public static int IsolateTail<TPc>(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new ZoneHold<TLock>();
        hold.Lock(cpu, node);
        int taken = Memcg.IsRoot(memcg) ? ScanZone<TPc>(cpu, node, list, pages, n)
            : TForm.FollowsCharge ? ScanCharged<TPc>(cpu, memcg, node, list, pages, n)
            : ScanListed<TPc>(cpu, memcg, node, list, pages, n);
        hold.Unlock(cpu, taken);
        return taken;
    }

    /// <summary>isolate_pages_global: the tail of the zone's list, whoever pays.</summary>
    private static int ScanZone<TPc>(in ThisCpu cpu, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        ListHead* head = Lruvec.Head(ZoneVec(cpu, node), list);
        int taken = 0;
        for (int scanned = 0; scanned < n && !IntrusiveList.IsEmpty(head); scanned++)
        {
            Page* page = PageOps.OfLru(IntrusiveList.Last(head));
            if (TryTake<TPc>(cpu, page, node)) pages[taken++] = page;
            else IntrusiveList.Move(head, &page->Lru); // its last putter waits for our lock
        }
        return taken;
    }

    /// <summary>__isolate_lru_page under the zone's lock.</summary>
    private static bool TryTake<TPc>(in ThisCpu cpu, Page* page, int node) where TPc : struct, IPageCgroupDesign
    {
        if (!PageOps.GetUnlessZero(page)) return false;
        Unlink<TPc>(cpu, page, node);
        PageOps.Clear(page, PageFlags.Lru);
        return true;
    }

    /// <inheritdoc/>
    /// <remarks>Lumpy reclaim (2.6.23): the neighbours of a page are looked at under the zone's lock.</remarks>
    public static CatchResult Catch<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (!PageOps.Test(page, PageFlags.Lru)) return CatchResult.Missed;
        var hold = new ZoneHold<TLock>();
        int node = hold.Relock(cpu, page);
        bool mine = PageOps.Test(page, PageFlags.Lru) && TryTake<TPc>(cpu, page, node);
        hold.Unlock(cpu);
        return mine ? CatchResult.Caught : CatchResult.Missed;
    }

    /// <inheritdoc/>
    public static void AddLocks(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks) => ZoneLruState.AddTo(cpu, memcg, node, locks);

    /// <inheritdoc/>
    public static void Activate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign => Requeue<TPc>(cpu, pages, n, PageFlags.Active, tail: false);

    /// <inheritdoc/>
    public static void Rotate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign => Requeue<TPc>(cpu, pages, n, 0, tail: true);

    private static void Requeue<TPc>(in ThisCpu cpu, Page** pages, int n, long set, bool tail) where TPc : struct, IPageCgroupDesign
    {
        var hold = new ZoneHold<TLock>();
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            int node = hold.Relock(cpu, page);
            long flags = AtomicLong.Load(&page->Flags);
            if ((flags & PageFlags.Lru) == 0 || (flags & (PageFlags.Active | PageFlags.Unevictable)) != 0) continue;
            Unlink<TPc>(cpu, page, node);
            if (set != 0) PageOps.Set(page, set);
            LruList list = Lruvec.ListOf(flags | set);
            if (tail) Lruvec.AddTail(ZoneVec(cpu, node), page, list);
            else Lruvec.Add(ZoneVec(cpu, node), page, list);
            if (!TForm.FollowsCharge) LinkNode<TPc>(cpu, page, node, list, tail);
            else if (set != 0) MoveLists<TPc>(cpu, page); // a rotated page keeps its place on its group's list
        }
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Asynchronous: the zone's list does not care who pays, and the group's follows by itself. Synchronous: off the old group's list, switch,
    /// onto the new one's (A14).
    /// </remarks>
    public static void Rehome<TPc, TSwitch>(in ThisCpu cpu, Page* page, ref TSwitch change)
        where TPc : struct, IPageCgroupDesign where TSwitch : struct, IOwnerSwitch
    {
        if (TForm.FollowsCharge)
        {
            change.Run(cpu, page);
            return;
        }
        var hold = new ZoneHold<TLock>();
        int node = hold.Relock(cpu, page);
        long flags = AtomicLong.Load(&page->Flags);
        LruList list = Lruvec.ListOf(flags);
        UnlinkNode<TPc>(cpu, page, node, list);
        change.Run(cpu, page);
        if ((flags & PageFlags.Lru) != 0) LinkNode<TPc>(cpu, page, node, list, tail: false);
        hold.Unlock(cpu);
    }

    /// <inheritdoc/>
    public static void* LineOf(Memcg* memcg, int node) => TForm.FollowsCharge ? Of(memcg, node) : null;

    /// <inheritdoc/>
    public static long Count(Memcg* memcg, int node, LruList list) =>
        Lruvec.Count(Memcg.IsRoot(memcg) ? &TwinZoneState.Of(MemcgTree.Node(Memcg.TreeOf(memcg), node))->Lists : &Of(memcg, node)->Lists, list);

    /// <inheritdoc/>
    public static long LinkedNodes(Memcg* memcg, int node)
    {
        long linked = 0;
        for (LruList list = 0; list <= LruList.Unevictable; list++) linked += Lruvec.Count(&Of(memcg, node)->Lists, list);
        return linked;
    }
}

/// <summary>A zone's lock and its lists of pages, whoever pays for them.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256 + Lruvec.Bytes)]
internal unsafe struct TwinZoneState
{
    /// <summary>The lock, first, where <see cref="ZoneHold{TLock}"/> finds it; it guards the groups' lists of a synchronous form too.</summary>
    [FieldOffset(0)] public ZoneLruState Zone;
    /// <summary>L: of pages.</summary>
    [FieldOffset(256)] public Lruvec Lists;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TwinZoneState* Of(AccountingNode* node) => AccountingNode.Slot<TwinZoneState>(node, AccountingNode.LruSlot);
}

/// <summary>A group's lists in one zone, lock and lists together. Linux: struct mem_cgroup_per_zone, 56 bytes with two lists.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 8 + Lruvec.Bytes)]
internal struct TwinListState
{
    /// <summary>Irq-safe; guards the lists of an asynchronous form.</summary>
    [FieldOffset(0)] public LockWord Lock;
    /// <summary>L: of page_cgroups.</summary>
    [FieldOffset(8)] public Lruvec Lists;
}
