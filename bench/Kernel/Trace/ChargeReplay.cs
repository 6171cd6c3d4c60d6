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
    public static ChargeResult Run<TStock>(TraceFile trace, CancellationToken stop) where TStock : struct, IStockDesign =>
        Run<TStock, Controller<Stocked<PageCounter<PageCounter192>, TStock>, OwnerWord, ZoneLruLock<TestAndSetLock>, AtFinalPut, PinPerPage, NoKmem>>(trace, stop);

    private static ChargeResult Run<TStock, TC>(TraceFile trace, CancellationToken stop) where TStock : struct, IStockDesign where TC : struct, IMemoryController
    {
        int groups = trace.Events.Count(e => e.Kind == TraceKind.Group);
        using var core = new PortCore<TC>(trace.Header.Cpus, 1, 1024, new AccountingPlan(MaxGroups: Math.Min(60_000, groups + 2)), kmem: false);
        var driver = new Driver<TStock, TC>(trace, core);
        for (int i = 0; i < trace.Events.Count; i++)
        {
            if ((i & 0xfff) == 0) stop.ThrowIfCancellationRequested();
            TraceEvent e = trace.Events[i];
            if (e.Kind == TraceKind.Group) driver.Groups[e.Group] = (nint)Create(core, e.Object == 0 ? null : (Memcg*)driver.Groups[e.Object]);
            else driver.Take(i);
        }
        return new ChargeResult(TStock.Name, trace.Events.Count, driver.Compared, driver.Different, driver.First,
            driver.Groups.ToDictionary(g => g.Key, g => PageCounter<PageCounter192>.Usage((Memcg*)g.Value, CounterKind.Memory)));
    }

    private static Memcg* Create<TC>(PortCore<TC> core, Memcg* parent) where TC : struct, IMemoryController
    {
        Memcg* memcg = MemcgLife.Create<TC>(core.Cpu(0), parent == null ? core.Accounting.Root : parent);
        if (memcg == null) Bug.Fail("replay: the table of groups is full");
        return memcg;
    }

    /// <summary>
    /// The calls in an order that the recording allows. A time stamp is taken before the counter is read, so calls of two CPUs that overlapped
    /// may stand the wrong way round; the order on each CPU is certain. Where the counter is another than recorded, calls of other CPUs from the
    /// next moment go first, one by one, until it is the recorded one.
    /// </summary>
    private sealed class Driver<TStock, TC>(TraceFile trace, PortCore<TC> core) where TStock : struct, IStockDesign where TC : struct, IMemoryController
    {
        private const long OverlapNs = 1_000_000;
        private readonly HashSet<int> taken = [], waiting = []; // calls; CPUs whose next call waits for others

        public Dictionary<long, nint> Groups { get; } = [];
        public long Compared { get; private set; }
        public long Different { get; private set; }
        public string? First { get; private set; }

        public void Take(int i)
        {
            TraceEvent e = trace.Events[i];
            if (e.Kind is not (TraceKind.TryCharge or TraceKind.Refill or TraceKind.Uncharge or TraceKind.Drain) || !taken.Add(i)) return;
            var memcg = (Memcg*)Groups[e.Group];
            if (e.Second > 0)
            {
                waiting.Add(e.Cpu);
                for (int next = i + 1; Usage(memcg) != e.Second - 1 && Overlaps(next, e); next++)
                    if (!waiting.Contains(trace.Events[next].Cpu)) Take(next);
                waiting.Remove(e.Cpu);
                Compared++;
                if (Usage(memcg) != e.Second - 1 && Different++ == 0)
                    First = $"event {i} ({e.Kind} of {e.Amount} page(s) in group {e.Group} on CPU {e.Cpu}): kernel {e.Second - 1}, port {Usage(memcg)}";
            }
            Drive(core.Cpu(e.Cpu), memcg, e);
        }

        private static long Usage(Memcg* memcg) => PageCounter<PageCounter192>.Usage(memcg, CounterKind.Memory);

        private bool Overlaps(int next, in TraceEvent e) => next < trace.Events.Count && trace.Events[next].TimeNs - e.TimeNs <= OverlapNs;

        private void Drive(in ThisCpu cpu, Memcg* memcg, in TraceEvent e)
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
                case TraceKind.Uncharge when Usage(memcg) < e.Amount: // a charge is missing in the recording: said, and not driven below zero
                    Different++;
                    First ??= $"{e.Amount} page(s) of group {e.Group} are uncharged on CPU {e.Cpu}, and only {Usage(memcg)} are charged";
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
}
