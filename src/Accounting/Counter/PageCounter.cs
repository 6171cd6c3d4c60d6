// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: res_counter takes a spinlock per level although all it does is add, compare and subtract; the
// lock shows first in every profile of a many-group machine. A page counter needs no lock if it counts first and asks afterwards.
//
//   try_charge            | set_limit             who sees whom
//   ----------------------+------------------     ---------------------------------------------------------------
//   (A) usage += n        | (C) limit := new      (A) and (C) are full fences, so at least one of (B), (D) sees the
//   (B) read limit        | (D) read usage        other side: both cannot miss (S3, F2; store buffering).
//
//   operation   try_charge  uncharge  set_limit
//   try_charge      -           -         -        no pair has to exclude the other; two set_limit must (tree lock).
//
// Racy by design: watermark and failcnt (S4). A failing big charge may make a small one fail meanwhile (S2, F1), bounded by its size.
// Differs from Linux: underflow is a Bug at once, never repaired (S1, F5).

/// <summary>Counters charged by atomic adds, one per level. Linux: mm/page_counter.c.</summary>
[PatchSeries("Johannes Weiner", "2014-11-05", "mm: memcontrol: lockless page counters", "merged in 3.19 (3e32cb2e0a12)")]
public readonly unsafe struct PageCounter<TLayout> : ICounterDesign where TLayout : struct, IPageCounterLayout
{
    /// <summary>"No limit": LONG_MAX / page size, in pages.</summary>
    public const long Unlimited = long.MaxValue / 4096;

    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => "PageCounter(" + TLayout.Name + ")";

    /// <summary>The counter of kind inside memcg.</summary>
    [MethodImpl(Inline)]
    public static void* Of(Memcg* memcg, CounterKind kind) => (byte*)memcg + Memcg.CounterSlot + (int)kind * TLayout.Bytes;

    private static Memcg* MemcgOf(void* counter, CounterKind kind) => (Memcg*)((byte*)counter - Memcg.CounterSlot - (int)kind * TLayout.Bytes);

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg, Memcg* parent)
    {
        for (CounterKind kind = CounterKind.Memory; kind <= CounterKind.Kmem; kind++)
        {
            void* c = Of(memcg, kind);
            AtomicLong.Init(TLayout.Usage(c), 0);
            AtomicLong.Init(TLayout.Limit(c), Unlimited);
            AtomicLong.Init(TLayout.Watermark(c), 0);
            AtomicLong.Init(TLayout.FailCount(c), 0);
            GuardedPtr<byte>.Set(TLayout.Parent(c), parent == null ? null : (byte*)Of(parent, kind));
        }
    }

    /// <inheritdoc/>
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin { }

    /// <summary>page_counter_try_charge: counts at every level, or at none and returns the one that refused.</summary>
    [MethodImpl(Inline)]
    public static bool TryCharge(void* counter, long pages, out void* refused)
    {
        for (void* c = counter; c != null; c = GuardedPtr<byte>.Get(TLayout.Parent(c)))
        {
            long now = AtomicLong.AddReturn(TLayout.Usage(c), pages);               // (A) pairs with (D) in PageCounter.cs
            if (now > AtomicLong.Load(TLayout.Limit(c)))                            // (B) pairs with (C) in PageCounter.cs
            {
                refused = c;
                return TryChargeUndo(counter, c, pages);
            }
            if (now > AtomicLong.RacyLoad(TLayout.Watermark(c))) AtomicLong.RacyStore(TLayout.Watermark(c), now); // may lose a peak (S4)
        }
        refused = null;
        return true;
    }

    /// <summary>The speculative add at the refusing level and the adds below it come off again.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryChargeUndo(void* counter, void* refused, long pages)
    {
        AtomicLong.Add(TLayout.Usage(refused), -pages);
        AtomicLong.RacyStore(TLayout.FailCount(refused), AtomicLong.RacyLoad(TLayout.FailCount(refused)) + 1); // may lose a count (S4)
        for (void* c = counter; c != refused; c = GuardedPtr<byte>.Get(TLayout.Parent(c))) Cancel(c, pages);
        return false;
    }

    /// <summary>page_counter_charge: counts at every level without asking.</summary>
    public static void Charge(void* counter, long pages)
    {
        for (void* c = counter; c != null; c = GuardedPtr<byte>.Get(TLayout.Parent(c)))
        {
            long now = AtomicLong.AddReturn(TLayout.Usage(c), pages);
            if (now > AtomicLong.RacyLoad(TLayout.Watermark(c))) AtomicLong.RacyStore(TLayout.Watermark(c), now); // may lose a peak (S4)
        }
    }

    /// <summary>page_counter_uncharge: takes pages off every level.</summary>
    [MethodImpl(Inline)]
    public static void Uncharge(void* counter, long pages)
    {
        for (void* c = counter; c != null; c = GuardedPtr<byte>.Get(TLayout.Parent(c))) Cancel(c, pages);
    }

    /// <summary>page_counter_cancel: one level. Linux warns and, later, repairs; here an underflow ends the run.</summary>
    [MethodImpl(Inline)]
    private static void Cancel(void* c, long pages)
    {
        long now = AtomicLong.AddReturn(TLayout.Usage(c), -pages);
        if (now < 0) Bug.Fail("page_counter: usage below zero after uncharge of pages", now, pages);
    }

    /// <summary>page_counter_limit: false while usage is above pages. Callers exclude each other.</summary>
    public static bool TrySetLimit(void* c, long pages)
    {
        while (true)
        {
            long before = AtomicLong.Load(TLayout.Usage(c));
            if (before > pages) return false;
            long old = AtomicLong.Exchange(TLayout.Limit(c), pages);                // (C) pairs with (B) in PageCounter.cs
            if (AtomicLong.Load(TLayout.Usage(c)) <= before || pages >= old) return true; // (D) pairs with (A) in PageCounter.cs
            AtomicLong.Store(TLayout.Limit(c), old); // a charge came in under the old limit: look again
        }
    }

    private static bool CountsSwap(Memcg* memcg) => Guarded<int>.Get(&Memcg.TreeOf(memcg)->SwapAccounting) != 0;

    /// <inheritdoc/>
    /// <remarks>memsw first and given back last, so that memory never exceeds memsw (F14).</remarks>
    [MethodImpl(Inline)]
    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        void* at;
        bool swap = CountsSwap(memcg);
        if (swap && !TryCharge(Of(memcg, CounterKind.Memsw), pages, out at)) return Refuse(at, CounterKind.Memsw, ref refused);
        if (!TryCharge(Of(memcg, CounterKind.Memory), pages, out at))
        {
            if (swap) Uncharge(Of(memcg, CounterKind.Memsw), pages);
            return Refuse(at, CounterKind.Memory, ref refused);
        }
        TPin.OnCounted(cpu, memcg, pages);
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Refuse(void* counter, CounterKind kind, ref Refusal refused)
    {
        refused.Memcg = MemcgOf(counter, kind);
        refused.Kind = kind;
        return false;
    }

    /// <inheritdoc/>
    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin
    {
        if (CountsSwap(memcg)) Charge(Of(memcg, CounterKind.Memsw), pages);
        Charge(Of(memcg, CounterKind.Memory), pages);
        TPin.OnCounted(cpu, memcg, pages);
    }

    /// <inheritdoc/>
    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin =>
        Uncharge<TPin>(cpu, memcg, pages, pages);

    /// <inheritdoc/>
    /// <remarks>memsw is ignored where swap is not counted, so callers need not ask.</remarks>
    [MethodImpl(Inline)]
    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin
    {
        TPin.OnUncounting(cpu);
        if (memory != 0) Uncharge(Of(memcg, CounterKind.Memory), memory);
        if (memsw != 0 && CountsSwap(memcg)) Uncharge(Of(memcg, CounterKind.Memsw), memsw);
        TPin.OnUncounted(cpu, memcg, memory);
    }

    /// <inheritdoc/>
    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    /// <inheritdoc/>
    public static bool TryChargeKmem(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) =>
        TryCharge(Of(memcg, CounterKind.Kmem), pages, out void* at) || Refuse(at, CounterKind.Kmem, ref refused);

    /// <inheritdoc/>
    public static void UnchargeKmem(in ThisCpu cpu, Memcg* memcg, int pages) => Uncharge(Of(memcg, CounterKind.Kmem), pages);

    /// <inheritdoc/>
    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin { }

    /// <inheritdoc/>
    public static long StockedPages(CpuArea* area, Memcg* memcg) => 0;

    /// <inheritdoc/>
    public static long Usage(Memcg* memcg, CounterKind kind) => AtomicLong.Load(TLayout.Usage(Of(memcg, kind)));
    /// <inheritdoc/>
    public static long Peak(Memcg* memcg, CounterKind kind) => AtomicLong.RacyLoad(TLayout.Watermark(Of(memcg, kind)));
    /// <inheritdoc/>
    public static long FailCount(Memcg* memcg, CounterKind kind) => AtomicLong.RacyLoad(TLayout.FailCount(Of(memcg, kind)));
    /// <inheritdoc/>
    public static long Limit(Memcg* memcg, CounterKind kind) => AtomicLong.Load(TLayout.Limit(Of(memcg, kind)));
    /// <inheritdoc/>
    public static bool TrySetLimit(Memcg* memcg, CounterKind kind, long pages) => TrySetLimit(Of(memcg, kind), pages);
}
