// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Pages a CPU has handed to the device. They come back in its irq role at the next poll point, or at once when the queue is full or somebody
/// must wait for a page: a device that is never late. Linux: submit_bio, end_page_writeback, rotate_reclaimable_page.
/// </summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 512)]
public unsafe struct IoQueue
{
    /// <summary>Pages in flight per CPU.</summary>
    public const int Size = 32;
    /// <summary>Where it lies in the CPU's area: behind the pagevec.</summary>
    public const int Offset = Pagevec.Offset + 256;

    /// <summary>A: the completion, raised in this CPU's irq role.</summary>
    [FieldOffset(0)] internal CpuWork Work;
    /// <summary>C: pages in flight.</summary>
    [FieldOffset(64)] internal Guarded<int> Count;
    /// <summary>C: first of <see cref="Size"/> pages, each with a reference.</summary>
    [FieldOffset(72)] internal GuardedPtr<Page> First;

    internal static IoQueue* Of(CpuArea* area) => (IoQueue*)((byte*)area + Offset);

    /// <summary>An idle device.</summary>
    public static void Init<TC>(CpuArea* area) where TC : struct, IMemoryController
    {
        CpuWork.Init(&Of(area)->Work, &Interrupt<TC>);
        Guarded<int>.Set(&Of(area)->Count, 0);
    }

    private static void Interrupt<TC>(in ThisCpu cpu, CpuWork* work) where TC : struct, IMemoryController => Writeback.CompleteOwn<TC>(cpu);
}

/// <summary>Dirty pages on their way to the device.</summary>
public static unsafe class Writeback
{
    /// <summary>pageout: page is locked, dirty and not under writeback; it becomes clean now and comes back in the irq role.</summary>
    public static void Start<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        PageOps.Clear(page, PageFlags.Dirty);
        PageStat stat = PageStat.Begin<TC>(cpu, page);
        if (!PageOps.TestAndSet(page, PageFlags.Writeback)) stat.Add(cpu, MemcgStatItem.Writeback, 1);
        stat.End(cpu);
        PageOps.Get(page); // the device's; put by CompleteOwn
        IoQueue* queue = IoQueue.Of(cpu.Area);
        int n = Guarded<int>.Get(&queue->Count);
        GuardedPtr<Page>.Set(&queue->First + n, page);
        Guarded<int>.Set(&queue->Count, n + 1);
        if (n == 0) Irq.Raise(cpu.Area, &queue->Work);
        if (n + 1 == IoQueue.Size) CompleteOwn<TC>(cpu);
    }

    /// <summary>
    /// end_page_writeback for all pages of this CPU: also what a waiter does before it blocks, or two waiters could each hold what the other's
    /// device waits for. Holds no lock on entry, but may hold page locks; may be a page's final put.
    /// </summary>
    public static void CompleteOwn<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        Page** pages = stackalloc Page*[IoQueue.Size];
        IoQueue* queue = IoQueue.Of(cpu.Area);
        int n = Guarded<int>.Get(&queue->Count);
        if (n == 0) return;
        for (int i = 0; i < n; i++) pages[i] = GuardedPtr<Page>.Get(&queue->First + i);
        Guarded<int>.Set(&queue->Count, 0);
        TC.LruRotate(cpu, pages, n); // reclaim wanted them: next in line
        for (int i = 0; i < n; i++) End<TC>(cpu, pages[i]);
        Mm.ReleasePages<TC>(cpu, pages, n);
    }

    /// <summary>test_clear_page_writeback. The owner is looked up before the flag falls: afterwards migration may give the charge to another page (C6).</summary>
    private static void End<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        PageStat stat = PageStat.Begin<TC>(cpu, page);
        if (PageOps.TestAndClear(page, PageFlags.Writeback)) stat.Add(cpu, MemcgStatItem.Writeback, -1);
        stat.End(cpu);
    }

    /// <summary>wait_on_page_writeback: this CPU's own at once, another's until its irq role has run.</summary>
    public static void Wait<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        if (!PageOps.Test(page, PageFlags.Writeback)) return;
        CompleteOwn<TC>(cpu);
        long seen = AtomicLong.Load(&page->Flags);
        while ((seen & PageFlags.Writeback) != 0) seen = AtomicLong.AwaitNot(&page->Flags, seen); // ended by the CPU that started it, at its poll point
    }

    /// <summary>lock_page for whoever may have pages in flight: they come back first.</summary>
    public static void LockPage<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        if (PageOps.TryLock(page)) return;
        CompleteOwn<TC>(cpu);
        PageOps.Lock(page);
    }
}
