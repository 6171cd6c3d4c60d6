// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What came of driving the kernel's own calls through a counter and a stock of the port.</summary>
/// <param name="Stock">Which stock.</param>
/// <param name="Calls">try_charge, refill, uncharge and drain events driven.</param>
/// <param name="Compared">Of them, those at whose entry the kernel's counter was recorded.</param>
/// <param name="Different">Of these, how many found another value in the port.</param>
/// <param name="First">The first that differs, in words; null when none does.</param>
/// <param name="AtEnd">Pages the port's counters hold at the end, by group.</param>
internal sealed record ChargeResult(string Stock, long Calls, long Compared, long Different, string? First, IReadOnlyDictionary<long, long> AtEnd);

/// <summary>
/// A recording in full fidelity is the sequence of calls that the kernel made to its charge path, each with the value its page_counter had at
/// that moment. The same calls go, CPU by CPU, to the port's counter behind a stock: if batch, refill, overflow and drain are the kernel's, the two
/// counters are equal to the page at every call. Nothing is left to tolerance, so one difference is a defect of the port or a mechanism it lacks.
/// </summary>
internal static unsafe class ChargeReplay
{
    /// <summary>True when the recording holds such calls.</summary>
    public static bool Has(TraceFile trace) => trace.Events.Any(e => e.Kind == TraceKind.TryCharge);

    /// <summary>Drives it with the stock of a kernel: one slot until 6.15, seven from 6.16, batch 64.</summary>
    public static ChargeResult Run(TraceFile trace, CancellationToken stop) =>
        StockSize.Of(StockSize.ReleaseOf(trace.Header.Kernel)).Groups == 1 ? Run<SingleSlotStock<Batch64>>(trace, stop) : Run<SevenSlotStock<Batch64>>(trace, stop);

    /// <summary>The same with any stock, for what another era would have counted.</summary>
    public static ChargeResult Run<TStock>(TraceFile trace, CancellationToken stop) where TStock : struct, IStockDesign
    {
        int groups = trace.Events.Count(e => e.Kind == TraceKind.Group);
        using var core = new PortCore<Controller<Stocked<PageCounter<PageCounter192>, TStock>, OwnerWord, ZoneLruLock<TestAndSetLock>, AtFinalPut, PinPerPage, NoKmem>>(
            trace.Header.Cpus, 1, 1024, new AccountingPlan(MaxGroups: Math.Min(60_000, groups + 2)), kmem: false);
        var at = new Dictionary<long, nint>();
        long calls = 0, compared = 0, different = 0;
        string? first = null;
        foreach (TraceEvent e in trace.Events)
        {
            if ((++calls & 0xfff) == 0) stop.ThrowIfCancellationRequested();
            if (e.Kind == TraceKind.Group) at[e.Group] = (nint)Create(core, e.Object == 0 ? null : (Memcg*)at[e.Object]);
            if (e.Kind is not (TraceKind.TryCharge or TraceKind.Refill or TraceKind.Uncharge or TraceKind.Drain)) continue;
            var memcg = (Memcg*)at[e.Group];
            long ours = PageCounter<PageCounter192>.Usage(memcg, CounterKind.Memory);
            if (e.Second > 0)
            {
                compared++;
                if (ours != e.Second - 1 && different++ == 0)
                    first = $"event {calls} ({e.Kind} of {e.Amount} page(s) in group {e.Group} on CPU {e.Cpu}): kernel {e.Second - 1}, port {ours}";
            }
            Drive<TStock>(core.Cpu(e.Cpu), memcg, e);
        }
        return new ChargeResult(TStock.Name, calls, compared, different, first,
            at.ToDictionary(g => g.Key, g => PageCounter<PageCounter192>.Usage((Memcg*)g.Value, CounterKind.Memory)));
    }

    private static Memcg* Create<TC>(PortCore<TC> core, Memcg* parent) where TC : struct, IMemoryController
    {
        Memcg* memcg = MemcgLife.Create<TC>(core.Cpu(0), parent == null ? core.Accounting.Root : parent);
        if (memcg == null) Bug.Fail("replay: the table of groups is full");
        return memcg;
    }

    private static void Drive<TStock>(in ThisCpu cpu, Memcg* memcg, in TraceEvent e) where TStock : struct, IStockDesign
    {
        switch (e.Kind)
        {
            case TraceKind.TryCharge:
                Refusal refused = default;
                Stocked<PageCounter<PageCounter192>, TStock>.TryCharge<NoPin>(cpu, memcg, (int)e.Amount, ref refused);
                break;
            case TraceKind.Refill:
                TStock.Refill<PageCounter<PageCounter192>, NoPin>(cpu, memcg, (int)e.Amount);
                break;
            case TraceKind.Uncharge:
                PageCounter<PageCounter192>.Uncharge<NoPin>(cpu, memcg, (int)e.Amount, (int)e.Amount);
                break;
            default:
                TStock.Drain<PageCounter<PageCounter192>, NoPin>(cpu, null);
                break;
        }
    }
}
