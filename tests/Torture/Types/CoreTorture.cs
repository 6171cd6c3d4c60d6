// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>What types on a whole accounting core share: the core on two nodes, drains when a CPU leaves, the audit at rest.</summary>
internal abstract unsafe class CoreTorture<TC> : TortureType where TC : struct, IMemoryController
{
    private PlainMemory source = null!;

    protected PhysicalMemory Memory { get; private set; } = null!;
    protected AccountingMemory Accounting { get; private set; } = null!;
    public override bool Allocates => true;

    protected void Build(AccountingPlan plan)
    {
        Memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), NodeSpec.Granule), new(new(1), new(1), NodeSpec.Granule)])
        {
            Batch = (Setting.Seed & 1) == 0 ? 2 : PerCpuPages.DefaultBatch,
            High = (Setting.Seed & 1) == 0 ? 5 : PerCpuPages.DefaultHigh,
            Watermarks = Watermarks.None,
        }, new PlainMemory());
        Memory.Attach(Cpus.Table);
        source = new PlainMemory();
        Accounting = AccountingMemory.Build<TC>(Memory, Cpus, source, plan);
    }

    /// <summary>Zeroed memory that goes with the episode.</summary>
    protected void* Map(long bytes) => source.Map([new MemoryPart((nuint)((bytes + 4095) & -4096), new NodeId(0))], MemoryUse.Process);

    public override void Leave(in ThisCpu cpu)
    {
        Writeback.CompleteOwn<TC>(cpu);
        Mm.LruAddDrain<TC>(cpu);
        TC.DrainStocks(cpu, Accounting.Root);
        Slab.DrainLocal<TC>(cpu);
        PageAllocator.DrainLocal(cpu);
    }

    /// <summary>Everything that was asked of any CPU is done, and chains of callbacks have run.</summary>
    protected void Settle(int rounds = 1)
    {
        for (int round = 0; round < rounds; round++)
            for (int c = 0; c < Cpus.Count; c++)
                AsCpu(c, (in ThisCpu cpu) =>
                {
                    Leave(cpu);
                    for (int i = 0; i < 8; i++) Poll.Run(cpu);
                    Leave(cpu);
                });
    }

    public override void Check(ICollection<string> wrong)
    {
        Settle();
        AsCpu(0, (in ThisCpu cpu) =>
        {
            foreach (string line in Audit.Run<TC>(cpu).Wrong) wrong.Add(line);
        });
        foreach (string line in AllocatorCheck.Run(Memory)) wrong.Add(line);
    }

    /// <summary>A group by what somebody else may change at any time, with a css reference (put by the caller), or null when it is past that.</summary>
    protected static Memcg* OwnerWithReference(in ThisCpu cpu, Page* page)
    {
        using var rcu = new RcuReadGuard(cpu);
        Memcg* owner = TC.OwnerOf(cpu, page, out bool used);
        return used && Css.TryGet(cpu, &owner->Css) ? owner : null;
    }

    public override void TearDown()
    {
        source.Dispose();
        Memory.Dispose();
        base.TearDown();
    }
}
