// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Which list a page is on. Linux: enum lru_list, include/linux/mmzone.h.</summary>
public enum LruList
{
    /// <summary>Anonymous, to be reclaimed first.</summary>
    InactiveAnon,
    /// <summary>Anonymous, in use.</summary>
    ActiveAnon,
    /// <summary>Page cache, to be reclaimed first.</summary>
    InactiveFile,
    /// <summary>Page cache, in use.</summary>
    ActiveFile,
    /// <summary>Not to be reclaimed.</summary>
    Unevictable,
}

/// <summary>What <see cref="ILruDesign.Rehome"/> runs while no list can see the page: the owner changes inside.</summary>
public unsafe interface IOwnerSwitch
{
    /// <summary>The switch itself.</summary>
    void Run(in ThisCpu cpu, Page* page);
}

/// <summary>Which lock guards a page's place on a list?</summary>
/// <remarks>
/// The page's owner is asked of the PageCgroup axis (TPc.OwnerOf), never read directly: page to book is one of the three seams. n is the
/// length of a batch, at most <see cref="Pagevec.Size"/> or <see cref="Reclaim.Batch"/>.
/// </remarks>
public unsafe interface ILruDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }

    /// <summary>Prepares a node's state.</summary>
    static abstract void InitNode(AccountingNode* node);
    /// <summary>Prepares a new group's state.</summary>
    static abstract void InitMemcg(Memcg* memcg);
    /// <summary>Prepares a new group's lists on one node.</summary>
    static abstract void InitMemcgNode(MemcgNode* memcgNode);
    /// <summary>Prepares per-CPU state.</summary>
    static abstract void InitCpu(CpuArea* area);

    /// <summary>Seam: memcg became the owner of page; runs inside the PageCgroup axis' critical section, where it has one.</summary>
    static abstract void OnOwned(in ThisCpu cpu, Page* page, Memcg* memcg);
    /// <summary>Seam: memcg stops being the owner; as <see cref="OnOwned"/>.</summary>
    static abstract void OnDisowned(in ThisCpu cpu, Page* page, Memcg* memcg);

    /// <summary>Puts new pages on their lists.</summary>
    static abstract void Add<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign;
    /// <summary>Takes pages without references off their lists; those on none are skipped.</summary>
    static abstract void Delete<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign;
    /// <summary>Takes one page off its list; the caller holds a reference. False when it is on none.</summary>
    static abstract bool Isolate<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign;
    /// <summary>Takes up to n pages off the tail of a list, each with a new reference; busy ones rotate to the head.</summary>
    static abstract int IsolateTail<TPc>(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign;
    /// <summary>Puts isolated pages back. The book is looked up for every page: a swap-in may have charged it meanwhile (B4).</summary>
    static abstract void Putback<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign;
    /// <summary>Inactive to active.</summary>
    static abstract void Activate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign;
    /// <summary>To the tail of the inactive list, to be reclaimed next.</summary>
    static abstract void Rotate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign;

    /// <summary>
    /// Seam: the owner switch under the list's own protocol (lrucare): a page that is on a list leaves the old owner's and joins the new
    /// owner's, and nobody sees the time between. The caller holds the page lock.
    /// </summary>
    static virtual void Rehome<TSelf, TPc, TSwitch>(in ThisCpu cpu, Page* page, ref TSwitch change)
        where TSelf : struct, ILruDesign where TPc : struct, IPageCgroupDesign where TSwitch : struct, IOwnerSwitch
    {
        bool mine = TSelf.Isolate<TPc>(cpu, page);
        change.Run(cpu, page);
        if (!mine) return;
        TSelf.Putback<TPc>(cpu, &page, 1);
        if (PageOps.PutAndTest(page)) Bug.Fail("lru: the caller's reference was lost while its page changed owner (page)", (long)page);
    }

    /// <summary>Are pages on the zone's list and on their group's at once? Then the root's lists are the zone's own and hold every page.</summary>
    static virtual bool Twin => false;
    /// <summary>Seam: node is a page_cgroup that has just become its page's; runs inside the PageCgroup axis' critical section, where it has one.</summary>
    static virtual void OnNodeOwned<TPc>(in ThisCpu cpu, ListHead* node) where TPc : struct, IPageCgroupDesign { }
    /// <summary>Seam: these page_cgroups are about to be freed, or their pages to have none; n is at most 16.</summary>
    static virtual void OnNodesDisowned<TPc>(in ThisCpu cpu, ListHead** nodes, int n) where TPc : struct, IPageCgroupDesign { }
    /// <summary>The line that <see cref="OnNodeOwned{TPc}"/> will write for a page of memcg on node, or null.</summary>
    static virtual void* LineOf(Memcg* memcg, int node) => null;

    /// <summary>Pages counted on one list.</summary>
    static abstract long Count(Memcg* memcg, int node, LruList list);
    /// <summary>Adds a line for each count that differs from its walk and each page whose owner is not the list's (B-I1 to B-I7).</summary>
    static abstract void Check<TPc>(in ThisCpu cpu, Memcg* memcg, int node, ICollection<string> wrong) where TPc : struct, IPageCgroupDesign;
}
