// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Which counter: Linux 3.19 has memory, memsw and kmem per group.</summary>
public enum CounterKind
{
    /// <summary>All charged memory.</summary>
    Memory,
    /// <summary>Memory plus swap.</summary>
    Memsw,
    /// <summary>Kernel memory, also part of memory.</summary>
    Kmem,
}

/// <summary>Why a page stops being charged. Linux: MEM_CGROUP_CHARGE_TYPE_*, 2.6.24 to 3.16.</summary>
public enum UnchargeType
{
    /// <summary>Last unmap of an anonymous page.</summary>
    Mapped,
    /// <summary>Removal from the page cache.</summary>
    Cache,
    /// <summary>Swap cache deleted by swap-out: the memsw part moves to the swap entry.</summary>
    SwapOut,
    /// <summary>Swap cache deleted for any other reason.</summary>
    Drop,
    /// <summary>The group is being emptied.</summary>
    Force,
    /// <summary>The last reference is gone (2014).</summary>
    FinalPut,
}

/// <summary>What a page gave back when its owner was cleared, in pages per counter.</summary>
public readonly record struct ClearedCharge(int Memory, int Memsw, int Anon, int File)
{
    /// <summary>Pages that were charged, of whatever kind.</summary>
    public int Pages => Anon + File;
}

/// <summary>Where a charge was refused.</summary>
public unsafe struct Refusal
{
    /// <summary>The group whose counter is at its limit.</summary>
    public Memcg* Memcg;
    /// <summary>Which of its counters.</summary>
    public CounterKind Kind;
}

/// <summary>
/// The six answers bundled: the one type argument of Mm, reclaim and the workloads. Each verb forwards to one axis and hands it the
/// neighbours it may call as type arguments (the seams of src/README.md), so that no design ever names another.
/// </summary>
public unsafe interface IMemoryController
{
    /// <summary>The six answers, for result files: "PageCounter+SingleSlotStock(64), OwnerWord, ...".</summary>
    static abstract string Describe { get; }

    // Counter

    /// <summary>Charges pages to memcg and its ancestors, or nothing at all and says who refused.</summary>
    static abstract bool TryCharge(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused);
    /// <summary>Charges without asking the limit.</summary>
    static abstract void ChargeForced(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Gives a charge back that no page ever carried (cancel_charge).</summary>
    static abstract void Cancel(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Takes pages off the counters of memcg and its ancestors.</summary>
    static abstract void UnchargeCounters(in ThisCpu cpu, Memcg* memcg, int memory, int memsw);
    /// <summary>Charges the kmem counter only; see Charging.TryChargeKmem.</summary>
    static abstract bool TryChargeKmem(Memcg* memcg, int pages, ref Refusal refused);
    /// <summary>Takes back what TryChargeKmem did.</summary>
    static abstract void CancelKmem(Memcg* memcg, int pages);
    /// <summary>Gives back the references that a charge of pages took under the residents' answer; the pages stay counted.</summary>
    static abstract void DropChargePin(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Takes kernel pages off kmem, memory and memsw; no reference is tied to them.</summary>
    static abstract void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Asks every CPU to return stocked pages and bytes of root's subtree; this CPU does so at once, others at their next poll.</summary>
    static abstract void DrainStocks(in ThisCpu cpu, Memcg* root);
    /// <summary>Pages of memcg that the stock of one CPU holds; exact at quiescence.</summary>
    static abstract long StockedPages(CpuArea* area, Memcg* memcg);
    /// <summary>Pages charged now.</summary>
    static abstract long Usage(Memcg* memcg, CounterKind kind);
    /// <summary>Most pages ever seen by a charge; racy (S4).</summary>
    static abstract long Peak(Memcg* memcg, CounterKind kind);
    /// <summary>Charges refused at this counter; racy (S4).</summary>
    static abstract long FailCount(Memcg* memcg, CounterKind kind);
    /// <summary>Limit in pages.</summary>
    static abstract long Limit(Memcg* memcg, CounterKind kind);
    /// <summary>Sets the limit; false when usage is above it.</summary>
    static abstract bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages);

    // PageCgroup

    /// <summary>Bytes of memcg metadata per frame beside struct page.</summary>
    static abstract int PageMetadataBytes { get; }
    /// <summary>Makes memcg the owner of page; false when the page already has one: the caller gives the charge back.</summary>
    static abstract bool Commit(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon);
    /// <summary>Ends the ownership if type says so; false when there is nothing to give back.</summary>
    static abstract bool TryClear(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge);
    /// <summary>The page's owner; used says whether it is charged.</summary>
    static abstract Memcg* OwnerOf(Page* page, out bool used);

    // Lru

    /// <summary>Puts pages on their lists; they come from a pagevec, whose references keep them alive.</summary>
    static abstract void LruAdd(in ThisCpu cpu, Page** pages, int n);
    /// <summary>Takes pages whose last reference is gone off their lists; pages that are on none are skipped.</summary>
    static abstract void LruDelete(in ThisCpu cpu, Page** pages, int n);
    /// <summary>Takes one page off its list for the caller, who holds a reference; false when somebody else has it.</summary>
    static abstract bool LruIsolate(in ThisCpu cpu, Page* page);
    /// <summary>Takes up to n pages off the tail of one list of memcg on node, each with a reference; returns how many.</summary>
    static abstract int LruIsolateTail(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n);
    /// <summary>Puts isolated pages back, relocking for every page (B4); the caller drops the references afterwards.</summary>
    static abstract void LruPutback(in ThisCpu cpu, Page** pages, int n);
    /// <summary>Activates pages that are on an inactive list.</summary>
    static abstract void LruActivate(in ThisCpu cpu, Page** pages, int n);
    /// <summary>Moves pages to the tail of the inactive list (end of writeback).</summary>
    static abstract void LruRotate(in ThisCpu cpu, Page** pages, int n);
    /// <summary>Pages on one list of memcg on node, as counted.</summary>
    static abstract long LruCount(Memcg* memcg, int node, LruList list);
    /// <summary>Compares counts with walks and links with owners for the lists of memcg on node; adds a line for each thing wrong.</summary>
    static abstract void LruCheck(in ThisCpu cpu, Memcg* memcg, int node, ICollection<string> wrong);

    // Uncharge

    /// <summary>mapcount reached 0.</summary>
    static abstract void OnUnmap(in ThisCpu cpu, Page* page);
    /// <summary>The page left the page cache.</summary>
    static abstract void OnCacheRemoved(in ThisCpu cpu, Page* page);
    /// <summary>The last references of these pages are gone and they are on no list.</summary>
    static abstract void OnFinalPut(in ThisCpu cpu, Page** pages, int n);

    // Kmem

    /// <summary>An object of cache for memcg, or null.</summary>
    static abstract void* KmemAlloc(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp);
    /// <summary>An object comes back; slab is its frame's struct page.</summary>
    static abstract void KmemFree(in ThisCpu cpu, Page* slab, void* obj);
    /// <summary>Charges a block of kernel pages and remembers the owner.</summary>
    static abstract bool TryChargePages(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp);
    /// <summary>Ends that.</summary>
    static abstract void UnchargePages(in ThisCpu cpu, Page* page, Order order);
    /// <summary>A page becomes a slab.</summary>
    static abstract bool OnNewSlab(in ThisCpu cpu, SlabCache* cache, Page* slab, Gfp gfp);
    /// <summary>An empty slab is about to be freed.</summary>
    static abstract void OnSlabRelease(in ThisCpu cpu, SlabCache* cache, Page* slab);
    /// <summary>The last slab of a dying cache is gone.</summary>
    static abstract void OnCacheGone(in ThisCpu cpu, SlabCache* cache);
    /// <summary>Owners of kernel memory into the books; at quiescence.</summary>
    static abstract void KmemCount(in ThisCpu cpu, KmemBooks books);
    /// <summary>What of the kmem axis pins memcg; at quiescence.</summary>
    static abstract void KmemExplain(in ThisCpu cpu, Memcg* memcg, DyingGroup pins);
    /// <summary>Who pays for the slabs of a group's copy.</summary>
    static abstract Memcg* KmemOwnerOf(SlabCache* cache);
    /// <summary>May a dead group's own counter be above 0 when it is released?</summary>
    static abstract bool LeavesResidue { get; }

    // Life

    /// <summary>What a new group needs memory for; false: it is not made.</summary>
    static abstract bool OnOnline(in ThisCpu cpu, Memcg* memcg);
    /// <summary>The group is about to be recycled; its parent is still there.</summary>
    static abstract void OnFree(in ThisCpu cpu, Memcg* memcg);
    /// <summary>The group goes offline: kernel objects first, then user pages.</summary>
    static abstract void OnOffline(in ThisCpu cpu, Memcg* memcg);

    /// <summary>Prepares every axis' state in a new group; parent is null for the root.</summary>
    static abstract void InitMemcg(Memcg* memcg, Memcg* parent);
    /// <summary>Prepares every axis' state of a new group on one node.</summary>
    static abstract void InitMemcgNode(MemcgNode* memcgNode);
    /// <summary>Prepares every axis' per-CPU state.</summary>
    static abstract void InitCpu(CpuArea* area);
    /// <summary>Prepares every axis' state on a memory node.</summary>
    static abstract void InitNode(AccountingNode* node);
}
