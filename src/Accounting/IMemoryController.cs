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

/// <summary>What a page gave back when its owner was cleared.</summary>
/// <param name="Memory">Pages for the memory counter.</param>
/// <param name="Memsw">Pages for memory+swap.</param>
/// <param name="Pages">Pages for the statistics.</param>
/// <param name="Anon">Of those, anonymous ones.</param>
public readonly record struct ClearedCharge(int Memory, int Memsw, int Pages, int Anon);

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
    static abstract bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused);
    /// <summary>Takes back what TryChargeKmem did.</summary>
    static abstract void CancelKmem(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Gives back the references that a charge of pages took under the residents' answer; the pages stay counted.</summary>
    static abstract void DropChargePin(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Takes kernel pages off kmem, memory and memsw; no reference is tied to them.</summary>
    static abstract void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>
    /// Asks every CPU to return stocked pages and bytes of root's subtree, and to free page_cgroups that wait for company; this CPU does so at once,
    /// others at their next poll.
    /// </summary>
    static abstract void DrainStocks(in ThisCpu cpu, Memcg* root);
    /// <summary>Pages of memcg that the stock of one CPU holds; exact at quiescence.</summary>
    static abstract long StockedPages(CpuArea* area, Memcg* memcg);
    /// <summary>Does the stock of one CPU remember memcg, with pages or without?</summary>
    static abstract bool StockRemembers(CpuArea* area, Memcg* memcg);
    /// <summary>What is wrong in the stock of one CPU by itself, or null; at quiescence (I3).</summary>
    static abstract string? StockFault(CpuArea* area);
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
    /// <summary>Bytes of the slab object a charged page needs; 0 when there is none.</summary>
    static abstract int PageCgroupBytes { get; }
    /// <summary>Must whoever asks for a page's owner from outside hold a reference on the page?</summary>
    static abstract bool OwnerNeedsReference { get; }
    /// <summary>Adds a line for each thing wrong with page's page_cgroup at quiescence.</summary>
    static abstract void PageCgroupCheck(in ThisCpu cpu, Page* page, ICollection<string> wrong);
    /// <summary>Makes memcg the owner of page; false when the page already has one: the caller gives the charge back.</summary>
    static abstract bool Commit(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon);
    /// <summary>Ends the ownership if type says so; false when there is nothing to give back.</summary>
    static abstract bool TryClear(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge);
    /// <summary>The page's owner; used says whether it is charged.</summary>
    static abstract Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used);

    /// <summary>May the owner of a charged page change although nobody excludes it? See <see cref="IPageCgroupDesign.OwnerMayMove"/>.</summary>
    static abstract bool OwnerMayMove { get; }
    /// <summary>The group whose statistics count what memcg does: itself, or its first ancestor that is not dying; the caller is inside RCU until it has counted (H7).</summary>
    static abstract Memcg* Counting(Memcg* memcg);

    /// <summary>The same for a page that may be on a list already (lrucare); the page is locked.</summary>
    static abstract bool CommitLrucare(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon);
    /// <summary>The charge of old becomes page's, counters and statistics untouched; lrucare when either may be on a list. Both locked.</summary>
    static abstract bool MoveCharge(in ThisCpu cpu, Page* old, Page* page, bool lrucare);
    /// <summary>The memsw part of a frozen page goes to its swap entry; charge is what the caller subtracts at once.</summary>
    static abstract bool ReleaseMemsw(in ThisCpu cpu, Page* page, out Memcg* owner, out ClearedCharge charge);
    /// <summary>An isolated, locked page changes hands; to is null for nobody. Counters and statistics are the caller's.</summary>
    static abstract bool MoveAccount(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge);
    /// <inheritdoc cref="IPageCgroupDesign.TryMarkMigrating"/>
    static abstract bool TryMarkMigrating(in ThisCpu cpu, Page* page, out Memcg* owner);
    /// <inheritdoc cref="IPageCgroupDesign.ClearMigrating"/>
    static abstract void ClearMigrating(in ThisCpu cpu, Page* page);
    /// <summary>Are device pages charged when they are inserted?</summary>
    static abstract bool ChargesInsertedPages { get; }

    /// <summary>Are the mapped and writeback statistics kept (see <see cref="IUnchargeDesign.CountsPageState"/>)?</summary>
    static abstract bool CountsPageState { get; }

    // Lru

    /// <summary>Do the root's lists hold every page, beside those of its group (see <see cref="ILruDesign.Twin"/>)?</summary>
    static abstract bool LruTwin { get; }
    /// <summary>Must a page be charged before it can be on a list (see <see cref="ILruDesign.OwnerKeptByBit"/>)?</summary>
    static abstract bool LruBitKeepsOwner { get; }
    /// <summary>See <see cref="ILruDesign.LinkedNodes"/>.</summary>
    static abstract long LruLinkedNodes(Memcg* memcg, int node);
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

    /// <summary>Isolates a page found by pfn without a reference.</summary>
    static abstract CatchResult LruCatch(in ThisCpu cpu, Page* page);
    /// <summary>All lists of child on node become parent's; false where the design cannot.</summary>
    static abstract bool LruSplice<TSplice>(in ThisCpu cpu, Memcg* child, Memcg* parent, int node, ref TSplice change) where TSplice : struct, ISpliceSwitch;
    /// <summary>True when new pages wait in their book and not in the CPU's pagevec.</summary>
    static abstract bool LruPends { get; }
    /// <summary>A new page waits in its book, without a reference.</summary>
    static abstract void LruPend(in ThisCpu cpu, Page* page);
    /// <summary>Pages that wait in books go to their lists.</summary>
    static abstract void LruDrainPending(in ThisCpu cpu);
    /// <summary>As <see cref="LruCheck"/> for a group that is not in use.</summary>
    static abstract void LruCheckFreed(Memcg* memcg, int node, ICollection<string> wrong);
    /// <summary>Adds the statistics of each lock that guards memcg's lists on node.</summary>
    static abstract void LruLocks(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks);

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
    /// <summary>Do user pages name objcgs, so that the slab layer must be there first?</summary>
    static abstract bool KmemServesPages { get; }
    /// <summary>The objcg new objects of memcg point to, with a reference, or null.</summary>
    static abstract Objcg* KmemCurrent(in ThisCpu cpu, Memcg* memcg);
    /// <summary>The objcgs of one node become the parent's; the one to be killed comes back.</summary>
    static abstract Objcg* KmemDetach(in ThisCpu cpu, Memcg* memcg, Memcg* parent, int node);
    /// <summary>Who pays for a live object; inside RCU; null = nobody.</summary>
    static abstract Memcg* KmemOwnerOfObject(in ThisCpu cpu, Page* slab, void* obj);
    /// <summary>What of counted pages holds css references.</summary>
    static abstract Pins Pins { get; }
    /// <summary>May a dead group's own counter be above 0 when it is released?</summary>
    static abstract bool LeavesResidue { get; }

    /// <summary>Must a swap-in charge for this locked swap-cache page?</summary>
    static abstract bool ChargesSwapIn(in ThisCpu cpu, Page* page);
    /// <summary>The page left the swap cache; the swap lock is held. swapOut: entry is still in use.</summary>
    static abstract void OnSwapCacheDeleted(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut);
    /// <summary>Reclaim is about to take a frozen page out of the swap cache; the swap cache's lock is held.</summary>
    static abstract void OnSwapOut(in ThisCpu cpu, Page* page, SwapEntry entry);
    /// <summary>old is about to be unmapped and copied to page; both locked. False: no charge to be had.</summary>
    static abstract bool OnMigratePrepare(in ThisCpu cpu, Page* old, Page* page);
    /// <summary>Migration is over; the page that is used is mapped again.</summary>
    static abstract void OnMigrateEnd(in ThisCpu cpu, Page* old, Page* page, bool ok);
    /// <summary>page has replaced old everywhere; both locked and on no list; not yet mapped.</summary>
    static abstract void OnMigrated(in ThisCpu cpu, Page* old, Page* page);
    /// <summary>page has replaced old in the page cache; both locked, either may be on a list.</summary>
    static abstract void OnReplaced(in ThisCpu cpu, Page* old, Page* page);
    /// <summary>A run of unmaps or removals begins; nests.</summary>
    static abstract void OnBatchBegin(in ThisCpu cpu);
    /// <summary>It ends.</summary>
    static abstract void OnBatchEnd(in ThisCpu cpu);

    // Life

    /// <summary>What a new group needs memory for; false: it is not made.</summary>
    static abstract bool KmemOnline(in ThisCpu cpu, Memcg* memcg);
    /// <summary>The group is about to be recycled; its parent is still there.</summary>
    static abstract void KmemCssFree(in ThisCpu cpu, Memcg* memcg);
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
    /// <summary>Bytes the Lru axis needs per group on a node of nodeBytes beside its slot.</summary>
    static abstract long MemcgNodeExtraBytes(AccountingPlan plan, long nodeBytes);
    /// <summary>Hands the plan to a node's state, before <see cref="InitNode"/>.</summary>
    static abstract void Configure(AccountingNode* node, AccountingPlan plan);
    /// <summary>A new group can be found from now on.</summary>
    static abstract void OnOnline(in ThisCpu cpu, Memcg* memcg);
    /// <summary>The last css reference is gone. False: pages still name the group; the residents' answer retires it later (D16).</summary>
    static abstract bool OnLastReference(in ThisCpu cpu, Memcg* memcg);
    /// <summary>The last reference is gone; false: ask again after a grace period.</summary>
    static abstract bool OnReleased(in ThisCpu cpu, Memcg* memcg);
    /// <summary>A grace period after that.</summary>
    static abstract void OnFreed(in ThisCpu cpu, Memcg* memcg);
}
