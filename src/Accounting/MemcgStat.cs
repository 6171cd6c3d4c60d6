// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What a group counts. Linux: enum mem_cgroup_stat_index and mem_cgroup_events_index, mm/memcontrol.c 3.19.</summary>
public enum MemcgStatItem
{
    /// <summary>Charged page cache pages.</summary>
    Cache,
    /// <summary>Charged anonymous pages.</summary>
    Rss,
    /// <summary>Charged page cache pages that are mapped.</summary>
    FileMapped,
    /// <summary>Charged pages under writeback.</summary>
    Writeback,
    /// <summary>Swap entries that record this group.</summary>
    Swap,
    /// <summary>Pages ever charged.</summary>
    PgpgIn,
    /// <summary>Pages ever uncharged.</summary>
    PgpgOut,
    /// <summary>Pages reclaim took.</summary>
    PgReclaimed,
}

/// <summary>A group's counts on one CPU, and the CPU's share of the group's css references; its own pair of lines.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct MemcgStatCpu
{
    /// <summary>Bytes of one entry: 128, so that neighbours of the next group never share a line pair.</summary>
    public const int Bytes = 128;
    /// <summary>Number of items.</summary>
    public const int Items = 8;

    /// <summary>O: this CPU's share of the css reference count (percpu_ref).</summary>
    [FieldOffset(0)] public AtomicLong CssRef;
    /// <summary>O: first of <see cref="Items"/> counts, written by this CPU only, read by whoever sums.</summary>
    [FieldOffset(64)] public AtomicLong First;

    /// <summary>All counts zero.</summary>
    public static void Init(MemcgStatCpu* stat)
    {
        AtomicLong.Init(&stat->CssRef, 0);
        for (int i = 0; i < Items; i++) AtomicLong.Init(&stat->First + i, 0);
    }

    /// <summary>Adds on this CPU: load and store, no lock; this_cpu_add is one instruction, so no interrupt comes between the two.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(MemcgStatCpu* stat, MemcgStatItem item, long n)
    {
        AtomicLong* cell = &stat->First + (int)item;
        Machine.IrqOff();
        AtomicLong.Store(cell, AtomicLong.Load(cell) + n);
        Machine.IrqOn();
    }
}

/// <summary>Sums of a group's per-CPU counts.</summary>
public static unsafe class MemcgStat
{
    /// <summary>Sum over CPUs; exact only when no CPU is inside an operation on the group.</summary>
    public static long Read(Memcg* memcg, MemcgStatItem item)
    {
        MemcgTree* tree = Memcg.TreeOf(memcg);
        long sum = 0;
        for (int cpu = 0; cpu < Guarded<int>.Get(&tree->Cpus); cpu++)
            sum += AtomicLong.Load(&MemcgTree.Stat(tree, memcg, cpu)->First + (int)item);
        return sum;
    }

    /// <summary>
    /// The counts of a group that is offline become its parent's (7.1, v1 items). No CPU counts for it any more (H7). What swap entries record
    /// stays: they still name it.
    /// </summary>
    internal static void MoveToParent(in ThisCpu cpu, Memcg* memcg, Memcg* parent)
    {
        for (MemcgStatItem item = 0; (int)item < MemcgStatCpu.Items; item++)
        {
            if (item == MemcgStatItem.Swap) continue;
            long n = Read(memcg, item);
            MemcgStatCpu.Add(Memcg.OnCpu(in cpu, memcg), item, -n);
            MemcgStatCpu.Add(Memcg.OnCpu(in cpu, parent), item, n);
        }
    }
}
