// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// mem_cgroup_ptr and obj_cgroup: a counted pointer between objects and groups. What ships is explored in LifeOfOwners, ObjectCases and
// ReparentCases; here are the guard of the walk, which no single access is, and the pointer that a task keeps (6.7), which the port leaves out.

/// <summary>A group with its pointer, the parent with its own.</summary>
internal struct Pointing
{
    /// <summary>What new objects point to: 1 = the child's pointer, 0 = ask the parent.</summary>
    public AtomicInt Word, ParentWord;
    /// <summary>References of the pointer; whether an object is charged to nobody.</summary>
    public AtomicInt References, Unaccounted;
    /// <summary>The pointer itself.</summary>
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

internal static class PointerRaceCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        .. Guards.Of<NullMeansParent, Pointing>("E1", "climb", "1a1o"),
        .. Guards.Of<ResetAfterFailedTryGet, Pointing>("E1", "reset", "1a1o"),
        .. Guards.Of<RefreshAgainstAttach, TaskCache>("E10", "exchange", "1t1m"),
        .. Guards.Of<BorrowedAcrossRefresh, Pointing>("E11", "reference", "1a1r"),
    ];
}
