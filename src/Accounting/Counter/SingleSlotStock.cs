// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Each CPU remembers the one group it charged last. Linux: struct memcg_stock_pcp, 2.6.33 to 6.15. Charging another group returns the
/// old rest: two groups taking turns on one CPU pay the full price (spec 5.5, point 3).
/// </summary>
public readonly unsafe struct SingleSlotStock<TBatch> : IStockDesign where TBatch : struct, IBatch
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)]
    private static SingleSlot* Of(CpuArea* area) => (SingleSlot*)((byte*)area + CpuArea.AxesOffset);

    /// <inheritdoc/>
    public static string Name => $"SingleSlotStock({TBatch.Pages})";
    /// <inheritdoc/>
    public static int Batch => TBatch.Pages;

    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area)
    {
        AtomicPtr<Memcg>.Init(&Of(area)->Cached, null);
        AtomicInt.Init(&Of(area)->Pages, 0);
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool TryConsume(in ThisCpu cpu, Memcg* memcg, int pages)
    {
        SingleSlot* slot = Of(cpu.Area);
        int rest = AtomicInt.Load(&slot->Pages) - pages;
        if (AtomicPtr<Memcg>.Load(&slot->Cached) != memcg || rest < 0) return false;
        AtomicInt.Store(&slot->Pages, rest);
        return true;
    }

    /// <inheritdoc/>
    public static void Refill<TCounter, TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TCounter : struct, ICounterDesign where TPin : struct, IChargePin
    {
        SingleSlot* slot = Of(cpu.Area);
        if (AtomicPtr<Memcg>.Load(&slot->Cached) != memcg)
        {
            Drain<TCounter, TPin>(cpu, null);
            TPin.OnStockCached(cpu, memcg);
            AtomicPtr<Memcg>.Store(&slot->Cached, memcg);
        }
        int sum = AtomicInt.Load(&slot->Pages) + pages;
        AtomicInt.Store(&slot->Pages, sum);
        if (sum > TBatch.Pages) Drain<TCounter, TPin>(cpu, null);
    }

    /// <inheritdoc/>
    public static void Drain<TCounter, TPin>(in ThisCpu cpu, Memcg* root) where TCounter : struct, ICounterDesign where TPin : struct, IChargePin
    {
        SingleSlot* slot = Of(cpu.Area);
        Memcg* memcg = AtomicPtr<Memcg>.Load(&slot->Cached);
        if (memcg == null) return;
        int pages = AtomicInt.Load(&slot->Pages);
        if (pages != 0 && root != null && !Memcg.IsDescendant(memcg, root)) return; // in this order: without pages memcg may be another group by now
        AtomicInt.Store(&slot->Pages, 0);
        AtomicPtr<Memcg>.Store(&slot->Cached, null);
        if (pages != 0) TCounter.Uncharge<TPin>(cpu, memcg, pages, pages);
        TPin.OnStockDropped(cpu, memcg); // last: it may drop the last reference
    }

    /// <inheritdoc/>
    public static bool Holds(CpuArea* area, Memcg* root)
    {
        Memcg* memcg = AtomicPtr<Memcg>.Load(&Of(area)->Cached); // once: the owner may drop it meanwhile (F9)
        return memcg != null && AtomicInt.Load(&Of(area)->Pages) != 0 && Memcg.IsDescendant(memcg, root);
    }

    /// <inheritdoc/>
    public static bool Remembers(CpuArea* area, Memcg* memcg) => AtomicPtr<Memcg>.Load(&Of(area)->Cached) == memcg;

    /// <inheritdoc/>
    public static string? Fault(CpuArea* area)
    {
        int pages = AtomicInt.Load(&Of(area)->Pages);
        if (pages < 0 || pages > TBatch.Pages) return $"holds {pages} pages, at most {TBatch.Pages}";
        return pages != 0 && AtomicPtr<Memcg>.Load(&Of(area)->Cached) == null ? $"holds {pages} pages of nobody" : null;
    }

    /// <inheritdoc/>
    public static long StockedPages(CpuArea* area, Memcg* memcg) =>
        AtomicPtr<Memcg>.Load(&Of(area)->Cached) == memcg ? AtomicInt.Load(&Of(area)->Pages) : 0;
}

/// <summary>The slot, at the front of the counter axis' per-CPU range.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct SingleSlot
{
    /// <summary>O: the group remembered; written by the owner, read by drainers inside RCU.</summary>
    [FieldOffset(0)] public AtomicPtr<Memcg> Cached;
    /// <summary>O: pages of it; written by the owner, read by drainers.</summary>
    [FieldOffset(8)] public AtomicInt Pages;
}
