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

/// <summary>What became of an attempt to take a page off its list without having a reference.</summary>
public enum CatchResult
{
    /// <summary>It is on no list, or somebody else has it.</summary>
    Missed,
    /// <summary>It is the caller's, with a reference.</summary>
    Caught,
    /// <summary>Somebody else has it off its list, and the reference taken to look at it was the last one: the caller frees it.</summary>
    LastReference,
}

/// <summary>What <see cref="ILruDesign.Rehome"/> runs while no list can see the page: the owner changes inside.</summary>
public unsafe interface IOwnerSwitch
{
    /// <summary>The switch itself.</summary>
    void Run(in ThisCpu cpu, Page* page);
}

/// <summary>An owner switch that says beforehand whose the page will be.</summary>
public unsafe interface IOwnerMove : IOwnerSwitch
{
    /// <summary>The new owner; null = nobody, so the root's lists.</summary>
    Memcg* To { get; }
}

/// <summary>What <see cref="ILruDesign.TrySplice"/> runs under both locks: every page of the child's lists becomes the parent's.</summary>
public unsafe interface ISpliceSwitch
{
    /// <summary>The switch itself, for one node.</summary>
    void Run(in ThisCpu cpu, Memcg* child, Memcg* parent, int node);
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
    /// True where winning the LRU bit is all that keeps a page's owner. Somebody who won it, and did not take the lock yet, relies on the
    /// owner: so a page is charged before it can be on a list, and only its isolator changes whose it is. Linux 5.8 charges a swap-in when it
    /// is read for this reason, and has no lrucare any more.
    /// </summary>
    static virtual bool OwnerKeptByBit => false;

    /// <summary>
    /// Seam: the owner switch under the list's own protocol (lrucare): a page that is on a list leaves the old owner's and joins the new
    /// owner's, and nobody sees the time between. The caller holds the page lock, and did not isolate the page. Never called with
    /// <see cref="OwnerKeptByBit"/>.
    /// </summary>
    static virtual void Rehome<TPc, TSwitch>(in ThisCpu cpu, Page* page, ref TSwitch change)
        where TPc : struct, IPageCgroupDesign where TSwitch : struct, IOwnerSwitch =>
        Bug.Fail("lru: a page that somebody may have isolated changes its owner, and the LRU bit keeps it (page)", (long)page);

    /// <summary>
    /// Are pages on the zone's list and on their group's at once? Then <see cref="IsolateTail"/> and <see cref="Count"/> of the root mean the zone's,
    /// which hold every page.
    /// </summary>
    static virtual bool Twin => false;
    /// <summary>page_cgroups linked on memcg's own lists on node; only where there are such lists.</summary>
    static virtual long LinkedNodes(Memcg* memcg, int node) => 0;
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

    // Verbs only some answers do in their own way.

    /// <summary>
    /// The owner switch of a page that the caller isolated and locked (move_account). To 3.16 nothing more: nobody looks at the link of a
    /// page that is off the lists, because link and list are looked at under one lock.
    /// </summary>
    static virtual void SwitchIsolated<TPc, TMove>(in ThisCpu cpu, Page* page, ref TMove change)
        where TPc : struct, IPageCgroupDesign where TMove : struct, IOwnerMove => change.Run(cpu, page);

    /// <summary>Isolates a page that was found by pfn; the caller has no reference (lumpy reclaim, compaction). Missed also where a design has no way to.</summary>
    static virtual CatchResult Catch<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign => CatchResult.Missed;

    /// <summary>All lists of child on node become parent's, and change runs under both locks; false where a design cannot do it in one step.</summary>
    static virtual bool TrySplice<TSplice>(in ThisCpu cpu, Memcg* child, Memcg* parent, int node, ref TSplice change) where TSplice : struct, ISpliceSwitch => false;

    /// <summary>True when new pages wait in their book (<see cref="Pend"/>) and not in the CPU's pagevec.</summary>
    static virtual bool Pends => false;
    /// <summary>A new page waits for its list without a reference.</summary>
    static virtual void Pend<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign { }
    /// <summary>Every page that waits goes to its list.</summary>
    static virtual void DrainPending<TPc>(in ThisCpu cpu) where TPc : struct, IPageCgroupDesign { }

    /// <summary>Bytes a group needs on a node of nodeBytes beside its slot.</summary>
    static virtual long MemcgNodeExtraBytes(AccountingPlan plan, long nodeBytes) => 0;
    /// <summary>Hands the plan to a node's state, before <see cref="InitNode"/> and before any group exists.</summary>
    static virtual void Configure(AccountingNode* node, AccountingPlan plan) { }

    /// <summary>A new group can be found from now on.</summary>
    static virtual void OnOnline(in ThisCpu cpu, Memcg* memcg) { }
    /// <summary>The group's last reference is gone; a grace period follows. False: not yet, ask again after it.</summary>
    static virtual bool OnReleased(in ThisCpu cpu, Memcg* memcg) => true;
    /// <summary>That grace period is over: the group's memory is about to be given away.</summary>
    static virtual void OnFreed(in ThisCpu cpu, Memcg* memcg) { }

    /// <summary>Adds a line for each thing that a freed group's lists should not have (B-I6).</summary>
    static virtual void CheckFreed(Memcg* memcg, int node, ICollection<string> wrong) { }
    /// <summary>Adds the statistics of each lock that guards memcg's lists on node; a lock of all groups is the root's.</summary>
    static virtual void AddLocks(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks) { }
}
