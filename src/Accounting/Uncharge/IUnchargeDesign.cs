// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>When does a page stop being charged? Mm raises these events in the same order for every answer.</summary>
public unsafe interface IUnchargeDesign
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }

    /// <summary>Prepares per-CPU state.</summary>
    static abstract void InitCpu(CpuArea* area);

    /// <summary>mapcount reached 0; the page-table lock is held.</summary>
    static abstract void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController;

    /// <summary>The page left the page cache; the page lock is held.</summary>
    static abstract void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController;

    /// <summary>The last references of n pages are gone and they are on no list: nobody else can reach them.</summary>
    static abstract void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController;
}
