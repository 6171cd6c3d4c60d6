// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>
/// Finds the end of grace periods. One is in progress at a time; its number is the newest request when it began, so it serves all
/// requests up to there. Nobody is in charge: whoever needs the end takes a turn at looking.
/// </summary>
/// <remarks>
/// <code>
///   idle --request--> pass over all CPUs --all quiescent--> Completed = Target --> idle
///                     (membarrier: process-wide fence, then two passes, the phase flipped before each)
/// </code>
/// <b>QSBR</b> needs no fence. The updater unlinks, then asks: Started + 1 is a full fence (Q1). A CPU at its poll point loads Started (Q2)
/// and stores it into Seen (Q3). Sections before the poll precede Seen, so the looker who reads it (Q4) comes after them; sections
/// after the poll follow Q2, which saw Q1, so they cannot find what was unlinked.
/// <para><b>Membarrier.</b> After the process-wide fence (R2) a section of another CPU either has its word visible, or its loads come
/// after the fence and cannot find what was unlinked. A section that is visible carries one of two phases, perhaps a stale one if the
/// reader was delayed between loading Phase and storing its word. Both phases are waited for, so its own is. The flips exist so that
/// each pass ends although new readers keep coming: they copy the other phase.</para>
/// <para><b>An offline CPU</b> counts as quiescent: (O1) against (Q1) or (R2) is store;load on both sides, so either the looker sees the CPU
/// online, or the CPU's first section comes after the unlinking.</para>
/// </remarks>
internal static unsafe class GracePeriod
{
    /// <summary>Asks for a grace period that begins after this call; returns its number. Full fence.</summary>
    public static long Request(RcuGlobal* g)
    {
        long number = AtomicLong.AddReturn(&g->Started, 1); // (Q1) pairs with (Q2) in RcuCallbacks.cs
        Doorbell.Ring(&g->Doorbell); // sleepers have to announce themselves again
        return number;
    }

    /// <summary>
    /// Takes a turn, or makes the CPU that is taking one go round again: on return everything visible before the call has been looked
    /// at, or is being looked at. If the driver is descheduled, sleepers wait for it; nobody spins.
    /// </summary>
    public static void Advance(CpuTable* t)
    {
        RcuGlobal* g = &t->Rcu;
        if (AtomicLong.AddReturn(&g->Turns, 1) != 1) return;
        long turns = 1;
        do
        {
            Look(t, g);
            long left = AtomicLong.AddReturn(&g->Turns, -turns);
            turns = left;
        } while (turns != 0);
    }

    /// <summary>As <see cref="Advance"/> for a CPU that will come by again: leaves a busy driver alone.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void AdvanceIfIdle(CpuTable* t)
    {
        if (AtomicLong.Load(&t->Rcu.Turns) == 0) Advance(t);
    }

    private static void Look(CpuTable* t, RcuGlobal* g)
    {
        bool membarrier = Guarded<int>.Get(&t->RcuFlavour) == (int)RcuFlavour.Membarrier;
        int passes = Guarded<int>.Get(&g->Passes);
        if (passes == 0)
        {
            long wanted = AtomicLong.Load(&g->Started); // acquires what every requester up to here unlinked
            if (AtomicLong.Load(&g->Completed) == wanted) return;
            Guarded<long>.Set(&g->Target, wanted);
            if (membarrier) Machine.HeavyFence(); // (R2) pairs with (R1) in Rcu.cs
            passes = membarrier ? 2 : 1;
            BeginPass(g, passes, membarrier);
        }

        long target = Guarded<long>.Get(&g->Target);
        for (; ; )
        {
            int cpu = Guarded<int>.Get(&g->Cursor), count = Guarded<int>.Get(&t->Count);
            while (cpu < count && IsQuiescent(CpuTable.Area(t, cpu), g, target, membarrier)) cpu++;
            Guarded<int>.Set(&g->Cursor, cpu);
            if (cpu < count) return;
            if (--passes == 0) break;
            BeginPass(g, passes, membarrier);
        }
        Guarded<int>.Set(&g->Passes, 0);
        AtomicLong.Store(&g->Completed, target); // release: after the readers it waited for; (C1) pairs with (C2) in RcuCallbacks.cs; (C1) pairs with (C2) in RcuWait.cs
        Machine.Fence(); // Completed against the bell, see Doorbell.cs
        Doorbell.Ring(&g->Doorbell);
    }

    private static void BeginPass(RcuGlobal* g, int passes, bool membarrier)
    {
        Guarded<int>.Set(&g->Passes, passes);
        Guarded<int>.Set(&g->Cursor, 0);
        if (!membarrier) return;
        AtomicLong.Store(&g->Phase, AtomicLong.Load(&g->Phase) ^ Rcu.PhaseBit);
        Machine.Fence(); // new readers soon copy the new phase; without it the pass could keep meeting the old one
    }

    private static bool IsQuiescent(CpuArea* a, RcuGlobal* g, long target, bool membarrier)
    {
        if (AtomicInt.Load(&a->Online) == 0) return true; // (O2) pairs with (O1) in RcuCallbacks.cs
        if (!membarrier) return AtomicLong.Load(&a->Rcu.Seen) >= target; // (Q4) pairs with (Q3) in RcuCallbacks.cs
        long word = AtomicLong.Load(&a->Rcu.Reader); // (R4) pairs with (R3) in Rcu.cs
        return (word & Rcu.NestingMask) == 0 || ((word ^ AtomicLong.Load(&g->Phase)) & Rcu.PhaseBit) == 0;
    }
}
