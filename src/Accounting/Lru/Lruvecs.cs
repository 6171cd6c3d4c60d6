// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: a page may change its group while its lock is taken, so per-group locks need either a second look or
// something that pins the page's group. The LRU bit can be that: whoever clears it atomically owns the page's place until it is set again,
// and who moves a page to another group must own it too.
//
//   on list (bit set) --win the bit--> owned --lock, unlink--> isolated --lock, link, set bit--> on list
//
//   operation     isolate  put back  move  splice (7.1)      X: excluded by the bit, L: by the lock
//   isolate          X         X       X        L
//   splice           L         L       L        L
//
// 7.1 moves all pages of a dying group at once, without owning any bit: a page that is owned but still linked goes along. So the lock is
// found inside RCU, and looked at again (G3), the idea of 2012. RCU is held until the unlock, which spares the destroyer the wait for the
// lock (D2). Different from 7.1: the child's counts are zero after a splice.
//
// For whoever takes a group offline: TC.LruSplice(cpu, child, parent, node, ref change) once per node, outside every list lock. change.Run is
// called with the child's and the parent's lock held, child first: there the objcg names the parent from now on, one store for all pages
// of the node. Before it, nothing need be drained: a page in a pagevec or isolated is on no list, and finds the parent when it is put back.
// False: the design cannot (no second look). The child's lists are empty afterwards and stay so; its lruvec is reached by late catchers
// until a grace period after the store, so its memory goes no earlier.

/// <summary>How a page's lruvec is found and kept.</summary>
public interface ILruvecFind
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>True when the lruvec is looked at again under its lock, inside RCU.</summary>
    static abstract bool Rechecks { get; }
    /// <summary>True when all lists of a group may move to its parent in one step; only right with the second look.</summary>
    static abstract bool Splices { get; }
}

/// <summary>The LRU bit pins the page's group: no second look.</summary>
[PatchSeries("Alex Shi, Hugh Dickins", "2020-12", "per memcg lru lock", "merged in 5.11 (6168d0da2b47)")]
public readonly struct ByLruBit : ILruvecFind
{
    /// <inheritdoc/>
    public static string Name => "LruvecLruBit";
    /// <inheritdoc/>
    public static bool Rechecks => false;
    /// <inheritdoc/>
    public static bool Splices => false;
}

/// <summary>Lock, then recheck under RCU held to the unlock; lists can be spliced to the parent.</summary>
[PatchSeries("Qi Zheng, Muchun Song", "2026", "Eliminate Dying Memory Cgroup", "merged in 7.1")]
public readonly struct ByRecheck : ILruvecFind
{
    /// <inheritdoc/>
    public static string Name => "LruvecRecheck";
    /// <inheritdoc/>
    public static bool Rechecks => true;
    /// <inheritdoc/>
    public static bool Splices => true;
}

/// <summary>One lock per group and node beside its lists; the LRU bit decides who may touch a page's place. Linux: 5.11 and later.</summary>
public readonly unsafe struct Lruvecs<TLock, TFind> : ILruDesign where TLock : struct, ILockKind where TFind : struct, ILruvecFind
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => $"{TFind.Name}({TLock.Name})";
    /// <inheritdoc/>
    /// <remarks>With the second look as well: it is for a whole list that moves, not for a page between its bit and the lock.</remarks>
    public static bool OwnerKeptByBit => true;

    [MethodImpl(Inline)]
    private static LruvecNode* Of(Memcg* memcg, int node) => (LruvecNode*)((byte*)Memcg.OnNode(memcg, node) + MemcgNode.LruSlot);

    /// <summary>folio_lruvec: the owner's, or the root's when nobody owns the page.</summary>
    [MethodImpl(Inline)]
    private static LruvecNode* Of<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        Memcg* owner = TPc.OwnerOf(cpu, page, out _);
        if (owner == null) owner = MemcgTree.Root(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree));
        return Of(owner, PageOps.NodeIndex(page));
    }

    /// <summary>folio_lruvec_lock. Without recheck the caller owns the page: bit won, or no reference left.</summary>
    [MethodImpl(Inline)]
    private static LruvecNode* Lock<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (TFind.Rechecks) Rcu.ReadLock(cpu); // until Unlock
        Machine.IrqOff();
        LruvecNode* vec = Of<TPc>(cpu, page);
        LruLock<TLock>.Acquire(cpu, &vec->Lock, &vec->Waits);
        if (TFind.Rechecks && Of<TPc>(cpu, page) != vec) vec = LockAgain<TPc>(cpu, page, vec); // G3
        return vec;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static LruvecNode* LockAgain<TPc>(in ThisCpu cpu, Page* page, LruvecNode* held) where TPc : struct, IPageCgroupDesign
    {
        int retries = 0;
        for (LruvecNode* vec; (vec = Of<TPc>(cpu, page)) != held; held = vec, retries++) // each round: one more ancestor was spliced meanwhile
        {
            LruLock<TLock>.Release(cpu, &held->Lock, &held->Waits);
            LruLock<TLock>.Acquire(cpu, &vec->Lock, &vec->Waits);
        }
        LruLockWaits.Retried(&held->Waits, retries);
        return held;
    }

    [MethodImpl(Inline)]
    private static void Unlock(in ThisCpu cpu, LruvecNode* vec, long pages)
    {
        Guarded<long>.Set(&vec->Acquired, Guarded<long>.Get(&vec->Acquired) + 1);
        Guarded<long>.Set(&vec->Pages, Guarded<long>.Get(&vec->Pages) + pages);
        LruLock<TLock>.Release(cpu, &vec->Lock, &vec->Waits);
        Machine.IrqOn();
        if (TFind.Rechecks) Rcu.ReadUnlock(cpu);
    }

    /// <summary>folio_lruvec_relock_irq: the lock is kept while group and node match.</summary>
    private ref struct Hold
    {
        private LruvecNode* vec;
        private long pages;

        [MethodImpl(Inline)]
        public LruvecNode* Relock<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
        {
            if (vec == null || Of<TPc>(cpu, page) != vec)
            {
                Release(cpu);
                vec = Lock<TPc>(cpu, page);
            }
            pages++;
            return vec;
        }

        [MethodImpl(Inline)]
        public void Release(in ThisCpu cpu)
        {
            if (vec == null) return;
            Unlock(cpu, vec, pages);
            vec = null;
            pages = 0;
        }
    }

    /// <summary>lruvec_memcg_debug: the lock held is that of the page's lists.</summary>
    [MethodImpl(Inline)]
    private static void Assert<TPc>(in ThisCpu cpu, LruvecNode* vec, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (DebugVm.On && Of<TPc>(cpu, page) != vec) Bug.Fail("lruvec: list work under the lock of another group (page, lruvec)", (long)page, (long)vec);
    }

    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node) { }
    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }
    /// <inheritdoc/>
    public static void OnOwned(in ThisCpu cpu, Page* page, Memcg* memcg) { }
    /// <inheritdoc/>
    public static void OnDisowned(in ThisCpu cpu, Page* page, Memcg* memcg) { }

    /// <inheritdoc/>
    public static void InitMemcgNode(MemcgNode* memcgNode)
    {
        var vec = (LruvecNode*)((byte*)memcgNode + MemcgNode.LruSlot);
        Lruvec.Init(&vec->Vec);
        TLock.Init(&vec->Lock);
    }

    /// <inheritdoc/>
    public static void Add<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new Hold();
        for (int i = 0; i < n; i++)
        {
            LruvecNode* vec = hold.Relock<TPc>(cpu, pages[i]);
            Assert<TPc>(cpu, vec, pages[i]);
            long flags = AtomicLong.Load(&pages[i]->Flags);
            if ((flags & PageFlags.Lru) != 0) Bug.Fail("lru: page added twice (page, flags)", (long)pages[i], flags);
            Lruvec.Add(&vec->Vec, pages[i], Lruvec.ListOf(flags));
            PageOps.Set(pages[i], PageFlags.Lru);
        }
        hold.Release(cpu);
    }

    /// <inheritdoc/>
    public static void Putback<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign => Add<TPc>(cpu, pages, n);

    /// <inheritdoc/>
    public static void Delete<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        var hold = new Hold();
        for (int i = 0; i < n; i++)
        {
            if (!PageOps.Test(pages[i], PageFlags.Lru)) continue;
            LruvecNode* vec = hold.Relock<TPc>(cpu, pages[i]);
            Assert<TPc>(cpu, vec, pages[i]);
            long flags = AtomicLong.Load(&pages[i]->Flags);
            // Who wants to win the bit has a reference; this page has none left.
            if ((flags & PageFlags.Lru) == 0) Bug.Fail("lru: a page without references left its list (page, flags)", (long)pages[i], flags);
            Lruvec.Delete(&vec->Vec, pages[i], Lruvec.ListOf(flags));
            PageOps.ClearExclusive(pages[i], PageFlags.Lru | PageFlags.Active | PageFlags.Unevictable);
        }
        hold.Release(cpu);
    }

    /// <inheritdoc/>
    public static bool Isolate<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (!PageOps.Test(page, PageFlags.Lru) || !PageOps.TestAndClear(page, PageFlags.Lru)) return false;
        PageOps.Get(page); // put by whoever puts it back
        TakeOff<TPc>(cpu, page);
        return true;
    }

    /// <inheritdoc/>
    /// <remarks>Compaction since 5.11: reference, bit, lock, in this order; a page without references is its last putter's.</remarks>
    public static CatchResult Catch<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        if (!PageOps.Test(page, PageFlags.Lru) || !PageOps.GetUnlessZero(page)) return CatchResult.Missed;
        if (!PageOps.TestAndClear(page, PageFlags.Lru)) return PageOps.PutAndTest(page) ? CatchResult.LastReference : CatchResult.Missed;
        TakeOff<TPc>(cpu, page);
        return CatchResult.Caught;
    }

    private static void TakeOff<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        LruvecNode* vec = Lock<TPc>(cpu, page);
        Assert<TPc>(cpu, vec, page);
        Lruvec.Delete(&vec->Vec, page, Lruvec.ListOf(AtomicLong.Load(&page->Flags)));
        Unlock(cpu, vec, 1);
    }

    /// <inheritdoc/>
    public static int IsolateTail<TPc>(in ThisCpu cpu, Memcg* memcg, int node, LruList list, Page** pages, int n) where TPc : struct, IPageCgroupDesign
    {
        LruvecNode* vec = Of(memcg, node);
        ListHead* head = Lruvec.Head(&vec->Vec, list);
        int taken = 0;
        if (TFind.Rechecks) Rcu.ReadLock(cpu);
        Machine.IrqOff();
        LruLock<TLock>.Acquire(cpu, &vec->Lock, &vec->Waits);
        for (int scanned = 0; scanned < n && !IntrusiveList.IsEmpty(head); scanned++)
        {
            Page* page = PageOps.OfLru(IntrusiveList.Last(head));
            bool referenced = PageOps.GetUnlessZero(page);
            if (!referenced || !PageOps.TestAndClear(page, PageFlags.Lru))
            {
                // Its last putter, or the winner of its bit, waits for our lock; the winner has a reference, so ours is not the last.
                if (referenced && PageOps.PutAndTest(page)) Bug.Fail("lru: an isolator without a reference (page)", (long)page);
                IntrusiveList.Move(head, &page->Lru);
                continue;
            }
            Assert<TPc>(cpu, vec, page);
            Lruvec.Delete(&vec->Vec, page, list);
            pages[taken++] = page;
        }
        Unlock(cpu, vec, taken);
        return taken;
    }

    /// <inheritdoc/>
    public static void Activate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign =>
        Requeue<TPc>(cpu, pages, n, PageFlags.Active, tail: false);

    /// <inheritdoc/>
    public static void Rotate<TPc>(in ThisCpu cpu, Page** pages, int n) where TPc : struct, IPageCgroupDesign =>
        Requeue<TPc>(cpu, pages, n, 0, tail: true);

    /// <summary>pagevec_lru_move_fn: win the bit, lock, move, set the bit again. Pages that are active, unevictable or on no list stay where they are.</summary>
    private static void Requeue<TPc>(in ThisCpu cpu, Page** pages, int n, long set, bool tail) where TPc : struct, IPageCgroupDesign
    {
        var hold = new Hold();
        for (int i = 0; i < n; i++)
        {
            Page* page = pages[i];
            if (!Lruvec.Requeues(AtomicLong.Load(&page->Flags)) || !PageOps.TestAndClear(page, PageFlags.Lru)) continue;
            LruvecNode* vec = hold.Relock<TPc>(cpu, page);
            long flags = AtomicLong.Load(&page->Flags);
            bool moves = Lruvec.Requeues(flags | PageFlags.Lru);
            if (moves)
            {
                Assert<TPc>(cpu, vec, page);
                Lruvec.Delete(&vec->Vec, page, Lruvec.ListOf(flags));
                if (tail) Lruvec.AddTail(&vec->Vec, page, Lruvec.ListOf(flags | set));
                else Lruvec.Add(&vec->Vec, page, Lruvec.ListOf(flags | set));
            }
            PageOps.Set(page, PageFlags.Lru | (moves ? set : 0));
        }
        hold.Release(cpu);
    }

    /// <inheritdoc/>
    /// <remarks>lru_reparent_memcg: the child's lock, then the parent's; the oldest of the child go behind the oldest of the parent.</remarks>
    public static bool TrySplice<TSplice>(in ThisCpu cpu, Memcg* child, Memcg* parent, int node, ref TSplice change) where TSplice : struct, ISpliceSwitch
    {
        if (!TFind.Splices) return false;
        LruvecNode* from = Of(child, node), to = Of(parent, node);
        Machine.IrqOff();
        LruLock<TLock>.Acquire(cpu, &from->Lock, &from->Waits);
        LruLock<TLock>.Acquire(cpu, &to->Lock, &to->Waits);
        change.Run(cpu, child, parent, node); // both locks held: who finds either lruvec finds, in its second look, where the pages are
        for (LruList list = 0; list <= LruList.Unevictable; list++)
        {
            long pages = Lruvec.Count(&from->Vec, list);
            Lruvec.Resize(&to->Vec, list, pages);
            IntrusiveList.SpliceTail(Lruvec.Head(&to->Vec, list), Lruvec.Head(&from->Vec, list));
            Lruvec.Resize(&from->Vec, list, -pages);
        }
        LruLock<TLock>.Release(cpu, &to->Lock, &to->Waits);
        LruLock<TLock>.Release(cpu, &from->Lock, &from->Waits);
        Machine.IrqOn();
        return true;
    }

    /// <inheritdoc/>
    public static long Count(Memcg* memcg, int node, LruList list) => Lruvec.Count(&Of(memcg, node)->Vec, list);

    /// <inheritdoc/>
    public static void AddLocks(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks)
    {
        LruvecNode* vec = Of(memcg, node);
        locks.Add(LruLockTotals.Of($"group {Guarded<int>.Get(&memcg->Id)} node {node}", Guarded<long>.Get(&vec->Acquired), Guarded<long>.Get(&vec->Pages), &vec->Waits));
    }

    /// <inheritdoc/>
    public static void Check<TPc>(in ThisCpu cpu, Memcg* memcg, int node, ICollection<string> wrong) where TPc : struct, IPageCgroupDesign
    {
        LruvecNode* vec = Of(memcg, node);
        if (TLock.IsHeld(&vec->Lock)) wrong.Add($"lruvec: group {Guarded<int>.Get(&memcg->Id)} node {node}: lock held at quiescence");
        else Lruvec.Check<TPc>(cpu, &vec->Vec, memcg, node, wrong);
    }
}

/// <summary>Lists and lock of one group on one node; as in 6.18 the lock shares a line with the unevictable list's head, not with the four hot ones.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct LruvecNode
{
    /// <summary>L: five lists and their lengths; the last 8 bytes are free.</summary>
    [FieldOffset(0)] public Lruvec Vec;
    /// <summary>Guards the rest.</summary>
    [FieldOffset(120)] public LockWord Lock;
    /// <summary>L: acquisitions.</summary>
    [FieldOffset(128)] public Guarded<long> Acquired;
    /// <summary>L: pages handled in them.</summary>
    [FieldOffset(136)] public Guarded<long> Pages;
    /// <summary>L: what waiting cost.</summary>
    [FieldOffset(144)] public LruLockWaits Waits;
}
