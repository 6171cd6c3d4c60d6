// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The per-CPU areas of the simulated CPUs, in the arena, filled as CpuGang fills the real ones.</summary>
internal readonly unsafe struct SimulatedCpus
{
    private readonly CpuTable* table;

    private SimulatedCpus(CpuTable* table) => this.table = table;

    public CpuTable* Table => table;

    /// <summary>What the code of one CPU is handed.</summary>
    public ThisCpu this[int cpu] => new(CpuTable.Area(table, cpu));

    /// <summary>Areas for count CPUs, all online; flavour as <see cref="CpuTable.RcuFlavour"/>.</summary>
    public static SimulatedCpus New(int count, int flavour = 0)
    {
        CpuTable* t = Arena.New<CpuTable>("cpus");
        nint* areas = Arena.Array<nint>(count, "areas");
        Guarded<int>.Set(&t->Count, count);
        Guarded<int>.Set(&t->RcuFlavour, flavour);
        GuardedPtr<nint>.Set(&t->Areas, areas);
        for (int c = 0; c < count; c++)
        {
            CpuArea* a = (CpuArea*)Arena.Block(sizeof(CpuArea), $"cpu{c}", typeof(CpuArea), 128);
            areas[c] = (nint)a;
            Guarded<int>.Set(&a->Index, c);
            Guarded<int>.Set(&a->CpuNumber, c);
            AtomicInt.Init(&a->Online, 1);
            GuardedPtr<CpuTable>.Set(&a->Table, t);
        }
        return new SimulatedCpus(t);
    }
}
