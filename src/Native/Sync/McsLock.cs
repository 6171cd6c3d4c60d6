// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>A CPU's place in the queue of one lock. Linux: struct mcs_spinlock.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 32)]
public unsafe struct McsNode
{
    /// <summary>O: the CPU behind us; written by it.</summary>
    [FieldOffset(0)] public AtomicPtr<McsNode> Next;
    /// <summary>O: 1 until the CPU before us hands over.</summary>
    [FieldOffset(8)] public AtomicInt Waiting;
    /// <summary>C: the lock this node stands in, null = free.</summary>
    [FieldOffset(16)] public GuardedPtr<LockWord> Lock;
}

/// <summary>The queue nodes of one CPU, one per queued lock it may hold at once (Linux: qnodes).</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Levels * 32)]
public struct McsNodes
{
    /// <summary>Queued locks one CPU may hold or wait for at once.</summary>
    public const int Levels = 8;
    /// <summary>The first of <see cref="Levels"/> nodes.</summary>
    [FieldOffset(0)] public McsNode First;
}

/// <summary>
/// MCS queue lock: the word is the tail of a queue of per-CPU nodes, and each waiter polls its own line. Mellor-Crummey and Scott 1991;
/// Linux: kernel/locking/mcs_spinlock.h, the base of today's qspinlock (which folds queue and lock into 32 bits).
/// </summary>
/// <remarks>
/// A node stays in use until the release, in any order of releases: it remembers its lock. Two read-modify-writes per pair where the
/// others need one or two, so it loses with few CPUs.
/// <para>A nested irq role may take further locks between any two accesses here and has freed its nodes when it returns.</para>
/// </remarks>
public readonly unsafe struct McsLock : ILockKind
{
    /// <inheritdoc/>
    public static string Name => "mcs";

    /// <inheritdoc/>
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 0);

    /// <inheritdoc/>
    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Acquire(l); return; }
        McsNode* node = Find(in cpu, null);
        Claim(node, l);
        var before = (McsNode*)AtomicLong.Exchange(&l->Whole, (long)node); // publishes node; (M1) pairs with (M2) in McsLock.cs
        if (before == null) return;
        AtomicPtr<McsNode>.Store(&before->Next, node); // (M3) pairs with (M4) in McsLock.cs
        AtomicInt.AwaitEqual(&node->Waiting, 0); // (M5) pairs with (M6) in McsLock.cs; ended by the Release of the CPU before us
    }

    /// <inheritdoc/>
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) return LockModel.TryAcquire(l);
        if (AtomicLong.Load(&l->Whole) != 0) return false;
        McsNode* node = Find(in cpu, null);
        Claim(node, l);
        if (AtomicLong.CompareExchange(&l->Whole, (long)node, 0) == 0) return true; // (M1) pairs with (M2) in McsLock.cs
        GuardedPtr<LockWord>.Set(&node->Lock, null);
        return false;
    }

    /// <inheritdoc/>
    public static void Release(in ThisCpu cpu, LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.Release(l); return; }
        McsNode* node = Find(in cpu, l);
        McsNode* next = AtomicPtr<McsNode>.Load(&node->Next);
        if (next == null)
        {
            if (AtomicLong.CompareExchange(&l->Whole, 0, (long)node) == (long)node) // (M2) pairs with (M1) in McsLock.cs
            {
                GuardedPtr<LockWord>.Set(&node->Lock, null);
                return;
            }
            next = AtomicPtr<McsNode>.AwaitNot(&node->Next, null); // (M4) pairs with (M3) in McsLock.cs; ended by the CPU that is joining behind us
        }
        GuardedPtr<LockWord>.Set(&node->Lock, null); // nobody touches node any more
        AtomicInt.Store(&next->Waiting, 0); // (M6) pairs with (M5) in McsLock.cs
    }

    /// <inheritdoc/>
    public static bool IsHeld(LockWord* l) => Machine.LocksArePrimitive ? LockModel.IsHeld(l) : AtomicLong.Load(&l->Whole) != 0;

    /// <inheritdoc/>
    /// <remarks>
    /// The word shows the tail of the queue, not its head, so a change of the word proves nothing about the holder. What does: the word
    /// is 0 once after the call. Then nobody holds or queues, and whoever held at the call has released, in (M2), which the load that
    /// reads 0 acquires. Newcomers can prolong the wait without bound.
    /// </remarks>
    public static void WaitForHolder(LockWord* l)
    {
        if (Machine.LocksArePrimitive) { LockModel.WaitForHolder(l); return; }
        long tail = AtomicLong.Load(&l->Whole);
        while (tail != 0) tail = AtomicLong.AwaitNot(&l->Whole, tail); // ended by the last Release of the queue
    }

    private static void Claim(McsNode* node, LockWord* l)
    {
        GuardedPtr<LockWord>.Set(&node->Lock, l);
        AtomicPtr<McsNode>.Init(&node->Next, null);
        AtomicInt.Init(&node->Waiting, 1);
    }

    /// <summary>This CPU's node that stands in l, or a free one for null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static McsNode* Find(in ThisCpu cpu, LockWord* l)
    {
        McsNode* node = &cpu.Area->LockNodes.First;
        return GuardedPtr<LockWord>.Get(&node->Lock) == l ? node : FindSlow(node, l);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static McsNode* FindSlow(McsNode* first, LockWord* l)
    {
        for (McsNode* node = first + 1; node < first + McsNodes.Levels; node++)
        {
            if (GuardedPtr<LockWord>.Get(&node->Lock) == l) return node;
        }
        if (l == null) Bug.Fail("mcs: too many queued locks held by one cpu", McsNodes.Levels);
        Bug.Fail("mcs: released by a cpu that does not hold it", (long)l);
        return null;
    }
}
