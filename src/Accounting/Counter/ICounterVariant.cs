// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>A counter that is another one but for the verbs it writes itself.</summary>
/// <typeparam name="TCounter">Whose state it has and whose verbs it uses.</typeparam>
public unsafe interface ICounterVariant<TCounter> : ICounterDesign where TCounter : struct, ICounterDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    static string ICounterDesign.Name => TCounter.Name + " varied";
    static void ICounterDesign.InitMemcg(Memcg* memcg, Memcg* parent) => TCounter.InitMemcg(memcg, parent);
    static void ICounterDesign.InitCpu<TPin>(CpuArea* area) => TCounter.InitCpu<TPin>(area);
    [MethodImpl(Inline)]
    static bool ICounterDesign.TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) => TCounter.TryCharge<TPin>(cpu, memcg, pages, ref refused);
    static void ICounterDesign.ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.ChargeForced<TPin>(cpu, memcg, pages);
    static void ICounterDesign.Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.Cancel<TPin>(cpu, memcg, pages);
    [MethodImpl(Inline)]
    static void ICounterDesign.Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) => TCounter.Uncharge<TPin>(cpu, memcg, memory, memsw);
    static void ICounterDesign.Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.Refill<TPin>(cpu, memcg, pages);
    static bool ICounterDesign.TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) => TCounter.TryChargeKmem(cpu, memcg, pages, ref refused);
    static void ICounterDesign.UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages) => TCounter.UnchargeKmem(cpu, memcg, pages);
    static void ICounterDesign.DrainAll<TPin>(in ThisCpu cpu, Memcg* root) => TCounter.DrainAll<TPin>(cpu, root);
    static long ICounterDesign.StockedPages(CpuArea* area, Memcg* memcg) => TCounter.StockedPages(area, memcg);
    static bool ICounterDesign.StockRemembers(CpuArea* area, Memcg* memcg) => TCounter.StockRemembers(area, memcg);
    static string? ICounterDesign.StockFault(CpuArea* area) => TCounter.StockFault(area);
    static long ICounterDesign.Usage(Memcg* memcg, CounterKind kind) => TCounter.Usage(memcg, kind);
    static long ICounterDesign.Peak(Memcg* memcg, CounterKind kind) => TCounter.Peak(memcg, kind);
    static long ICounterDesign.FailCount(Memcg* memcg, CounterKind kind) => TCounter.FailCount(memcg, kind);
    static long ICounterDesign.Limit(Memcg* memcg, CounterKind kind) => TCounter.Limit(memcg, kind);
    static bool ICounterDesign.TrySetLimit(Memcg* memcg, CounterKind kind, long pages) => TCounter.TrySetLimit(memcg, kind, pages);
}
