// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: pages were charged before their mapping was set, so their type was known only from the calling
// context, so uncharge had to happen in unmap, page-cache removal and swap-cache truncation, well before the page is free; and all of
// that had to be synchronised. After the last put nobody looks at the page any more: uncharge it there, once, without a lock.
//
//   charged --unmap, cache removal--> charged --last put, off the LRU--> uncharged --> allocator
//
//   operation     OnUnmap  OnFinalPut        Everything is excluded by exclusivity: refcount 0 and off the LRU (C-I5).
//   (A) the last reference is dropped by a full-fence RMW; every use of the page happens before it (R-C2).

/// <summary>Uncharge after the last reference is gone, gathered per owner. Linux: mem_cgroup_uncharge_list, 3.17.</summary>
[PatchSeries("Johannes Weiner", "2014-06", "mm: memcontrol: rewrite uncharge API", "merged in 3.17 (0a31bc97c80c)")]
public readonly unsafe struct AtFinalPut : IUnchargeDesign
{
    /// <inheritdoc/>
    public static string Name => "AtFinalPut";

    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        for (int i = 0; i < n;) i = UnchargeRun<TC>(cpu, pages, i, n);
    }

    /// <summary>Uncharges the pages of one owner from at on, up to the first page of another; returns where that is.</summary>
    /// <remarks>A small loop without a call: its totals stay in registers. The owner is asked before the page is cleared, hence twice, in cache.</remarks>
    private static int UnchargeRun<TC>(in ThisCpu cpu, Page** pages, int at, int n) where TC : struct, IMemoryController
    {
        Memcg* owner = null;
        int memory = 0, memsw = 0, cleared = 0, anon = 0;
        for (; at < n; at++)
        {
            Page* page = pages[at];
            Memcg* of = TC.OwnerOf(page, out bool used);
            if (!used) continue;
            if (of != owner)
            {
                if (owner != null) break;
                owner = of;
            }
            if (!TC.TryClear(cpu, page, UnchargeType.FinalPut, out _, out ClearedCharge charge)) continue;
            memory += charge.Memory;
            memsw += charge.Memsw;
            cleared += charge.Pages;
            anon += charge.Anon;
        }
        if (cleared != 0) UnchargeGather.Flush<TC>(cpu, owner, memory, memsw, anon, cleared - anon);
        return at;
    }
}
