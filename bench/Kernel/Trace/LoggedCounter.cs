// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A page counter that writes down who was charged and uncharged: beside the kernel's own calls of page_counter_try_charge and page_counter_uncharge.</summary>
internal readonly unsafe struct LoggedCounter : ICounterDesign
{
    [ThreadStatic] private static List<(nint Memcg, long Pages)>? log;

    /// <summary>What this thread's calls came to since it was last emptied; an uncharge is negative.</summary>
    public static List<(nint Memcg, long Pages)> Log => log ??= [];

    public static string Name => PageCounter<PageCounter192>.Name;
    public static void InitMemcg(Memcg* memcg, Memcg* parent) => PageCounter<PageCounter192>.InitMemcg(memcg, parent);
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin => PageCounter<PageCounter192>.InitCpu<TPin>(area);

    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        Log.Add(((nint)memcg, pages));
        return PageCounter<PageCounter192>.TryCharge<TPin>(cpu, memcg, pages, ref refused);
    }

    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin
    {
        Log.Add(((nint)memcg, pages));
        PageCounter<PageCounter192>.ChargeForced<TPin>(cpu, memcg, pages);
    }

    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin
    {
        Log.Add(((nint)memcg, -memory));
        PageCounter<PageCounter192>.Uncharge<TPin>(cpu, memcg, memory, memsw);
    }

    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);
    public static bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) => PageCounter<PageCounter192>.TryChargeKmem(cpu, memcg, pages, ref refused);
    public static void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages) => PageCounter<PageCounter192>.UnchargeKmem(cpu, memcg, pages);
    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin { }
    public static long StockedPages(CpuArea* area, Memcg* memcg) => 0;
    public static long Usage(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter192>.Usage(memcg, kind);
    public static long Peak(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter192>.Peak(memcg, kind);
    public static long FailCount(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter192>.FailCount(memcg, kind);
    public static long Limit(Memcg* memcg, CounterKind kind) => PageCounter<PageCounter192>.Limit(memcg, kind);
    public static bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages) => PageCounter<PageCounter192>.TrySetLimit(memcg, kind, pages);
}
