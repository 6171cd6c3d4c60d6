// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Shipped = MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>;
using Words = MemcgNative.Accounting.PageCounter40;

namespace MemcgNative.Accounting;

/// <summary>
/// page_counter counts first and asks afterwards, so a big charge that is refused may for a moment be in the way of a small one (S2). This one counts
/// only what fits: usage is never above the limit, not even for a moment. The price is a loop wherever another CPU charges the same counter.
/// </summary>
[Answer(Axis.Counter, "CasCounter", "compare-exchange per level, usage is never above the limit (the tutorial's)")]
public readonly unsafe struct CasCounter : ICounterVariant<Shipped>
{
    /// <inheritdoc/>
    public static string Name => "CasCounter";

    /// <inheritdoc/>
    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        bool swap = Guarded<int>.Get(&Memcg.TreeOf(memcg)->SwapAccounting) != 0;
        if (swap && !TryEveryLevel(memcg, CounterKind.Memsw, pages, ref refused)) return false;
        if (!TryEveryLevel(memcg, CounterKind.Memory, pages, ref refused))
        {
            if (swap) Shipped.Uncharge(Shipped.Of(memcg, CounterKind.Memsw), pages);
            return false;
        }
        TPin.OnCounted(cpu, memcg, pages);
        return true;
    }

    private static bool TryEveryLevel(Memcg* memcg, CounterKind kind, int pages, ref Refusal refused)
    {
        for (Memcg* at = memcg; at != null; at = Memcg.ParentOf(at))
        {
            if (TryAdd(Shipped.Of(at, kind), pages)) continue;
            for (Memcg* below = memcg; below != at; below = Memcg.ParentOf(below)) AtomicLong.Add(Words.Usage(Shipped.Of(below, kind)), -pages);
            refused.Memcg = at;
            refused.Kind = kind;
            return false;
        }
        return true;
    }

    private static bool TryAdd(void* counter, int pages)
    {
        AtomicLong* usage = Words.Usage(counter);
        while (true)
        {
            long before = AtomicLong.Load(usage), after = before + pages;
            if (after > AtomicLong.Load(Words.Limit(counter))) return Refuse(counter);
            if (AtomicLong.CompareExchange(usage, after, before) != before) continue; // another CPU got on
            if (after <= AtomicLong.Load(Words.Limit(counter))) return Count(counter, after);
            AtomicLong.Add(usage, -pages); // the limit was lowered in between, by somebody who saw the usage before (S3)
            return Refuse(counter);
        }
    }

    private static bool Count(void* counter, long usage)
    {
        if (usage > AtomicLong.RacyLoad(Words.Watermark(counter))) AtomicLong.RacyStore(Words.Watermark(counter), usage); // may lose a peak (S4)
        return true;
    }

    private static bool Refuse(void* counter)
    {
        AtomicLong.RacyStore(Words.FailCount(counter), AtomicLong.RacyLoad(Words.FailCount(counter)) + 1); // may lose a count (S4)
        return false;
    }
}
