// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Empties a group that has no tasks: page after page is isolated, locked and handed to another group, until nothing is counted. Linux:
/// mem_cgroup_force_empty_list, mem_cgroup_move_account, mem_cgroup_reparent_charges.
/// </summary>
/// <remarks>
/// Linux loops and sleeps, for as long as it takes; here each turn runs as an RCU callback, so a grace period lies before the first move and between
/// turns: readers of statistics that saw no mover are gone (C15), and every CPU has passed a poll point and served the request to drain its vector.
/// A CPU that leaves runs its callbacks first, and when all others have left grace periods take no time: a mover that waits for one of them would
/// never let it go. So a mover that got nowhere <see cref="FruitlessTurns"/> times is stalled: it goes on when any CPU has drained its vector,
/// which every way back to the lists passes, or when another mover has finished, which may be its child's.
/// </remarks>
internal static unsafe class PageMover
{
    /// <summary>Turns without progress before a mover stalls.</summary>
    public const int FruitlessTurns = 16;

    private static MoverState* Of(Memcg* memcg) => Memcg.Slot<MoverState>(memcg, Memcg.ResidentsSlot);

    /// <summary>Begins to empty memcg; keeps a css reference until it is empty.</summary>
    public static void Start<TC, TTarget>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController where TTarget : struct, IMoveTarget
    {
        Css.Get(cpu, &memcg->Css); // put by Turn
        Guarded<int>.Set(&Of(memcg)->Fruitless, 0);
        Guarded<nint>.Set(&Of(memcg)->Turn, (nint)(delegate*<in ThisCpu, RcuHead*, void>)&Turn<TC, TTarget>);
        AtomicInt.Add(&memcg->Moving, 1); // (B) pairs with (A) in PageStat.cs: the grace period before Turn
        Again(cpu, Of(memcg));
    }

    private static void Again(in ThisCpu cpu, MoverState* mover) => Rcu.Call(cpu, &mover->Rcu, (delegate*<in ThisCpu, RcuHead*, void>)Guarded<nint>.Get(&mover->Turn));

    private static void Turn<TC, TTarget>(in ThisCpu cpu, RcuHead* head) where TC : struct, IMemoryController where TTarget : struct, IMoveTarget
    {
        var memcg = (Memcg*)((byte*)head - Memcg.ResidentsSlot);
        long moved = MoveAll<TC, TTarget>(cpu, memcg);
        if (IsEmpty<TC>(memcg)) Rcu.Call(cpu, head, &End);
        else GoOn(cpu, memcg, moved);
    }

    /// <summary>
    /// A grace period after the last move, because a reader of statistics finds the owner first and looks at Moving then: if Moving fell at once, a
    /// reader who found the owner before the last move would count for it (C15). Linux lowers it at once (mem_cgroup_end_move, 3.3).
    /// </summary>
    private static void End(in ThisCpu cpu, RcuHead* head)
    {
        var memcg = (Memcg*)((byte*)head - Memcg.ResidentsSlot);
        AtomicInt.Add(&memcg->Moving, -1);
        MemcgTree* tree = Memcg.TreeOf(memcg);
        Css.Put(cpu, &memcg->Css); // got by Start
        Wake(cpu, tree);
    }

    private static void GoOn(in ThisCpu cpu, Memcg* memcg, long moved)
    {
        int fruitless = moved != 0 ? 0 : Guarded<int>.Get(&Of(memcg)->Fruitless) + 1;
        Guarded<int>.Set(&Of(memcg)->Fruitless, fruitless);
        if (fruitless < FruitlessTurns) Again(cpu, Of(memcg));
        else Stall(Memcg.TreeOf(memcg), Of(memcg));
    }

    private static void Stall(MemcgTree* tree, MoverState* mover)
    {
        Guarded<int>.Set(&mover->Fruitless, 0);
        MoverState* seen, first = (MoverState*)AtomicPtr<byte>.Load(&tree->StalledMovers);
        do // ended by whoever gets its exchange through; a push has no ABA
        {
            seen = first;
            GuardedPtr<byte>.Set(&mover->Next, (byte*)seen);
            first = (MoverState*)AtomicPtr<byte>.CompareExchange(&tree->StalledMovers, (byte*)mover, (byte*)seen);
        } while (first != seen);
    }

    /// <summary>Stalled movers go on, a grace period later.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Wake(in ThisCpu cpu, MemcgTree* tree)
    {
        if (AtomicPtr<byte>.Load(&tree->StalledMovers) != null) WakeAll(cpu, tree);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WakeAll(in ThisCpu cpu, MemcgTree* tree)
    {
        for (var mover = (MoverState*)AtomicPtr<byte>.Exchange(&tree->StalledMovers, null); mover != null;)
        {
            var next = (MoverState*)GuardedPtr<byte>.Get(&mover->Next); // before the call: the mover is RCU's then
            Again(cpu, mover);
            mover = next;
        }
    }

    /// <summary>
    /// The group's last reference is gone: true when nothing names it. Else what was charged after the last turn is moved, and the group retires
    /// when nothing is left. Linux: the second mem_cgroup_reparent_charges, of mem_cgroup_css_free (3.14 to 3.18). The group holds its parent until then.
    /// </summary>
    public static bool Finish<TC, TTarget>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController where TTarget : struct, IMoveTarget
    {
        if (IsEmpty<TC>(memcg)) return true;
        Guarded<int>.Set(&Of(memcg)->Fruitless, 0);
        Guarded<nint>.Set(&Of(memcg)->Turn, (nint)(delegate*<in ThisCpu, RcuHead*, void>)&LastTurn<TC, TTarget>);
        AtomicInt.Add(&memcg->Moving, 1); // (B) as in Start
        Again(cpu, Of(memcg));
        return false;
    }

    private static void LastTurn<TC, TTarget>(in ThisCpu cpu, RcuHead* head) where TC : struct, IMemoryController where TTarget : struct, IMoveTarget
    {
        var memcg = (Memcg*)((byte*)head - Memcg.ResidentsSlot);
        long moved = MoveAll<TC, TTarget>(cpu, memcg);
        if (!IsEmpty<TC>(memcg))
        {
            GoOn(cpu, memcg, moved);
            return;
        }
        MemcgTree* tree = Memcg.TreeOf(memcg);
        MemcgLife.Retire(cpu, memcg); // with Moving raised: it falls when the place becomes another group
        Wake(cpu, tree);
    }

    private static long MoveAll<TC, TTarget>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController where TTarget : struct, IMoveTarget
    {
        TC.DrainStocks(cpu, memcg);
        Mm.LruAddDrainQuietly<TC>(cpu);
        LruDrain.AskOthers(cpu);
        return MoveLists<TC, TTarget>(cpu, memcg);
    }

    private static bool IsEmpty<TC>(Memcg* memcg) where TC : struct, IMemoryController =>
        TC.Usage(memcg, CounterKind.Memory) == TC.Usage(memcg, CounterKind.Kmem) && Listed<TC>(memcg) == 0;

    private static long Listed<TC>(Memcg* memcg) where TC : struct, IMemoryController
    {
        long pages = 0;
        for (int node = 0; node < Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes); node++)
            for (LruList list = 0; list <= LruList.Unevictable; list++) pages += TC.LruCount(memcg, node, list);
        return pages;
    }

    private static long MoveLists<TC, TTarget>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController where TTarget : struct, IMoveTarget
    {
        Page** pages = stackalloc Page*[Reclaim.Batch];
        long moved = 0;
        for (int node = 0; node < Guarded<int>.Get(&Memcg.TreeOf(memcg)->Nodes); node++)
            for (LruList list = 0; list <= LruList.Unevictable; list++)
                for (long left = TC.LruCount(memcg, node, list); left > 0; left -= Reclaim.Batch) // pages that refuse come back to the head
                {
                    int n = TC.LruIsolateTail(cpu, memcg, node, list, pages, Reclaim.Batch);
                    if (n == 0) break;
                    for (int i = 0; i < n; i++)
                        if (TryMove<TC, TTarget>(cpu, memcg, pages[i])) moved++;
                    TC.LruPutback(cpu, pages, n); // on the new owner's list; what nobody pays for goes to the root's
                    Mm.ReleasePages<TC>(cpu, pages, n);
                }
        return moved;
    }

    /// <summary>mem_cgroup_move_account. The page lock is only tried: its holder may be replacing the page in the page cache without isolating it (C10).</summary>
    private static bool TryMove<TC, TTarget>(in ThisCpu cpu, Memcg* from, Page* page) where TC : struct, IMemoryController where TTarget : struct, IMoveTarget
    {
        if (!PageOps.TryLock(page)) return false;
        Memcg* to = TTarget.Of(from);
        bool counted = to != null && !Memcg.IsRoot(to);
        if (counted) TC.ChargeForced(cpu, to, 1); // before the child's is given back, or its usage could be seen as gone
        bool moved = MoveAccount.Switch<TC>(cpu, page, from, to);
        PageOps.Unlock(page);
        if (counted && !moved) TC.Cancel(cpu, to, 1);
        return moved;
    }
}

/// <summary>Where the pages of a dead group go; null is nobody.</summary>
internal unsafe interface IMoveTarget
{
    static abstract Memcg* Of(Memcg* from);
}

/// <summary>The mover's own part of a group, at the front of the Residents slot.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 128)]
internal struct MoverState
{
    /// <summary>The next turn.</summary>
    [FieldOffset(0)] public RcuHead Rcu;
    /// <summary>C: turns in a row that moved nothing.</summary>
    [FieldOffset(16)] public Guarded<int> Fruitless;
    /// <summary>I: the turn, as RCU calls it.</summary>
    [FieldOffset(24)] public Guarded<nint> Turn;
    /// <summary>C: while stalled: the mover that stalled before.</summary>
    [FieldOffset(32)] public GuardedPtr<byte> Next;
    /// <summary>A: one css reference per counted page, in one word that every CPU writes (2.6.27).</summary>
    [FieldOffset(64)] public AtomicLong References;
}
