// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using SwapLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>
/// One swap device: who uses each entry, which page caches it, which group pays for it. Nothing is written anywhere: the device is as fast
/// as its books. Linux: struct swap_info_struct, swap_map, swapper_space, swap_cgroup.
/// </summary>
/// <remarks>Lock order: page lock, page-table lock, cache lock, swap lock. The ids need neither (compare-exchange, as 6.18; a lock in 3.14).</remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct SwapDevice
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 512;
    /// <summary>SWAP_HAS_CACHE: the swap cache's own use of an entry.</summary>
    public const int HasCache = 0x40;

    /// <summary>I: entries.</summary>
    [FieldOffset(0)] public Guarded<int> Entries;
    /// <summary>I: first of Entries use counts (Guarded&lt;byte&gt;); L: swap lock: page table entries that name it, and <see cref="HasCache"/>.</summary>
    [FieldOffset(8)] internal Guarded<nint> Map;
    /// <summary>I: first word of memcg ids, two of 16 bits in each.</summary>
    [FieldOffset(16)] internal Guarded<nint> Ids;
    /// <summary>I: first of Entries cached pages (GuardedPtr&lt;Page&gt;); L: cache lock.</summary>
    [FieldOffset(24)] internal Guarded<nint> Cache;
    /// <summary>I: first of Entries free entries (Guarded&lt;int&gt;), a stack; L: swap lock.</summary>
    [FieldOffset(32)] internal Guarded<nint> Stack;

    /// <summary>swap_lock.</summary>
    [FieldOffset(128)] internal LockWord Lock;
    /// <summary>L: swap lock: entries on the stack.</summary>
    [FieldOffset(136)] internal Guarded<int> Free;
    /// <summary>swapper_space.tree_lock.</summary>
    [FieldOffset(256)] internal LockWord CacheLock;

    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Bytes the tables of a device with entries need.</summary>
    public static long TableBytes(int entries) => entries * 8L + (entries + 1) / 2 * 4L + entries * 4L + entries;

    /// <summary>Makes an empty device on zeroed memory of <see cref="TableBytes"/>.</summary>
    public static void Init(SwapDevice* device, int entries, byte* tables)
    {
        Guarded<int>.Set(&device->Entries, entries);
        Guarded<nint>.Set(&device->Cache, (nint)tables);
        Guarded<nint>.Set(&device->Ids, (nint)(tables + entries * 8L));
        Guarded<nint>.Set(&device->Stack, (nint)(tables + entries * 8L + (entries + 1) / 2 * 4L));
        Guarded<nint>.Set(&device->Map, (nint)(tables + entries * 8L + (entries + 1) / 2 * 4L + entries * 4L));
        Guarded<int>.Set(&device->Free, entries);
        for (int i = 0; i < entries; i++) Guarded<int>.Set(StackOf(device) + i, entries - 1 - i);
        SwapLock.Init(&device->Lock);
        SwapLock.Init(&device->CacheLock);
    }

    /// <summary>The machine's device, or null without swap.</summary>
    [MethodImpl(Inline)]
    public static SwapDevice* Of(in ThisCpu cpu) => (SwapDevice*)Guarded<nint>.Get(&GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree)->Swap);

    [MethodImpl(Inline)]
    private static Guarded<int>* StackOf(SwapDevice* device) => (Guarded<int>*)Guarded<nint>.Get(&device->Stack);

    /// <summary>Who uses entry; L: swap lock.</summary>
    [MethodImpl(Inline)]
    public static Guarded<byte>* Uses(SwapDevice* device, SwapEntry entry) => (Guarded<byte>*)Guarded<nint>.Get(&device->Map) + entry.Index;

    /// <summary>The page that caches entry, or null; L: cache lock.</summary>
    [MethodImpl(Inline)]
    public static GuardedPtr<Page>* CacheSlot(SwapDevice* device, SwapEntry entry) => (GuardedPtr<Page>*)Guarded<nint>.Get(&device->Cache) + entry.Index;

    /// <summary>get_swap_page: a free entry, used by the swap cache alone; false when the device is full.</summary>
    public static bool TryAlloc(in ThisCpu cpu, SwapDevice* device, out SwapEntry entry)
    {
        SwapLock.Acquire(cpu, &device->Lock);
        int free = Guarded<int>.Get(&device->Free) - 1;
        entry = default;
        if (free >= 0)
        {
            Guarded<int>.Set(&device->Free, free);
            entry = new SwapEntry(Guarded<int>.Get(StackOf(device) + free));
            Guarded<byte>.Set(Uses(device, entry), HasCache);
        }
        SwapLock.Release(cpu, &device->Lock);
        return free >= 0;
    }

    /// <summary>swap_duplicate: one more page table entry names entry. Its put is <see cref="Put"/> with 1.</summary>
    public static void Duplicate(in ThisCpu cpu, SwapDevice* device, SwapEntry entry)
    {
        SwapLock.Acquire(cpu, &device->Lock);
        Guarded<byte>.Set(Uses(device, entry), (byte)(Guarded<byte>.Get(Uses(device, entry)) + 1));
        SwapLock.Release(cpu, &device->Lock);
    }

    /// <summary>swapcache_prepare: the cache uses entry too; false when it does already or nobody uses entry any more.</summary>
    public static bool TryAddCacheUse(in ThisCpu cpu, SwapDevice* device, SwapEntry entry)
    {
        SwapLock.Acquire(cpu, &device->Lock);
        int uses = Guarded<byte>.Get(Uses(device, entry));
        bool ours = uses != 0 && (uses & HasCache) == 0;
        if (ours) Guarded<byte>.Set(Uses(device, entry), (byte)(uses | HasCache));
        SwapLock.Release(cpu, &device->Lock);
        return ours;
    }

    /// <summary>page_swapcount: page table entries that name entry; stale at once unless the caller excludes others.</summary>
    public static int Users(in ThisCpu cpu, SwapDevice* device, SwapEntry entry)
    {
        SwapLock.Acquire(cpu, &device->Lock);
        int users = Guarded<byte>.Get(Uses(device, entry)) & ~HasCache;
        SwapLock.Release(cpu, &device->Lock);
        return users;
    }

    /// <summary>
    /// swap_free with 1, swapcache_free with <see cref="HasCache"/> and the page that left the cache. Without users the group's record goes; without
    /// any use the entry is free. Everything in one hold of the lock: a record written later would outlive its entry. Returns users left.
    /// </summary>
    public static int Put<TC>(in ThisCpu cpu, SwapDevice* device, SwapEntry entry, int use, Page* uncached = null) where TC : struct, IMemoryController
    {
        SwapLock.Acquire(cpu, &device->Lock);
        int uses = Guarded<byte>.Get(Uses(device, entry));
        if (uses == 0 || (use == HasCache ? (uses & HasCache) == 0 : (uses & ~HasCache) == 0))
            Bug.Fail("swap: put of an entry that has no such use (entry, uses)", entry.Index, uses);
        uses -= use;
        Guarded<byte>.Set(Uses(device, entry), (byte)uses);
        int users = uses & ~HasCache;
        if (uncached != null) TC.OnSwapCacheDeleted(cpu, uncached, entry, swapOut: users != 0);
        if (users == 0) SwapRecord.Uncharge<TC>(cpu, device, entry);
        if (uses == 0)
        {
            int free = Guarded<int>.Get(&device->Free);
            Guarded<int>.Set(StackOf(device) + free, entry.Index);
            Guarded<int>.Set(&device->Free, free + 1);
        }
        SwapLock.Release(cpu, &device->Lock);
        return users;
    }

    /// <summary>Entries in use; exact at quiescence.</summary>
    public static int Used(SwapDevice* device) => Guarded<int>.Get(&device->Entries) - Guarded<int>.Get(&device->Free);
    /// <summary>Is entry in use? Exact at quiescence.</summary>
    public static bool IsUsed(SwapDevice* device, SwapEntry entry) => Guarded<byte>.Get(Uses(device, entry)) != 0;
}
