// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>What a range is for; whoever owns the memory places each kind as its user asked.</summary>
public enum MemoryUse
{
    /// <summary>The frames themselves.</summary>
    Frames,
    /// <summary>The struct pages.</summary>
    MemMap,
    /// <summary>Zones and zonelists, 4 KiB per node.</summary>
    Zones,
    /// <summary>Per-CPU lists.</summary>
    PerCpu,
    /// <summary>Descriptors of kmem caches.</summary>
    Slab,
    /// <summary>The table of groups.</summary>
    Memcg,
    /// <summary>What groups have per node: lists and their locks.</summary>
    MemcgNode,
    /// <summary>Owner metadata beside struct page (page_cgroup arrays).</summary>
    PageMetadata,
    /// <summary>Page tables and the like of the workload.</summary>
    Process,
}

/// <summary>Bytes that belong to a node of the hardware; "local" placement puts them there.</summary>
public readonly record struct MemoryPart(nuint Bytes, NodeId Node);

/// <summary>Where memory comes from: the hardware by way of the OS, or plain memory in tests. Owns what it handed out until disposed.</summary>
public unsafe interface IMemorySource : IDisposable
{
    /// <summary>
    /// One zeroed, page-aligned range of consecutive parts (each a multiple of 4 KiB), placed as the source was told for this use.
    /// Fails by exception, at set-up only.
    /// </summary>
    byte* Map(ReadOnlySpan<MemoryPart> parts, MemoryUse use);
}

/// <summary>What to build. Distances are between hardware nodes; Watermarks null means Linux's formula.</summary>
public sealed record MemoryPlan(IReadOnlyList<NodeSpec> Nodes)
{
    /// <summary>SLIT distance, 10 = local.</summary>
    public Func<NodeId, NodeId, int> Distance { get; init; } = static (a, b) => a == b ? 10 : 20;
    /// <summary>Pages per refill and drain of a per-CPU list, at least 1.</summary>
    public int Batch { get; init; } = PerCpuPages.DefaultBatch;
    /// <summary>Length at which a per-CPU list is drained, Batch to <see cref="PerCpuPages.Capacity"/>.</summary>
    public int High { get; init; } = PerCpuPages.DefaultHigh;
    /// <summary>The same for all zones, or null for Linux's defaults.</summary>
    public Watermarks? Watermarks { get; init; }
}

/// <summary>
/// Set-up and end of an allocator: maps frames and mem_map, builds zones and zonelists, attaches CPUs. Linux: free_area_init and
/// memmap_init, mm/mm_init.c. Hot code never sees it: it works on <see cref="AllocatorState"/>, found through the CPU's area.
/// </summary>
public sealed unsafe class PhysicalMemory : IDisposable
{
    private readonly IMemorySource source;
    private readonly List<nint> areas = [];

    /// <summary>Builds it; the source is owned from now on.</summary>
    /// <exception cref="ArgumentException">A size or the batch makes no sense.</exception>
    public PhysicalMemory(MemoryPlan plan, IMemorySource source)
    {
        this.source = source;
        Plan = plan;
        IReadOnlyList<NodeSpec> nodes = plan.Nodes;
        if (nodes.Count is 0 or > Allocator.Node.MaxCount)
            throw new ArgumentException($"{nodes.Count} nodes: give 1 to {Allocator.Node.MaxCount}", nameof(plan));
        if (nodes.DistinctBy(n => n.Id).Count() != nodes.Count) throw new ArgumentException("two nodes have the same number", nameof(plan));
        foreach (NodeSpec node in nodes)
            if (node.Bytes <= 0 || node.Bytes % NodeSpec.Granule != 0)
                throw new ArgumentException($"node {node.Id}: {node.Bytes} bytes are no multiple of {NodeSpec.Granule >> 20} MiB", nameof(plan));
        if (plan.Batch < 1 || plan.High < plan.Batch || plan.High > PerCpuPages.Capacity)
            throw new ArgumentException($"batch {plan.Batch}, high {plan.High}: need 1 <= batch <= high <= {PerCpuPages.Capacity}", nameof(plan));
        Map();
    }

    /// <summary>What it was built from.</summary>
    public MemoryPlan Plan { get; }

    /// <summary>The shared state.</summary>
    public AllocatorState* State { get; private set; }

    /// <summary>True when several of its nodes share a hardware node: figures say nothing about distances then.</summary>
    public bool HasFakeNodes => Plan.Nodes.Any(n => n.IsFake) || Plan.Nodes.DistinctBy(n => n.Physical).Count() != Plan.Nodes.Count;

    /// <summary>All frames.</summary>
    public long TotalPages => Guarded<long>.Get(&State->Map.Count);

    /// <summary>CPUs attached so far.</summary>
    public int CpuCount => areas.Count;

    /// <summary>Area of the i-th CPU attached.</summary>
    public CpuArea* Area(int i) => (CpuArea*)areas[i];

    /// <summary>The i-th CPU's list of a node.</summary>
    internal PerCpuPages* List(int cpu, int nodeIndex) => PerCpuPages.At(GuardedPtr<PerCpuPages>.Get(&AllocatorCpu.Of(Area(cpu))->Lists), nodeIndex);

    /// <summary>Another range from the same source, for what stands on the allocator; lives as long as it.</summary>
    public byte* MapMore(ReadOnlySpan<MemoryPart> parts, MemoryUse use) => source.Map(parts, use);

    /// <summary>The node, or null when there is none of that number.</summary>
    public Node* Node(NodeId id) => AllocatorState.Find(State, id);

    /// <summary>Attaches all CPUs of a table.</summary>
    public void Attach(CpuTable* cpus)
    {
        nint[] table = new nint[Guarded<int>.Get(&cpus->Count)];
        for (int i = 0; i < table.Length; i++) table[i] = (nint)CpuTable.Area(cpus, i);
        Attach(table);
    }

    /// <summary>
    /// Gives CPUs their lists, in their nodes' memory, before their threads run. A CPU's home is the node of its number; fake nodes of
    /// one hardware node take its CPUs in turn; a CPU without memory of its own gets the nearest.
    /// </summary>
    public void Attach(ReadOnlySpan<nint> cpus)
    {
        int nodes = Plan.Nodes.Count;
        nuint bytes = (nuint)((nodes * PerCpuPages.Bytes + MemMap.FrameBytes - 1) & -MemMap.FrameBytes);
        MemoryPart[] parts = new MemoryPart[cpus.Length];
        for (int i = 0; i < cpus.Length; i++) parts[i] = new(bytes, new NodeId(Guarded<int>.Get(&((CpuArea*)cpus[i])->NodeNumber)));
        byte* lists = source.Map(parts, MemoryUse.PerCpu);
        Dictionary<NodeId, int> turn = [];
        for (int i = 0; i < cpus.Length; i++)
        {
            CpuArea* area = (CpuArea*)cpus[i];
            int home = HomeOf(parts[i].Node, turn);
            AllocatorCpu* own = AllocatorCpu.Of(area);
            PerCpuPages* first = (PerCpuPages*)(lists + (nuint)i * bytes);
            for (int n = 0; n < nodes; n++)
                PerCpuPages.Init(PerCpuPages.At(first, n), &AllocatorState.Node(State, n)->Zone, Plan.Batch, Plan.High);
            GuardedPtr<AllocatorState>.Set(&own->State, State);
            GuardedPtr<PerCpuPages>.Set(&own->Lists, first);
            GuardedPtr<PerCpuPages>.Set(&own->Home, PerCpuPages.At(first, home));
            GuardedPtr<Node>.Set(&own->HomeNode, AllocatorState.Node(State, home));
            GuardedPtr<Page>.Set(&own->Pages, GuardedPtr<Page>.Get(&State->Map.Pages));
            Guarded<long>.Set(&own->NrPages, TotalPages);
            CpuWork.Init(&own->Drain, &PageAllocator.ServeDrain);
            areas.Add((nint)area);
        }
    }

    /// <summary>Unmaps everything. No CPU may use the allocator any more.</summary>
    public void Dispose()
    {
        foreach (nint area in areas) *AllocatorCpu.Of((CpuArea*)area) = default;
        areas.Clear();
        State = null;
        source.Dispose();
    }

    private void Map()
    {
        IReadOnlyList<NodeSpec> specs = Plan.Nodes;
        MemoryPart[] frames = [.. specs.Select(n => new MemoryPart((nuint)n.Bytes, n.Physical))];
        MemoryPart[] maps = [.. specs.Select(n => new MemoryPart((nuint)(n.Bytes / MemMap.FrameBytes * Page.Bytes), n.Physical))];
        MemoryPart[] zones = [new(MemMap.FrameBytes, specs[0].Physical), .. specs.Select(n => new MemoryPart(Allocator.Node.Bytes, n.Physical))];
        long all = specs.Sum(n => n.Bytes) >> MemMap.FrameShift;

        byte* block = source.Map(zones, MemoryUse.Zones);
        State = (AllocatorState*)block;
        GuardedPtr<byte>.Set(&State->Map.Frames, source.Map(frames, MemoryUse.Frames));
        Page* pages = (Page*)source.Map(maps, MemoryUse.MemMap);
        GuardedPtr<Page>.Set(&State->Map.Pages, pages);
        Guarded<long>.Set(&State->Map.Count, all);
        Guarded<int>.Set(&State->NrNodes, specs.Count);

        for (int i = 0; i < specs.Count; i++)
            GuardedPtr<Node>.Set(AllocatorState.NodeSlot(State, i), (Node*)(block + MemMap.FrameBytes + i * Allocator.Node.Bytes));
        long pfn = 0;
        for (int i = 0; i < specs.Count; i++)
        {
            Node* node = AllocatorState.Node(State, i);
            long count = specs[i].Bytes >> MemMap.FrameShift;
            Guarded<int>.Set(&node->Number, specs[i].Id.Value);
            Guarded<int>.Set(&node->Physical, specs[i].Physical.Value);
            Guarded<int>.Set(&node->Index, i);
            int[] order = Zonelist.For(i, specs, Plan.Distance);
            Guarded<int>.Set(&node->NrFallback, order.Length);
            for (int at = 0; at < order.Length; at++) GuardedPtr<Node>.Set(Allocator.Node.Fallback(node, at), AllocatorState.Node(State, order[at]));
            Zone.Init(&node->Zone, pages, new Pfn(pfn), new Pfn(pfn + count), i, Plan.Watermarks ?? Watermarks.ForZone(count, all));
            // The upper blocks first, so that the lowest stand at the head of the list.
            for (long p = pfn; p < pfn + count; p++) AtomicLong.Init(&(pages + p)->Flags, ((long)i << PageFlags.NodeShift) | PageFlags.Free);
            for (long p = pfn + count - Order.MaxPages; p >= pfn; p -= Order.MaxPages) Zone.Give(&node->Zone, pages + p, Order.MaxValue);
            pfn += count;
        }
    }

    private int HomeOf(NodeId cpuNode, Dictionary<NodeId, int> turn)
    {
        IReadOnlyList<NodeSpec> specs = Plan.Nodes;
        int[] own = [.. Enumerable.Range(0, specs.Count).Where(i => specs[i].Physical == cpuNode)];
        if (own.Length == 0)
            return Enumerable.Range(0, specs.Count).OrderBy(i => Plan.Distance(cpuNode, specs[i].Physical)).ThenBy(i => specs[i].Id).First();
        int at = turn.GetValueOrDefault(cpuNode);
        turn[cpuNode] = at + 1;
        return own[at % own.Length];
    }
}
