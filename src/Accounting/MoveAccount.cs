// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

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
        if (from == to || TC.OwnerOf(page, out bool used) != from || !used) return MoveResult.Busy;
        if (!Charging.TryCharge<TC>(cpu, to, 1, Gfp.NoWait)) return MoveResult.OverLimit;
        bool anon = PageMapping.IsAnon(page);
        if (!TC.MoveAccount(cpu, page, from, Memcg.IsRoot(to) ? null : to, out ClearedCharge charge))
        {
            Charging.Cancel<TC>(cpu, to, 1);
            return MoveResult.Busy;
        }
        Count(cpu, from, anon, -1, MemcgStatItem.PgpgOut);
        if (!Memcg.IsRoot(to)) Count(cpu, to, anon, 1, MemcgStatItem.PgpgIn);
        TC.UnchargeCounters(cpu, from, charge.Memory, charge.Memsw); // last: it may let the source go
        return MoveResult.Moved;
    }

    private static void Count(in ThisCpu cpu, Memcg* memcg, bool anon, long n, MemcgStatItem item)
    {
        MemcgStatCpu* stat = Memcg.OnCpu(cpu, memcg);
        MemcgStatCpu.Add(stat, anon ? MemcgStatItem.Rss : MemcgStatItem.Cache, n);
        MemcgStatCpu.Add(stat, item, 1);
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
