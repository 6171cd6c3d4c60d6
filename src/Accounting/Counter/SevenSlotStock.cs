// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Each CPU remembers seven groups in one cache line: a lock byte, seven page counts, seven pointers. Linux: struct memcg_stock_pcp,
/// 6.16 to 7.1. A slot that grows past a batch is emptied whole; with no free slot one is evicted in turn (7.1; 6.16 to 7.0 at random).
/// </summary>
/// <remarks>
/// The lock byte refuses whoever interrupted its holder (S7, F10): here that is the CPU's nested irq role, which then goes to the counter
/// directly. A slot holds at most twice a batch, so a batch must stay below 128.
/// </remarks>
[PatchSeries("Shakeel Butt", "2025-05", "memcg: multi-memcg percpu charge cache", "merged in 6.16")]
public readonly unsafe struct SevenSlotStock<TBatch> : IStockDesign where TBatch : struct, IBatch
{
    private const int Slots = 7;
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)]
    private static SevenSlotLine* Of(CpuArea* area) => (SevenSlotLine*)((byte*)area + CpuArea.AxesOffset);

    /// <inheritdoc/>
    public static string Name => $"SevenSlotStock({TBatch.Pages})";
    /// <inheritdoc/>
    public static int Batch => TBatch.Pages;

    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area)
    {
        SevenSlotLine* line = Of(area);
        AtomicByte.Init(&line->Busy, 0);
        for (int i = 0; i < Slots; i++)
        {
            AtomicByte.Init(&line->Pages + i, 0);
            AtomicPtr<Memcg>.Init(&line->Cached + i, null);
        }
        Guarded<int>.Set(&line->Hand, 0);
    }

    /// <summary>local_trylock: no locked instruction, only a nested role of this CPU can find it taken.</summary>
    [MethodImpl(Inline)]
    private static bool TryEnter(SevenSlotLine* line)
    {
        if (AtomicByte.Load(&line->Busy) != 0) return false;
        AtomicByte.Store(&line->Busy, 1);
        return true;
    }

    [MethodImpl(Inline)]
    private static void Leave(SevenSlotLine* line) => AtomicByte.Store(&line->Busy, 0);

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool TryConsume(in ThisCpu cpu, Memcg* memcg, int pages)
    {
        SevenSlotLine* line = Of(cpu.Area);
        if (pages > TBatch.Pages || !TryEnter(line)) return false;
        bool served = false;
        for (int i = 0; i < Slots; i++)
        {
            if (AtomicPtr<Memcg>.Load(&line->Cached + i) != memcg) continue;
            int rest = AtomicByte.Load(&line->Pages + i) - pages;
            if (rest >= 0)
            {
                AtomicByte.Store(&line->Pages + i, (byte)rest);
                served = true;
            }
            break;
        }
        Leave(line);
        return served;
    }

    /// <inheritdoc/>
    public static void Refill<TCounter, TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TCounter : struct, ICounterDesign where TPin : struct, IChargePin
    {
        SevenSlotLine* line = Of(cpu.Area);
        if (pages > TBatch.Pages || !TryEnter(line))
        {
            TCounter.Uncharge<TPin>(cpu, memcg, pages, pages);
            return;
        }
        int slot = Find(line, memcg);
        if (slot < 0)
        {
            slot = Find(line, null);
            if (slot < 0)
            {
                slot = Guarded<int>.Get(&line->Hand);
                Guarded<int>.Set(&line->Hand, slot + 1 == Slots ? 0 : slot + 1);
                DrainSlot<TCounter, TPin>(cpu, line, slot);
            }
            TPin.OnStockCached(cpu, memcg);
            AtomicPtr<Memcg>.Store(&line->Cached + slot, memcg);
        }
        int sum = AtomicByte.Load(&line->Pages + slot) + pages;
        AtomicByte.Store(&line->Pages + slot, (byte)sum);
        if (sum > TBatch.Pages) DrainSlot<TCounter, TPin>(cpu, line, slot);
        Leave(line);
    }

    private static int Find(SevenSlotLine* line, Memcg* memcg)
    {
        for (int i = 0; i < Slots; i++)
            if (AtomicPtr<Memcg>.Load(&line->Cached + i) == memcg) return i;
        return -1;
    }

    private static void DrainSlot<TCounter, TPin>(in ThisCpu cpu, SevenSlotLine* line, int slot) where TCounter : struct, ICounterDesign where TPin : struct, IChargePin
    {
        Memcg* memcg = AtomicPtr<Memcg>.Load(&line->Cached + slot);
        if (memcg == null) return;
        int pages = AtomicByte.Load(&line->Pages + slot);
        AtomicByte.Store(&line->Pages + slot, 0);
        AtomicPtr<Memcg>.Store(&line->Cached + slot, null);
        if (pages != 0) TCounter.Uncharge<TPin>(cpu, memcg, pages, pages);
        TPin.OnStockDropped(cpu, memcg); // last: it may drop the last reference
    }

    /// <inheritdoc/>
    /// <remarks>Like Linux, a drain that finds one slot of the subtree empties all seven.</remarks>
    public static void Drain<TCounter, TPin>(in ThisCpu cpu, Memcg* root) where TCounter : struct, ICounterDesign where TPin : struct, IChargePin
    {
        SevenSlotLine* line = Of(cpu.Area);
        if (root != null && !Holds(cpu.Area, root)) return;
        if (!TryEnter(line)) return; // the holder is this CPU's own interrupted charge; the next drain finds the slots
        for (int i = 0; i < Slots; i++) DrainSlot<TCounter, TPin>(cpu, line, i);
        Leave(line);
    }

    /// <inheritdoc/>
    public static bool Holds(CpuArea* area, Memcg* root)
    {
        SevenSlotLine* line = Of(area);
        for (int i = 0; i < Slots; i++)
        {
            Memcg* memcg = AtomicPtr<Memcg>.Load(&line->Cached + i); // once: the owner may drop it meanwhile (F9)
            if (memcg != null && Memcg.IsDescendant(memcg, root)) return true;
        }
        return false;
    }

    /// <inheritdoc/>
    public static bool Remembers(CpuArea* area, Memcg* memcg) => Find(Of(area), memcg) >= 0;

    /// <inheritdoc/>
    public static string? Fault(CpuArea* area)
    {
        SevenSlotLine* line = Of(area);
        for (int i = 0; i < Slots; i++)
        {
            Memcg* memcg = AtomicPtr<Memcg>.Load(&line->Cached + i);
            int pages = AtomicByte.Load(&line->Pages + i);
            if (pages > TBatch.Pages) return $"slot {i} holds {pages} pages, at most {TBatch.Pages}";
            if (memcg == null && pages != 0) return $"slot {i} holds {pages} pages of nobody";
            if (memcg != null && Find(line, memcg) != i) return $"slots {Find(line, memcg)} and {i} are the same group's";
        }
        return null;
    }

    /// <inheritdoc/>
    public static long StockedPages(CpuArea* area, Memcg* memcg)
    {
        SevenSlotLine* line = Of(area);
        for (int i = 0; i < Slots; i++)
            if (AtomicPtr<Memcg>.Load(&line->Cached + i) == memcg) return AtomicByte.Load(&line->Pages + i);
        return 0;
    }
}

/// <summary>The hot line, and the eviction hand on the next one.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 128)]
internal struct SevenSlotLine
{
    /// <summary>O: 1 while the owner is inside; a nested role of the same CPU finds it set.</summary>
    [FieldOffset(0)] public AtomicByte Busy;
    /// <summary>O: first of seven page counts; written by the owner, read by drainers.</summary>
    [FieldOffset(1)] public AtomicByte Pages;
    /// <summary>O: first of seven groups; written by the owner, read by drainers inside RCU.</summary>
    [FieldOffset(8)] public AtomicPtr<Memcg> Cached;
    /// <summary>C: the slot to evict next.</summary>
    [FieldOffset(64)] public Guarded<int> Hand;
}
