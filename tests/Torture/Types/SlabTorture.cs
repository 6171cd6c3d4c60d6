// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Objects = MemcgNative.Allocator.KmemCache<MemcgNative.Allocator.NoKmemHook>;

namespace MemcgNative.Tests.Torture;

/// <summary>Objects of three sizes, freed by other CPUs than took them, on memory for about half of what is wanted. Each carries a stamp.</summary>
internal sealed unsafe class SlabTorture(bool remoteDrain = false, string? busted = null) : TortureType
{
    private const int Alloc = 0, Free = 1, NoMemory = 2, Handed = 3, Drain = 4, Zeroed = 5;

    private static readonly int[] sizes = [24, 200, 1000];

    private PhysicalMemory memory = null!;
    private KmemCache[] caches = [];
    private List<(nint Object, int Cache, long Stamp)>[] bags = [];
    private readonly Stack<(nint Object, int Cache, long Stamp)> handOver = new();
    private long[] stamps = [];

    public override string Name => busted ?? "slab";
    public override bool Busted => busted is not null;
    public override bool Allocates => true;
    public override IReadOnlyList<string> Counters { get; } = ["alloc", "free", "no-memory", "hand-over", "drain", "zeroed"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Alloc, Free, NoMemory, Handed, Drain, Zeroed];

    protected override void SetUp()
    {
        memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), NodeSpec.Granule), new(new(1), new(1), NodeSpec.Granule)]) { Watermarks = Watermarks.None }, new PlainMemory());
        memory.Attach(Cpus.Table);
        caches = [.. sizes.Select((s, i) => new KmemCache(memory, $"torture-{s}", s, checkObjects: i == 1))];
        bags = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new List<(nint, int, long)>())];
        stamps = new long[Cpus.Count * 16];
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        List<(nint Object, int Cache, long Stamp)> bag = bags[cpu.Index];
        int most = (int)(2 * memory.TotalPages * 4 / Cpus.Count); // of the largest size four fit a page
        switch (w.Random(128))
        {
            case 0:
                int drained = w.Random(sizes.Length);
                w.Did(Drain, drained);
                if (remoteDrain) Objects.DrainStack(cpu, caches[drained].State, KmemCacheState.Cpu(caches[drained].State, w.Random(Cpus.Count)));
                else Objects.DrainLocal(cpu, caches[drained].State);
                break;
            case < 8:
                HandOver(w, bag);
                break;
            case < 60:
                if (bag.Count != 0) Give(cpu, w, bag, w.Random(bag.Count));
                break;
            default:
                if (bag.Count < most) Take(cpu, w, bag);
                else for (int i = w.Random(400); i > 0 && bag.Count != 0; i--) Give(cpu, w, bag, w.Random(bag.Count));
                break;
        }
    }

    private void Take(in ThisCpu cpu, Worker w, List<(nint, int, long)> bag)
    {
        int which = w.OneIn(2) ? 2 : w.Random(2);
        bool zero = w.OneIn(16);
        if (w.OneIn(64)) Perturb.FailNth = 1;
        var obj = (long*)Objects.Alloc(cpu, caches[which].State, zero ? Gfp.Zero : Gfp.Kernel);
        Perturb.FailNth = 0;
        w.Did(Alloc, (long)obj, which);
        if (obj == null)
        {
            w.Hit(NoMemory);
            return;
        }
        long* last = (long*)((byte*)obj + sizes[which]) - 1;
        if (zero)
        {
            w.Hit(Zeroed);
            if ((*obj | *last) != 0) throw new TortureException("Gfp.Zero gave an object that is not zero");
        }
        long stamp = (long)(cpu.Index + 1) << 48 | ++stamps[cpu.Index * 16];
        *obj = *last = stamp;
        bag.Add(((nint)obj, which, stamp));
    }

    private void Give(in ThisCpu cpu, Worker w, List<(nint Object, int Cache, long Stamp)> bag, int at)
    {
        var (o, which, stamp) = bag[at];
        bag[at] = bag[^1];
        bag.RemoveAt(bag.Count - 1);
        w.Did(Free, o, which);
        Verify(o, which, stamp);
        Objects.Free(cpu, caches[which].State, (void*)o);
    }

    private static void Verify(nint o, int which, long stamp)
    {
        long first = *(long*)o, last = *((long*)(o + sizes[which]) - 1);
        if (first != stamp || last != stamp) throw new TortureException($"an object of {sizes[which]} bytes stamped {stamp:x} reads {first:x} and {last:x}: somebody else has it too");
    }

    private void HandOver(Worker w, List<(nint, int, long)> bag)
    {
        lock (handOver)
        {
            if (bag.Count != 0 && handOver.Count < 64)
            {
                handOver.Push(bag[^1]);
                bag.RemoveAt(bag.Count - 1);
            }
            if (w.OneIn(2) || !handOver.TryPop(out var taken)) return;
            bag.Add(taken);
        }
        w.Did(Handed);
    }

    public override void Leave(in ThisCpu cpu)
    {
        foreach (KmemCache cache in caches) Objects.DrainLocal(cpu, cache.State);
        PageAllocator.DrainLocal(cpu);
    }

    public override void Check(ICollection<string> wrong)
    {
        for (int i = 0; i < caches.Length; i++)
        {
            foreach (string line in caches[i].Check()) wrong.Add(line);
            long live = bags.Sum(b => b.Count(o => o.Cache == i)) + handOver.Count(o => o.Cache == i);
            if (caches[i].LiveObjects != live) wrong.Add($"{caches[i].Name}: {live} objects are held, the cache counts {caches[i].LiveObjects}");
        }
        foreach (string line in AllocatorCheck.Run(memory)) wrong.Add(line);
    }

    public override void Finish(ICollection<string> wrong)
    {
        AsCpu(0, (in ThisCpu cpu) =>
        {
            foreach (var bag in bags.Append([.. handOver]))
                foreach (var (o, which, _) in bag) Objects.Free(cpu, caches[which].State, (void*)o);
            foreach (KmemCache cache in caches) cache.Destroy<NoKmemHook>(cpu);
            PageAllocator.DrainLocal(cpu);
        });
        foreach (string line in AllocatorCheck.AllBack(memory)) wrong.Add(line);
    }

    public override void TearDown()
    {
        memory.Dispose();
        base.TearDown();
    }
}
