// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// What a run of pages of one owner gives back, subtracted in one go. Linux: uncharge_list / uncharge_batch (3.17), struct
/// uncharge_gather (4.13 and later).
/// </summary>
/// <remarks>
/// On the stack and never per task: a per-task batch was re-entered from I/O completion and crashed (C4). The owner stays alive until
/// <see cref="Flush{TC}"/> because its counters still hold what was gathered (C11: a design without a reference per counted page must
/// take one here).
/// </remarks>
public static unsafe class UnchargeGather
{
    /// <summary>Takes a run of pages off owner's books: statistics first, then the counters, whose pages may hold the last references.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Flush<TC>(in ThisCpu cpu, Memcg* owner, int memory, int memsw, int anon, int file) where TC : struct, IMemoryController
    {
        MemcgStatCpu* stat = Memcg.OnCpu(cpu, TC.Counting(owner));
        MemcgStatCpu.Add(stat, MemcgStatItem.Rss, -anon);
        MemcgStatCpu.Add(stat, MemcgStatItem.Cache, -file);
        MemcgStatCpu.Add(stat, MemcgStatItem.PgpgOut, anon + file);
        SoftLimit.Check(cpu, anon + file);
        if (TC.OwnerMayMove ? memory + memsw != 0 : !Memcg.IsRoot(owner)) TC.UnchargeCounters(cpu, owner, memory, memsw); // what the root inherited is on its counter
    }
}
