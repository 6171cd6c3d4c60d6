// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What to build: how many groups the table holds, whether memory+swap is counted, how many places the swap device has, how many buckets the page cache.</summary>
public sealed record AccountingPlan(int MaxGroups = 1024, bool SwapAccounting = false, int SwapEntries = 0, int PageCacheBuckets = 1024)
{
    /// <summary>Into how many books a node is cut, and where (Lru axis).</summary>
    public SlicePlan Slices { get; init; } = SlicePlan.Whole;

    /// <summary>
    /// Kernel objects are charged where <see cref="MemcgKmem.TryActivate"/> was called for the group or an ancestor before it was made, as from 3.8 to 4.4; without, as
    /// if that had been done for every group. The designs of those kernels look at it: PerCachePin, ReparentCaches.
    /// </summary>
    public bool KmemOptIn { get; init; }
}

/// <summary>
/// Set-up and end of the accounting core on an allocator: the group table, what each node and each CPU holds of it, the root group.
/// Linux: mem_cgroup_init. Hot code never sees it.
/// </summary>
public sealed unsafe class AccountingMemory
{
    private readonly PhysicalMemory memory;
    private readonly PerCpu cpus;

    private AccountingMemory(PhysicalMemory memory, PerCpu cpus, AccountingPlan plan)
    {
        this.memory = memory;
        this.cpus = cpus;
        Plan = plan;
    }

    /// <summary>What it was built from.</summary>
    public AccountingPlan Plan { get; }

    /// <summary>The tree.</summary>
    public MemcgTree* Tree { get; private set; }

    /// <summary>The cache of page_cgroup objects; null where the design has none.</summary>
    public KmemCache? PageCgroups { get; private set; }

    /// <summary>The slab layer, where user pages need it; else null, and the caller builds one if it wants kernel objects.</summary>
    public Slab? Slab { get; private set; }

    /// <summary>The root group.</summary>
    public Memcg* Root => MemcgTree.Root(Tree);

    /// <summary>Builds the table for one combination of designs; memory comes from source, which owns it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The table would be empty, or there are more nodes than the tree can serve, or a size makes no sense.</exception>
    public static AccountingMemory Build<TC>(PhysicalMemory memory, PerCpu cpus, IMemorySource source, AccountingPlan plan) where TC : struct, IMemoryController
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(plan.MaxGroups, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(memory.Plan.Nodes.Count, MemcgTree.MaxNodes);
        ArgumentOutOfRangeException.ThrowIfNegative(plan.SwapEntries);
        if (plan.SwapEntries != 0) ArgumentOutOfRangeException.ThrowIfGreaterThan(plan.MaxGroups, 1 << 16); // ids in the swap map have 16 bits
        if (!System.Numerics.BitOperations.IsPow2(plan.PageCacheBuckets))
            throw new ArgumentOutOfRangeException(nameof(plan), plan.PageCacheBuckets, "the page cache's buckets are no power of two");
        _ = DebugVm.On; // the first look: a constant from here on
        var built = new AccountingMemory(memory, cpus, plan);
        built.Map<TC>(source);
        if (TC.KmemServesPages) built.Slab = Slab.Build(memory, cpus);
        return built;
    }

    private void Map<TC>(IMemorySource source) where TC : struct, IMemoryController
    {
        IReadOnlyList<NodeSpec> specs = memory.Plan.Nodes;
        NodeId first = specs[0].Physical;
        Tree = (MemcgTree*)source.Map([new MemoryPart(Pages(MemcgTree.Bytes), first)], MemoryUse.Memcg);
        Guarded<int>.Set(&Tree->Capacity, Plan.MaxGroups);
        Guarded<int>.Set(&Tree->Cpus, cpus.Count);
        Guarded<int>.Set(&Tree->Nodes, specs.Count);
        Guarded<int>.Set(&Tree->SwapAccounting, Plan.SwapAccounting ? 1 : 0);
        TestAndSetLock.Init(&Tree->Lock);
        TestAndSetLock.Init(&Tree->CssSetLock);
        IntrusiveList.Init(&Tree->Free);

        Guarded<nint>.Set(&Tree->Groups, (nint)source.Map([new MemoryPart(Pages((long)Plan.MaxGroups * Memcg.Bytes), first)], MemoryUse.Memcg));
        byte* perNode = source.Map([.. specs.Select(n => new MemoryPart(Pages((long)Plan.MaxGroups * MemcgNode.Bytes), n.Physical))], MemoryUse.MemcgNode);
        for (int i = 0; i < specs.Count; i++) Guarded<nint>.Set(&Tree->NodeBases + i, (nint)(perNode + (nuint)i * Pages((long)Plan.MaxGroups * MemcgNode.Bytes)));
        MapExtra<TC>(source, specs);

        nuint stride = Pages((long)Plan.MaxGroups * MemcgStatCpu.Bytes);
        MemoryPart[] parts = new MemoryPart[cpus.Count];
        for (int i = 0; i < parts.Length; i++) parts[i] = new MemoryPart(stride, new NodeId(Guarded<int>.Get(&cpus.Area(i)->NodeNumber)));
        Guarded<nint>.Set(&Tree->StatBase, (nint)source.Map(parts, MemoryUse.PerCpu));
        Guarded<nint>.Set(&Tree->StatStride, (nint)stride);

        var cache = (PageCache*)source.Map([new MemoryPart(Pages(PageCache.TableBytes(Plan.PageCacheBuckets)), first)], MemoryUse.Memcg);
        PageCache.Init(cache, Plan.PageCacheBuckets);
        Guarded<nint>.Set(&Tree->PageCache, (nint)cache);
        Guarded<nint>.Set(&Tree->Swap, (nint)MapSwap(source, first));
        TestAndSetLock.Init(&Tree->SoftLimitLock);

        if (TC.PageCgroupBytes != 0) PageCgroups = new KmemCache(memory, "page_cgroup", TC.PageCgroupBytes);
        nint* nodes = MapNodes<TC>(source, specs, first);
        Guarded<nint>.Set(&Tree->AccountingNodes, (nint)nodes);
        for (int i = 0; i < cpus.Count; i++)
        {
            AccountingCpu* own = AccountingCpu.Of(cpus.Witness(i));
            Guarded<nint>.Set(&own->StatBase, Guarded<nint>.Get(&Tree->StatBase) + i * (nint)stride);
            GuardedPtr<MemcgTree>.Set(&own->Tree, Tree);
            GuardedPtr<Guarded<nint>>.Set(&own->Nodes, (Guarded<nint>*)nodes);
            Guarded<int>.Set(&own->NodeCount, specs.Count);
            Guarded<nint>.Set(&own->PageCgroupCache, PageCgroups == null ? 0 : (nint)PageCgroups.State);
            IoQueue.Init<TC>(cpus.Area(i));
            LruDrain.Init<TC>(cpus.Area(i));
            TC.InitCpu(cpus.Area(i));
        }
        for (int id = Plan.MaxGroups - 1; id >= 0; id--)
        {
            Memcg* memcg = MemcgTree.ById(Tree, id);
            Guarded<int>.Set(&memcg->Id, id);
            Guarded<nint>.Set(&memcg->StatOffset, (nint)id * MemcgStatCpu.Bytes);
            Guarded<nint>.Set(&memcg->Tree, (nint)Tree);
            if (id != 0) IntrusiveList.Add(&Tree->Free, &memcg->Sibling);
        }
        IntrusiveList.Init(&Root->Sibling);
        MemcgLife.Init<TC>(Tree, Root, null);
        if (Plan.KmemOptIn) AtomicInt.Store(&MemcgKmem.Of(Root)->Active, 0);
        TC.OnOnline(cpus.Witness(0), Root);
    }

    /// <summary>What the Lru axis needs per group and node beyond its slot.</summary>
    private void MapExtra<TC>(IMemorySource source, IReadOnlyList<NodeSpec> specs) where TC : struct, IMemoryController
    {
        nuint[] bytes = [.. specs.Select(n => Pages(Plan.MaxGroups * TC.MemcgNodeExtraBytes(Plan, n.Bytes)))];
        if (bytes.All(b => b == 0)) return;
        byte* extra = source.Map([.. specs.Select((n, i) => new MemoryPart(bytes[i], n.Physical))], MemoryUse.MemcgNode);
        for (int i = 0; i < specs.Count; extra += bytes[i], i++)
        {
            Guarded<nint>.Set(&Tree->ExtraBases + i, (nint)extra);
            Guarded<int>.Set(&Tree->ExtraBytes + i, checked((int)TC.MemcgNodeExtraBytes(Plan, specs[i].Bytes)));
        }
    }

    private SwapDevice* MapSwap(IMemorySource source, NodeId first)
    {
        if (Plan.SwapEntries == 0) return null;
        var device = (SwapDevice*)source.Map([new MemoryPart(Pages(SwapDevice.Bytes + SwapDevice.TableBytes(Plan.SwapEntries)), first)], MemoryUse.Memcg);
        SwapDevice.Init(device, Plan.SwapEntries, (byte*)device + SwapDevice.Bytes);
        return device;
    }

    private nint* MapNodes<TC>(IMemorySource source, IReadOnlyList<NodeSpec> specs, NodeId first) where TC : struct, IMemoryController
    {
        var table = (nint*)source.Map([new MemoryPart(Pages(specs.Count * sizeof(nint)), first)], MemoryUse.Memcg);
        byte* blocks = source.Map([.. specs.Select(n => new MemoryPart(Pages(AccountingNode.Bytes), n.Physical))], MemoryUse.Zones);
        byte* metadata = TC.PageMetadataBytes == 0 ? null
            : source.Map([.. specs.Select(n => new MemoryPart(Pages(n.Bytes / MemMap.FrameBytes * TC.PageMetadataBytes), n.Physical))], MemoryUse.PageMetadata);
        long pfn = 0;
        for (int i = 0; i < specs.Count; i++)
        {
            var node = (AccountingNode*)(blocks + (nuint)i * Pages(AccountingNode.Bytes));
            long frames = specs[i].Bytes / MemMap.FrameBytes;
            Guarded<int>.Set(&node->Index, i);
            Guarded<long>.Set(&node->StartPfn, pfn);
            Guarded<long>.Set(&node->EndPfn, pfn + frames);
            GuardedPtr<MemcgTree>.Set(&node->Tree, Tree);
            GuardedPtr<byte>.Set(&node->PageMetadata, metadata);
            TC.Configure(node, Plan);
            TC.InitNode(node);
            table[i] = (nint)node;
            pfn += frames;
            if (metadata != null) metadata += Pages(frames * TC.PageMetadataBytes);
        }
        return table;
    }

    private static nuint Pages(long bytes) => (nuint)((bytes + MemMap.FrameBytes - 1) & -MemMap.FrameBytes);
}
