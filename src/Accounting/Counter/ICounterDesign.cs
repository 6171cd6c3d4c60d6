// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Seam from the counters to the residents' answer: told when counted pages come and go, so that a design may tie css references to
/// counted pages (3.19), to pages and stocks (6.18), or to nothing.
/// </summary>
public unsafe interface IChargePin
{
    /// <summary>pages were added to memcg's own counter.</summary>
    static abstract void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Counted pages are about to be taken off: what keeps memcg, and with it its parents, until <see cref="OnUncounted"/> has been told.</summary>
    static abstract void OnUncounting(in ThisCpu cpu);
    /// <summary>pages were taken off memcg and its parents; may drop the last reference, memcg must not be touched afterwards.</summary>
    static abstract void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>This CPU's stock begins to remember memcg.</summary>
    static abstract void OnStockCached(in ThisCpu cpu, Memcg* memcg);
    /// <summary>This CPU's stock forgets memcg; may drop the last reference.</summary>
    static abstract void OnStockDropped(in ThisCpu cpu, Memcg* memcg);
}

/// <summary>No reference is tied to counted pages: what kernel memory uses, whose owners hold a dead group up or do not, by their own design (5.3, 5.9).</summary>
public readonly unsafe struct NoPin : IChargePin
{
    /// <inheritdoc/>
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    /// <inheritdoc/>
    public static void OnUncounting(in ThisCpu cpu) { }
    /// <inheritdoc/>
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    /// <inheritdoc/>
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }
    /// <inheritdoc/>
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) { }
}

/// <summary>How is a hierarchy of limits charged? All amounts are pages.</summary>
public unsafe interface ICounterDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }

    /// <summary>Prepares the counters of a new group; parent is null for the root.</summary>
    static abstract void InitMemcg(Memcg* memcg, Memcg* parent);
    /// <summary>Prepares per-CPU state.</summary>
    static abstract void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin;

    /// <summary>Charges memory (and memsw where swap is counted) of memcg and every ancestor, or nothing and says who refused.</summary>
    static abstract bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin;
    /// <summary>The same without asking limits.</summary>
    static abstract void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin;
    /// <summary>Gives back a charge no page carried (cancel_charge).</summary>
    static abstract void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin;
    /// <summary>Takes pages off the counters of memcg and every ancestor.</summary>
    static abstract void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin;
    /// <summary>refill_stock: counted pages of memcg that nothing uses any more are kept for the next charge on this CPU; without a stock they are uncharged.</summary>
    static abstract void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin;

    /// <summary>Charges the kmem counter of memcg and every ancestor, or nothing and says who refused. Memory is charged beside it (see Charging.TryChargeKmem).</summary>
    static abstract bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused);
    /// <summary>Takes pages off the kmem counter of memcg and every ancestor.</summary>
    static abstract void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages);

    /// <summary>Empties stocks of root's subtree: this CPU's at once, the others' at their next poll. Nobody waits (F8).</summary>
    static abstract void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin;
    /// <summary>Pages of memcg in one CPU's stock; exact at quiescence.</summary>
    static abstract long StockedPages(CpuArea* area, Memcg* memcg);
    /// <summary>Does one CPU's stock remember memcg, with pages or without? At quiescence.</summary>
    static virtual bool StockRemembers(CpuArea* area, Memcg* memcg) => false;
    /// <summary>What is wrong in one CPU's stock by itself, or null; at quiescence (I3).</summary>
    static virtual string? StockFault(CpuArea* area) => null;

    /// <summary>Pages charged.</summary>
    static abstract long Usage(Memcg* memcg, CounterKind kind);
    /// <summary>Highest usage a charge has seen; racy by design (S4).</summary>
    static abstract long Peak(Memcg* memcg, CounterKind kind);
    /// <summary>Refused charges; racy by design (S4).</summary>
    static abstract long FailCount(Memcg* memcg, CounterKind kind);
    /// <summary>Limit.</summary>
    static abstract long Limit(Memcg* memcg, CounterKind kind);
    /// <summary>Sets the limit; false while usage is above it.</summary>
    static abstract bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages);
}

/// <summary>What stands in front of the counters on each CPU.</summary>
public unsafe interface IStockDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Pages asked of the counter at once; 1 without a stock.</summary>
    static abstract int Batch { get; }
    /// <summary>Prepares per-CPU state.</summary>
    static abstract void InitCpu(CpuArea* area);
    /// <summary>Serves pages of memcg from this CPU; no locked instruction.</summary>
    static abstract bool TryConsume(in ThisCpu cpu, Memcg* memcg, int pages);
    /// <summary>Keeps pages of memcg that the counter has already counted.</summary>
    static abstract void Refill<TCounter, TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TCounter : struct, ICounterDesign where TPin : struct, IChargePin;
    /// <summary>Returns this CPU's pages of root's subtree to the counter; all of them when root is null.</summary>
    static abstract void Drain<TCounter, TPin>(in ThisCpu cpu, Memcg* root) where TCounter : struct, ICounterDesign where TPin : struct, IChargePin;
    /// <summary>Does this CPU's stock hold pages of root's subtree? Asked by other CPUs inside RCU (S5): each cell is read once.</summary>
    static abstract bool Holds(CpuArea* area, Memcg* root);
    /// <summary>Pages of memcg in one CPU's stock; exact at quiescence.</summary>
    static abstract long StockedPages(CpuArea* area, Memcg* memcg);
    /// <summary>Is memcg in one of this CPU's slots? At quiescence.</summary>
    static abstract bool Remembers(CpuArea* area, Memcg* memcg);
    /// <summary>As in <see cref="ICounterDesign"/>.</summary>
    static abstract string? Fault(CpuArea* area);
}

/// <summary>Pages charged at once, as a type, so that the compiler sees a constant.</summary>
public interface IBatch
{
    /// <summary>The number.</summary>
    static abstract int Pages { get; }
}

/// <summary>MEMCG_CHARGE_BATCH since 6.1, and the first posting of 2009.</summary>
public readonly struct Batch64 : IBatch
{
    /// <inheritdoc/>
    public static int Pages => 64;
}

/// <summary>CHARGE_BATCH from 2.6.33 to 6.0.</summary>
public readonly struct Batch32 : IBatch
{
    /// <inheritdoc/>
    public static int Pages => 32;
}

/// <summary>Small enough for the explorer and the torture to reach every edge.</summary>
public readonly struct Batch2 : IBatch
{
    /// <inheritdoc/>
    public static int Pages => 2;
}
