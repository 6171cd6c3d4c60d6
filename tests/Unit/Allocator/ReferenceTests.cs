// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Concurrent;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Face = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

/// <summary>Random operations against an allocator so simple that it is obviously right: one bit per frame.</summary>
public sealed unsafe class ReferenceTests
{
    private sealed class Reference(int frames)
    {
        private readonly bool[] used = new bool[frames];
        public int Used { get; private set; }

        public void Set(long pfn, int order, bool value)
        {
            Span<bool> block = used.AsSpan((int)pfn, 1 << order);
            if (block.Contains(value)) Assert.Fail($"pfn {pfn}, order {order}: part of it was {(value ? "in use" : "free")} already");
            block.Fill(value);
            Used += value ? 1 << order : -(1 << order);
        }

        /// <summary>Free blocks per order if every two free buddies are one.</summary>
        public long[] Blocks()
        {
            long[] blocks = new long[Order.Count];
            for (int pfn = 0; pfn < frames; pfn += 1 << Order.MaxValue) Count(pfn, Order.MaxValue, blocks);
            return blocks;
        }

        private void Count(int pfn, int order, long[] blocks)
        {
            if (!used.AsSpan(pfn, 1 << order).Contains(true)) blocks[order]++;
            else if (order > 0)
            {
                Count(pfn, order - 1, blocks);
                Count(pfn + (1 << (order - 1)), order - 1, blocks);
            }
        }
    }

    [Theory, InlineData(1), InlineData(2)]
    public void A_million_random_operations_agree_with_one_bit_per_frame(int seed)
    {
        // A list of one page drains at once, so zones hold exactly what the reference says, and failure is exact too.
        using AllocatorBox box = new(AllocatorBox.OneNode(16) with { Batch = 1, High = 1 });
        ThisCpu cpu = box.Cpu();
        Reference reference = new(4096);
        List<(long Pfn, int Order)> held = [];
        Random random = new(seed);
        int failures = 0;
        for (int op = 0; op < 1_000_000; op++)
        {
            if (op % 100_000 == 0) Agree(box, reference, seed, op);
            bool filling = (op / 5000) % 2 == 0;
            if (held.Count == 0 || random.Next(100) < (filling ? 55 : 45))
            {
                int order = Math.Min(random.Next(24), random.Next(24)) is var o && o > 10 ? 0 : o;
                Page* page = Face.Alloc(in cpu, Gfp.Kernel, order);
                if (page == null)
                {
                    if (failures++ % 64 == 0)
                        Assert.True(reference.Blocks().AsSpan(order).IndexOfAnyExcept(0L) < 0, $"seed {seed}, operation {op}: order {order} refused");
                    continue;
                }
                long pfn = box.Pfn(page);
                if (!Buddy.Aligned(pfn, order)) Assert.Fail($"seed {seed}, operation {op}: order {order} at {pfn}");
                reference.Set(pfn, order, true);
                held.Add((pfn, order));
            }
            else
            {
                int at = random.Next(held.Count);
                (long pfn, int order) = held[at];
                held[at] = held[^1];
                held.RemoveAt(held.Count - 1);
                reference.Set(pfn, order, false);
                AllocatorBox.PutAndFree(in cpu, box.Page(pfn), order);
            }
        }
        Assert.True(failures > 100, "the test never met an exhausted zone");
        foreach ((long pfn, int order) in held)
        {
            reference.Set(pfn, order, false);
            AllocatorBox.PutAndFree(in cpu, box.Page(pfn), order);
        }
        Agree(box, reference, seed, -1);
        Assert.Empty(AllocatorCheck.AllBack(box.Memory));
    }

    private static void Agree(AllocatorBox box, Reference reference, int seed, int op)
    {
        Assert.Empty(AllocatorCheck.Run(box.Memory));
        NodeStat stat = AllocatorStat.Of(box.Memory).Nodes[0];
        Assert.True(reference.Used == stat.AllocatedPages && reference.Blocks().AsSpan().SequenceEqual(stat.FreeBlocks.ToArray()),
            $"seed {seed}, operation {op}: free blocks differ");
    }

    [Theory, InlineData(2), InlineData(4)]
    public void Threads_that_free_each_others_pages_lose_none(int threads)
    {
        MemoryPlan plan = new([new(new(0), new(0), 8 << 20), new(new(1), new(1), 8 << 20)]) { Batch = 5, High = 12, Watermarks = Watermarks.FromMin(16) };
        using AllocatorBox box = new(plan, threads, cpu => cpu % 2);
        int[] owner = new int[box.Memory.TotalPages];
        ConcurrentQueue<(nint Page, int Order)> exchange = [];
        Exception? failed = null;
        Thread[] all = [.. Enumerable.Range(0, threads).Select(t => new Thread(() =>
        {
            try { Work(box, t, owner, exchange); }
            catch (Exception e) { failed = e; }
        }))];
        foreach (Thread thread in all) thread.Start();
        foreach (Thread thread in all) thread.Join();
        Assert.Null(failed);
        ThisCpu cpu = box.Cpu();
        while (exchange.TryDequeue(out (nint Page, int Order) block)) AllocatorBox.PutAndFree(in cpu, (Page*)block.Page, block.Order);
        Assert.Empty(AllocatorCheck.Run(box.Memory));
        box.DrainAll();
        Assert.Empty(AllocatorCheck.Run(box.Memory));
        Assert.Empty(AllocatorCheck.AllBack(box.Memory));
    }

    private static void Work(AllocatorBox box, int id, int[] owner, ConcurrentQueue<(nint Page, int Order)> exchange)
    {
        ThisCpu cpu = box.Cpu(id);
        Random random = new(id);
        List<(nint Page, int Order)> held = [];
        for (int op = 0; op < 150_000; op++)
        {
            if (held.Count < 600 && random.Next(100) < 52)
            {
                int order = random.Next(16) == 0 ? random.Next(6) : 0;
                Page* page = Face.Alloc(in cpu, Gfp.Kernel, order);
                if (page == null) continue;
                for (int i = 0; i < 1 << order; i++)
                    if (Interlocked.Exchange(ref owner[box.Pfn(page) + i], id + 1) != 0) Assert.Fail($"pfn {box.Pfn(page) + i} was handed out twice");
                held.Add(((nint)page, order));
            }
            else if (held.Count > 0)
            {
                int at = random.Next(held.Count);
                (nint page, int order) = held[at];
                held[at] = held[^1];
                held.RemoveAt(held.Count - 1);
                for (int i = 0; i < 1 << order; i++) Volatile.Write(ref owner[box.Pfn((Page*)page) + i], 0);
                if (op % 4 == 0)
                {
                    exchange.Enqueue((page, order));
                    if (!exchange.TryDequeue(out (nint Page, int Order) other)) continue;
                    (page, order) = other;
                }
                AllocatorBox.PutAndFree(in cpu, (Page*)page, order);
            }
        }
        foreach ((nint page, int order) in held)
        {
            for (int i = 0; i < 1 << order; i++) Volatile.Write(ref owner[box.Pfn((Page*)page) + i], 0);
            exchange.Enqueue((page, order));
        }
    }
}
