// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using MoveLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>
/// Which group counts a page's mapped or writeback state? The owner found here stays the owner until <see cref="End"/>: readers are inside RCU,
/// and take the owner's move lock only while somebody moves its pages. Linux: mem_cgroup_begin_page_stat, mm/memcontrol.c 3.18.
/// </summary>
/// <remarks>
/// A mover raises Moving, waits for a grace period (readers that saw 0 are gone, C15) and holds the lock around each page. The page flag or
/// the mapcount is changed after the lookup, so that the group that was counted up is the one that is counted down (C6).
/// </remarks>
public unsafe ref struct PageStat
{
    private Memcg* memcg;
    private bool locked;

    /// <summary>Finds the owner of page and keeps it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PageStat Begin<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        Rcu.ReadLock(cpu);
        if (!TC.CountsPageState) return new PageStat { memcg = null };
        Memcg* owner = TC.OwnerOf(cpu, page, out bool used);
        if (!used) return new PageStat { memcg = null };
        if (AtomicInt.Load(&owner->Moving) == 0) return new PageStat { memcg = TC.Counting(owner) }; // (A) pairs with (B) in PageMover.cs
        return BeginSlow<TC>(cpu, page, owner);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static PageStat BeginSlow<TC>(in ThisCpu cpu, Page* page, Memcg* owner) where TC : struct, IMemoryController
    {
        while (true)
        {
            Machine.IrqOff(); // end of writeback comes here from the irq role
            MoveLock.Acquire(cpu, &owner->MoveLock);
            Memcg* now = TC.OwnerOf(cpu, page, out bool used);
            if (used && now == owner) return new PageStat { memcg = owner, locked = true };
            MoveLock.Release(cpu, &owner->MoveLock);
            Machine.IrqOn();
            if (!used) return new PageStat { memcg = null };
            owner = now; // moved while we waited; ends when the mover is done with this page
        }
    }

    /// <summary>Counts n more of item for the owner, if there is one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Add(in ThisCpu cpu, MemcgStatItem item, long n)
    {
        if (memcg != null) MemcgStatCpu.Add(Memcg.OnCpu(cpu, memcg), item, n);
    }

    /// <summary>Lets the owner go.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void End(in ThisCpu cpu)
    {
        if (locked)
        {
            MoveLock.Release(cpu, &memcg->MoveLock);
            Machine.IrqOn();
        }
        Rcu.ReadUnlock(cpu);
    }
}
