// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// PageCounter40 made dearer by locked adds of 0 to usage, some per charge that reaches the counter (with a stock of 32: once in 32 pages).
/// Not an answer of the axis: `compare --prove` builds it in to show that a small cost in the charge path is found.
/// </summary>
internal readonly unsafe struct DearerCounter : ICounterVariant<PageCounter<PageCounter40>>
{
    /// <summary>Sixteenths of an add per charge; set while no worker runs.</summary>
    public static int Sixteenths;

    private static int credit; // X: one worker; with several, some adds get lost

    /// <summary>As Matrix knows it; -M does not.</summary>
    public const string Answer = "PageCounter40Dearer";

    public static string Name => PageCounter<PageCounter40>.Name + " made dearer";

    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        AtomicLong* usage = PageCounter40.Usage(PageCounter<PageCounter40>.Of(memcg, CounterKind.Memory));
        for (credit += Sixteenths; credit >= 16; credit -= 16) AtomicLong.Add(usage, 0);
        return PageCounter<PageCounter40>.TryCharge<TPin>(cpu, memcg, pages, ref refused);
    }
}
