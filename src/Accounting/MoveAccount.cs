// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using MoveLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>What became of a move.</summary>
public enum MoveResult
{
    /// <summary>The page belongs to the target.</summary>
    Moved,
    /// <summary>Somebody else has the page locked or off its list, or it is not the source's: try again later (EBUSY).</summary>
    Busy,
    /// <summary>The target is full (ENOMEM).</summary>
    OverLimit,
}

/// <summary>
/// A page changes its group: isolate, charge the target, switch the owner under the list's protocol, uncharge the source, put back.
/// Linux: mem_cgroup_move_parent and mem_cgroup_move_account, mm/memcontrol.c 3.3.
/// </summary>
public static unsafe class MoveAccount
{
    /// <summary>Moves page from one group to another; the caller holds a reference of the page and one of each group.</summary>
    public static MoveResult TryMove<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController
    {
        if (!PageOps.TryLock(page)) return MoveResult.Busy;
        MoveResult result = MoveResult.Busy;
        if (TC.LruIsolate(cpu, page)) // with a reference, put below
        {
            result = SwitchIsolated<TC>(cpu, page, from, to);
            TC.LruPutback(cpu, &page, 1);
            if (PageOps.PutAndTest(page)) Bug.Fail("move_account: the caller's reference was lost (page)", (long)page);
        }
        PageOps.Unlock(page);
        return result;
    }

    /// <summary>The same for a page that the caller has isolated and locked, and will put back.</summary>
    public static MoveResult SwitchIsolated<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController
    {
        if (from == to || TC.OwnerOf(cpu, page, out bool used) != from || !used) return MoveResult.Busy;
        if (!Charging.TryCharge<TC>(cpu, to, 1, Gfp.NoWait)) return MoveResult.OverLimit;
        if (Switch<TC>(cpu, page, from, Memcg.IsRoot(to) ? null : to)) return MoveResult.Moved;
        Charging.Cancel<TC>(cpu, to, 1);
        return MoveResult.Busy;
    }

    /// <summary>
    /// mem_cgroup_move_account: owner and statistics under the source's move lock, then the source is uncharged. The target is charged already.
    /// A mover of pages whose statistics may change meanwhile has announced itself in <see cref="Memcg.Moving"/> a grace period before.
    /// What the page counts as is looked at before the owner changes: from then on whoever ends writeback or unmaps counts for the target,
    /// whose lock this is not (C15).
    /// </summary>
    internal static bool Switch<TC>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to) where TC : struct, IMemoryController
    {
        Machine.IrqOff(); // nests with the list lock's
        MoveLock.Acquire(cpu, &from->MoveLock);
        bool mapped = AtomicInt.Load(&page->MapCount) != 0, writeback = PageOps.Test(page, PageFlags.Writeback);
        bool moved = TC.MoveAccount(cpu, page, from, to, out ClearedCharge charge);
        if (moved) MoveStatistics<TC>(cpu, from, to, charge.Anon != 0, mapped, writeback);
        MoveLock.Release(cpu, &from->MoveLock);
        Machine.IrqOn();
        if (!moved) return false;
        if (to != null && !Memcg.IsRoot(to) && charge.Memsw == 0) TC.UnchargeCounters(cpu, to, 0, 1);
        TC.UnchargeCounters(cpu, from, charge.Memory, charge.Memsw); // last: it may let the source go
        return true;
    }

    private static void MoveStatistics<TC>(in ThisCpu cpu, Memcg* from, Memcg* to, bool anon, bool mapped, bool writeback) where TC : struct, IMemoryController
    {
        Move(cpu, from, to, anon ? MemcgStatItem.Rss : MemcgStatItem.Cache);
        if (TC.CountsPageState && mapped && !anon) Move(cpu, from, to, MemcgStatItem.FileMapped);
        if (TC.CountsPageState && writeback) Move(cpu, from, to, MemcgStatItem.Writeback);
        MemcgStatCpu.Add(Memcg.OnCpu(cpu, from), MemcgStatItem.PgpgOut, 1);
        if (to != null) MemcgStatCpu.Add(Memcg.OnCpu(cpu, to), MemcgStatItem.PgpgIn, 1);
    }

    private static void Move(in ThisCpu cpu, Memcg* from, Memcg* to, MemcgStatItem item)
    {
        MemcgStatCpu.Add(Memcg.OnCpu(cpu, from), item, -1);
        if (to != null) MemcgStatCpu.Add(Memcg.OnCpu(cpu, to), item, 1);
    }
}

/// <summary>The page cgroup's part of a move, handed to the list design to be run under its protocol.</summary>
internal unsafe struct MoveSwitch<TPc, TLru> : IOwnerMove where TPc : struct, IPageCgroupDesign where TLru : struct, ILruDesign
{
    public Memcg* From;
    public bool Done;
    public ClearedCharge Charge;

    public Memcg* To { get; set; }

    public void Run(in ThisCpu cpu, Page* page) => Done = TPc.MoveAccount<TPc, TLru>(cpu, page, From, To, out Charge);
}
