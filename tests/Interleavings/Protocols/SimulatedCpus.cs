// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The per-CPU areas of the simulated CPUs, in the arena, filled as PerCpu fills the real ones; all CPUs are online.</summary>
internal readonly unsafe struct SimulatedCpus
{
    private readonly CpuTable* table;

    private SimulatedCpus(CpuTable* table) => this.table = table;

    public CpuTable* Table => table;

    /// <summary>What the code of one CPU is handed.</summary>
    public ThisCpu this[int cpu] => new(CpuTable.Area(table, cpu));

    public CpuArea* Area(int cpu) => CpuTable.Area(table, cpu);

    public static SimulatedCpus New(int count, RcuFlavour flavour = RcuFlavour.Qsbr)
    {
        CpuTable* t = Arena.New<CpuTable>("cpus");
        Guarded<nint>* areas = Arena.Array<Guarded<nint>>(count, "areas");
        Guarded<int>.Set(&t->Count, count);
        Guarded<int>.Set(&t->RcuFlavour, (int)flavour);
        AtomicLong.Init(&t->Rcu.Phase, 1);
        GuardedPtr<Guarded<nint>>.Set(&t->Areas, areas);
        for (int c = 0; c < count; c++)
        {
            CpuArea* a = (CpuArea*)Arena.Block(sizeof(CpuArea), $"cpu{c}", typeof(CpuArea), 128);
            Guarded<nint>.Set(areas + c, (nint)a);
            Guarded<int>.Set(&a->Index, c);
            Guarded<int>.Set(&a->CpuNumber, c);
            AtomicInt.Init(&a->Online, 1);
            GuardedPtr<CpuTable>.Set(&a->Table, t);
        }
        return new SimulatedCpus(t);
    }
}
