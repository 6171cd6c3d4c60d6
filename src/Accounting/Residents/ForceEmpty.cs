// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// 2.6.25 to 2.6.28: every charged page holds a css reference, an atomic increment of one word that all CPUs of the group share: the second
// hottest line after the counter. Removing a group first uncharges its pages by force; they stay in memory and belong to nobody.
//
//   offline --> turn: isolate, force-uncharge, put back on nobody's list --usage 0--> released
//
// What differs from Linux: the reference taken for a page that is off the lists is put (the baseline leaks it, A18), and a page is isolated
// before it is uncharged, so that the loop works with every list design.

/// <summary>The pages of a dead group are uncharged and stay. Linux: mem_cgroup_force_empty, 2.6.25 to 2.6.28.</summary>
[PatchSeries("KAMEZAWA Hiroyuki", "2007-12", "memory cgroup enhancements: force_empty interface for dropping all account in empty cgroup",
    "merged in 2.6.25 (cc8475822f8a); replaced in 2.6.29")]
public readonly unsafe struct ForceEmpty : IResidentsDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly struct Nobody : IMoveTarget
    {
        public static Memcg* Of(Memcg* from) => null;
    }

    /// <inheritdoc/>
    public static string Name => "ForceEmpty";
    /// <inheritdoc/>
    public static bool UnchargesPagesInUse => true;

    [MethodImpl(Inline)]
    private static AtomicLong* References(Memcg* memcg) => &Memcg.Slot<MoverState>(memcg, Memcg.ResidentsSlot)->References;

    /// <summary>Pages that hold a reference now.</summary>
    public static long ReferencesOf(Memcg* memcg) => AtomicLong.Load(References(memcg));

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) => AtomicLong.Init(References(memcg), 0);

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) => AtomicLong.Add(References(memcg), pages); // put by OnUncounted

    /// <inheritdoc/>
    /// <remarks>C11: with usage at 0 the mover lets the group go, and this CPU is still in its counters. Linux: irqs are off, which RCU-sched waits for.</remarks>
    [MethodImpl(Inline)]
    public static void OnUncounting(in ThisCpu cpu) => Rcu.ReadLock(cpu);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages)
    {
        AtomicLong.Add(References(memcg), -pages); // got by OnCounted
        Rcu.ReadUnlock(cpu);
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) { }

    /// <inheritdoc/>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => PageMover.Start<TC, Nobody>(cpu, memcg);
}
