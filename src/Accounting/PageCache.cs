// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using TreeLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>
/// Which page holds page index of a file: one hash over (file, index) with striped locks that stand for the tree locks of Linux. A chain runs
/// through page->private, which a file page does not need. Linux: mm/filemap.c, radix tree of struct address_space.
/// </summary>
/// <remarks>The page lock is held by whoever adds or removes; the cache holds a reference. No memcg lock is taken under a stripe (A15).</remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = HeadBytes)]
public unsafe struct PageCache
{
    /// <summary>Bytes of the head; locks and buckets follow.</summary>
    public const int HeadBytes = 128;
    private const int Stripes = 64;

    [FieldOffset(0)] private Guarded<int> mask;

    /// <summary>Bytes of a cache with a power of two of buckets.</summary>
    public static long TableBytes(int buckets) => HeadBytes + Stripes * CacheLine.Size + buckets * 8L;

    /// <summary>Makes an empty cache on <see cref="TableBytes"/> of memory.</summary>
    public static void Init(PageCache* cache, int buckets)
    {
        Guarded<int>.Set(&cache->mask, buckets - 1);
        for (int i = 0; i < Stripes; i++) TreeLock.Init(Stripe(cache, i));
        for (int i = 0; i < buckets; i++) GuardedPtr<Page>.Set(Bucket(cache, i), null);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static PageCache* Of(in ThisCpu cpu) => (PageCache*)Guarded<nint>.Get(&GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(cpu)->Tree)->PageCache);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static LockWord* Stripe(PageCache* cache, int bucket) => (LockWord*)((byte*)cache + HeadBytes + (bucket & (Stripes - 1)) * CacheLine.Size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static GuardedPtr<Page>* Bucket(PageCache* cache, int bucket) => (GuardedPtr<Page>*)((byte*)cache + HeadBytes + Stripes * CacheLine.Size) + bucket;

    /// <summary>Neighbours lie in neighbouring buckets, hence under different stripes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int BucketOf(PageCache* cache, FileSpace* file, long index) => (int)(((nint)file >> 6) * 0x61c88647L + index) & Guarded<int>.Get(&cache->mask);

    private static Page* Next(Page* page) => (Page*)AtomicLong.Load(&page->Private);

    private static Page* Walk(PageCache* cache, int bucket, FileSpace* file, long index)
    {
        Page* page = GuardedPtr<Page>.Get(Bucket(cache, bucket));
        while (page != null && (PageMapping.FileOf(page) != file || AtomicLong.Load(&page->Index) != index)) page = Next(page);
        return page;
    }

    /// <summary>find_get_page: the page with a reference, or null. It may be truncated at once: lock it and look at its mapping again.</summary>
    public static Page* Find(in ThisCpu cpu, FileSpace* file, long index)
    {
        PageCache* cache = Of(cpu);
        int bucket = BucketOf(cache, file, index);
        TreeLock.Acquire(cpu, Stripe(cache, bucket));
        Page* page = Walk(cache, bucket, file, index);
        if (page != null && !PageOps.GetUnlessZero(page)) page = null; // frozen: on its way out or being replaced
        TreeLock.Release(cpu, Stripe(cache, bucket));
        return page;
    }

    /// <summary>add_to_page_cache: false when index has a page already. page is locked and in no mapping.</summary>
    public static bool TryAdd(in ThisCpu cpu, FileSpace* file, long index, Page* page)
    {
        PageCache* cache = Of(cpu);
        int bucket = BucketOf(cache, file, index);
        TreeLock.Acquire(cpu, Stripe(cache, bucket));
        bool free = Walk(cache, bucket, file, index) == null;
        if (free)
        {
            PageOps.Get(page); // the cache's; put by Remove's caller or frozen away
            PageMapping.SetFile(page, file, index);
            AtomicLong.Store(&page->Private, (long)GuardedPtr<Page>.Get(Bucket(cache, bucket)));
            GuardedPtr<Page>.Set(Bucket(cache, bucket), page);
            AtomicLong.Add(&file->Pages, 1);
        }
        TreeLock.Release(cpu, Stripe(cache, bucket));
        return free;
    }

    private static void Unlink(PageCache* cache, int bucket, Page* page, Page* heir)
    {
        Page* next = heir == null ? Next(page) : heir;
        if (heir != null) AtomicLong.Store(&heir->Private, (long)Next(page));
        Page* at = GuardedPtr<Page>.Get(Bucket(cache, bucket));
        if (at == page)
        {
            GuardedPtr<Page>.Set(Bucket(cache, bucket), next);
            return;
        }
        for (; at != null; at = Next(at))
            if (Next(at) == page)
            {
                AtomicLong.Store(&at->Private, (long)next);
                return;
            }
        Bug.Fail("page cache: a page is not in its bucket (page, index)", (long)page, AtomicLong.Load(&page->Index));
    }

    /// <summary>
    /// Takes a locked page out; the cache's reference is the caller's now, and so is the event OnCacheRemoved, outside this lock. With freeze it
    /// is the count that must be all there is (__remove_mapping), and the page comes out without references; false when it is not, or is dirty.
    /// </summary>
    public static bool TryRemove(in ThisCpu cpu, Page* page, int freeze = 0)
    {
        PageCache* cache = Of(cpu);
        FileSpace* file = PageMapping.FileOf(page);
        int bucket = BucketOf(cache, file, AtomicLong.Load(&page->Index));
        TreeLock.Acquire(cpu, Stripe(cache, bucket));
        bool ours = freeze == 0 || PageOps.Freeze(page, freeze);
        if (ours && freeze != 0 && PageOps.Test(page, PageFlags.Dirty))
        {
            PageOps.Unfreeze(page, freeze);
            ours = false;
        }
        if (ours)
        {
            Unlink(cache, bucket, page, null);
            PageMapping.Clear(page);
            AtomicLong.Add(&file->Pages, -1);
        }
        TreeLock.Release(cpu, Stripe(cache, bucket));
        return ours;
    }

    /// <summary>
    /// page takes old's place; both locked. With freeze it is the count old must have (migration): old keeps its mapping, so that its entries are
    /// found again. Without (replace_page_cache) old belongs to no file afterwards. Either way the cache's reference to old becomes the caller's.
    /// </summary>
    public static bool TryReplace(in ThisCpu cpu, Page* old, Page* page, int freeze = 0)
    {
        PageCache* cache = Of(cpu);
        int bucket = BucketOf(cache, PageMapping.FileOf(old), AtomicLong.Load(&old->Index));
        TreeLock.Acquire(cpu, Stripe(cache, bucket));
        bool ours = freeze == 0 || PageOps.Freeze(old, freeze);
        if (ours)
        {
            PageOps.Get(page); // the cache's
            PageMapping.CopyPlace(old, page);
            Unlink(cache, bucket, old, page);
            if (freeze != 0) PageOps.Unfreeze(old, freeze);
            else PageMapping.Clear(old);
        }
        TreeLock.Release(cpu, Stripe(cache, bucket));
        return ours;
    }
}
