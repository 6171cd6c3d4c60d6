// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What a node keeps where one lock guards all lists of a zone: the lock on a line of its own, and its counters.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
internal unsafe struct ZoneLruState
{
    /// <summary>Guards every list of the node.</summary>
    [FieldOffset(0)] public LockWord Lock;
    /// <summary>L: acquisitions.</summary>
    [FieldOffset(128)] public Guarded<long> Acquired;
    /// <summary>L: pages handled in them.</summary>
    [FieldOffset(136)] public Guarded<long> Pages;
    /// <summary>L: what waiting for the lock cost.</summary>
    [FieldOffset(144)] public LruLockWaits Waits;

    /// <summary>The zone of a node, as this CPU finds it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ZoneLruState* Of(in ThisCpu cpu, int node) => AccountingNode.Slot<ZoneLruState>(AccountingCpu.Node(cpu, node), AccountingNode.LruSlot);

    /// <summary>The zone's statistics, once: as the root's.</summary>
    public static void AddTo(in ThisCpu cpu, Memcg* memcg, int node, ICollection<LruLockTotals> locks)
    {
        if (memcg != MemcgTree.Root(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree))) return;
        ZoneLruState* zone = Of(cpu, node);
        locks.Add(LruLockTotals.Of($"zone {node}", Guarded<long>.Get(&zone->Acquired), Guarded<long>.Get(&zone->Pages), &zone->Waits));
    }
}

/// <summary>Holds one zone's lock across a run of pages and changes it only when the zone changes: once per 14 pages on a one-zone machine.</summary>
internal unsafe ref struct ZoneHold<TLock> where TLock : struct, ILockKind
{
    private ZoneLruState* zone;
    private int node;
    private long pages;

    /// <summary>The lock of page's zone is held afterwards; returns the node.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Relock(in ThisCpu cpu, Page* page)
    {
        int wanted = PageOps.NodeIndex(page);
        if (zone == null || wanted != node)
        {
            Unlock(cpu);
            Lock(cpu, wanted);
        }
        pages++;
        return node;
    }

    /// <summary>Takes the lock of a node's zone; none is held.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Lock(in ThisCpu cpu, int wanted)
    {
        node = wanted;
        zone = ZoneLruState.Of(cpu, node);
        Machine.IrqOff();
        LruLock<TLock>.Acquire(cpu, &zone->Lock, &zone->Waits);
    }

    /// <summary>Lets go of what is held; more: pages handled that <see cref="Relock"/> did not count.</summary>
    public void Unlock(in ThisCpu cpu, long more = 0)
    {
        if (zone == null) return;
        Guarded<long>.Set(&zone->Acquired, Guarded<long>.Get(&zone->Acquired) + 1);
        Guarded<long>.Set(&zone->Pages, Guarded<long>.Get(&zone->Pages) + pages + more);
        LruLock<TLock>.Release(cpu, &zone->Lock, &zone->Waits);
        Machine.IrqOn();
        zone = null;
        pages = 0;
    }
}
