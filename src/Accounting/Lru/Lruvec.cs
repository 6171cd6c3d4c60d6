// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Five lists and their lengths, without a lock: whoever calls holds the one its design names. Linux: struct lruvec (3.3) with
/// mem_cgroup_per_zone.lru_size.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct Lruvec
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 128;
    /// <summary>Number of lists.</summary>
    public const int Lists = 5;

    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [FieldOffset(0)] private ListHead head;
    [FieldOffset(80)] private AtomicLong count;

    /// <summary>L: head of one list.</summary>
    [MethodImpl(Inline)]
    public static ListHead* Head(Lruvec* v, LruList list) => &v->head + (int)list;

    /// <summary>Length of one list in pages: exact under the lock; reclaim reads it without, and may be off by what the holder does.</summary>
    [MethodImpl(Inline)]
    public static long Count(Lruvec* v, LruList list) => AtomicLong.RacyLoad(&v->count + (int)list);

    /// <summary>Five empty lists.</summary>
    public static void Init(Lruvec* v)
    {
        for (LruList list = 0; list <= LruList.Unevictable; list++)
        {
            IntrusiveList.Init(Head(v, list));
            AtomicLong.Init(&v->count + (int)list, 0);
        }
    }

    /// <summary>page_lru: the list flags put a page on.</summary>
    [MethodImpl(Inline)]
    public static LruList ListOf(long flags)
    {
        if ((flags & PageFlags.Unevictable) != 0) return LruList.Unevictable;
        return (LruList)(((flags & PageFlags.SwapBacked) != 0 ? 0 : 2) + ((flags & PageFlags.Active) != 0 ? 1 : 0));
    }

    /// <summary>
    /// Would activation or rotation move a page with these flags? activate_page (3.3; 2.6.29 took the lock first) and rotate_reclaimable_page
    /// ask before they queue it, and again under the lock: pages that stay cost no look at whose they are.
    /// </summary>
    [MethodImpl(Inline)]
    public static bool Requeues(long flags) => (flags & (PageFlags.Lru | PageFlags.Active | PageFlags.Unevictable)) == PageFlags.Lru;

    /// <summary>add_page_to_lru_list.</summary>
    [MethodImpl(Inline)]
    public static void Add(Lruvec* v, Page* page, LruList list)
    {
        IntrusiveList.Add(Head(v, list), &page->Lru);
        Resize(v, list, 1);
        if (DebugVm.On) CheckLength(v, list);
    }

    /// <summary>The same at the tail: to be reclaimed next.</summary>
    [MethodImpl(Inline)]
    public static void AddTail(Lruvec* v, Page* page, LruList list)
    {
        IntrusiveList.AddTail(Head(v, list), &page->Lru);
        Resize(v, list, 1);
        if (DebugVm.On) CheckLength(v, list);
    }

    /// <summary>del_page_from_lru_list.</summary>
    [MethodImpl(Inline)]
    public static void Delete(Lruvec* v, Page* page, LruList list)
    {
        IntrusiveList.Remove(&page->Lru);
        Resize(v, list, -1);
        if (DebugVm.On) CheckLength(v, list);
    }

    /// <summary>B-I2, each time that the length passes 15, 31, 47...: often enough to be soon, seldom enough for long lists.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void CheckLength(Lruvec* v, LruList list)
    {
        long length = Count(v, list);
        if ((length & 15) != 15) return;
        long walk = IntrusiveList.Walk(Head(v, list));
        if (walk != length) Bug.Fail("lru: a list's length is not its walk (length, walk)", length, walk);
    }

    /// <summary>mem_cgroup_update_lru_size.</summary>
    [MethodImpl(Inline)]
    public static void Resize(Lruvec* v, LruList list, long pages)
    {
        long now = Count(v, list) + pages;
        if (now < 0) Bug.Fail("lru: list shorter than what is taken off it (list, length after)", (long)list, now);
        AtomicLong.RacyStore(&v->count + (int)list, now);
    }

    /// <summary>Walks every list under the caller's lock: links agree, lengths are right, each page is on the list its flags name and owner accepts it.</summary>
    public static void Check<TPc>(in ThisCpu cpu, Lruvec* v, Memcg* memcg, int node, ICollection<string> wrong) where TPc : struct, IPageCgroupDesign
    {
        int id = Guarded<int>.Get(&memcg->Id);
        for (LruList list = 0; list <= LruList.Unevictable; list++)
        {
            long length = IntrusiveList.Walk(Head(v, list));
            if (length != Count(v, list)) wrong.Add($"lru: group {id} node {node} {list}: count {Count(v, list)}, walk {length}");
            for (ListHead* at = IntrusiveList.First(Head(v, list)); at != Head(v, list); at = IntrusiveList.NextOf(at))
            {
                Page* page = PageOps.OfLru(at);
                long flags = AtomicLong.Load(&page->Flags);
                if ((flags & PageFlags.Lru) == 0) wrong.Add($"lru: group {id} node {node} {list}: page {(nint)page:x} without the LRU bit");
                if (ListOf(flags) != list) wrong.Add($"lru: group {id} node {node} {list}: page {(nint)page:x} belongs on {ListOf(flags)}");
                if (PageFlags.NodeIndex(flags) != node) wrong.Add($"lru: group {id} node {node} {list}: page {(nint)page:x} is of node {PageFlags.NodeIndex(flags)}");
                Memcg* owner = TPc.OwnerOf(cpu, page, out _);
                if (owner == null) owner = MemcgTree.Root(Memcg.TreeOf(memcg));
                if (owner != memcg) wrong.Add($"lru: group {id} node {node} {list}: page {(nint)page:x} belongs to group {Guarded<int>.Get(&owner->Id)}");
            }
        }
    }
}
