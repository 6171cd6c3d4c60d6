// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// PageCounter40 made dearer by locked adds of 0 to usage, some per charge that reaches the counter (with a stock of 32: once in 32 pages).
/// Not an answer of the axis: `compare --prove` builds it in to show that a small cost in the charge path is found.
/// </summary>
internal readonly unsafe struct DearerCounter : ICounterDesign
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

    public static void InitMemcg(Memcg* memcg, Memcg* parent) => PageCounter<PageCounter40>.InitMemcg(memcg, parent);
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin => PageCounter<PageCounter40>.InitCpu<TPin>(area);
    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin =>
        PageCounter<PageCounter40>.ChargeForced<TPin>(cpu, memcg, pages);
    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin =>
        PageCounter<PageCounter40>.Cancel<TPin>(cpu, memcg, pages);
    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin =>
        PageCounter<PageCounter40>.Uncharge<TPin>(cpu, memcg, memory, memsw);
    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin =>
        PageCounter<PageCounter40>.Refill<TPin>(cpu, memcg, pages);
    public static bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) =>
        PageCounter<PageCounter40>.TryChargeKmem(cpu, memcg, pages, ref refused);
    public static void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages) => PageCounter<PageCounter40>.UnchargeKmem(cpu, memcg, pages);
    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin => PageCounter<PageCounter40>.DrainAll<TPin>(cpu, root);
    public static long StockedPages(CpuArea* area, Memcg* memcg) => PageCounter<PageCounter40>.StockedPages(area, memcg);
    public static long Usage(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter40>.Usage(memcg, kind);
    public static long Peak(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter40>.Peak(memcg, kind);
    public static long FailCount(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter40>.FailCount(memcg, kind);
    public static long Limit(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter40>.Limit(memcg, kind);
    public static bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages) => PageCounter<PageCounter40>.TrySetLimit(memcg, kind, pages);
}
