// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Allocator;

/// <summary>References, flags and the lock of a page. Linux: include/linux/page_ref.h, page-flags.h, pagemap.h.</summary>
public static unsafe class PageOps
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    // References.

    /// <summary>get_page: the caller has a reference already. Its put is <see cref="PutAndTest"/>.</summary>
    [MethodImpl(Inline)]
    public static void Get(Page* page) => AtomicInt.Add(&page->RefCount, 1);

    /// <summary>get_page_unless_zero: false when the page is free or frozen. Its put is <see cref="PutAndTest"/>.</summary>
    [MethodImpl(Inline)]
    public static bool GetUnlessZero(Page* page)
    {
        for (int seen = AtomicInt.Load(&page->RefCount); seen != 0;)
        {
            int was = AtomicInt.CompareExchange(&page->RefCount, seen + 1, seen);
            if (was == seen) return true;
            seen = was; // another CPU's success, so the loop makes progress as a whole
        }
        return false;
    }

    /// <summary>put_page_testzero: true for the one caller that dropped the last reference and must free the page.</summary>
    [MethodImpl(Inline)]
    public static bool PutAndTest(Page* page)
    {
        int left = AtomicInt.AddReturn(&page->RefCount, -1);
        if (left < 0) Bug.Fail("page: put of a page without references (page, refcount)", (long)page, left);
        return left == 0;
    }

    /// <summary>Drops the only reference with a store: only for a page that nobody else can find, so that no getter can race. Then free it.</summary>
    [MethodImpl(Inline)]
    public static void PutExclusive(Page* page) => AtomicInt.Store(&page->RefCount, 0);

    /// <summary>page_ref_freeze: n to 0 if nobody else holds a reference; getters fail from then on.</summary>
    [MethodImpl(Inline)]
    public static bool Freeze(Page* page, int n) => AtomicInt.CompareExchange(&page->RefCount, 0, n) == n;

    /// <summary>page_ref_unfreeze: 0 to n by whoever froze it; what it wrote is visible to the next getter (release).</summary>
    [MethodImpl(Inline)]
    public static void Unfreeze(Page* page, int n) => AtomicInt.Store(&page->RefCount, n);

    /// <summary>page_count.</summary>
    [MethodImpl(Inline)]
    public static int Count(Page* page) => AtomicInt.Load(&page->RefCount);

    // Flags. bits may name several; the test forms say whether any of them was set.

    /// <summary>True when any of bits is set.</summary>
    [MethodImpl(Inline)]
    public static bool Test(Page* page, long bits) => (AtomicLong.Load(&page->Flags) & bits) != 0;

    /// <summary>SetPage*: one locked or.</summary>
    [MethodImpl(Inline)]
    public static void Set(Page* page, long bits) => AtomicLong.Or(&page->Flags, bits);

    /// <summary>ClearPage*: one locked and.</summary>
    [MethodImpl(Inline)]
    public static void Clear(Page* page, long bits) => AtomicLong.And(&page->Flags, ~bits);

    /// <summary>TestSetPage*: true when any was set before.</summary>
    [MethodImpl(Inline)]
    public static bool TestAndSet(Page* page, long bits) => (AtomicLong.FetchOr(&page->Flags, bits) & bits) != 0;

    /// <summary>TestClearPage*: true when any was set before.</summary>
    [MethodImpl(Inline)]
    public static bool TestAndClear(Page* page, long bits) => (AtomicLong.FetchAnd(&page->Flags, ~bits) & bits) != 0;

    /// <summary>__SetPage*: a load and a store. Only while no other CPU changes any flag of this page: fresh from the allocator, or after its last
    /// put. Others may look (the buddy of a block that is being freed, walkers by pfn) and see the word before or after.</summary>
    [MethodImpl(Inline)]
    public static void SetExclusive(Page* page, long bits) => AtomicLong.RacyStore(&page->Flags, AtomicLong.RacyLoad(&page->Flags) | bits);

    /// <summary>__ClearPage*: as <see cref="SetExclusive"/>.</summary>
    [MethodImpl(Inline)]
    public static void ClearExclusive(Page* page, long bits) => AtomicLong.RacyStore(&page->Flags, AtomicLong.RacyLoad(&page->Flags) & ~bits);

    // The page lock.

    /// <summary>trylock_page.</summary>
    [MethodImpl(Inline)]
    public static bool TryLock(Page* page) => !TestAndSet(page, PageFlags.Locked);

    /// <summary>lock_page: waits for the holder. Linux sleeps; here the waiter polls and yields its CPU after a while.</summary>
    [MethodImpl(Inline)]
    public static void Lock(Page* page)
    {
        if (!TryLock(page)) LockSlow(page);
    }

    /// <summary>unlock_page: what the holder wrote is visible to the next one.</summary>
    [MethodImpl(Inline)]
    public static void Unlock(Page* page)
    {
        if (!Test(page, PageFlags.Locked)) Bug.Fail("page: unlock of a page that is not locked", (long)page);
        Clear(page, PageFlags.Locked);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void LockSlow(Page* page)
    {
        do
        {
            long seen = AtomicLong.Load(&page->Flags);
            // Ended by the holder's Unlock. Any other flag's change wakes us too, and we look again.
            while ((seen & PageFlags.Locked) != 0) seen = AtomicLong.AwaitNot(&page->Flags, seen);
        }
        while (!TryLock(page));
    }

    // Shape.

    /// <summary>list_entry(node, struct page, lru).</summary>
    [MethodImpl(Inline)]
    public static Page* OfLru(ListHead* node) => (Page*)((byte*)node - Page.LruOffset);

    /// <summary>page_to_nid, as the dense index of the node.</summary>
    [MethodImpl(Inline)]
    public static int NodeIndex(Page* page) => PageFlags.NodeIndex(AtomicLong.Load(&page->Flags));
}
