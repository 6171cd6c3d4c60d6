// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

// Counters and stocks as far as objects and dying groups meet them. What ships is explored in CounterCases, StockCases and ByteStockCases; here
// are hypotheses about forms that do not ship here, and effects that the kernel accepts.

/// <summary>A counter with its limit, and with its protection as the parent sees it.</summary>
internal struct Protected
{
    public AtomicInt Usage, MinUsage, ChildrenMinUsage, Failures, Charged;
}

/// <summary>F1: a big charge that fails lets a small one fail that would have fitted.</summary>
internal readonly unsafe struct FalseFailure : IRace<Protected>
{
    public static void Run<TGuard>(in ThisCpu cpu, Protected* s) where TGuard : struct, IGuard
    {
        int pages = cpu.Index == 0 ? 513 : 1;
        if (AtomicInt.AddReturn(&s->Usage, pages) <= 512) return;
        AtomicInt.Add(&s->Usage, -pages);
        if (cpu.Index == 1) AtomicInt.Store(&s->Failures, 1);
    }

    public static void Final(Protected* s)
    {
        if (AtomicInt.Load(&s->Failures) != 0) Bug.Fail("one page does not fit into 512 (accepted: reclaim comes before failure)");
    }
}

/// <summary>F3: two propagations of min cross: the sum over children stays right, the child's own share may be stale.</summary>
internal readonly unsafe struct ProtectionDeltas<TStale> : IRace<Protected> where TStale : struct, IGuard
{
    public static void Run<TGuard>(in ThisCpu cpu, Protected* s) where TGuard : struct, IGuard
    {
        int usage = AtomicInt.AddReturn(&s->Usage, cpu.Index == 0 ? 10 : 2), old = AtomicInt.Exchange(&s->MinUsage, usage);
        AtomicInt.Add(&s->ChildrenMinUsage, usage - old);
    }

    public static void Final(Protected* s)
    {
        if (AtomicInt.Load(&s->ChildrenMinUsage) != AtomicInt.Load(&s->MinUsage)) Bug.Fail("the parent's sum is not its children's (I6)");
        if (TStale.On && AtomicInt.Load(&s->MinUsage) != AtomicInt.Load(&s->Usage)) Bug.Fail("protected share, and usage", AtomicInt.Load(&s->MinUsage), AtomicInt.Load(&s->Usage));
    }
}

/// <summary>F5: an underflow is repaired by storing 0, over a charge that came in between. Here an underflow ends the run instead.</summary>
internal readonly unsafe struct RepairAgainstCharge : IRace<Protected>
{
    public static void Setup(Protected* s) => AtomicInt.Init(&s->Usage, -1); // by a bug elsewhere

    public static void Run<TGuard>(in ThisCpu cpu, Protected* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            int seen = AtomicInt.Load(&s->Usage);
            if (seen >= 0) return;
            if (TGuard.On) AtomicInt.CompareExchange(&s->Usage, 0, seen); // a repair that wipes nothing
            else AtomicInt.Store(&s->Usage, 0);
            return;
        }
        AtomicInt.Add(&s->Usage, 5);
    }

    public static void Final(Protected* s)
    {
        if (AtomicInt.Load(&s->Usage) is 0) Bug.Fail("five pages are charged and counted nowhere");
    }
}

/// <summary>The stock of one CPU as others see it.</summary>
internal struct StockWords
{
    public AtomicInt Flushing, WorkQueued, Isolated, Pages, Uncharged, Mutex, Usage, Oom, Drained, Dying, Cached;
}

/// <summary>F7: FLUSHING is set for a CPU that is isolated, the work is not queued, and no later drain looks at that CPU again.</summary>
internal readonly unsafe struct DrainAgainstIsolation : IRace<StockWords>
{
    public static void Setup(StockWords* s)
    {
        AtomicInt.Init(&s->Pages, 1);
        AtomicInt.Init(&s->Isolated, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, StockWords* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            AtomicInt.Store(&s->Isolated, 0);
            return;
        }
        for (int drain = 0; drain < 2; drain++)
        {
            if (TGuard.On && AtomicInt.Load(&s->Isolated) != 0) continue; // looked at before the bit is set
            if (AtomicInt.Exchange(&s->Flushing, 1) != 0) continue;
            if (TGuard.On || AtomicInt.Load(&s->Isolated) == 0) AtomicInt.Store(&s->WorkQueued, 1);
        }
    }

    public static void Final(StockWords* s)
    {
        if (AtomicInt.Load(&s->Flushing) != 0 && AtomicInt.Load(&s->WorkQueued) == 0) Bug.Fail("FLUSHING is set, and no work is pending or running");
    }
}

/// <summary>F8: a drain that finds another one at work returns at once; its caller runs out of memory that stocks hold.</summary>
internal readonly unsafe struct DrainIsExclusive : IRace<StockWords>
{
    public static void Setup(StockWords* s)
    {
        AtomicInt.Init(&s->Pages, 1);
        AtomicInt.Init(&s->Usage, 1); // of 1
    }

    public static void Run<TGuard>(in ThisCpu cpu, StockWords* s) where TGuard : struct, IGuard
    {
        if (AtomicInt.Exchange(&s->Mutex, 1) == 0)
        {
            if (cpu.Index == 1) AtomicInt.Add(&s->Usage, -AtomicInt.Exchange(&s->Pages, 0)); // the other drains another subtree
            AtomicInt.Exchange(&s->Mutex, 0);
        }
        if (cpu.Index == 1 && AtomicInt.Load(&s->Usage) == 1) AtomicInt.Store(&s->Oom, AtomicInt.Load(&s->Pages));
    }

    public static void Final(StockWords* s)
    {
        if (AtomicInt.Load(&s->Oom) != 0) Bug.Fail("out of memory while stocks hold pages", AtomicInt.Load(&s->Oom));
    }
}

/// <summary>F9: the slot of another CPU is read twice, and emptied between the two.</summary>
internal readonly unsafe struct SlotReadTwice : IRace<StockWords>
{
    public static void Setup(StockWords* s) => AtomicInt.Init(&s->Cached, 7);

    public static void Run<TGuard>(in ThisCpu cpu, StockWords* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            AtomicInt.Store(&s->Cached, 0);
            return;
        }
        int seen = AtomicInt.Load(&s->Cached);
        if (seen == 0) return;
        if (!TGuard.On) seen = AtomicInt.Load(&s->Cached);
        if (seen == 0) Bug.Fail("a null group is looked into");
    }
}

/// <summary>F11: whoever drains another CPU's slot takes pages that its owner is just taking one from. The guard is an exchange-based slot; here drains are messages.</summary>
internal readonly unsafe struct RemoteDrain : IRace<StockWords>
{
    public static void Setup(StockWords* s)
    {
        AtomicInt.Init(&s->Pages, 10);
        AtomicInt.Init(&s->Usage, 10);
    }

    public static void Run<TGuard>(in ThisCpu cpu, StockWords* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            AtomicInt.Add(&s->Usage, -AtomicInt.Exchange(&s->Pages, 0));
            return;
        }
        int seen = AtomicInt.Load(&s->Pages);
        if (seen == 0) return;
        if (!TGuard.On) AtomicInt.Store(&s->Pages, seen - 1);
        else if (AtomicInt.CompareExchange(&s->Pages, seen - 1, seen) != seen) return; // drained: to the counter
        AtomicInt.Store(&s->Uncharged, 1); // one page is in use
    }

    public static void Final(StockWords* s)
    {
        if (AtomicInt.Load(&s->Usage) != AtomicInt.Load(&s->Pages) + AtomicInt.Load(&s->Uncharged))
            Bug.Fail("counted, and held by stock and user (I1)", AtomicInt.Load(&s->Usage), AtomicInt.Load(&s->Pages) + AtomicInt.Load(&s->Uncharged));
    }
}

/// <summary>F6: a kernel page of a group is freed after the group's drain; the stock remembers the group, and holds it.</summary>
internal readonly unsafe struct RefillAgainstOfflineDrain : IRace<StockWords>
{
    public static void Run<TGuard>(in ThisCpu cpu, StockWords* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            AtomicInt.Store(&s->Dying, 1);
            AtomicInt.Exchange(&s->Cached, 0); // drain_all
            AtomicInt.Store(&s->Drained, 1);
            return;
        }
        AtomicInt.Store(&s->Cached, 7); // its owner was read before the switch
    }

    public static void Final(StockWords* s)
    {
        if (AtomicInt.Load(&s->Cached) != 0) Bug.Fail("a removed group is held by a stock alone (counted: dying_groups, stock)");
    }
}

/// <summary>F14: memory is charged before memsw, or uncharged after it: for a moment memsw is less than memory.</summary>
internal readonly unsafe struct MemswOrder : IRace<Protected>
{
    public static int Cpus => 3;

    public static void Run<TGuard>(in ThisCpu cpu, Protected* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 2)
        {
            int memory = AtomicInt.Load(&s->Usage); // memory first: it is the smaller one, and may only have grown less by the next load
            if (AtomicInt.Load(&s->Charged) < memory) Bug.Fail("memsw below memory (I8)");
            return;
        }
        if (cpu.Index == 1) return;
        AtomicInt.Add(TGuard.On ? &s->Charged : &s->Usage, 1);
        AtomicInt.Add(TGuard.On ? &s->Usage : &s->Charged, 1);
    }
}

internal static class ChargeRaceCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Guards.Accepted<FalseFailure, Protected>("F1", "false-failure", "2c"),
        Case.Of<RaceCase<ProtectionDeltas<GuardOff>, Protected, GuardOn>>("F3", "sum", "2c"),
        Guards.Accepted<ProtectionDeltas<GuardOn>, Protected>("F3", "stale-share", "2c"),
        .. Guards.Of<RepairAgainstCharge, Protected>("F5", "compare-exchange", "1r1c"),
        Guards.Accepted<RefillAgainstOfflineDrain, StockWords>("F6", "stock-holds-a-dying-group", "1o1f"),
        .. Guards.Of<DrainAgainstIsolation, StockWords>("F7", "isolation-first", "1d1i"),
        Guards.Accepted<DrainIsExclusive, StockWords>("F8", "oom-with-full-stocks", "2d"),
        .. Guards.Of<SlotReadTwice, StockWords>("F9", "one-load", "1o1d"),
        .. Guards.Of<RemoteDrain, StockWords>("F11", "exchange-slot", "1o1d"),
        .. Guards.Of<MemswOrder, Protected>("F14", "memsw-first", "1c1r"),
    ];
}
