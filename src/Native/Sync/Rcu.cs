// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>
/// Read-copy update with one reader protocol for two ways of finding grace periods. A reader stores its nesting depth, and at the
/// outermost level the current phase, into its own word: two plain stores, no fence. The depth is therefore always known (race A6).
/// </summary>
/// <remarks>
/// Linux: kernel/rcu/tree.c; the reader word is liburcu's (urcu memb). Callbacks run on the CPU that queued them, at its poll point.
/// <para>Order of a reader: the lock's store and the loads of the section may swap in the store buffer. QSBR does not mind: it never
/// looks at the word. Membarrier pays the fence on the other side: (R1) pairs with (R2) in GracePeriod.cs.</para>
/// </remarks>
public static unsafe partial class Rcu
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>The bits of a reader word that count nesting.</summary>
    internal const long NestingMask = 0xffff;

    /// <summary>The bit of a reader word, and of RcuGlobal.Phase, that names the phase.</summary>
    internal const long PhaseBit = 1L << 16;

    /// <summary>Enters a read-side section; nests. rcu_read_lock.</summary>
    [MethodImpl(Inline)]
    public static void ReadLock(in ThisCpu cpu)
    {
        AtomicLong* reader = &cpu.Area->Rcu.Reader;
        long word = AtomicLong.Load(reader);
        word = (word & NestingMask) == 0 ? AtomicLong.Load(&cpu.Table->Rcu.Phase) : word + 1;
        AtomicLong.Store(reader, word); // (R1) pairs with (R2) in GracePeriod.cs
    }

    /// <summary>Leaves the innermost section. rcu_read_unlock.</summary>
    [MethodImpl(Inline)]
    public static void ReadUnlock(in ThisCpu cpu)
    {
        AtomicLong* reader = &cpu.Area->Rcu.Reader;
        long word = AtomicLong.Load(reader);
        if ((word & NestingMask) == 0) Bug.Fail("rcu: read-side unlock without a lock");
        AtomicLong.Store(reader, word - 1); // release: the section's accesses are over; (R3) pairs with (R4) in GracePeriod.cs
    }

    /// <summary>How many read-side sections this CPU is inside.</summary>
    [MethodImpl(Inline)]
    public static long Nesting(in ThisCpu cpu) => AtomicLong.Load(&cpu.Area->Rcu.Reader) & NestingMask;
}

/// <summary>A read-side section as a scope: <c>using var read = new RcuReadGuard(in cpu);</c></summary>
public readonly unsafe ref struct RcuReadGuard
{
    private readonly CpuArea* area;

    /// <summary>Enters.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public RcuReadGuard(in ThisCpu cpu)
    {
        area = cpu.Area;
        Rcu.ReadLock(in cpu);
    }

    /// <summary>Leaves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Dispose() => Rcu.ReadUnlock(new ThisCpu(area));
}
