// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Counter = MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One CPU charges through its stock while the others ask it to drain; at rest nothing is lost.</summary>
internal readonly unsafe struct ChargeAgainstDrain<TStock, TDrainers> : ICase where TStock : struct, IStockDesign where TDrainers : struct, ISize
{
    private static Memcg* root, group;
    private static SimulatedCpus cpus;

    public static int Cpus => 1 + TDrainers.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus, RcuFlavour.Membarrier);
        MemcgTree* tree = SimulatedMemcgs.Tree();
        root = SimulatedMemcgs.New<Counter>(tree, null, "root");
        group = SimulatedMemcgs.New<Counter>(tree, root, "group");
        for (int c = 0; c < Cpus; c++) Stocked<Counter, TStock>.InitCpu<NoPin>(cpus.Area(c));
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        Refusal refused = default;
        if (cpu == 0)
        {
            if (!Stocked<Counter, TStock>.TryCharge<NoPin>(self, group, 1, ref refused)) Bug.Fail("refused without a limit");
            Poll.Run(self);
            if (!Stocked<Counter, TStock>.TryCharge<NoPin>(self, group, 1, ref refused)) Bug.Fail("refused without a limit");
        }
        else Stocked<Counter, TStock>.DrainAll<NoPin>(self, root);
    }

    public static void Final()
    {
        long stocked = TStock.StockedPages(cpus.Area(0), group), usage = Counter.Usage(group, CounterKind.Memory);
        if (usage - stocked != 2) Bug.Fail("usage less what is stocked is not what was charged", usage, stocked);
        if (Counter.Usage(root, CounterKind.Memory) != usage) Bug.Fail("the root's usage differs", Counter.Usage(root, CounterKind.Memory), usage);
    }
}

/// <summary>S7: an interrupt charges between the two halves of its own CPU's consume or refill.</summary>
internal readonly unsafe struct ChargeFromIrq<TStock, TInterrupts> : ICase where TStock : struct, IStockDesign where TInterrupts : struct, ISize
{
    private static Memcg* root;
    private static SimulatedCpus cpus;

    public static int Cpus => 1;
    public static int Interrupts => TInterrupts.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(1);
        root = SimulatedMemcgs.New<Counter>(SimulatedMemcgs.Tree(), null, "root");
        Stocked<Counter, TStock>.InitCpu<NoPin>(cpus.Area(0));
    }

    public static void Body(int cpu)
    {
        Charge();
        Charge();
    }

    public static void Irq(int cpu) => Charge();

    private static void Charge()
    {
        ThisCpu self = cpus[0];
        Refusal refused = default;
        if (!Stocked<Counter, TStock>.TryCharge<NoPin>(self, root, 1, ref refused)) Bug.Fail("refused without a limit");
    }

    public static void Final()
    {
        long stocked = TStock.StockedPages(cpus.Area(0), root), usage = Counter.Usage(root, CounterKind.Memory);
        if (usage - stocked != 2 + TInterrupts.N) Bug.Fail("usage less what is stocked is not what was charged", usage, stocked);
    }
}

/// <summary>How a group dies when the last reference, the stock's, is dropped.</summary>
internal interface IStockPinDeath { static abstract bool WaitsForReaders { get; } }
internal readonly struct DiesAfterGracePeriod : IStockPinDeath { public static bool WaitsForReaders => true; }
internal readonly struct DiesAtOnce : IStockPinDeath { public static bool WaitsForReaders => false; }

/// <summary>S5: a drainer reads whose stock it is while the owner drops the last reference of that group.</summary>
internal readonly unsafe struct DrainAgainstRefill<TStock, TDeath> : ICase where TStock : struct, IStockDesign where TDeath : struct, IStockPinDeath
{
    private static Memcg* root, doomed, other;
    private static SimulatedCpus cpus;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(2, RcuFlavour.Membarrier);
        MemcgTree* tree = SimulatedMemcgs.Tree();
        root = SimulatedMemcgs.New<Counter>(tree, null, "root");
        doomed = SimulatedMemcgs.New<Counter>(tree, root, "doomed");
        other = SimulatedMemcgs.New<Counter>(tree, root, "other");
        for (int c = 0; c < 2; c++) Stocked<Counter, TStock>.InitCpu<Pin>(cpus.Area(c));
        Counter.Charge(Counter.Of(doomed, CounterKind.Memory), 1);
        TStock.Refill<Counter, Pin>(cpus[0], doomed, 1); // the stock is all that refers to it
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu == 0) TStock.Drain<Counter, Pin>(self, null);
        else Stocked<Counter, TStock>.DrainAll<Pin>(self, root);
        Rcu.CpuOffline(self);
    }

    private readonly struct Pin : IChargePin
    {
        public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
        public static void OnUncounting(in ThisCpu cpu) { }
        public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
        public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }

        public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg)
        {
            if (memcg != doomed) return;
            if (TDeath.WaitsForReaders) Rcu.Call(cpu, &memcg->Css.Rcu, &Free);
            else Machine.OnFree(memcg, Memcg.Bytes);
        }

        private static void Free(in ThisCpu cpu, RcuHead* head) => Machine.OnFree((byte*)head - Css.RcuOffset, Memcg.Bytes);
    }
}

/// <summary>A small batch, so that refills overflow within a few charges.</summary>
internal static class StockCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Of<SingleSlotStock<Batch2>>("single"),
        .. Of<SevenSlotStock<Batch2>>("seven"),
        Case.Of<ChargeFromIrq<SevenSlotStock<Batch2>, N1>>("S7", "seven", "1 irq"),
        Case.Of<ChargeFromIrq<SevenSlotStock<Batch2>, N2>>("S7", "seven", "2 irq"),
        Case.Of<ChargeFromIrq<SingleSlotStock<Batch2>, N1>>("S7", "single,charged-from-irq", "1 irq", Expect.Broken),
    ];

    private static Case[] Of<T>(string name) where T : struct, IStockDesign =>
    [
        Case.Of<ChargeAgainstDrain<T, N1>>("stock", name, "1c1d"),
        Case.Of<ChargeAgainstDrain<T, N2>>("stock", name, "1c2d", heavy: true),
        Case.Of<ChargeAgainstDrain<T, N3>>("stock", name, "1c3d", heavy: true),
        Case.Of<DrainAgainstRefill<T, DiesAfterGracePeriod>>("S5", name, "1o1d"),
        Case.Of<DrainAgainstRefill<T, DiesAtOnce>>("S5", $"busted-{name}-no-grace-period", "1o1d", Expect.Broken),
    ];
}
