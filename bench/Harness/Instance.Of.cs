// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>An instance of one combination of designs.</summary>
internal sealed unsafe partial class Instance<TC> : Instance where TC : struct, IMemoryController
{
    private readonly AccountingMemory accounting;
    private readonly nint[] leaves;
    private readonly List<nint> chain = [];
    private Slab? slab;
    private nint dentry, idle;

    public Instance(InstancePlan plan) : base(plan)
    {
        leaves = new nint[plan.Shape.LeavesFor(Cpus.Count)];
        accounting = AccountingMemory.Build<TC>(Allocator, Cpus, Memory,
            new AccountingPlan(plan.Shape.Depth + leaves.Length + plan.ExtraGroups + plan.GroupsBeside + 1,
                SwapEntries: Cpus.Count * WorkerState.PageSlots) { Slices = SlicePlan.Parse(plan.Model[Axis.LruSlice]), KmemOptIn = plan.OptIn is not null });
        slab = accounting.Slab ?? (plan.Model[Axis.Kmem] == NoKmem.Name ? null : Slab.Build(Allocator, Cpus));
    }

    /// <summary>The table of groups.</summary>
    internal AccountingMemory Accounting => accounting;

    /// <summary>A group of the last level.</summary>
    internal Memcg* Leaf(int index) => LeafOf(index);

    /// <summary>The slab layer; built when it is first asked for.</summary>
    internal Slab SlabLayer() => slab ??= Slab.Build(Allocator, Cpus);

    /// <inheritdoc/>
    public override string Designs => TC.Describe;

    /// <inheritdoc/>
    protected override Memcg* LeafOf(int index) => (Memcg*)leaves[index % leaves.Length];

    /// <inheritdoc/>
    protected override void Build() => Gang.Do((in ThisCpu cpu) =>
    {
        Memcg* parent = accounting.Root;
        for (int level = 1; level < Plan.Shape.Depth; level++) chain.Add((nint)(parent = Create(in cpu, parent)));
        for (int i = 0; i < leaves.Length; i++)
        {
            Memcg* leaf = Create(in cpu, parent);
            leaves[i] = (nint)leaf;
            if (Plan.Shape.LimitBytes is { } limit && !TC.TrySetLimit(leaf, CounterKind.Memory, limit / MemMap.FrameBytes)) Bug.Fail("a new group refuses its limit", limit);
        }
    }, 1);

    /// <inheritdoc/>
    protected override Lane Bind(string workload, ListShares? shares, WorkerState* states)
    {
        MakeSpaces(workload, states);
        shares ??= workload == "lru-churn" ? Plan.Shares : Twins.IsTwin(workload) ? null : WorkloadList.Find(workload).Shares;
        for (int i = 0; i < Cpus.Count; i++) shares?.Deal(states[i].Deck, WorkerState.DeckCards, Plan.Seed + (ulong)i);
        if (workload is "dentries" or "dentry-reclaim" or "offline-with-kmem" or "remote-free" or "cache-churn" or "pipes") GiveCache(states);
        if (workload is "dentry-reclaim") GiveLists(states);
        if (workload is "kmalloc-32") SlabLayer();
        return new Lane(this, workload, workload switch
        {
            "fault" or "fault-root" => Of<Fault<TC>>(),
            "charge-uncharge" => Of<ChargeUncharge<TC>>(),
            "alloc-free" => Of<AllocFree<TC>>(),
            "dentries" => Of<Dentries<TC>>(),
            "dentry-reclaim" => Of<DentryReclaim<TC>>(),
            "offline-with-kmem" => Of<OfflineWithKmem<TC>>(),
            "kmalloc-32" => Of<SmallObject<TC>>(),
            "remote-free" => Of<RemoteFree<TC>>(),
            "cache-churn" => Of<CacheChurn<TC>>(),
            "pipes" => Of<Pipes<TC>>(),
            "file-read" => Of<FileRead<TC, Batch32>>(),
            "truncate" => Of<FileRead<TC, Batch256>>(),
            "exit-storm" or "exit-storm-root" => Of<ExitStorm<TC>>(),
            "swap-storm" => Of<SwapStorm<TC>>(),
            "migrate" => Of<Migrate<TC>>(),
            "reader" => Of<Reader<TC>>(),
            "many-memcgs" => Of<ManyMemcgs<TC>>(),
            "shared-limit" => Of<SharedLimit<TC>>(),
            WorkloadList.Lumpy => Of<Lumpy<TC>>(),
            _ when shares is not null => Of<ListWork<TC>>(),
            Twins.Charge => Of<ChargeTwin<TC>>(),
            Twins.Alloc => Of<AllocTwin<TC>>(),
            _ => throw new ArgumentOutOfRangeException(nameof(workload), workload, "no such workload"),
        }, states);
    }

    private void GiveCache(WorkerState* states)
    {
        if (dentry == 0) Gang.Do((in ThisCpu cpu) => dentry = (nint)SlabCaches.Create<TC>(in cpu, SlabLayer().Name("dentry"), 192, accounted: true), 1);
        if (dentry == 0) Bug.Fail("no memory for the dentry cache");
        for (int i = 0; i < Cpus.Count; i++)
        {
            states[i].Cache = (SlabCache*)dentry;
            states[i].Objects = Plan.Objects;
        }
    }

    private void GiveLists(WorkerState* states)
    {
        if (idle == 0) Gang.Do((in ThisCpu cpu) => idle = (nint)ListLru.Create(in cpu, accounting.Tree), 1);
        if (idle == 0) Bug.Fail("no memory for the lists of idle dentries");
        for (int i = 0; i < Cpus.Count; i++) states[i].Idle = (ListLru*)idle;
    }

    /// <summary>Caches end with their last slab, groups with their last cache: each step may wait for every CPU's poll point.</summary>
    private void CloseSlab()
    {
        if (slab == null) return;
        if (idle != 0) Gang.Do((in ThisCpu cpu) => FreeIdle(in cpu, (ListLru*)idle), 1);
        if (dentry != 0) Gang.Do((in ThisCpu cpu) => SlabCaches.Destroy<TC>(in cpu, (SlabCache*)dentry), 1);
        for (int turn = 0; turn < 6; turn++) Gang.Do(static (in ThisCpu cpu) => Rcu.Barrier(in cpu));
        Gang.Do(static (in ThisCpu cpu) => Slab.DrainLocal<TC>(in cpu));
        Gang.Do(static (in ThisCpu cpu) => Slab.Close(in cpu), 1);
        Gang.Do(static (in ThisCpu cpu) => Slab.DrainLocal<TC>(in cpu));
    }

    /// <summary>Every group is gone, so all that is idle is on the root's lists.</summary>
    private static void FreeIdle(in ThisCpu cpu, ListLru* lru)
    {
        Memcg* root = MemcgTree.Root(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(in cpu)->Tree));
        for (int node = 0; node < Guarded<int>.Get(&lru->Nodes); node++)
            while (ListLru.CountOf(lru, node, root) != 0) DentryReclaim<TC>.ShrinkList(in cpu, lru, node, root, long.MaxValue); // twice round: referenced ones rotate once
        ListLru.Destroy(in cpu, lru);
        TC.DrainStocks(in cpu, root); // the byte stock remembers an objcg of what was freed
    }

    /// <inheritdoc/>
    protected override List<LruLockTotals> ReadLocks()
    {
        List<LruLockTotals> locks = [];
        Gang.Do((in ThisCpu cpu) =>
        {
            MemcgTree* tree = accounting.Tree;
            for (int id = 0; id < Guarded<int>.Get(&tree->Capacity); id++)
                for (int node = 0; node < Guarded<int>.Get(&tree->Nodes); node++) TC.LruLocks(in cpu, MemcgTree.ById(tree, id), node, locks);
        }, 1);
        return locks;
    }

    /// <inheritdoc/>
    protected override void Retire(Lane lane, int from, int to)
    {
        Gang.Do((in ThisCpu cpu) =>
        {
            if (cpu.Index < from) return;
            lane.Code.Finish(in cpu, lane.States);
            lane.Code.Prepare(in cpu, lane.States);
            Mm.LruAddDrain<TC>(in cpu);
            PageAllocator.DrainLocal(in cpu);
        }, to);
        Gang.Do((in ThisCpu cpu) => TC.DrainStocks(in cpu, accounting.Root), 1);
        Gang.Do(static (in ThisCpu cpu) => Poll.Run(in cpu), to); // each CPU returns its stock
    }

    /// <inheritdoc/>
    public override long DyingNow => AtomicLong.Load(&accounting.Tree->Dying);

    /// <inheritdoc/>
    protected override DyingModel ExplainDying()
    {
        if (AtomicLong.Load(&accounting.Tree->Dying) == 0) return new DyingModel(0, new Dictionary<string, long>());
        Gang.Do((in ThisCpu cpu) => TC.DrainStocks(in cpu, accounting.Root), 1); // what only waits for a drain or a grace period is no zombie
        for (int turn = 0; turn < 4; turn++) Gang.Do(static (in ThisCpu cpu) => Rcu.Barrier(in cpu));
        IReadOnlyList<DyingGroup> dying = [];
        Gang.Do((in ThisCpu cpu) => dying = DyingGroups.Explain<TC>(in cpu, accounting.Tree), 1);
        return new DyingModel(dying.Count, DyingGroups.Breakdown(dying));
    }

    /// <inheritdoc/>
    protected override Books CloseBooks(DyingModel dyingGroups)
    {
        Balance before = null!;
        List<string> wrong = [];
        Gang.Do(static (in ThisCpu cpu) => Mm.LruAddDrain<TC>(in cpu));
        Gang.Do((in ThisCpu cpu) =>
        {
            // What two workers' last scans kept from each other: pages whose place only the swap cache uses.
            for (int turn = 0; turn < 8 && SwapDevice.Used(SwapDevice.Of(in cpu)) != 0; turn++) Reclaim.Shrink<TC>(in cpu, accounting.Root, long.MaxValue);
            foreach (nint mm in spaces) MemcgLife.Detach(in cpu, (MmStruct*)mm);
            TC.DrainStocks(in cpu, accounting.Root);
        }, 1);
        Gang.Do(static (in ThisCpu cpu) => Poll.Run(in cpu)); // each CPU returns its stock
        Gang.Do(static (in ThisCpu cpu) => Rcu.Barrier(in cpu)); // and frees the page_cgroups it kept for a batch
        Gang.Do((in ThisCpu cpu) => before = Audit.Run<TC>(in cpu), 1);
        wrong.AddRange(before.Wrong);
        Gang.Do((in ThisCpu cpu) => RemoveAll(in cpu, wrong), 1);
        CloseSlab();
        if (AtomicLong.Load(&accounting.Tree->Dying) is not 0 and var dying) wrong.Add($"{dying} groups were removed and are still dying");
        Gang.Do((in ThisCpu cpu) => accounting.PageCgroups?.Shrink<NoKmemHook>(in cpu), 1);
        Gang.Do(static (in ThisCpu cpu) => PageAllocator.DrainLocal(in cpu));
        Gang.Do((in ThisCpu cpu) => wrong.AddRange(Audit.Run<TC>(in cpu).Wrong), 1);
        wrong.AddRange(AllocatorCheck.Run(Allocator));
        wrong.AddRange(AllocatorCheck.AllBack(Allocator));
        return new Books(before, dyingGroups, [.. wrong.Distinct()]);
    }

    private void RemoveAll(in ThisCpu cpu, List<string> wrong)
    {
        foreach (nint memcg in (IEnumerable<nint>)[.. leaves, .. Enumerable.Reverse(chain), .. groupsOfWorkloads])
        {
            // A parent is busy until the offline callback of its last child has run, after a grace period.
            RemoveResult result = RemoveResult.Busy;
            for (int turn = 0; turn < 8 && result == RemoveResult.Busy; turn++)
            {
                result = MemcgLife.Remove(in cpu, (Memcg*)memcg);
                if (result == RemoveResult.Busy) Rcu.Barrier(in cpu);
            }
            if (result != RemoveResult.Removed) wrong.Add($"group {Guarded<int>.Get(&((Memcg*)memcg)->Id)} could not be removed: {result}");
        }
        MemcgTree* tree = accounting.Tree;
        for (int turn = 0; turn < 64 && AtomicLong.Load(&tree->Dying) != 0; turn++) Rcu.Barrier(in cpu);
    }

    private static Memcg* Create(in ThisCpu cpu, Memcg* parent)
    {
        Memcg* memcg = MemcgLife.Create<TC>(in cpu, parent);
        if (memcg == null) Bug.Fail("the table of groups is full");
        return memcg;
    }

    private static WorkloadCode Of<TW>() where TW : struct, IWorkload<TC> =>
        new(&Batch<TW, TC>.Run, &Batch<TW, TC>.Prepare, &Batch<TW, TC>.Finish, TW.Unit);
}
