// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>A whole accounting core on plain memory: CPUs that a test polls by hand or runs in a gang, one address space per CPU.</summary>
internal sealed unsafe class AccountingBox<TC> : IDisposable where TC : struct, IMemoryController
{
    private const int Entries = 4096;
    private readonly PlainMemory source = new();
    private readonly MmStruct* spaces;

    public AccountingBox(int cpus = 1, int mib = 16, int nodes = 1, AccountingPlan? plan = null)
    {
        Cpus = new PerCpu([.. Enumerable.Range(0, cpus).Select(i => (new CpuId(i), new NodeId(i % nodes)))]);
        var specs = Enumerable.Range(0, nodes).Select(i => new NodeSpec(new(i), new(i), (long)mib << 20)).ToArray();
        Memory = new PhysicalMemory(new MemoryPlan(specs) { Watermarks = Watermarks.None }, new PlainMemory());
        Memory.Attach(Cpus.Table);
        Accounting = AccountingMemory.Build<TC>(Memory, Cpus, source, plan ?? new AccountingPlan(MaxGroups: 64));
        spaces = (MmStruct*)NativeMemory.AlignedAlloc((nuint)(cpus * sizeof(MmStruct)), 64);
        for (int i = 0; i < cpus; i++)
        {
            long bytes = MmStruct.TableBytes(Entries);
            byte* table = source.Map([new MemoryPart((nuint)((bytes + 4095) & -4096), new NodeId(0))], MemoryUse.Process);
            MmStruct.Init(spaces + i, Entries, table);
            Rcu.CpuOnline(Cpus.Witness(i));
        }
    }

    public PerCpu Cpus { get; }
    public PhysicalMemory Memory { get; }
    public AccountingMemory Accounting { get; }
    public ThisCpu Cpu(int i = 0) => Cpus.Witness(i);
    public MmStruct* Space(int cpu = 0) => spaces + cpu;

    public Memcg* Group(Memcg* parent = null, int cpu = 0) => MemcgLife.Create<TC>(Cpu(cpu), parent == null ? Accounting.Root : parent);

    /// <summary>A group with this CPU's space in it.</summary>
    public Memcg* Inhabited(Memcg* parent = null, int cpu = 0)
    {
        Memcg* memcg = Group(parent, cpu);
        Assert.True(MemcgLife.Attach(Cpu(cpu), Space(cpu), memcg));
        return memcg;
    }

    public FaultResult Fault(long index, bool write = true, int cpu = 0) => Mm.Fault<TC>(Cpu(cpu), Space(cpu), index, write);

    public void FaultAll(long first, long count, bool write = true, int cpu = 0)
    {
        for (long i = first; i < first + count; i++) Assert.Equal(FaultResult.Mapped, Fault(i, write, cpu));
    }

    public long Unmap(long first, long count, int cpu = 0) => Mm.Unmap<TC>(Cpu(cpu), Space(cpu), first, count);

    public static long Usage(Memcg* memcg) => TC.Usage(memcg, CounterKind.Memory);

    public FaultResult Touch(long index, bool write = true, int cpu = 0) => MmSwap.Touch<TC>(Cpu(cpu), Space(cpu), index, write);

    public static long Memsw(Memcg* memcg) => TC.Usage(memcg, CounterKind.Memsw);

    public SwapDevice* Swap => SwapDevice.Of(Cpu());

    /// <summary>An empty sparse file; freed with the box.</summary>
    public FileSpace* File()
    {
        var file = (FileSpace*)source.Map([new MemoryPart(4096, new NodeId(0))], MemoryUse.Process);
        FileSpace.Init(file);
        return file;
    }

    /// <summary>Frames the allocator has handed out and not got back.</summary>
    public long FramesInUse
    {
        get
        {
            Accounting.PageCgroups?.Shrink<NoKmemHook>(Cpu());
            for (int turn = 0; turn < 2; turn++) // a slab of one CPU may be freed by another's objects
                for (int i = 0; i < Cpus.Count; i++) Slab.Retire<TC>(Cpu(i));
            MemMap* map = MemMap.Of(Cpu());
            long used = 0;
            for (long pfn = 0; pfn < Guarded<long>.Get(&map->Count); pfn++)
                if (PageOps.Count(MemMap.PageOf(map, new Pfn(pfn))) != 0) used++;
            return used;
        }
    }

    /// <summary>Vectors and stocks of every CPU emptied, grace periods over.</summary>
    public void Quiesce()
    {
        for (int i = 0; i < Cpus.Count; i++)
        {
            Writeback.CompleteOwn<TC>(Cpu(i));
            Mm.LruAddDrain<TC>(Cpu(i));
            TC.DrainStocks(Cpu(i), Accounting.Root);
        }
        for (int turn = 0; turn < 8; turn++)
            for (int i = 0; i < Cpus.Count; i++) Poll.Run(Cpu(i));
    }

    public Balance Audit(bool quiesce = true)
    {
        if (quiesce) Quiesce();
        return MemcgNative.Accounting.Audit.Run<TC>(Cpu());
    }

    public void AssertBalanced()
    {
        Balance balance = Audit();
        Assert.True(balance.Holds, string.Join('\n', balance.Wrong));
    }

    public void Dispose()
    {
        for (int i = 0; i < Cpus.Count; i++) Rcu.CpuOffline(Cpu(i));
        NativeMemory.AlignedFree(spaces);
        source.Dispose();
        Memory.Dispose();
        Cpus.Dispose();
    }
}
