// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What came of driving the kernel's own calls through a counter and a stock of the port.</summary>
/// <param name="Stock">Which stock.</param>
/// <param name="Calls">try_charge, refill, uncharge and drain driven.</param>
/// <param name="Compared">Of them, those at whose entry the kernel's counter was recorded and no other CPU was on its way to it.</param>
/// <param name="Counted">Calls of the counter that the kernel made within them, each compared with the port's.</param>
/// <param name="Groups">Groups that went offline, and were released.</param>
/// <param name="Inherited">Pages still charged to groups when they were released: kernel memory, now their parents'.</param>
/// <param name="Different">Calls that found another value, or made other calls of the counter; ends of groups out of order, or while a stock of the port held them.</param>
/// <param name="First">The first that differs, in words; null when none does.</param>
/// <param name="AtEnd">Pages the port's counters hold at the end, by group.</param>
internal sealed record ChargeResult(string Stock, long Calls, long Compared, long Counted, (int Offline, int Released) Groups, long Inherited, long Different, string? First,
    IReadOnlyDictionary<long, long> AtEnd);

/// <summary>
/// A recording in full fidelity is the sequence of calls that the kernel made to its charge path, and of the calls of its page_counter within, each with
/// the counter's value at that moment. The former go, CPU by CPU, to the port's counter behind a stock: if batch, refill, overflow, change of group and
/// drain are the kernel's, the port makes the latter itself, the same in the same order. Nothing is left to tolerance, so one difference is a
/// defect of the port or a mechanism it lacks.
/// </summary>
internal static unsafe class ChargeReplay
{
    /// <summary>True when the recording holds such calls.</summary>
    public static bool Has(TraceFile trace) => trace.Events.Any(e => e.Kind == TraceKind.TryCharge);

    /// <summary>Charges that a limit refused: the kernel then asks the counter again within the same call, for fewer pages or after reclaim.</summary>
    public static int Refused(IEnumerable<TraceEvent> events) =>
        events.Where(e => e.Kind == TraceKind.CounterCharge).GroupBy(e => (e.Cpu, e.Object)).Count(asked => asked.Count() > 1);

    /// <summary>The stock of the recorded kernel, then the others that eras have: what they would have counted.</summary>
    /// <exception cref="UsageException">A limit refused a charge: what the counter answered is not in the recording.</exception>
    public static IReadOnlyList<ChargeResult> Run(TraceFile trace, CancellationToken stop)
    {
        if (Refused(trace.Events) is > 0 and var refused)
            throw new UsageException($"replay: in {refused} call(s) of this recording a limit refused the charge; a recording to the page says what was asked of a counter and not "
                + "what it answered, so none can be compared; record without limits, or without --charges");
        IReadOnlyList<OrderedEvent> order = ChargeOrder.Of(trace, out string? wrong, stop);
        StockSize kernel = StockSize.Of(StockSize.ReleaseOf(trace.Header.Kernel));
        string own = kernel.Groups > 1 ? SevenSlotStock<Batch64>.Name : kernel.Batch == 32 ? SingleSlotStock<Batch32>.Name : SingleSlotStock<Batch64>.Name;
        ChargeResult[] all =
            [Run<SingleSlotStock<Batch64>>(trace, order, stop), Run<SingleSlotStock<Batch32>>(trace, order, stop), Run<SevenSlotStock<Batch64>>(trace, order, stop)];
        return [.. all.Select(r => r.Stock == own && wrong is not null ? r with { Different = r.Different + 1, First = wrong } : r).OrderBy(r => r.Stock == own ? 0 : 1)];
    }

    private static ChargeResult Run<TStock>(TraceFile trace, IReadOnlyList<OrderedEvent> order, CancellationToken stop) where TStock : struct, IStockDesign =>
        Run<TStock, Controller<Stocked<LoggedCounter, TStock>, OwnerWord, ZoneLruLock<TestAndSetLock>, AtFinalPut, PinPerPage, NoKmem>>(trace, order, stop);

    private static ChargeResult Run<TStock, TC>(TraceFile trace, IReadOnlyList<OrderedEvent> order, CancellationToken stop)
        where TStock : struct, IStockDesign where TC : struct, IMemoryController
    {
        int groups = trace.Events.Count(e => e.Kind == TraceKind.Group);
        using var core = new PortCore<TC>(trace.Header.Cpus, 1, 1024, new AccountingPlan(MaxGroups: Math.Min(60_000, groups + 2)), kmem: false);
        var driver = new Driver<TStock, TC>(trace, core);
        for (int i = 0; i < order.Count; i++)
        {
            if ((i & 0xfff) == 0) stop.ThrowIfCancellationRequested();
            driver.Take(order[i]);
        }
        return driver.Result;
    }

    private sealed class Driver<TStock, TC> where TStock : struct, IStockDesign where TC : struct, IMemoryController
    {
        private readonly TraceFile trace;
        private readonly PortCore<TC> core;
        private readonly Dictionary<long, nint> groups = [];
        private readonly Dictionary<(int Cpu, long Call), List<(nint Memcg, long Pages)>> inside = []; // what the kernel counted within a call
        private readonly Dictionary<nint, long> inUse = []; // pages charged and in no stock, by group
        private readonly long[] numbers; // calls of each CPU so far
        private long calls, compared, counted, different;
        private readonly Dictionary<long, TraceKind> ended = []; // groups that went offline, or are freed
        private readonly Dictionary<long, long> parents = [];
        private int offline, released;
        private long inherited;
        private string? first;

        public Driver(TraceFile trace, PortCore<TC> core)
        {
            (this.trace, this.core, numbers) = (trace, core, new long[trace.Header.Cpus]);
            foreach (TraceEvent e in trace.Events.Where(e => e.Kind == TraceKind.Group))
            {
                Memcg* memcg = MemcgLife.Create<TC>(core.Cpu(0), e.Object == 0 ? core.Accounting.Root : (Memcg*)groups[e.Object]);
                if (memcg == null) Bug.Fail("replay: the table of groups is full");
                groups[e.Group] = (nint)memcg;
                parents[e.Group] = e.Object;
            }
            const int Before = 1 << 30; // of a group that was charged before the recording began: driven, and not compared
            foreach (long group in groups.Keys.Except(trace.Events.Where(e => e.Second > 0 && (e.Calls || e.Counts)).Select(e => e.Group))) Charge((Memcg*)groups[group], Before);
            foreach (TraceEvent e in trace.Events.Where(e => e.Kind == TraceKind.Held)) Hold(e);
            foreach (TraceEvent e in trace.Events.Where(e => e.Counts))
            {
                if (!inside.TryGetValue((e.Cpu, e.Object), out List<(nint, long)>? of)) inside[(e.Cpu, e.Object)] = of = [];
                of.Add((groups[e.Group], e.Kind == TraceKind.CounterCharge ? e.Amount : -e.Amount));
            }
        }

        private void Charge(Memcg* memcg, int pages)
        {
            LoggedCounter.ChargeForced<NoPin>(core.Cpu(0), memcg, pages);
            inUse[(nint)memcg] = inUse.GetValueOrDefault((nint)memcg) + pages;
        }

        private void Hold(in TraceEvent e)
        {
            var memcg = (Memcg*)groups[e.Group];
            if (inUse.GetValueOrDefault((nint)memcg) < e.Amount) Charge(memcg, (int)e.Amount);
            inUse[(nint)memcg] = inUse.GetValueOrDefault((nint)memcg) - e.Amount;
            TStock.Refill<LoggedCounter, NoPin>(core.Cpu(e.Cpu), memcg, (int)e.Amount);
        }

        public ChargeResult Result =>
            new(TStock.Name, calls, compared, counted, (offline, released), inherited, different, first, groups.ToDictionary(g => g.Key, g => Usage((Memcg*)g.Value)));

        public void Take(in OrderedEvent step)
        {
            TraceEvent e = trace.Events[step.Event];
            if (e.Counts) return;
            var memcg = (Memcg*)groups[e.Group];
            if (e.Kind is TraceKind.Offline or TraceKind.Released) End(e, memcg);
            if (!e.Calls) return;
            calls++;
            string? wrong = ended.GetValueOrDefault(e.Group) == TraceKind.Released ? "the group was freed before" : null;
            if (e.Second > 0 && step.Still)
            {
                compared++;
                if (Usage(memcg) != e.Second - 1) wrong = $"kernel {e.Second - 1}, port {Usage(memcg)}";
            }
            LoggedCounter.Log.Clear();
            wrong = Drive(core.Cpu(e.Cpu), memcg, e) ?? wrong;
            wrong ??= Inside((e.Cpu, numbers[e.Cpu]), e);
            numbers[e.Cpu]++;
            Differ(wrong is null ? null : $"event {step.Event} ({e.Kind} of {e.Amount} page(s) in group {e.Group} on CPU {e.Cpu}): {wrong}");
        }

        private void Differ(string? wrong)
        {
            if (wrong is not null && different++ == 0) first = wrong;
        }

        /// <summary>
        /// Offline after its children, free after offline and its children, each once. A stock that remembers a group refers to it: when the kernel frees it none may
        /// (6.12: css_get in refill_stock), and no call names it any more. Pages still charged then are kernel memory, which holds an obj_cgroup
        /// and not the group: the parent inherited it.
        /// </summary>
        private void End(in TraceEvent e, Memcg* memcg)
        {
            (TraceKind now, long of) = (e.Kind, e.Group);
            TraceKind due = now == TraceKind.Offline ? default : TraceKind.Offline;
            string was = ended.TryGetValue(of, out TraceKind before) ? before.ToString() : "not offline";
            if (before != due) Differ($"group {of} is {now} on CPU {e.Cpu}, and was {was} before");
            foreach (long child in parents.Where(p => p.Value == of).Select(p => p.Key))
                if (ended.GetValueOrDefault(child) < now) Differ($"group {of} is {now} on CPU {e.Cpu} before its child {child}");
            ended[of] = now;
            if (now == TraceKind.Offline)
            {
                offline++;
                return;
            }
            released++;
            inherited += inUse.GetValueOrDefault((nint)memcg);
            for (int cpu = 0; cpu < core.Cpus.Count; cpu++)
                if (TStock.Remembers(core.Cpu(cpu).Area, memcg)) Differ($"group {of} is released on CPU {e.Cpu}, and the port's stock of CPU {cpu} holds it");
        }

        private string? Inside((int, long) call, in TraceEvent e)
        {
            if (e.Kind == TraceKind.Uncharge) return null; // is a call of the counter itself
            List<(nint, long)> kernel = inside.GetValueOrDefault(call) ?? [];
            counted += kernel.Count;
            return kernel.SequenceEqual(LoggedCounter.Log) ? null : $"within it the kernel counted {Words(kernel)}, the port {Words(LoggedCounter.Log)}";
        }

        private string Words(IEnumerable<(nint Memcg, long Pages)> counted)
        {
            string[] words = [.. counted.Select(c => string.Create(System.Globalization.CultureInfo.InvariantCulture,
                $"{c.Pages:+0;-0} in {groups.First(g => g.Value == c.Memcg).Key}"))];
            return words.Length == 0 ? "nothing" : string.Join(", ", words);
        }

        private static long Usage(Memcg* memcg) => LoggedCounter.Usage(memcg, CounterKind.Memory);

        /// <summary>What gives back more than is in use lacks a charge in the recording: said, and not driven below zero.</summary>
        private string? Drive(in ThisCpu cpu, Memcg* memcg, in TraceEvent e)
        {
            long used = inUse.GetValueOrDefault((nint)memcg);
            if (e.Kind is TraceKind.Refill or TraceKind.Uncharge)
            {
                if (used < e.Amount) return $"given back, and only {used} are in use";
                inUse[(nint)memcg] = used - e.Amount;
            }
            switch (e.Kind)
            {
                case TraceKind.TryCharge:
                    Refusal refused = default;
                    Stocked<LoggedCounter, TStock>.TryCharge<NoPin>(cpu, memcg, (int)e.Amount, ref refused);
                    inUse[(nint)memcg] = used + e.Amount;
                    break;
                case TraceKind.Refill:
                    TStock.Refill<LoggedCounter, NoPin>(cpu, memcg, (int)e.Amount);
                    break;
                case TraceKind.Uncharge:
                    LoggedCounter.Uncharge<NoPin>(cpu, memcg, (int)e.Amount, (int)e.Amount);
                    break;
                default:
                    TStock.Drain<LoggedCounter, NoPin>(cpu, null);
                    break;
            }
            return null;
        }
    }
}
