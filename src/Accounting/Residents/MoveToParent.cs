// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: force_empty drops the charges of pages that stay in memory, so they belong to nobody and no limit
// holds for them. A page whose group goes away is the parent's from then on.
//
//   offline --grace period--> turn: isolate, try the page lock, charge the parent, switch the owner under the move lock --usage 0--> released
//
// A charger whose tryget came before the kill may charge after the last turn (D16): css_free moves once more, until nothing is counted.
//
// A swap entry does not move: its record keeps the dead group's id and pins the css until the entry is freed. Counted pages pin nothing, so
// a charge costs no reference; the loop at offline is what the group waits for.

/// <summary>The pages of a dead group become its parent's. Linux 2.6.29 to 3.18.</summary>
[PatchSeries("KAMEZAWA Hiroyuki", "2009-01", "memcg: move all accounting to parent at rmdir()", "merged in 2.6.29 (f817ed48535a); replaced in 3.19")]
public readonly unsafe struct MoveToParent : IResidentsDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly struct Parent : IMoveTarget
    {
        public static Memcg* Of(Memcg* from) => Memcg.ParentOf(from);
    }

    /// <inheritdoc/>
    public static string Name => "MoveToParent";

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) { }
    /// <inheritdoc/>
    /// <remarks>C11: with usage at 0 the mover lets the group go, and this CPU is still in its counters. Linux: irqs are off, which RCU-sched waits for.</remarks>
    [MethodImpl(Inline)]
    public static void OnUncounting(in ThisCpu cpu) => Rcu.ReadLock(cpu);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) => Rcu.ReadUnlock(cpu);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) { }

    /// <inheritdoc/>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => PageMover.Start<TC, Parent>(cpu, memcg);
    /// <inheritdoc/>
    public static bool OnReleased<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => PageMover.Finish<TC, Parent>(cpu, memcg);
}
