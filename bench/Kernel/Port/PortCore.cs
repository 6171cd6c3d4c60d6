// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// A machine of the port that one thread drives, CPU by CPU in the order of a file: so the result depends on the file alone. Placement
/// does not matter to it; its memory is plain.
/// </summary>
internal sealed unsafe class PortCore<TC> : IDisposable where TC : struct, IMemoryController
{
    /// <summary>Rounds of poll points in which every chain of callbacks has come to its end: an object's last put, its cache's, its group's release.</summary>
    private const int Turns = 32;
    private const long Granule = 4L << 20;
    private readonly PlainMemory source = new(), frames = new();

    /// <summary>nodes memory nodes with pages frames in all; an accounted slab cache unless the model has no kmem.</summary>
    public PortCore(int cpus, int nodes, long pages, AccountingPlan plan, bool kmem)
    {
        Cpus = new PerCpu([.. Enumerable.Range(0, cpus).Select(i => (new CpuId(i), new NodeId(i % nodes)))]);
        long each = (pages * MemMap.FrameBytes / nodes + Granule - 1) / Granule * Granule;
        NodeSpec[] specs = [.. Enumerable.Range(0, nodes).Select(i => new NodeSpec(new NodeId(i), new NodeId(i), each))];
        Memory = new PhysicalMemory(new MemoryPlan(specs) { Watermarks = Watermarks.None }, frames);
        Memory.Attach(Cpus.Table);
        Accounting = AccountingMemory.Build<TC>(Memory, Cpus, source, plan);
        for (int i = 0; i < cpus; i++) Rcu.CpuOnline(Cpu(i));
        if (!kmem) return;
        Slab = Slab.Build(Memory, Cpus);
        Dentries = SlabCaches.Create<TC>(Cpu(0), Slab.Name("dentry"), 192, accounted: true);
        if (Dentries == null) Bug.Fail("no memory for the dentry cache");
    }

    public PerCpu Cpus { get; }
    public PhysicalMemory Memory { get; }
    public AccountingMemory Accounting { get; }
    public Slab? Slab { get; }
    public SlabCache* Dentries { get; }

    public ThisCpu Cpu(int index) => Cpus.Witness(index);

    /// <summary>Zeroed memory that lives as long as the core.</summary>
    public byte* Map(long bytes) => source.Map([new MemoryPart((nuint)((bytes + 4095) & -4096), new NodeId(0))], MemoryUse.Process);

    /// <summary>An address space of so many entries, in no group yet.</summary>
    public MmStruct* Space(long entries)
    {
        var mm = (MmStruct*)Map(sizeof(MmStruct) + MmStruct.TableBytes(entries));
        MmStruct.Init(mm, entries, (byte*)(mm + 1));
        return mm;
    }

    /// <summary>Every CPU passes poll points until nothing is left to happen by itself. Stocks and page vectors stay.</summary>
    public void Settle()
    {
        for (int turn = 0; turn < Turns; turn++)
            for (int i = 0; i < Cpus.Count; i++) Poll.Run(Cpu(i));
    }

    /// <summary>Page vectors onto the lists, I/O done, grace periods over (lru_add_drain_all and a flush).</summary>
    public void Quiet()
    {
        for (int i = 0; i < Cpus.Count; i++)
        {
            Writeback.CompleteOwn<TC>(Cpu(i));
            Mm.LruAddDrain<TC>(Cpu(i));
        }
        Settle();
    }

    /// <summary>Also the stocks below root (drain_all_stock).</summary>
    public void Drain(Memcg* root)
    {
        Quiet();
        for (int i = 0; i < Cpus.Count; i++) TC.DrainStocks(Cpu(i), root);
        Settle();
    }

    /// <summary>What does not balance, after everything was drained.</summary>
    public IReadOnlyList<string> Books()
    {
        Drain(Accounting.Root);
        return Audit.Run<TC>(Cpu(0)).Wrong;
    }

    /// <summary>rmdir: a parent is busy until its child's offline callback has run.</summary>
    public bool Remove(int cpu, Memcg* memcg)
    {
        for (int turn = 0; turn < 8; turn++)
        {
            RemoveResult result = MemcgLife.Remove(Cpu(cpu), memcg);
            Settle();
            if (result == RemoveResult.Removed) return true;
        }
        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = 0; i < Cpus.Count; i++) Rcu.CpuOffline(Cpu(i));
        source.Dispose();
        Memory.Dispose();
        Cpus.Dispose();
    }
}
