// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>One combination of the six answers. Nothing but forwarding: which neighbour a verb may call is decided here and nowhere else.</summary>
public readonly unsafe struct Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem> : IMemoryController
    where TCounter : struct, ICounterDesign
    where TPageCgroup : struct, IPageCgroupDesign
    where TLru : struct, ILruDesign
    where TUncharge : struct, IUnchargeDesign
    where TResidents : struct, IResidentsDesign
    where TKmem : struct, IKmemDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Describe => $"{TCounter.Name}, {TPageCgroup.Name}, {TLru.Name}, {TUncharge.Name}, {TResidents.Name}, {TKmem.Name}";

    // Counter

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool TryCharge(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) => TCounter.TryCharge<TResidents>(cpu, memcg, pages, ref refused);
    /// <inheritdoc/>
    public static void ChargeForced(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.ChargeForced<TResidents>(cpu, memcg, pages);
    /// <inheritdoc/>
    public static void Cancel(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.Cancel<TResidents>(cpu, memcg, pages);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void UnchargeCounters(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) => TCounter.Uncharge<TResidents>(cpu, memcg, memory, memsw);
    /// <inheritdoc/>
    public static void DrainStocks(in ThisCpu cpu, Memcg* root)
    {
        TKmem.DrainStocks<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, root);
        TCounter.DrainAll<TResidents>(cpu, root);
        TPageCgroup.Reap<TLru>(cpu);
    }
    /// <inheritdoc/>
    public static bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) => TCounter.TryChargeKmem(cpu, memcg, pages, ref refused);
    /// <inheritdoc/>
    public static void CancelKmem(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.UnchargeKmem(cpu, memcg, pages);
    /// <inheritdoc/>
    public static void DropChargePin(in ThisCpu cpu, Memcg* memcg, int pages)
    {
        TResidents.OnUncounting(cpu);
        TResidents.OnUncounted(cpu, memcg, pages);
    }
    /// <inheritdoc/>
    public static void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages)
    {
        TCounter.UnchargeKmem(cpu, memcg, pages);
        // A stock that pins nothing must not remember a group after the drain of its offline, so it gets none of these pages.
        if (!TKmem.RefillsStock || TResidents.Pins == Pins.Nothing)
        {
            TCounter.Uncharge<NoPin>(cpu, memcg, pages, pages);
            return;
        }
        TResidents.OnCounted(cpu, memcg, pages); // DropChargePin put these; put again when the stock is drained
        TCounter.Refill<TResidents>(cpu, memcg, pages);
    }
    /// <inheritdoc/>
    public static long StockedPages(CpuArea* area, Memcg* memcg) => TCounter.StockedPages(area, memcg);
    /// <inheritdoc/>
    public static bool StockRemembers(CpuArea* area, Memcg* memcg) => TCounter.StockRemembers(area, memcg);
    /// <inheritdoc/>
    public static string? StockFault(CpuArea* area) => TCounter.StockFault(area);
    /// <inheritdoc/>
    public static long Usage(Memcg* memcg, CounterKind kind) => TCounter.Usage(memcg, kind);
    /// <inheritdoc/>
    public static long Peak(Memcg* memcg, CounterKind kind) => TCounter.Peak(memcg, kind);
    /// <inheritdoc/>
    public static long FailCount(Memcg* memcg, CounterKind kind) => TCounter.FailCount(memcg, kind);
    /// <inheritdoc/>
    public static long Limit(Memcg* memcg, CounterKind kind) => TCounter.Limit(memcg, kind);
    /// <inheritdoc/>
    public static bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages) => TCounter.TrySetLimit(memcg, kind, pages);

    // PageCgroup

    /// <inheritdoc/>
    public static int PageMetadataBytes => TPageCgroup.MetadataBytes;
    /// <inheritdoc/>
    public static int PageCgroupBytes => TPageCgroup.ObjectBytes;
    /// <inheritdoc/>
    public static bool OwnerNeedsReference => TPageCgroup.OwnerNeedsReference;
    /// <inheritdoc/>
    public static void PageCgroupCheck(in ThisCpu cpu, Page* page, ICollection<string> wrong) => TPageCgroup.CheckPage(cpu, page, wrong);

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool Commit(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon)
    {
        if (!TPageCgroup.Commit<TLru>(cpu, page, memcg, anon)) return false;
        if (TPageCgroup.OwnerMayMove) Rcu.ReadLock(cpu); // until the statistics are written (H7)
        MemcgStatCpu* stat = Memcg.OnCpu(cpu, Counting(memcg));
        MemcgStatCpu.Add(stat, anon ? MemcgStatItem.Rss : MemcgStatItem.Cache, 1);
        MemcgStatCpu.Add(stat, MemcgStatItem.PgpgIn, 1);
        if (TPageCgroup.OwnerMayMove) Rcu.ReadUnlock(cpu);
        return true;
    }

    /// <inheritdoc/>
    public static bool OwnerMayMove => TPageCgroup.OwnerMayMove;

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Memcg* Counting(Memcg* memcg)
    {
        if (TPageCgroup.OwnerMayMove)
            while (Css.StateOf(&memcg->Css) != CssState.Online && !Memcg.IsRoot(memcg)) memcg = Memcg.ParentOf(memcg);
        return memcg;
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool TryClear(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) =>
        TPageCgroup.TryClear<TLru>(cpu, page, type, out owner, out charge);

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used) => TPageCgroup.OwnerOf(cpu, page, out used);

    /// <inheritdoc/>
    public static bool CommitLrucare(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon)
    {
        var change = new CommitSwitch<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>> { Memcg = memcg, Anon = anon };
        TLru.Rehome<TPageCgroup, CommitSwitch<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>>(cpu, page, ref change);
        return change.Done;
    }

    /// <inheritdoc/>
    public static bool MoveCharge(in ThisCpu cpu, Page* old, Page* page, bool lrucare)
    {
        if (!lrucare) return TPageCgroup.MoveCharge<TPageCgroup, TLru>(cpu, old, page);
        var take = new TakeSwitch<TPageCgroup, TLru>();
        TLru.Rehome<TPageCgroup, TakeSwitch<TPageCgroup, TLru>>(cpu, old, ref take);
        if (take.Owner == null) return false;
        var give = new GiveSwitch<TPageCgroup, TLru> { Owner = take.Owner, Anon = PageMapping.IsAnon(page) };
        TLru.Rehome<TPageCgroup, GiveSwitch<TPageCgroup, TLru>>(cpu, page, ref give);
        return true;
    }

    /// <inheritdoc/>
    public static bool ReleaseMemsw(in ThisCpu cpu, Page* page, out Memcg* owner, out ClearedCharge charge) =>
        TPageCgroup.ReleaseMemsw<TPageCgroup, TLru>(cpu, page, out owner, out charge);
    /// <inheritdoc/>
    /// <remarks>The page cgroup's switch, run under the list's protocol.</remarks>
    public static bool MoveAccount(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge)
    {
        var move = new MoveSwitch<TPageCgroup, TLru> { From = from, To = to };
        TLru.SwitchIsolated<TPageCgroup, MoveSwitch<TPageCgroup, TLru>>(cpu, page, ref move);
        charge = move.Charge;
        return move.Done;
    }
    /// <inheritdoc/>
    public static bool TryMarkMigrating(in ThisCpu cpu, Page* page, out Memcg* owner) => TPageCgroup.TryMarkMigrating(cpu, page, out owner);
    /// <inheritdoc/>
    public static void ClearMigrating(in ThisCpu cpu, Page* page) => TPageCgroup.ClearMigrating(cpu, page);
    /// <inheritdoc/>
    public static bool ChargesInsertedPages => TPageCgroup.ChargesInsertedPages;

    /// <inheritdoc/>
    public static bool CountsPageState { [MethodImpl(Inline)] get => TUncharge.CountsPageState && !TResidents.UnchargesPagesInUse; }

    // Lru

    /// <inheritdoc/>
    public static bool LruTwin => TLru.Twin;
    /// <inheritdoc/>
    public static bool LruBitKeepsOwner => TLru.OwnerKeptByBit;
    /// <inheritdoc/>
    public static long LruLinkedNodes(Memcg* memcg, int node) => TLru.LinkedNodes(memcg, node);
    /// <inheritdoc/>
    public static void LruAdd(in ThisCpu cpu, Page** pages, int n) => TLru.Add<TPageCgroup>(cpu, pages, n);
    /// <inheritdoc/>
    public static void LruDelete(in ThisCpu cpu, Page** pages, int n) => TLru.Delete<TPageCgroup>(cpu, pages, n);
    /// <inheritdoc/>
    public static bool LruIsolate(in ThisCpu cpu, Page* page) => TLru.Isolate<TPageCgroup>(cpu, page);
    /// <inheritdoc/>
    public static int LruIsolateTail(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) =>
        TLru.IsolateTail<TPageCgroup>(cpu, memcg, node, list, pages, n);
    /// <inheritdoc/>
    public static void LruPutback(in ThisCpu cpu, Page** pages, int n) => TLru.Putback<TPageCgroup>(cpu, pages, n);
    /// <inheritdoc/>
    public static void LruActivate(in ThisCpu cpu, Page** pages, int n) => TLru.Activate<TPageCgroup>(cpu, pages, n);
    /// <inheritdoc/>
    public static void LruRotate(in ThisCpu cpu, Page** pages, int n) => TLru.Rotate<TPageCgroup>(cpu, pages, n);
    /// <inheritdoc/>
    public static long LruCount(Memcg* memcg, int node, LruList list) => TLru.Count(memcg, node, list);
    /// <inheritdoc/>
    public static void LruCheck(in ThisCpu cpu, Memcg* memcg, int node, ICollection<string> wrong) => TLru.Check<TPageCgroup>(cpu, memcg, node, wrong);

    /// <inheritdoc/>
    public static CatchResult LruCatch(in ThisCpu cpu, Page* page) => TLru.Catch<TPageCgroup>(cpu, page);
    /// <inheritdoc/>
    public static bool LruSplice<TSplice>(in ThisCpu cpu, Memcg* child, Memcg* parent, int node, ref TSplice change) where TSplice : struct, ISpliceSwitch =>
        TLru.TrySplice(cpu, child, parent, node, ref change);
    /// <inheritdoc/>
    public static bool LruPends { [MethodImpl(Inline)] get => TLru.Pends; }
    /// <inheritdoc/>
    public static void LruPend(in ThisCpu cpu, Page* page) => TLru.Pend<TPageCgroup>(cpu, page);
    /// <inheritdoc/>
    public static void LruDrainPending(in ThisCpu cpu) => TLru.DrainPending<TPageCgroup>(cpu);
    /// <inheritdoc/>
    public static void LruCheckFreed(Memcg* memcg, int node, ICollection<string> wrong) => TLru.CheckFreed(memcg, node, wrong);
    /// <inheritdoc/>
    public static void LruLocks(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks) => TLru.AddLocks(cpu, memcg, node, locks);

    // Uncharge

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnUnmap(in ThisCpu cpu, Page* page) => TUncharge.OnUnmap<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, page);
    /// <inheritdoc/>
    public static void OnCacheRemoved(in ThisCpu cpu, Page* page) =>
        TUncharge.OnCacheRemoved<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, page);
    /// <inheritdoc/>
    public static void OnFinalPut(in ThisCpu cpu, Page** pages, int n)
    {
        if (TPageCgroup.OwnerMayMove) Rcu.ReadLock(cpu); // (O1): the owner is used until the batch is off its counters
        TUncharge.OnFinalPut<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, pages, n);
        if (TPageCgroup.OwnerMayMove) Rcu.ReadUnlock(cpu);
    }

    // Kmem

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void* KmemAlloc(in ThisCpu cpu, SlabCache* cache, Memcg* memcg, Gfp gfp) =>
        TKmem.Alloc<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, cache, memcg, gfp);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void KmemFree(in ThisCpu cpu, Page* slab, void* obj) => TKmem.Free<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, slab, obj);
    /// <inheritdoc/>
    public static bool TryChargePages(in ThisCpu cpu, Page* page, Order order, Memcg* memcg, Gfp gfp) =>
        TKmem.TryChargePages<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, page, order, memcg, gfp);
    /// <inheritdoc/>
    public static void UnchargePages(in ThisCpu cpu, Page* page, Order order) =>
        TKmem.UnchargePages<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, page, order);
    /// <inheritdoc/>
    public static bool OnNewSlab(in ThisCpu cpu, SlabCache* cache, Page* slab, Gfp gfp) =>
        TKmem.OnNewSlab<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, cache, slab, gfp);
    /// <inheritdoc/>
    public static void OnSlabRelease(in ThisCpu cpu, SlabCache* cache, Page* slab) =>
        TKmem.OnSlabRelease<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, cache, slab);
    /// <inheritdoc/>
    public static void OnCacheGone(in ThisCpu cpu, SlabCache* cache) => TKmem.OnCacheGone(cpu, cache);
    /// <inheritdoc/>
    public static void KmemCount(in ThisCpu cpu, KmemBooks books) => TKmem.Count<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, books);
    /// <inheritdoc/>
    public static void KmemExplain(in ThisCpu cpu, Memcg* memcg, DyingGroup pins) => TKmem.Explain(cpu, memcg, pins);
    /// <inheritdoc/>
    public static Memcg* KmemOwnerOf(SlabCache* cache) => TKmem.OwnerOf(cache);
    /// <inheritdoc/>
    public static bool KmemServesPages => TKmem.ServesPages;
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Objcg* KmemCurrent(in ThisCpu cpu, Memcg* memcg) => TKmem.Current(cpu, memcg);
    /// <inheritdoc/>
    public static Objcg* KmemDetach(in ThisCpu cpu, Memcg* memcg, Memcg* parent, int node) => TKmem.Detach(cpu, memcg, parent, node);
    /// <inheritdoc/>
    public static Memcg* KmemOwnerOfObject(in ThisCpu cpu, Page* slab, void* obj) => TKmem.OwnerOfObject(cpu, slab, obj);
    /// <inheritdoc/>
    public static Pins Pins => TResidents.Pins;
    /// <inheritdoc/>
    public static bool LeavesResidue => TKmem.LeavesResidue;

    /// <inheritdoc/>
    public static bool ChargesSwapIn(in ThisCpu cpu, Page* page) =>
        TUncharge.ChargesSwapIn<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, page);
    /// <inheritdoc/>
    public static void OnSwapCacheDeleted(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) =>
        TUncharge.OnSwapCacheDeleted<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, page, entry, swapOut);
    /// <inheritdoc/>
    public static void OnSwapOut(in ThisCpu cpu, Page* page, SwapEntry entry)
    {
        if (TPageCgroup.OwnerMayMove) Rcu.ReadLock(cpu); // (O1)
        TUncharge.OnSwapOut<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, page, entry);
        if (TPageCgroup.OwnerMayMove) Rcu.ReadUnlock(cpu);
    }
    /// <inheritdoc/>
    public static bool OnMigratePrepare(in ThisCpu cpu, Page* old, Page* page) =>
        TUncharge.OnMigratePrepare<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, old, page);
    /// <inheritdoc/>
    public static void OnMigrateEnd(in ThisCpu cpu, Page* old, Page* page, bool ok) =>
        TUncharge.OnMigrateEnd<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, old, page, ok);
    /// <inheritdoc/>
    public static void OnMigrated(in ThisCpu cpu, Page* old, Page* page)
    {
        if (TPageCgroup.OwnerMayMove) Rcu.ReadLock(cpu); // (O1)
        TUncharge.OnMigrated<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, old, page);
        if (TPageCgroup.OwnerMayMove) Rcu.ReadUnlock(cpu);
    }
    /// <inheritdoc/>
    public static void OnReplaced(in ThisCpu cpu, Page* old, Page* page)
    {
        if (TPageCgroup.OwnerMayMove) Rcu.ReadLock(cpu); // (O1)
        TUncharge.OnReplaced<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, old, page);
        if (TPageCgroup.OwnerMayMove) Rcu.ReadUnlock(cpu);
    }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnBatchBegin(in ThisCpu cpu) => TUncharge.OnBatchBegin(cpu);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnBatchEnd(in ThisCpu cpu) => TUncharge.OnBatchEnd<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu);

    // Life

    /// <inheritdoc/>
    public static bool KmemOnline(in ThisCpu cpu, Memcg* memcg) => TKmem.OnOnline<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, memcg);
    /// <inheritdoc/>
    public static void KmemCssFree(in ThisCpu cpu, Memcg* memcg) => TKmem.OnFree<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, memcg);
    /// <inheritdoc/>
    public static void OnOffline(in ThisCpu cpu, Memcg* memcg)
    {
        ListLru.ReparentAll(cpu, memcg); // before owners: whoever finds the parent by an object must find its items there (spec 3.6)
        TKmem.OnOffline<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, memcg);
        TResidents.OnOffline<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, memcg);
    }

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent)
    {
        TCounter.InitMemcg(memcg, parent);
        TPageCgroup.InitMemcg(memcg);
        TLru.InitMemcg(memcg);
        TResidents.InitMemcg(memcg);
        TKmem.InitMemcg(memcg, parent);
    }

    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode)
    {
        TLru.InitMemcgNode(memcgNode);
        TKmem.InitMemcgNode(memcgNode);
    }

    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area)
    {
        TCounter.InitCpu<TResidents>(area);
        TPageCgroup.InitCpu(area);
        TPageCgroup.InitReaper<TLru>(area);
        TLru.InitCpu(area);
        TUncharge.InitCpu(area);
        TKmem.InitCpu<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(area);
    }

    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node)
    {
        TPageCgroup.InitNode(node);
        TLru.InitNode(node);
    }

    /// <inheritdoc/>
    public static long MemcgNodeExtraBytes(AccountingPlan plan, long nodeBytes) => TLru.MemcgNodeExtraBytes(plan, nodeBytes);
    /// <inheritdoc/>
    public static void Configure(AccountingNode* node, AccountingPlan plan) => TLru.Configure(node, plan);
    /// <inheritdoc/>
    public static void OnOnline(in ThisCpu cpu, Memcg* memcg) => TLru.OnOnline(cpu, memcg);
    /// <inheritdoc/>
    public static bool OnReleased(in ThisCpu cpu, Memcg* memcg) => TLru.OnReleased(cpu, memcg);
    /// <inheritdoc/>
    public static bool OnLastReference(in ThisCpu cpu, Memcg* memcg) =>
        TResidents.OnReleased<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TKmem>>(cpu, memcg);
    /// <inheritdoc/>
    public static void OnFreed(in ThisCpu cpu, Memcg* memcg) => TLru.OnFreed(cpu, memcg);
}
