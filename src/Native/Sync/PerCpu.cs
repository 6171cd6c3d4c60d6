// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>The per-CPU areas and their table. Control plane: made before the gang, freed after it.</summary>
/// <remarks>Linux: the per-CPU allocator's first chunk, mm/percpu.c; here each area is on its CPU's node when the allocator given can do that.</remarks>
public sealed unsafe class PerCpu : IDisposable
{
    private const nuint Page = 4096;

    private readonly Action<nint, nuint> free;
    private readonly CpuId[] cpus;
    private CpuTable* table;

    /// <summary>
    /// Makes one area per entry; an entry may repeat a CPU (oversubscription). CPUs begin offline.
    /// </summary>
    /// <param name="cpus">Each CPU with the node its area belongs on.</param>
    /// <param name="flavour">How grace periods are found.</param>
    /// <param name="allocate">Gives zeroed, page-aligned memory of the size on the node; null = the process heap, wherever that lies.</param>
    /// <param name="free">Takes back what allocate gave.</param>
    public PerCpu(IReadOnlyList<(CpuId Cpu, NodeId Node)> cpus, RcuFlavour flavour = RcuFlavour.Qsbr,
                  Func<nuint, NodeId, nint>? allocate = null, Action<nint, nuint>? free = null)
    {
        ArgumentNullException.ThrowIfNull(cpus);
        ArgumentOutOfRangeException.ThrowIfZero(cpus.Count);
        if ((allocate is null) != (free is null)) throw new ArgumentException("allocate and free come together", nameof(allocate));
        allocate ??= AllocateFromHeap;
        this.free = free ?? FreeToHeap;
        this.cpus = [.. cpus.Select(c => c.Cpu)];

        table = (CpuTable*)allocate(TableBytes, cpus[0].Node);
        Guarded<int>.Set(&table->Count, cpus.Count);
        Guarded<int>.Set(&table->RcuFlavour, (int)flavour);
        AtomicLong.Init(&table->Rcu.Phase, 1);
        var areas = (Guarded<nint>*)(table + 1);
        GuardedPtr<Guarded<nint>>.Set(&table->Areas, areas);
        try
        {
            for (int i = 0; i < cpus.Count; i++)
            {
                var area = (CpuArea*)allocate(CpuArea.Bytes, cpus[i].Node);
                Guarded<int>.Set(&area->Index, i);
                Guarded<int>.Set(&area->CpuNumber, cpus[i].Cpu.Value);
                Guarded<int>.Set(&area->NodeNumber, cpus[i].Node.Value);
                GuardedPtr<CpuTable>.Set(&area->Table, table);
                Guarded<nint>.Set(areas + i, (nint)area);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Number of areas.</summary>
    public int Count => cpus.Length;

    /// <summary>The table of all areas.</summary>
    public CpuTable* Table => table;

    /// <summary>The CPU of area index.</summary>
    public CpuId Cpu(int index) => cpus[index];

    /// <summary>The area of CPU index.</summary>
    public CpuArea* Area(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
        ObjectDisposedException.ThrowIf(table == null, this);
        return CpuTable.Area(table, index);
    }

    /// <summary>A witness for CPU index. Only for whoever makes sure that nobody else acts as that CPU: the gang, set-up, a scripted test.</summary>
    public ThisCpu Witness(int index) => new(Area(index));

    /// <summary>Gives the areas back.</summary>
    public void Dispose()
    {
        if (table == null) return;
        for (int i = 0; i < Count; i++)
        {
            CpuArea* area = CpuTable.Area(table, i);
            if (area != null) free((nint)area, CpuArea.Bytes);
        }
        free((nint)table, TableBytes);
        table = null;
    }

    private nuint TableBytes => (nuint)(sizeof(CpuTable) + Count * sizeof(nint));

    private static nint AllocateFromHeap(nuint bytes, NodeId node)
    {
        void* p = NativeMemory.AlignedAlloc(bytes, Page);
        NativeMemory.Clear(p, bytes);
        Machine.OnAlloc(p, bytes);
        return (nint)p;
    }

    private static void FreeToHeap(nint p, nuint bytes)
    {
        Machine.OnFree((void*)p, bytes);
        NativeMemory.AlignedFree((void*)p);
    }
}
