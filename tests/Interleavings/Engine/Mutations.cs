// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What can be done to one access while everything else stays as shipped.</summary>
internal enum MutationOp
{
    None,
    /// <summary>The fence is gone.</summary>
    DropFence,
    /// <summary>The store publishes nothing.</summary>
    StoreRelaxed,
    /// <summary>The load acquires nothing.</summary>
    LoadRelaxed,
    /// <summary>The read-modify-write becomes a load and a store.</summary>
    SplitRmw,
    /// <summary>The lock is not taken (and so may be held by two).</summary>
    DropLock,
    /// <summary>The wait does not wait.</summary>
    SkipWait,
    /// <summary>A second load of a location returns what the first returned: a recheck that was optimised away.</summary>
    StaleReread,
    /// <summary>The store, or the store half of a read-modify-write, is gone.</summary>
    DropStore,
    /// <summary>The store happens after the CPU's next one.</summary>
    DelayStore,
    /// <summary>The plain store is gone.</summary>
    DropPlainStore,
    /// <summary>Irqs stay on.</summary>
    DropIrqOff,
}

/// <summary>One operator at one access of the source.</summary>
internal readonly record struct SiteMutation(string File, int Line, MutationOp Op)
{
    public override string ToString() => $"{Op}@{Path.GetFileName(File)}:{Line}";
}

/// <summary>The mutation of this exploration, applied as the accesses pass.</summary>
internal static unsafe class Mutations
{
    /// <summary>The site mutated, 0: none.</summary>
    public static int Site { get; private set; }
    public static MutationOp Op { get; private set; }

    private static Op* delayed;
    private static bool* isDelayed;
    private static long* lastLoad;
    private static int* loadedIn;
    private static int execution;

    public static void Initialise()
    {
        delayed = (Op*)NativeMemory.AllocZeroed(Limits.Agents, (nuint)sizeof(Op));
        isDelayed = (bool*)NativeMemory.AllocZeroed(Limits.Agents);
        lastLoad = (long*)NativeMemory.AllocZeroed(Limits.Agents * Limits.Locations, sizeof(long));
        loadedIn = (int*)NativeMemory.AllocZeroed(Limits.Agents * Limits.Locations, sizeof(int));
    }

    public static void Begin(SiteMutation? m)
    {
        Site = m is { } s ? Sites.Of(s.File, s.Line) : 0;
        Op = m?.Op ?? MutationOp.None;
    }

    public static void Reset()
    {
        execution++;
        NativeMemory.Clear(isDelayed, Limits.Agents);
    }

    /// <summary>True when this access is mutated by op; enters the pair in the list of what could be.</summary>
    public static bool Hits(int site, MutationOp op)
    {
        Sites.Saw(site, op);
        return site == Site && op == Op;
    }

    public static void Delay(int agent, in Op store)
    {
        delayed[agent] = store;
        isDelayed[agent] = true;
    }

    /// <summary>The store this agent holds back, if any; it is no longer held.</summary>
    public static bool TakeDelayed(int agent, out Op store)
    {
        store = delayed[agent];
        bool had = isDelayed[agent];
        isDelayed[agent] = false;
        return had;
    }

    public static bool HasDelayed(int agent) => isDelayed[agent];

    /// <summary>What this agent last read here in this execution.</summary>
    public static bool TryStale(int agent, int location, out long value)
    {
        int i = agent * Limits.Locations + location;
        value = lastLoad[i];
        return loadedIn[i] == execution;
    }

    public static void Loaded(int agent, int location, long value)
    {
        if (Op != MutationOp.StaleReread) return;
        int i = agent * Limits.Locations + location;
        (lastLoad[i], loadedIn[i]) = (value, execution);
    }
}
