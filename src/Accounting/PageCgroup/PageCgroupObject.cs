// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// What stood between a page and its group in 2008, as long as the page was charged. Linux: struct page_cgroup, mm/memcontrol.c 2.6.25 to
/// 2.6.27 (40 bytes) and its form in the lockless series (48).
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = CorrectedBytes)]
public unsafe struct PageCgroupObject
{
    /// <summary>2.6.27: list, page, group, flags.</summary>
    public const int BaselineBytes = 40;
    /// <summary>The 2008 series: flags grow to a word, and a link for the sink.</summary>
    public const int PostedBytes = 48;
    /// <summary>With the RCU head inside (A17), so that freeing needs no allocation: one line.</summary>
    public const int CorrectedBytes = 64;
    /// <summary>Offset of <see cref="Rcu"/>, for container_of.</summary>
    public const int RcuOffset = 48;

    /// <summary>PAGE_CGROUP_FLAG_CACHE: charged as page cache.</summary>
    public const long Cache = 1;
    /// <summary>Uncharged, and linked until the grace period is over; set once, never cleared (A-I4).</summary>
    public const long Obsolete = 2;
    /// <summary>Marks the end of a sink, so that 0 means "in none".</summary>
    internal const nint SinkEnd = 1;

    private const int ListShift = 8;
    private const long ListMask = 7L << ListShift;

    /// <summary>L: the zone info's lock: node on the group's own list; first, so that a node's address is the object's.</summary>
    [FieldOffset(0)] public ListHead Lru;
    /// <summary>I: the page; set before the object is published.</summary>
    [FieldOffset(16)] public GuardedPtr<Page> Page;
    /// <summary>I: the group; set before the object is published.</summary>
    [FieldOffset(24)] public GuardedPtr<Memcg> Memcg;
    /// <summary>A: <see cref="Cache"/>, <see cref="Obsolete"/>, and which list it is on (L: the zone info's lock).</summary>
    [FieldOffset(32)] public AtomicLong Flags;
    /// <summary>C: next object of the uncharging CPU's sink; 0 in none. Not part of the 40 bytes.</summary>
    [FieldOffset(40)] public Guarded<nint> Next;
    /// <summary>C: of the first object of a sink on its way through RCU. Not part of the 48 bytes.</summary>
    [FieldOffset(RcuOffset)] public RcuHead Rcu;

    /// <summary>Fills an object nobody can see yet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Init(PageCgroupObject* pc, Page* page, Memcg* memcg, bool anon)
    {
        GuardedPtr<Allocator.Page>.Set(&pc->Page, page);
        GuardedPtr<Accounting.Memcg>.Set(&pc->Memcg, memcg);
        AtomicLong.Init(&pc->Flags, (anon ? 0 : Cache) | (long)Lruvec.ListOf(AtomicLong.Load(&page->Flags)) << ListShift);
    }

    /// <summary>Which list flags name.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LruList ListOf(PageCgroupObject* pc) => (LruList)((AtomicLong.Load(&pc->Flags) & ListMask) >> ListShift);

    /// <summary>Changes the list bits by a store: nobody else changes flags.</summary>
    public static void SetListPlain(PageCgroupObject* pc, LruList list) =>
        AtomicLong.Store(&pc->Flags, (AtomicLong.Load(&pc->Flags) & ~ListMask) | (long)list << ListShift);

    /// <summary>Changes them while others may set <see cref="Obsolete"/>. Two steps: only holders of the list's lock read these bits.</summary>
    public static void SetListAtomic(PageCgroupObject* pc, LruList list)
    {
        AtomicLong.And(&pc->Flags, ~ListMask);
        AtomicLong.Or(&pc->Flags, (long)list << ListShift);
    }

    /// <summary>Takes an object from the group's machine-wide cache, or null.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static PageCgroupObject* Alloc(in ThisCpu cpu) => (PageCgroupObject*)KmemCache<NoKmemHook>.Alloc(cpu, AccountingCpu.PageCgroups(cpu), Gfp.Atomic);

    /// <summary>Gives it back.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Free(in ThisCpu cpu, PageCgroupObject* pc) => KmemCache<NoKmemHook>.Free(cpu, AccountingCpu.PageCgroups(cpu), pc);
}
