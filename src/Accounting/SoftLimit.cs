// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;
using TreeLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>
/// The soft-limit tree as far as it contends: one leaf lock for the machine, taken by each CPU once in <see cref="Interval"/> page events.
/// Linux: memcg_check_events, mem_cgroup_update_tree (SOFTLIMIT_EVENTS_TARGET), 2.6.32 to 6.x (v1).
/// </summary>
/// <remarks>Uncharge comes here, so uncharge must not run under a list's lock (C5): the lock is irq-safe, and nothing is taken inside.</remarks>
public static unsafe class SoftLimit
{
    /// <summary>Events between two updates.</summary>
    public const int Interval = 1024;

    /// <summary>Counts n page events of this CPU.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check(in ThisCpu cpu, int n)
    {
        AccountingCpu* own = AccountingCpu.Of(cpu);
        int events = Guarded<int>.Get(&own->Events) + n;
        Guarded<int>.Set(&own->Events, events);
        if (events >= Interval) Update(cpu, own);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Update(in ThisCpu cpu, AccountingCpu* own)
    {
        Guarded<int>.Set(&own->Events, 0);
        MemcgTree* tree = GuardedPtr<MemcgTree>.Get(&own->Tree);
        Machine.IrqOff();
        TreeLock.Acquire(cpu, &tree->SoftLimitLock);
        Guarded<long>.Set(&tree->SoftLimitUpdates, Guarded<long>.Get(&tree->SoftLimitUpdates) + 1);
        TreeLock.Release(cpu, &tree->SoftLimitLock);
        Machine.IrqOn();
    }
}
