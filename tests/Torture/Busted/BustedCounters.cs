// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Real = MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>;

namespace MemcgNative.Tests.Torture;

/// <summary>What a broken counter does instead.</summary>
internal unsafe interface ICounterBug
{
    /// <summary>Takes pages off one level; true when it did so although the counter would not.</summary>
    static abstract void Subtract(AtomicLong* usage, long pages);

    /// <summary>What happens between the reference and the charge.</summary>
    static virtual void BeforeCharge() { }
}

/// <summary>No bug: a charger that is descheduled with its reference in hand, so that its group is dead and done with when it charges (D16).</summary>
internal readonly unsafe struct ChargesLate : ICounterBug
{
    [ThreadStatic] private static int calls;

    public static void Subtract(AtomicLong* usage, long pages) => AtomicLong.Add(usage, -pages);

    public static void BeforeCharge()
    {
        if ((++calls & 255) == 0) Thread.Sleep(4);
    }
}

/// <summary>S1: an underflow is repaired by adding the pages back. Two CPUs below zero at once both repair.</summary>
internal readonly unsafe struct RepairsItself : ICounterBug
{
    public static void Subtract(AtomicLong* usage, long pages)
    {
        if (AtomicLong.AddReturn(usage, -pages) < 0) AtomicLong.Add(usage, pages);
    }
}

/// <summary>A load and a store where an atomic subtraction belongs.</summary>
internal readonly unsafe struct LosesUpdates : ICounterBug
{
    public static void Subtract(AtomicLong* usage, long pages) => AtomicLong.Store(usage, AtomicLong.Load(usage) - pages);
}

/// <summary>The page counter with one verb broken. References are not counted: they would tell before the counter does.</summary>
internal readonly unsafe struct BustedCounter<TBug> : ICounterVariant<Real> where TBug : struct, ICounterBug
{
    public static string Name => "busted";
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin { }

    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        TBug.BeforeCharge();
        return Real.TryCharge<NoPin>(cpu, memcg, pages, ref refused);
    }

    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Real.ChargeForced<NoPin>(cpu, memcg, pages);
    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Uncharge<TPin>(cpu, memcg, pages, pages);

    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin
    {
        for (Memcg* at = memcg; at != null; at = Memcg.ParentOf(at))
        {
            TBug.Subtract(PageCounter40.Usage(Real.Of(at, CounterKind.Memory)), memory);
            if (Guarded<int>.Get(&Memcg.TreeOf(memcg)->SwapAccounting) != 0) TBug.Subtract(PageCounter40.Usage(Real.Of(at, CounterKind.Memsw)), memsw);
        }
    }

    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin { }
}

/// <summary>F11: whoever drains empties other CPUs' stocks with loads and stores, while the owner does the same.</summary>
internal readonly unsafe struct RemotelyDrained : ICounterVariant<Real>
{
    private static SingleSlot* Of(CpuArea* area) => (SingleSlot*)((byte*)area + CpuArea.AxesOffset);

    public static string Name => "remote-drain";
    public static void InitCpu<TPin>(CpuArea* area) where TPin : struct, IChargePin => SingleSlotStock<Batch32>.InitCpu(area);

    public static bool TryCharge<TPin>(in ThisCpu cpu, Memcg* memcg, int pages, ref Refusal refused) where TPin : struct, IChargePin
    {
        if (SingleSlotStock<Batch32>.TryConsume(cpu, memcg, pages)) return true;
        if (!Real.TryCharge<NoPin>(cpu, memcg, Math.Max(pages, 32), ref refused)) return false;
        if (pages < 32) SingleSlotStock<Batch32>.Refill<Real, NoPin>(cpu, memcg, 32 - pages);
        return true;
    }

    public static void ChargeForced<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Real.ChargeForced<NoPin>(cpu, memcg, pages);
    public static void Cancel<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Real.Cancel<NoPin>(cpu, memcg, pages);
    public static void Uncharge<TPin>(in ThisCpu cpu, Memcg* memcg, int memory, int memsw) where TPin : struct, IChargePin => Real.Uncharge<NoPin>(cpu, memcg, memory, memsw);
    public static void Refill<TPin>(in ThisCpu cpu, Memcg* memcg, int pages) where TPin : struct, IChargePin => Real.Refill<NoPin>(cpu, memcg, pages);

    public static void DrainAll<TPin>(in ThisCpu cpu, Memcg* root) where TPin : struct, IChargePin
    {
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
        {
            SingleSlot* slot = Of(CpuTable.Area(cpu.Table, i));
            Memcg* memcg = AtomicPtr<Memcg>.Load(&slot->Cached);
            if (memcg == null) continue;
            int pages = AtomicInt.Load(&slot->Pages);
            AtomicInt.Store(&slot->Pages, 0);
            if (pages != 0) Real.Uncharge<NoPin>(cpu, memcg, pages, pages);
        }
    }

    public static long StockedPages(CpuArea* area, Memcg* memcg) => SingleSlotStock<Batch32>.StockedPages(area, memcg);
}
