// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>The request "empty your stock", one per CPU, in the second half of the counter axis' per-CPU range.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 64)]
public unsafe struct StockDrain
{
    /// <summary>Where it lies in the CPU's area: behind the stock, on a line of its own, because other CPUs write it.</summary>
    public const int Offset = CpuArea.AxesOffset + 256;

    /// <summary>A: pending while a drain is asked for and not yet begun (Linux: FLUSHING_CACHED_CHARGE).</summary>
    [FieldOffset(0)] public CpuWork Work;

    /// <summary>Nothing asked for; function empties the stock when it is.</summary>
    public static void Init(CpuArea* area, delegate*<in ThisCpu, CpuWork*, void> function) => CpuWork.Init(Of(area), function);

    /// <summary>Asks area's CPU to empty its stock at its next poll; does nothing while an earlier request is still waiting.</summary>
    public static void Ask(CpuArea* area) => CpuWork.Queue(area, Of(area));

    private static CpuWork* Of(CpuArea* area) => &((StockDrain*)((byte*)area + Offset))->Work;
}
