// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>When does a page stop being charged? Mm raises these events in the same order for every answer.</summary>
public unsafe interface IUnchargeDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }

    /// <summary>
    /// Are mapped file pages and pages under writeback counted per group? Only where no page in use loses its charge: who was counted up is counted
    /// down. Linux counts mapped pages since 2.6.31 (d69b042f3d9f), writeback since 3.12 (3ea67d06e467).
    /// </summary>
    static virtual bool CountsPageState => true;

    /// <summary>Prepares per-CPU state.</summary>
    static abstract void InitCpu(CpuArea* area);

    /// <summary>mapcount reached 0; the page-table lock is held.</summary>
    static abstract void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController;

    /// <summary>The page left the page cache; the page lock is held.</summary>
    static abstract void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController;

    /// <summary>The last references of n pages are gone and they are on no list: nobody else can reach them.</summary>
    static abstract void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController;

    /// <summary>Must a swap-in charge for this swap-cache page? Page lock held (A12).</summary>
    static abstract bool ChargesSwapIn<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController;

    /// <summary>The page left the swap cache, for whatever reason; swap lock held. swapOut guesses the direction: entry is still in use.</summary>
    static abstract void OnSwapCacheDeleted<TC>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) where TC : struct, IMemoryController;

    /// <summary>Reclaim takes a page with refcount 0, off every list, out of the swap cache, whose lock is held; page and entry still belong together.</summary>
    static abstract void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController;

    /// <summary>Before old is unmapped for migration; both pages locked. False when the copy would need a charge that is refused.</summary>
    static abstract bool OnMigratePrepare<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController;

    /// <summary>After the survivor (page if ok, else old) is mapped again.</summary>
    static abstract void OnMigrateEnd<TC>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController;

    /// <summary>page stands in old's place in the caches and has its mapping; nothing maps either yet. Raised on success only: nothing to undo.</summary>
    static abstract void OnMigrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController;

    /// <summary>page replaced old in the page cache; both locked, either may be on a list and charged (C8).</summary>
    static abstract void OnReplaced<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController;

    /// <summary>Many events are about to follow on this CPU; nests. Never from the irq role (C4).</summary>
    static abstract void OnBatchBegin(in ThisCpu cpu);

    /// <summary>The end of <see cref="OnBatchBegin"/>.</summary>
    static abstract void OnBatchEnd<TC>(in ThisCpu cpu) where TC : struct, IMemoryController;
}
