// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>"Book link is stable" (2012): the page goes back to the book it was isolated from (B4).</summary>
internal readonly unsafe struct ToWhereItWas : IPutback
{
    public static void Run<TLru>(in ThisCpu cpu, Page* page, Book* isolatedFrom) where TLru : struct, ILruDesign
    {
        Machine.IrqOff();
        TicketLock.Acquire(cpu, &isolatedFrom->Lock);
        Lruvec.Add(&isolatedFrom->Vec, page, LruList.InactiveAnon);
        PageOps.Set(page, PageFlags.Lru);
        TicketLock.Release(cpu, &isolatedFrom->Lock);
        Machine.IrqOn();
    }
}

/// <summary>
/// lrucare with the LRU bit: isolate if nobody else did, and change the owner either way. Who won the bit first, and has not taken the lock
/// yet, finds the new owner and takes the page off the old list under the new lock.
/// </summary>
internal readonly unsafe struct WinsBitIfItCan : ISwapIn
{
    public static bool Listed => true;
    public static void Run<TLru>(in ThisCpu cpu, Page* page, Memcg* to) where TLru : struct, ILruDesign
    {
        bool mine = TLru.Isolate<OwnerWord>(cpu, page);
        AtomicLong.Store(&page->Memcg, (long)to);
        if (!mine) return;
        TLru.Putback<OwnerWord>(cpu, &page, 1);
        PageOps.PutAndTest(page);
    }
}
