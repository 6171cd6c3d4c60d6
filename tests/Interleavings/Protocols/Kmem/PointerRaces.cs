// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Lock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Tests.Interleavings;

// mem_cgroup_ptr and obj_cgroup: a counted pointer between objects and groups. What production does is explored in ObjcgCases; here are the
// guards one by one, and the form of the mail.

/// <summary>A group with its pointer, the parent with its own; a lock for lists and owners.</summary>
internal struct Pointing
{
    public LockWord Lock;
    /// <summary>What new objects point to: 1 = the child's pointer, 0 = ask the parent.</summary>
    public AtomicInt Word, ParentWord, GrandWord;
    /// <summary>Whose the pointer is: 1 child, 2 parent, 3 grandparent.</summary>
    public AtomicInt Owner;
    /// <summary>References of the pointer, of the child; what is charged to whom.</summary>
    public AtomicInt References, Css, ChildUsage, ParentUsage, Unaccounted, Killed, Listed, ParentListed, Done;
    /// <summary>Storage that the list node and the RCU head share (E5).</summary>
    public Guarded<long> Node;
    /// <summary>The group itself.</summary>
    public Guarded<int> Life;
}

/// <summary>E1 (the mail): NULL means "offline, ask the parent", not "nobody pays".</summary>
internal readonly unsafe struct NullMeansParent : IRace<Pointing>
{
    public static void Setup(Pointing* s)
    {
        AtomicInt.Init(&s->Word, 1);
        AtomicInt.Init(&s->ParentWord, 2);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Pointing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            AtomicInt.Exchange(&s->Word, 0);
            return;
        }
        int found = AtomicInt.Load(&s->Word);
        if (found == 0 && TGuard.On) found = AtomicInt.Load(&s->ParentWord);
        if (found == 0) AtomicInt.Store(&s->Unaccounted, 1);
    }

    public static void Final(Pointing* s)
    {
        if (AtomicInt.Load(&s->Unaccounted) != 0) Bug.Fail("memory escapes the parent's limit");
    }
}

/// <summary>E1, the trap in the walk: a pointer whose tryget failed on the last level must not be returned.</summary>
internal readonly unsafe struct ResetAfterFailedTryGet : IRace<Pointing>
{
    public static void Setup(Pointing* s)
    {
        AtomicInt.Init(&s->Word, 1);
        AtomicInt.Init(&s->References, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Pointing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            AtomicInt.Exchange(&s->Word, 0);
            AtomicInt.CompareExchange(&s->References, 0, 1); // released, unless somebody has it
            return;
        }
        int found = AtomicInt.Load(&s->Word);
        bool got = found != 0 && AtomicInt.CompareExchange(&s->References, 2, 1) == 1;
        if (found != 0 && !got && TGuard.On) found = 0;
        if (found != 0 && AtomicInt.Load(&s->References) == 0) Bug.Fail("a pointer without a reference was returned");
    }
}

/// <summary>E3 (as posted, hypothesis): kill first, pay the css reference afterwards. A release that comes between puts a reference nobody took.</summary>
internal readonly unsafe struct KillAgainstDebt : IRace<Pointing>
{
    public static void Setup(Pointing* s) => AtomicInt.Init(&s->Css, 1); // offline's own

    public static void Run<TGuard>(in ThisCpu cpu, Pointing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            if (TGuard.On) AtomicInt.Add(&s->Css, 1);
            AtomicInt.Exchange(&s->Killed, 1);
            if (!TGuard.On) AtomicInt.Add(&s->Css, 1); // preempted before, for longer than a grace period
            return;
        }
        if (AtomicInt.Load(&s->Killed) == 0) return; // no grace period has passed
        if (AtomicInt.AddReturn(&s->Css, -1) == 0) Bug.Fail("released while its offline callback runs: never released online");
    }
}

/// <summary>E4: the release reads the owner before it takes the lock; the owner is switched, and the old one freed.</summary>
internal readonly unsafe struct ReleaseAgainstReparent : IRace<Pointing>
{
    public static void Setup(Pointing* s) => AtomicInt.Init(&s->Owner, 1);

    public static void Run<TGuard>(in ThisCpu cpu, Pointing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            int owner = TGuard.On ? 0 : AtomicInt.Load(&s->Owner);
            Lock.Acquire(cpu, &s->Lock);
            if (TGuard.On) owner = AtomicInt.Load(&s->Owner);
            if (owner == 1) Guarded<int>.Set(&s->Life, 1); // its counter
            Lock.Release(cpu, &s->Lock);
            return;
        }
        Lock.Acquire(cpu, &s->Lock);
        AtomicInt.Store(&s->Owner, 2);
        Lock.Release(cpu, &s->Lock);
        Machine.OnFree(&s->Life, sizeof(int));
    }
}

/// <summary>E5: the callback head takes the list node's place before the node is unlinked.</summary>
internal readonly unsafe struct UnlinkBeforeCallback : IRace<Pointing>
{
    public static void Setup(Pointing* s)
    {
        Guarded<long>.Set(&s->Node, 0x11);
        AtomicInt.Init(&s->Listed, 1);
    }

    public static void Run<TGuard>(in ThisCpu cpu, Pointing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            if (!TGuard.On) Guarded<long>.Set(&s->Node, 0x99);
            Lock.Acquire(cpu, &s->Lock);
            AtomicInt.Store(&s->Listed, 0);
            Lock.Release(cpu, &s->Lock);
            if (TGuard.On) Guarded<long>.Set(&s->Node, 0x99);
            return;
        }
        Lock.Acquire(cpu, &s->Lock);
        if (AtomicInt.Load(&s->Listed) != 0 && Guarded<long>.Get(&s->Node) != 0x11) Bug.Fail("the list leads into a callback head");
        Lock.Release(cpu, &s->Lock);
    }
}

/// <summary>E7, H8 (hypothesis): a child's offline after its parent's: the child's pointer goes to a group whose own are gone already.</summary>
internal readonly unsafe struct ParentBeforeChild : IRace<Pointing>
{
    public static void Setup(Pointing* s) => AtomicInt.Init(&s->Owner, 1);

    public static void Run<TGuard>(in ThisCpu cpu, Pointing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Lock.Acquire(cpu, &s->Lock); // offline of the child: to its parent
            AtomicInt.Store(&s->Owner, 2);
            Lock.Release(cpu, &s->Lock);
            AtomicInt.Store(&s->Done, 1);
            return;
        }
        if (TGuard.On) AtomicInt.AwaitEqual(&s->Done, 1); // online children: ended by the child's offline
        Lock.Acquire(cpu, &s->Lock); // offline of the parent: all it has to the grandparent
        if (AtomicInt.Load(&s->Owner) == 2) AtomicInt.Store(&s->Owner, 3);
        Lock.Release(cpu, &s->Lock);
    }

    public static void Final(Pointing* s)
    {
        if (AtomicInt.Load(&s->Owner) != 3) Bug.Fail("after its offline a group still owns a pointer (I10)", AtomicInt.Load(&s->Owner));
    }
}

/// <summary>E9: css_set_lock, which fork holds while it takes the signal lock, under which the last object of a pointer may be freed. A leaf lock cures it (5.17).</summary>
internal readonly unsafe struct ReleaseUnderSigLock : IRace<TwoLocks>
{
    public static void Run<TGuard>(in ThisCpu cpu, TwoLocks* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 0)
        {
            Lock.Acquire(cpu, &s->CssSet);
            Lock.Acquire(cpu, &s->Signal);
            Lock.Release(cpu, &s->Signal);
            Lock.Release(cpu, &s->CssSet);
            return;
        }
        Lock.Acquire(cpu, &s->Signal);
        LockWord* l = TGuard.On ? &s->Objcg : &s->CssSet;
        Lock.Acquire(cpu, l);
        Lock.Release(cpu, l);
        Lock.Release(cpu, &s->Signal);
    }
}

internal struct TwoLocks
{
    public LockWord CssSet, Signal, Objcg;
}

/// <summary>task->objcg with the bit that asks for a refresh (6.7): 0x10 the old group's, 0x20 the new one's.</summary>
internal struct TaskCache
{
    public AtomicInt Word, Group;
}

/// <summary>E10: the task stores what it looked up and wipes the bit that attach has set meanwhile.</summary>
internal readonly unsafe struct RefreshAgainstAttach : IRace<TaskCache>
{
    public static void Setup(TaskCache* s)
    {
        AtomicInt.Init(&s->Word, 0x11); // stale already
        AtomicInt.Init(&s->Group, 0x10);
    }

    public static void Run<TGuard>(in ThisCpu cpu, TaskCache* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            AtomicInt.Exchange(&s->Group, 0x20);
            AtomicInt.FetchOr(&s->Word, 1);
            return;
        }
        if (!TGuard.On)
        {
            AtomicInt.Store(&s->Word, AtomicInt.Load(&s->Group));
            return;
        }
        int fresh;
        do
        {
            AtomicInt.Exchange(&s->Word, 0);
            fresh = AtomicInt.Load(&s->Group);
        }
        while (AtomicInt.CompareExchange(&s->Word, fresh, 0) != 0); // again when attach has set the bit: it does so once
    }

    public static void Final(TaskCache* s)
    {
        int word = AtomicInt.Load(&s->Word);
        if ((word & 1) == 0 && word != AtomicInt.Load(&s->Group)) Bug.Fail("the task charges its old group for ever");
    }
}

/// <summary>E11: an objcg borrowed for a scope is dropped by a refresh inside it. Refreshes belong to the start of a scope; here: the user takes a reference.</summary>
internal readonly unsafe struct BorrowedAcrossRefresh : IRace<Pointing>
{
    public static void Setup(Pointing* s) => AtomicInt.Init(&s->References, 1); // the task's

    public static void Run<TGuard>(in ThisCpu cpu, Pointing* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            Drop(s); // the refresh
            return;
        }
        if (TGuard.On && !Take(s)) return;
        if (!TGuard.On && AtomicInt.Load(&s->References) == 0) return;
        Guarded<int>.Get(&s->Life);
        if (TGuard.On) Drop(s);
    }

    private static bool Take(Pointing* s)
    {
        int seen = AtomicInt.Load(&s->References);
        return seen != 0 && AtomicInt.CompareExchange(&s->References, seen + 1, seen) == seen;
    }

    private static void Drop(Pointing* s)
    {
        if (AtomicInt.AddReturn(&s->References, -1) == 0) Machine.OnFree(&s->Life, sizeof(int));
    }
}

/// <summary>A slab's vector: whose, and what the first CPU stored in it.</summary>
internal struct Vector
{
    public AtomicInt Published, OwnersIn1, OwnersIn2;
}

/// <summary>E12: two CPUs make a vector for one slab; the second one published takes the first one's owners along.</summary>
internal readonly unsafe struct TwoVectors : IRace<Vector>
{
    public static void Run<TGuard>(in ThisCpu cpu, Vector* s) where TGuard : struct, IGuard
    {
        int mine = cpu.Index + 1, seen = AtomicInt.Load(&s->Published);
        if (seen == 0 && TGuard.On) seen = AtomicInt.CompareExchange(&s->Published, mine, 0);
        else if (seen == 0) AtomicInt.Store(&s->Published, mine);
        AtomicInt.Add((seen == 0 ? mine : seen) == 1 ? &s->OwnersIn1 : &s->OwnersIn2, 1);
    }

    public static void Final(Vector* s)
    {
        int owners = AtomicInt.Load(AtomicInt.Load(&s->Published) == 1 ? &s->OwnersIn1 : &s->OwnersIn2);
        if (owners != 2) Bug.Fail("objects that will be freed without their charge", 2 - owners);
    }
}

internal static class PointerRaceCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Guards.Of<NullMeansParent, Pointing>("E1", "climb", "1a1o"),
        .. Guards.Of<ResetAfterFailedTryGet, Pointing>("E1", "reset", "1a1o"),
        .. Guards.Of<KillAgainstDebt, Pointing>("E3", "get-before-kill", "1o1r"),
        .. Guards.Of<ReleaseAgainstReparent, Pointing>("E4", "owner-under-lock", "1r1o"),
        .. Guards.Of<UnlinkBeforeCallback, Pointing>("E5", "unlink-first", "1r1o"),
        .. Guards.Of<ParentBeforeChild, Pointing>("E7", "children-first", "2o"),
        .. Guards.Of<ReleaseUnderSigLock, TwoLocks>("E9", "leaf-lock", "1f1r"),
        .. Guards.Of<RefreshAgainstAttach, TaskCache>("E10", "exchange", "1t1m"),
        .. Guards.Of<BorrowedAcrossRefresh, Pointing>("E11", "reference", "1a1r"),
        .. Guards.Of<TwoVectors, Vector>("E12", "compare-exchange", "2a"),
    ];
}
