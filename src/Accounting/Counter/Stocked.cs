// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// A counter behind a per-CPU stock: the counter is asked for a batch, the rest stays on the CPU, and the next charges touch no shared
/// line. Linux: consume_stock, refill_stock, drain_all_stock, mm/memcontrol.c since 2.6.33.
/// </summary>
/// <remarks>
/// Bound of the visible error: a group's usage may exceed its pages by Batch per CPU and slot (S6). A stock belongs to its CPU: others
/// only ask for a drain, which the owner serves at its poll point (F11 is what remote writes would do).
/// </remarks>
[PatchSeries("KAMEZAWA Hiroyuki", "2009-11", "memcg: coalesce charging via percpu storage", "merged in 2.6.33 (cdec2e4265df)")]
public readonly unsafe struct Stocked<TCounter, TStock> : ICounterDesign where TCounter : struct, ICounterDesign where TStock : struct, IStockDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => TCounter.Name + "+" + TStock.Name;

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent) => TCounter.InitMemcg(memcg, parent);

    /// <inheritdoc/>
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin
    {
        TCounter.InitCpu<TPin>(area);
        TStock.InitCpu(area);
        StockDrain.Init(area, &DrainOnOwner<TPin>);
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin =>
        TStock.TryConsume(cpu, memcg, pages) || TryChargeSlow<TPin>(cpu, memcg, pages, ref refused);

    /// <summary>Asks the counter for a batch; refused, for exactly what is needed.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryChargeSlow<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        int batch = Math.Max(TStock.Batch, pages);
        if (TCounter.TryCharge<TPin>(cpu, memcg, batch, ref refused))
        {
            if (batch > pages) TStock.Refill<TCounter, TPin>(cpu, memcg, batch - pages);
            return true;
        }
        return batch > pages && TCounter.TryCharge<TPin>(cpu, memcg, pages, ref refused);
    }

    /// <inheritdoc/>
    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin =>
        TCounter.ChargeForced<TPin>(cpu, memcg, pages);

    /// <inheritdoc/>
    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => TCounter.Cancel<TPin>(cpu, memcg, pages);

    /// <inheritdoc/>
    /// <remarks>Straight to the counter: pages on their way out are batched by the gather, not by the stock.</remarks>
    [MethodImpl(Inline)]
    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin =>
        TCounter.Uncharge<TPin>(cpu, memcg, memory, memsw);

    /// <inheritdoc/>
    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => TStock.Refill<TCounter, TPin>(cpu, memcg, pages);

    /// <inheritdoc/>
    public static bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) => TCounter.TryChargeKmem(cpu, memcg, pages, ref refused);
    /// <inheritdoc/>
    public static void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.UnchargeKmem(cpu, memcg, pages);

    /// <inheritdoc/>
    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin
    {
        TStock.Drain<TCounter, TPin>(cpu, root);
        CpuTable* table = cpu.Table;
        int count = Guarded<int>.Get(&table->Count);
        using var rcu = new RcuReadGuard(cpu); // keeps the groups that remote stocks name (S5)
        for (int i = 0; i < count; i++)
        {
            CpuArea* area = CpuTable.Area(table, i);
            if (area != cpu.Area && TStock.Holds(area, root)) StockDrain.Ask(area);
        }
    }

    /// <summary>Runs on the CPU that owns the stock; empties all of it, as the work item of Linux does.</summary>
    private static void DrainOnOwner<TPin>(in ThisCpu cpu, CpuWork* work) where TPin : struct, IChargePin => TStock.Drain<TCounter, TPin>(cpu, null);

    /// <inheritdoc/>
    public static string? StockFault(CpuArea* area) => TStock.Fault(area);
    /// <inheritdoc/>
    public static bool StockRemembers(CpuArea* area, Memcg* memcg) => TStock.Remembers(area, memcg);
    /// <inheritdoc/>
    public static long StockedPages(CpuArea* area, Memcg* memcg) => TStock.StockedPages(area, memcg);
    /// <inheritdoc/>
    public static long Usage(Memcg* memcg, CounterKind kind) => TCounter.Usage(memcg, kind);
    /// <inheritdoc/>
    public static long Peak(Memcg* memcg, CounterKind kind) => TCounter.Peak(memcg, kind);
    /// <inheritdoc/>
    public static long FailCount(Memcg* memcg, CounterKind kind) => TCounter.FailCount(memcg, kind);
    /// <inheritdoc/>
    public static long Limit(Memcg* memcg, CounterKind kind) => TCounter.Limit(memcg, kind);
    /// <inheritdoc/>
    public static bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages) => TCounter.TrySetLimit(memcg, kind, pages);
}
