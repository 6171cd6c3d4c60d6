// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The groups' side of TwinLists: nodes of page_cgroups.
public readonly unsafe partial struct TwinLists<TForm, TLock>
{
    private static void Lock(in ThisCpu cpu, TwinListState* own)
    {
        Machine.IrqOff();
        TLock.Acquire(cpu, &own->Lock);
    }

    private static void Unlock(in ThisCpu cpu, TwinListState* own)
    {
        TLock.Release(cpu, &own->Lock);
        Machine.IrqOn();
    }

    // Asynchronous: with the charge.

    [MethodImpl(Inline)]
    private static TwinListState* ListsOf<TPc>(ListHead* node) where TPc : struct, IPageCgroupDesign => Of(TPc.OwnerOfNode(node), PageOps.NodeIndex(TPc.PageOfNode(node)));

    /// <inheritdoc/>
    public static void OnNodeOwned<TPc>(in ThisCpu cpu, ListHead* node) where TPc : struct, IPageCgroupDesign
    {
        if (!TForm.FollowsCharge) return;
        TwinListState* own = ListsOf<TPc>(node);
        Lock(cpu, own);
        Link(own, node, TPc.ListOfNode(node));
        Unlock(cpu, own);
    }

    /// <inheritdoc/>
    /// <remarks>The lock is kept while the next node is on the same group's lists (patch 2 of the 2008 series).</remarks>
    public static void OnNodesDisowned<TPc>(in ThisCpu cpu, ListHead** nodes, int n) where TPc : struct, IPageCgroupDesign
    {
        if (!TForm.FollowsCharge) return;
        TwinListState* held = null;
        for (int i = 0; i < n; i++)
        {
            TwinListState* own = ListsOf<TPc>(nodes[i]);
            if (own != held)
            {
                if (held != null) Unlock(cpu, held);
                Lock(cpu, own);
                held = own;
            }
            IntrusiveList.Remove(nodes[i]);
            Lruvec.Resize(&own->Lists, TPc.ListOfNode(nodes[i]), -1);
        }
        if (held != null) Unlock(cpu, held);
    }

    private static void Link(TwinListState* own, ListHead* node, LruList list)
    {
        IntrusiveList.Add(Lruvec.Head(&own->Lists, list), node);
        Lruvec.Resize(&own->Lists, list, 1);
    }

    private static void Relink<TPc>(TwinListState* own, ListHead* node, LruList to) where TPc : struct, IPageCgroupDesign
    {
        IntrusiveList.Remove(node);
        Lruvec.Resize(&own->Lists, TPc.ListOfNode(node), -1);
        TPc.SetListOfNode(node, to);
        Link(own, node, to);
    }

    /// <summary>mem_cgroup_move_lists: the page_cgroup follows its page to another list, if it can be had without waiting (A1). The zone's lock is held.</summary>
    private static void MoveLists<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        ListHead* node = TPc.TryEnter(cpu, page);
        if (node == null) return;
        TwinListState* own = ListsOf<TPc>(node);
        LruList to = Lruvec.ListOf(AtomicLong.Load(&page->Flags));
        Lock(cpu, own);
        if (TPc.IsLive(node) && TPc.ListOfNode(node) != to) Relink<TPc>(own, node, to);
        Unlock(cpu, own);
        TPc.Leave(cpu, page);
    }

    /// <summary>
    /// mem_cgroup_isolate_pages: each node of the list is looked at once at most. Scanned ones go to the head, so that the next scan meets others;
    /// obsolete ones and those whose page is on no list stay in turn but do not count.
    /// </summary>
    private static int ScanCharged<TPc>(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        TwinListState* own = Of(memcg, node);
        ListHead* head = Lruvec.Head(&own->Lists, list);
        int taken = 0, scanned = 0;
        Lock(cpu, own);
        for (long left = Lruvec.Count(&own->Lists, list); left > 0 && scanned < n; left--)
        {
            ListHead* at = IntrusiveList.Last(head);
            Page* page = TPc.PageOfNode(at);
            long flags = AtomicLong.Load(&page->Flags);
            if ((flags & PageFlags.Lru) != 0 && TPc.IsLive(at)) // in this order: the bit keeps the frame where it is (A8)
            {
                LruList wanted = Lruvec.ListOf(flags);
                if (wanted != list)
                {
                    Relink<TPc>(own, at, wanted);
                    continue;
                }
                scanned++;
                if (TryTake<TPc>(cpu, page, node)) pages[taken++] = page;
            }
            IntrusiveList.Move(head, at);
        }
        Unlock(cpu, own);
        return taken;
    }

    // Synchronous: with the zone's list, under its lock.

    /// <summary>A node is linked unless it was never (zeroed array) or is no more (poison).</summary>
    private static bool IsLinked(ListHead* node)
    {
        ListHead* next = IntrusiveList.NextOf(node);
        return next != null && next != IntrusiveList.Poison;
    }

    /// <summary>mem_cgroup_add_lru_list: a page nobody pays for is on the zone's list only.</summary>
    private static void LinkNode<TPc>(in ThisCpu cpu, Page* page, int node, LruList list, bool tail) where TPc : struct, IPageCgroupDesign
    {
        Memcg* owner = TPc.OwnerAtAdd<TPc>(cpu, page);
        if (owner == null) return;
        TwinListState* own = Of(owner, node);
        ListHead* head = Lruvec.Head(&own->Lists, list);
        if (tail) IntrusiveList.AddTail(head, TPc.NodeOf(cpu, page));
        else IntrusiveList.Add(head, TPc.NodeOf(cpu, page));
        Lruvec.Resize(&own->Lists, list, 1);
    }

    /// <summary>mem_cgroup_del_lru_list: the group is still named, though it may have stopped paying.</summary>
    private static void UnlinkNode<TPc>(in ThisCpu cpu, Page* page, int node, LruList list) where TPc : struct, IPageCgroupDesign
    {
        ListHead* at = TPc.NodeOf(cpu, page);
        if (!IsLinked(at)) return;
        IntrusiveList.Remove(at);
        Lruvec.Resize(&Of(TPc.OwnerOfNode(at), node)->Lists, list, -1);
    }

    private static int ScanListed<TPc>(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        ListHead* head = Lruvec.Head(&Of(memcg, node)->Lists, list);
        int taken = 0;
        for (int scanned = 0; scanned < n && !IntrusiveList.IsEmpty(head); scanned++)
        {
            ListHead* at = IntrusiveList.Last(head);
            Page* page = TPc.PageOfNode(at);
            if (TryTake<TPc>(cpu, page, node)) pages[taken++] = page;
            else IntrusiveList.Move(head, at);
        }
        return taken;
    }

    // The books.

    /// <inheritdoc/>
    public static void Check<TPc>(in ThisCpu cpu, Memcg* memcg, int node, ICollection<string> wrong) where TPc : struct, IPageCgroupDesign
    {
        var hold = new ZoneHold<TLock>();
        hold.Lock(cpu, node);
        for (LruList list = 0; list <= LruList.Unevictable; list++)
        {
            if (Memcg.IsRoot(memcg))
            {
                string zone = $"lru: zone of node {node} {list}: ";
                ListHead* pages = Walk(ZoneVec(cpu, node), list, zone, wrong);
                for (ListHead* at = IntrusiveList.First(pages); at != pages; at = IntrusiveList.NextOf(at)) CheckPage(PageOps.OfLru(at), node, list, zone, wrong);
            }
            string place = $"lru: group {Guarded<int>.Get(&memcg->Id)} node {node} {list}: ";
            ListHead* head = Walk(&Of(memcg, node)->Lists, list, place, wrong);
            for (ListHead* at = IntrusiveList.First(head); at != head; at = IntrusiveList.NextOf(at)) CheckNode<TPc>(cpu, at, memcg, node, list, place, wrong);
        }
        hold.Unlock(cpu);
    }

    /// <summary>Compares a list's count with its walk; returns its head.</summary>
    private static ListHead* Walk(Lruvec* lists, LruList list, string place, ICollection<string> wrong)
    {
        ListHead* head = Lruvec.Head(lists, list);
        long length = IntrusiveList.Walk(head);
        if (length != Lruvec.Count(lists, list)) wrong.Add($"{place}count {Lruvec.Count(lists, list)}, walk {length}");
        return head;
    }

    private static void CheckPage(Page* page, int node, LruList list, string place, ICollection<string> wrong)
    {
        long flags = AtomicLong.Load(&page->Flags);
        if ((flags & PageFlags.Lru) == 0) wrong.Add($"{place}page {(nint)page:x} without the LRU bit");
        if (Lruvec.ListOf(flags) != list) wrong.Add($"{place}page {(nint)page:x} belongs on {Lruvec.ListOf(flags)}");
        if (PageFlags.NodeIndex(flags) != node) wrong.Add($"{place}page {(nint)page:x} is of node {PageFlags.NodeIndex(flags)}");
    }

    private static void CheckNode<TPc>(in ThisCpu cpu, ListHead* at, Memcg* memcg, int node, LruList list, string place, ICollection<string> wrong)
        where TPc : struct, IPageCgroupDesign
    {
        Page* page = TPc.PageOfNode(at);
        if (TPc.OwnerOfNode(at) != memcg) wrong.Add($"{place}page_cgroup of page {(nint)page:x} belongs to group {Guarded<int>.Get(&TPc.OwnerOfNode(at)->Id)}");
        if (!TForm.FollowsCharge) CheckPage(page, node, list, place, wrong);
        else if (!TPc.IsLive(at)) wrong.Add($"{place}page_cgroup of page {(nint)page:x} is obsolete and linked, though all grace periods are over");
        else if (TPc.ListOfNode(at) != list) wrong.Add($"{place}page_cgroup of page {(nint)page:x} says it is on {TPc.ListOfNode(at)}");
    }
}
