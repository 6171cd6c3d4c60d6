// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Links to the book the page was taken from, whoever owns it by now (B4).</summary>
internal readonly unsafe struct PutbackToCachedBook : IBookPutback
{
    public static void Putback<TLru>(in ThisCpu cpu, Book* cached) where TLru : struct, ILruDesign
    {
        Page* page = OnePage<TLru, OwnerWord>.Page;
        Machine.IrqOff();
        TestAndSetLock.Acquire(cpu, &cached->Lock);
        Book.UnmarkIsolated(page);
        Lruvec.Add(&cached->Vec, page, LruList.InactiveAnon);
        PageOps.Set(page, PageFlags.Lru);
        TestAndSetLock.Release(cpu, &cached->Lock);
        Machine.IrqOn();
        AtomicLong.Add(&cached->Isolated, -1);
        PageOps.PutAndTest(page);
    }
}
