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
public unsafe ref struct UnchargeGather
{
    private Memcg* owner;
    private int memory, memsw, anon, file;

    /// <summary>Adds one page whose owner has just been cleared.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add<TC>(in ThisCpu cpu, Memcg* memcg, in ClearedCharge charge) where TC : struct, IMemoryController
    {
        if (memcg != owner)
        {
            if (owner != null) Flush<TC>(cpu);
            owner = memcg;
        }
        memory += charge.Memory;
        memsw += charge.Memsw;
        anon += charge.Anon;
        file += charge.File;
    }

    /// <summary>Gives back what was gathered. By value, so that the gather itself can live in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Flush<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        if (owner == null) return;
        FlushOwner<TC>(cpu, owner, memory, memsw, anon, file);
        owner = null;
        memory = memsw = anon = file = 0;
    }

    /// <summary>Statistics first, then the counters: the last may let the owner go.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void FlushOwner<TC>(in ThisCpu cpu, Memcg* owner, int memory, int memsw, int anon, int file) where TC : struct, IMemoryController
    {
        MemcgStatCpu* stat = Memcg.OnCpu(cpu, owner);
        MemcgStatCpu.Add(stat, MemcgStatItem.Rss, -anon);
        MemcgStatCpu.Add(stat, MemcgStatItem.Cache, -file);
        MemcgStatCpu.Add(stat, MemcgStatItem.PgpgOut, anon + file);
        SoftLimit.Check(cpu, anon + file);
        TC.UnchargeCounters(cpu, owner, memory, memsw);
    }
}
