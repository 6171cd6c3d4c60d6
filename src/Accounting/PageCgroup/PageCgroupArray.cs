// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>One entry per frame in an array on the frame's node, made at boot. Linux: struct page_cgroup, include/linux/page_cgroup.h, 2.6.28 to 3.18.</summary>
public unsafe interface IPageCgroupEntry
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Bytes of one entry.</summary>
    static abstract int Bytes { get; }
    /// <summary>A: the bits; the low end is a lock where there is one.</summary>
    static abstract AtomicLong* Flags(void* entry);
    /// <summary>A: the group; stays when the page stops being charged, as long as the page is on a list.</summary>
    static abstract AtomicPtr<Memcg>* Owner(void* entry);
    /// <summary>The list node, or null.</summary>
    static abstract ListHead* Node(void* entry);
    /// <summary>The page, for a walk from the node; null where there is no node.</summary>
    static abstract GuardedPtr<Page>* PageField(void* entry);
    /// <summary>Offset of the node, for container_of; 0 where there is none.</summary>
    static abstract int NodeOffset { get; }
}

/// <summary>2.6.28 to 2.6.39: flags, group, page, list node. Four of every eight entries lie on two lines.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 40)]
public unsafe struct PageCgroupEntry40 : IPageCgroupEntry
{
    [FieldOffset(0)] private AtomicLong flags;
    [FieldOffset(8)] private AtomicPtr<Memcg> owner;
    [FieldOffset(16)] private GuardedPtr<Page> page;
    [FieldOffset(24)] private ListHead lru;

    /// <inheritdoc/>
    public static string Name => "40";
    /// <inheritdoc/>
    public static int Bytes => 40;
    /// <inheritdoc/>
    public static int NodeOffset => 24;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Flags(void* entry) => &((PageCgroupEntry40*)entry)->flags;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicPtr<Memcg>* Owner(void* entry) => &((PageCgroupEntry40*)entry)->owner;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static ListHead* Node(void* entry) => &((PageCgroupEntry40*)entry)->lru;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<Page>* PageField(void* entry) => &((PageCgroupEntry40*)entry)->page;
}

/// <summary>3.3 to 3.18: flags and group; the page itself is linked. Four neighbours share a line.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 16)]
public unsafe struct PageCgroupEntry16 : IPageCgroupEntry
{
    [FieldOffset(0)] private AtomicLong flags;
    [FieldOffset(8)] private AtomicPtr<Memcg> owner;

    /// <inheritdoc/>
    public static string Name => "16";
    /// <inheritdoc/>
    public static int Bytes => 16;
    /// <inheritdoc/>
    public static int NodeOffset => 0;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicLong* Flags(void* entry) => &((PageCgroupEntry16*)entry)->flags;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static AtomicPtr<Memcg>* Owner(void* entry) => &((PageCgroupEntry16*)entry)->owner;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static ListHead* Node(void* entry) => null;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)] public static GuardedPtr<Page>* PageField(void* entry) => null;
}

/// <summary>From page to entry.</summary>
internal static unsafe class PageCgroupArray
{
    /// <summary>lookup_page_cgroup: pfn, its node's array, index. Every frame has an entry, so there is nothing to test.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void* Lookup(in ThisCpu cpu, Page* page, int entryBytes)
    {
        AccountingNode* node = AccountingCpu.Node(cpu, PageOps.NodeIndex(page));
        long index = MemMap.PfnOf(MemMap.Of(cpu), page).Value - Guarded<long>.Get(&node->StartPfn);
        return GuardedPtr<byte>.Get(&node->PageMetadata) + index * entryBytes;
    }
}
