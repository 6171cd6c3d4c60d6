// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>An allocator on plain memory with CPUs that are nothing but areas; each test thread plays one.</summary>
internal sealed unsafe class AllocatorBox : IDisposable
{
    private readonly PerCpu areas;
    private readonly int cpus;

    public AllocatorBox(MemoryPlan plan, int cpus = 1, Func<int, int>? nodeOfCpu = null)
    {
        this.cpus = cpus;
        areas = new PerCpu([.. Enumerable.Range(0, cpus).Select(i => (new CpuId(i), nodeOfCpu is null ? plan.Nodes[0].Physical : new NodeId(nodeOfCpu(i))))]);
        Memory = new PhysicalMemory(plan, new PlainMemory());
        Memory.Attach(areas.Table);
    }

    public static MemoryPlan OneNode(int mib) => new([new NodeSpec(new(0), new(0), (long)mib << 20)]) { Watermarks = Watermarks.None };

    public PhysicalMemory Memory { get; }
    public AllocatorState* State => Memory.State;
    public ThisCpu Cpu(int i = 0) => areas.Witness(i);
    public Page* Page(long pfn) => MemMap.PageOf(&State->Map, new Pfn(pfn));
    public long Pfn(Page* page) => MemMap.PfnOf(&State->Map, page).Value;
    public Zone* Zone(int i = 0) => &AllocatorState.Node(State, i)->Zone;
    public long Free(int i = 0) => AtomicLong.Load(&Zone(i)->NrFree);
    public long Blocks(int order, int i = 0) => Guarded<long>.Get(&MemcgNative.Allocator.Zone.Area(Zone(i), order)->NrBlocks);

    public void DrainAll()
    {
        for (int i = 0; i < cpus; i++) PageAllocator.DrainLocal(Cpu(i));
    }

    /// <summary>The last reference is dropped as its owner would, then the page is freed.</summary>
    public static void PutAndFree(in ThisCpu cpu, Page* page, int order = 0)
    {
        if (PageOps.PutAndTest(page)) PageAllocator<NoHook>.Free(in cpu, page, order);
    }

    public void Dispose()
    {
        Memory.Dispose();
        areas.Dispose();
    }
}
