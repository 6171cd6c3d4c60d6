// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: moving every page of a dying group to its parent at rmdir is slow, racy against swap-in (D16) and
// loses the information whose pages they were. A page that holds a reference lets the group go when the page goes.
//
// The price: a dead group lives as long as its last page (a zombie), and references are counted in the hot path. They follow the counter,
// not the page: a batch that goes into the stock takes its references at once, so a charge served from the stock touches none.

/// <summary>Every counted page holds a css reference, taken and given back in batches. Linux 3.19 to 5.x (css_get_many in try_charge).</summary>
[PatchSeries("Johannes Weiner", "2014-10", "mm: memcontrol: do not kill uncharge batching; take a css reference for each charged page", "merged in 3.19 (e8ea14cc6ead)")]
public readonly unsafe struct PinPerPage : IResidentsDesign
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => "PinPerPage";
    /// <inheritdoc/>
    public static Pins Pins => Pins.Pages;

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnCounted(in ThisCpu cpu, Memcg* memcg, int pages) => Css.GetMany(cpu, &memcg->Css, pages); // put by OnUncounted

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnUncounting(in ThisCpu cpu) { }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnUncounted(in ThisCpu cpu, Memcg* memcg, int pages) => Css.PutMany(cpu, &memcg->Css, pages); // got by OnCounted

    /// <inheritdoc/>
    /// <remarks>A stock's pages hold their references already; an empty stock only compares the pointer.</remarks>
    [MethodImpl(Inline)]
    public static void OnStockCached(in ThisCpu cpu, Memcg* memcg) { }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static void OnStockDropped(in ThisCpu cpu, Memcg* memcg) { }

    /// <inheritdoc/>
    /// <remarks>Nothing moves; stocks are drained because a stocked page is counted and so pins the group (F6).</remarks>
    public static void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => TC.DrainStocks(cpu, memcg);
}
