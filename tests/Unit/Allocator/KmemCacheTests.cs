// SPDX-License-Identifier: GPL-2.0-only
using System.Collections.Concurrent;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Objects = MemcgNative.Allocator.KmemCache<MemcgNative.Allocator.NoKmemHook>;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class KmemCacheTests
{
    [Theory]
    [InlineData(1, 8, false), InlineData(40, 8, false), InlineData(48, 16, false), InlineData(192, 64, false), InlineData(1984, 8, false)]
    [InlineData(1, 1, true), InlineData(40, 8, true), InlineData(100, 64, true), InlineData(1984, 64, true)]
    public void Random_objects_never_overlap_and_all_slabs_go_back(int bytes, int align, bool isChecked)
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        KmemCache cache = new(box.Memory, "test", bytes, align, isChecked);
        Random random = new(bytes);
        List<(nint Obj, byte Stamp)> held = [];
        for (int op = 0; op < 20_000; op++)
        {
            if (held.Count < 400 && random.Next(100) < 55)
            {
                byte* obj = (byte*)Objects.Alloc(in cpu, cache.State, Gfp.Kernel);
                Assert.Equal(0, (nint)obj & (align - 1));
                byte stamp = (byte)random.Next(256);
                new Span<byte>(obj, bytes).Fill(stamp);
                held.Add(((nint)obj, stamp));
            }
            else if (held.Count > 0)
            {
                int at = random.Next(held.Count);
                (nint obj, byte stamp) = held[at];
                held[at] = held[^1];
                held.RemoveAt(held.Count - 1);
                if (new ReadOnlySpan<byte>((void*)obj, bytes).ContainsAnyExcept(stamp)) Assert.Fail($"object {obj:x} was written by another's owner");
                Objects.Free(in cpu, cache.State, (void*)obj);
            }
            if (op % 2000 == 0) Assert.Empty(cache.Check());
        }
        Assert.Equal(held.Count, cache.LiveObjects);
        foreach ((nint obj, _) in held) Objects.Free(in cpu, cache.State, (void*)obj);
        cache.Destroy<NoKmemHook>(in cpu);
        box.DrainAll();
        Assert.Empty(AllocatorCheck.Run(box.Memory));
        Assert.Empty(AllocatorCheck.AllBack(box.Memory));
    }

    [Fact]
    public void Objects_freed_by_other_cpus_travel_home_to_their_nodes_slabs()
    {
        MemoryPlan plan = new([new(new(0), new(0), 4 << 20), new(new(1), new(1), 4 << 20)]) { Watermarks = Watermarks.None };
        using AllocatorBox box = new(plan, cpus: 2, nodeOfCpu: c => c);
        KmemCache cache = new(box.Memory, "page_cgroup", 40);
        BlockingCollection<nint> toOther = new(64);
        nint state = (nint)cache.State;
        Exception? failed = null;
        void Run(Action work)
        {
            try { work(); }
            catch (Exception e) { failed = e; toOther.CompleteAdding(); }
        }
        Thread maker = new(() => Run(() =>
        {
            ThisCpu cpu = box.Cpu(0);
            for (int i = 0; i < 50_000; i++)
            {
                nint obj = (nint)Objects.Alloc(in cpu, (KmemCacheState*)state, Gfp.Kernel);
                if (PageOps.NodeIndex(MemMap.PageOfAddress(MemMap.Of(in cpu), (void*)obj)) != 0) Assert.Fail("an object of another node");
                toOther.Add(obj);
            }
            toOther.CompleteAdding();
            Objects.DrainLocal(in cpu, (KmemCacheState*)state);
        }));
        Thread breaker = new(() => Run(() =>
        {
            ThisCpu cpu = box.Cpu(1);
            foreach (nint obj in toOther.GetConsumingEnumerable()) Objects.Free(in cpu, (KmemCacheState*)state, (void*)obj);
            Objects.DrainLocal(in cpu, (KmemCacheState*)state);
        }));
        maker.Start();
        breaker.Start();
        maker.Join();
        breaker.Join();
        Assert.Null(failed);
        Assert.Empty(cache.Check());
        Assert.Equal((0, 0), (cache.LiveObjects, cache.SlabCount));
        box.DrainAll();
        Assert.Empty(AllocatorCheck.AllBack(box.Memory));
    }

    [Fact]
    public void A_stack_hit_touches_no_slab_and_the_last_freed_comes_first()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        KmemCache cache = new(box.Memory, "test", 64);
        void* first = Objects.Alloc(in cpu, cache.State, Gfp.Kernel);
        long taken = Guarded<long>.Get(&KmemCacheState.Node(cache.State, 0)->NrTaken);
        Objects.Free(in cpu, cache.State, first);
        Assert.True(Objects.Alloc(in cpu, cache.State, Gfp.Kernel) == first);
        Assert.Equal(taken, Guarded<long>.Get(&KmemCacheState.Node(cache.State, 0)->NrTaken));
        Assert.Equal(1, cache.LiveObjects);
    }

    [Fact]
    public void Exhausted_memory_is_null_and_zeroed_objects_are_zero()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        KmemCache cache = new(box.Memory, "test", 1024, checkObjects: true);
        List<nint> all = [];
        for (void* obj; (obj = Objects.Alloc(in cpu, cache.State, Gfp.Zero)) != null; all.Add((nint)obj))
            if (new ReadOnlySpan<byte>(obj, 1024).ContainsAnyExcept((byte)0)) Assert.Fail("not zeroed");
        Assert.Equal(1024 * cache.PerSlab, all.Count);
        foreach (nint obj in all) Objects.Free(in cpu, cache.State, (void*)obj);
        cache.Destroy<NoKmemHook>(in cpu);
    }

    private static string Refused(Action<AllocatorBox, KmemCache, nint> misuse, bool isChecked = true)
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        KmemCache cache = new(box.Memory, "test", 40, 8, isChecked);
        nint obj = Take(box, cache);
        return Assert.Throws<BugException>(() => misuse(box, cache, obj)).Message;
    }

    private static nint Take(AllocatorBox box, KmemCache cache)
    {
        ThisCpu cpu = box.Cpu();
        return (nint)Objects.Alloc(in cpu, cache.State, Gfp.Kernel);
    }

    private static void Give(AllocatorBox box, KmemCache cache, nint obj)
    {
        ThisCpu cpu = box.Cpu();
        Objects.Free(in cpu, cache.State, (void*)obj);
    }

    [Fact]
    public void A_double_free_is_refused_by_a_checked_cache() => Assert.Contains("double free", Refused(static (box, cache, obj) =>
    {
        Give(box, cache, obj);
        Give(box, cache, obj);
    }));

    [Fact]
    public void A_write_behind_the_end_is_found_at_free() => Assert.Contains("written behind its end", Refused(static (box, cache, obj) =>
    {
        ((byte*)obj)[40] = 1;
        Give(box, cache, obj);
    }));

    [Fact]
    public void A_write_after_free_is_found_when_the_object_is_handed_out() => Assert.Contains("has 01 at byte 39", Refused(static (box, cache, obj) =>
    {
        Give(box, cache, obj);
        ((byte*)obj)[39] = 1;
        Take(box, cache);
    }));

    [Fact]
    public void A_pointer_into_an_object_is_refused()
        => Assert.Contains("is no object of the cache", Refused(static (box, cache, obj) => Give(box, cache, obj + 8)));

    [Fact]
    public void An_object_of_another_cache_is_refused() => Assert.Contains("is no object of the cache", Refused(static (box, cache, obj)
        => Give(box, new KmemCache(box.Memory, "other", 40, 8, checkObjects: true), obj)));

    [Fact]
    public void Foreign_memory_is_refused_when_an_unchecked_cache_flushes() => Assert.Contains("lies in no frame", Refused(static (box, cache, obj) =>
    {
        long local;
        Give(box, cache, (nint)(&local));
        ThisCpu cpu = box.Cpu();
        cache.Shrink<NoKmemHook>(in cpu);
    }, isChecked: false));

    [Fact]
    public void A_destroy_with_objects_in_use_is_refused_with_their_number()
        => Assert.Contains("destroyed with 1 objects in use in 1 slabs", Refused(static (box, cache, _) =>
    {
        ThisCpu cpu = box.Cpu();
        cache.Destroy<NoKmemHook>(in cpu);
    }));

    [Fact]
    public void The_walker_finds_a_wrong_count_and_a_slab_on_the_wrong_list()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        KmemCache cache = new(box.Memory, "test", 1984);
        nint obj = Take(box, cache);
        Page* slab = MemMap.PageOfAddress(&box.State->Map, (void*)obj);
        Assert.Empty(cache.Check());
        AtomicLong.Store(&slab->Index, 1);
        Assert.Contains(cache.Check(), line => line.Contains("on the full list has 1 of 2", StringComparison.Ordinal));
        Assert.Contains(cache.Check(), line => line.Contains("1 objects out of the slabs of node index 0, 2 counted", StringComparison.Ordinal));
    }

    [Theory, InlineData(0, 8), InlineData(1985, 8), InlineData(40, 3), InlineData(40, 128)]
    public void Senseless_sizes_are_refused(int bytes, int align)
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        Assert.Throws<ArgumentException>(() => new KmemCache(box.Memory, "test", bytes, align));
    }

    [Fact]
    public void A_hook_sees_every_page_of_an_accounted_allocation_and_may_refuse()
    {
        using AllocatorBox box = new(AllocatorBox.OneNode(4));
        ThisCpu cpu = box.Cpu();
        Page* page = PageAllocator<StampHook>.Alloc(in cpu, Gfp.Account, 1);
        Assert.Equal(0x1230, AtomicLong.Load(&page->Memcg));
        AtomicInt.Store(&page->RefCount, 0);
        PageAllocator<StampHook>.Free(in cpu, page, 1);
        Assert.True(PageAllocator<StampHook>.Alloc(in cpu, Gfp.Account | Gfp.Atomic) == null);
        Page* free = PageAllocator<StampHook>.Alloc(in cpu, Gfp.Kernel);
        Assert.Equal(0, AtomicLong.Load(&free->Memcg));
        AllocatorBox.PutAndFree(in cpu, free);
        box.DrainAll();
        Assert.Empty(AllocatorCheck.AllBack(box.Memory));
    }

    /// <summary>Charges by a stamp; refuses atomic ones.</summary>
    private readonly struct StampHook : IPageAllocHook
    {
        public static bool OnAlloc(in ThisCpu cpu, Page* page, Order order, Gfp gfp)
        {
            if ((gfp & Gfp.Atomic) != 0) return false;
            AtomicLong.Store(&page->Memcg, 0x1230);
            return true;
        }

        public static void OnFree(in ThisCpu cpu, Page* page, Order order) => AtomicLong.Store(&page->Memcg, 0);
    }
}
