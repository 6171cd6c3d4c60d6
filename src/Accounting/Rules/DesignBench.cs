// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>A core on plain memory for one combination: CPUs that the test polls by hand.</summary>
internal sealed unsafe class DesignBench<TC> : IDisposable where TC : struct, IMemoryController
{
    private readonly PlainMemory source = new();

    public DesignBench(int cpus = 2, bool swapAccounting = true)
    {
        Cpus = new PerCpu([.. Enumerable.Range(0, cpus).Select(i => (new CpuId(i), new NodeId(0)))]);
        Memory = new PhysicalMemory(new MemoryPlan([new NodeSpec(new(0), new(0), 4L << 20)]) { Watermarks = Watermarks.None }, new PlainMemory());
        Memory.Attach(Cpus.Table);
        Accounting = AccountingMemory.Build<TC>(Memory, Cpus, source, new AccountingPlan(MaxGroups: 16, SwapAccounting: swapAccounting));
        for (int i = 0; i < cpus; i++) Rcu.CpuOnline(Cpus.Witness(i));
    }

    public PerCpu Cpus { get; }
    public PhysicalMemory Memory { get; }
    public AccountingMemory Accounting { get; }
    public ThisCpu Cpu(int i = 0) => Cpus.Witness(i);
    public Memcg* Group(Memcg* parent = null) => MemcgLife.Create<TC>(Cpu(), parent == null ? Accounting.Root : parent);
    public static long Usage(Memcg* memcg) => TC.Usage(memcg, CounterKind.Memory);

    /// <summary>A frame as a fault leaves it before the charge.</summary>
    public Page* Frame()
    {
        Page* page = PageAllocator<NoHook>.Alloc(Cpu(), Gfp.Kernel);
        if (page == null) throw new InvalidOperationException("no frame left");
        PageMapping.SetAnonOrphan(page);
        PageOps.SetExclusive(page, PageFlags.SwapBacked);
        return page;
    }

    public bool TryCharge(Memcg* memcg, int pages)
    {
        Refusal refused = default;
        return TC.TryCharge(Cpu(), memcg, pages, ref refused);
    }

    /// <summary>Last put: uncharged if it still was, and back to the allocator.</summary>
    public void Free(Page* page)
    {
        if (TC.TryClear(Cpu(), page, UnchargeType.FinalPut, out Memcg* owner, out ClearedCharge charge)) TC.UnchargeCounters(Cpu(), owner, charge.Memory, charge.Memsw);
        PageOps.PutExclusive(page);
        PageAllocator<NoHook>.Free(Cpu(), page);
    }

    public void Quiesce()
    {
        for (int i = 0; i < Cpus.Count; i++) TC.DrainStocks(Cpu(i), Accounting.Root);
        for (int turn = 0; turn < 8; turn++)
            for (int i = 0; i < Cpus.Count; i++) Poll.Run(Cpu(i));
    }

    public void Dispose()
    {
        for (int i = 0; i < Cpus.Count; i++) Rcu.CpuOffline(Cpu(i));
        source.Dispose();
        Memory.Dispose();
        Cpus.Dispose();
    }
}
