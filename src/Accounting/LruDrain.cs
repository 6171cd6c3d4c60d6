// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>The request "put your vector on the lists", one per CPU. Linux: lru_add_drain_all, without its wait.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 64)]
public unsafe struct LruDrain
{
    /// <summary>Where it lies in the CPU's area: behind the pages in flight.</summary>
    public const int Offset = IoQueue.Offset + 512;

    /// <summary>A: pending while the vector waits to be drained.</summary>
    [FieldOffset(0)] internal CpuWork Work;

    /// <summary>Nothing asked for.</summary>
    public static void Init<TC>(CpuArea* area) where TC : struct, IMemoryController => CpuWork.Init(Of(area), &Serve<TC>);

    private static CpuWork* Of(CpuArea* area) => &((LruDrain*)((byte*)area + Offset))->Work;

    private static void Serve<TC>(in ThisCpu cpu, CpuWork* work) where TC : struct, IMemoryController => Mm.LruAddDrainQuietly<TC>(cpu);

    /// <summary>Asks every other CPU to drain at its next poll point.</summary>
    public static void AskOthers(in ThisCpu cpu)
    {
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
        {
            CpuArea* area = CpuTable.Area(cpu.Table, i);
            if (area != cpu.Area) CpuWork.Queue(area, Of(area));
        }
    }
}
