// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Blocks of all orders on two nodes, wanted up to 105 % of what there is, freed by other CPUs than took them. Every block carries a stamp
/// in its first and last word while somebody has it.
/// </summary>
internal sealed unsafe class AllocatorTorture(bool remoteDrain = false, string? busted = null) : TortureType
{
    private const int Alloc = 0, AllocBlock = 1, Free = 2, NoMemory = 3, Handed = 4, Drain = 5, AskDrain = 6, FreeList = 7, OtherNode = 8;

    private sealed class Bag
    {
        public readonly List<(nint Page, int Order, long Stamp)> Blocks = [];
        public long Pages, Stamps;
    }

    private PhysicalMemory memory = null!;
    private Bag[] bags = [];
    private readonly Stack<(nint Page, int Order, long Stamp)> handOver = new();
    private long wanted;

    public override string Name => busted ?? "allocator";
    public override bool Busted => busted is not null;
    public override bool Allocates => true;
    public override IReadOnlyList<string> Counters { get; } = ["alloc", "alloc-block", "free", "no-memory", "hand-over", "drain", "ask-drain", "free-list", "other-node"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Alloc, AllocBlock, Free, NoMemory, Handed, Drain, AskDrain, FreeList, OtherNode];

    protected override void SetUp()
    {
        memory = new PhysicalMemory(new MemoryPlan([new(new(0), new(0), NodeSpec.Granule), new(new(1), new(1), NodeSpec.Granule)])
        {
            Batch = (Setting.Seed & 1) == 0 ? 2 : PerCpuPages.DefaultBatch,
            High = (Setting.Seed & 1) == 0 ? 5 : PerCpuPages.DefaultHigh,
            Watermarks = (Setting.Seed & 2) == 0 ? Watermarks.None : null,
        }, new PlainMemory());
        memory.Attach(Cpus.Table);
        bags = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new Bag())];
        wanted = memory.TotalPages * 105 / 100 / Cpus.Count;
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        Bag bag = bags[cpu.Index];
        switch (w.Random(128))
        {
            case 0:
                w.Did(Drain);
                PageAllocator.DrainLocal(cpu);
                break;
            case 1:
                int other = w.Random(Cpus.Count);
                w.Did(AskDrain, other);
                if (remoteDrain) DrainOther(cpu, other);
                else PageAllocator.RequestDrain(Cpus.Area(other));
                break;
            case 2:
                GiveList(cpu, w, bag);
                break;
            case < 8:
                HandOver(cpu, w, bag);
                break;
            case < 60:
                if (bag.Blocks.Count != 0) Give(cpu, w, bag, w.Random(bag.Blocks.Count));
                break;
            default:
                if (bag.Pages < wanted) Take(cpu, w, bag);
                else for (int i = w.Random(200); i > 0 && bag.Blocks.Count != 0; i--) Give(cpu, w, bag, w.Random(bag.Blocks.Count));
                break;
        }
    }

    /// <summary>What nobody may do: another CPU's list is its own business.</summary>
    private void DrainOther(in ThisCpu cpu, int other)
    {
        PerCpuPages* list = memory.List(other, other & 1);
        PerCpuPages.Drain(cpu, list, Guarded<int>.Get(&list->Count));
    }

    private void Take(in ThisCpu cpu, Worker w, Bag bag)
    {
        int order = w.OneIn(4) ? w.Random(w.OneIn(8) ? Order.MaxValue + 1 : 4) : 0;
        Gfp gfp = (w.OneIn(16) ? Gfp.Zero : 0) | (w.OneIn(16) ? Gfp.ThisNode : 0) | (w.OneIn(8) ? Gfp.Atomic : 0);
        if (w.OneIn(64)) Perturb.FailNth = 1 + w.Random(3);
        bool onNode = w.OneIn(4);
        Node* node = AllocatorState.Node(memory.State, w.Random(2));
        Page* page = onNode ? Frames.AllocOnNode(cpu, node, gfp, order) : Frames.Alloc(cpu, gfp, order);
        w.Did(order == 0 ? Alloc : AllocBlock, (long)page, order);
        Perturb.FailNth = 0;
        if (page == null)
        {
            w.Hit(NoMemory);
            return;
        }
        if (PageOps.NodeIndex(page) != (cpu.Index & 1)) w.Hit(OtherNode);
        if (onNode && (gfp & Gfp.ThisNode) != 0 && PageOps.NodeIndex(page) != Guarded<int>.Get(&node->Index)) throw new TortureException("Gfp.ThisNode gave a page of another node");
        if (PageOps.Count(page) != 1) throw new TortureException($"a new page has {PageOps.Count(page)} references");
        long* first = Ends(page, order, out long* last);
        if ((gfp & Gfp.Zero) != 0 && (*first | *last) != 0) throw new TortureException("Gfp.Zero gave a frame that is not zero");
        long stamp = (long)(cpu.Index + 1) << 48 | ++bag.Stamps;
        *first = *last = stamp;
        bag.Blocks.Add(((nint)page, order, stamp));
        bag.Pages += 1L << order;
    }

    private long* Ends(Page* page, int order, out long* last)
    {
        byte* frame = MemMap.FrameOf(&memory.State->Map, page);
        last = (long*)(frame + ((long)MemMap.FrameBytes << order)) - 1;
        return (long*)frame;
    }

    private void Verify((nint Page, int Order, long Stamp) block)
    {
        long* first = Ends((Page*)block.Page, block.Order, out long* last);
        if (*first != block.Stamp || *last != block.Stamp)
            throw new TortureException($"a block of order {block.Order} stamped {block.Stamp:x} reads {*first:x} and {*last:x}: somebody else has it too");
        *first = *last = ~block.Stamp;
    }

    private void Give(in ThisCpu cpu, Worker w, Bag bag, int at)
    {
        (nint Page, int Order, long Stamp) block = bag.Blocks[at];
        bag.Blocks[at] = bag.Blocks[^1];
        bag.Blocks.RemoveAt(bag.Blocks.Count - 1);
        bag.Pages -= 1L << block.Order;
        w.Did(Free, block.Page, block.Order);
        Verify(block);
        PageOps.PutExclusive((Page*)block.Page);
        Frames.Free(cpu, (Page*)block.Page, block.Order);
    }

    private void GiveList(in ThisCpu cpu, Worker w, Bag bag)
    {
        ListHead list;
        IntrusiveList.Init(&list);
        w.Did(FreeList);
        for (int i = bag.Blocks.Count - 1; i >= 0 && i > bag.Blocks.Count - 40; i--)
        {
            if (bag.Blocks[i].Order != 0) continue;
            var block = bag.Blocks[i];
            bag.Blocks.RemoveAt(i);
            bag.Pages--;
            Verify(block);
            PageOps.PutExclusive((Page*)block.Page);
            IntrusiveList.Add(&list, &((Page*)block.Page)->Lru);
        }
        Frames.FreeList(cpu, &list);
    }

    private void HandOver(in ThisCpu cpu, Worker w, Bag bag)
    {
        lock (handOver)
        {
            if (bag.Blocks.Count != 0 && handOver.Count < 64)
            {
                handOver.Push(bag.Blocks[^1]);
                bag.Pages -= 1L << bag.Blocks[^1].Order;
                bag.Blocks.RemoveAt(bag.Blocks.Count - 1);
            }
            if (w.OneIn(2) || !handOver.TryPop(out var block)) return;
            bag.Blocks.Add(block);
            bag.Pages += 1L << block.Order;
        }
        w.Did(Handed, bag.Blocks[^1].Page);
    }

    public override void Leave(in ThisCpu cpu) => PageAllocator.DrainLocal(cpu);

    public override void Check(ICollection<string> wrong)
    {
        foreach (string line in AllocatorCheck.Run(memory)) wrong.Add(line);
        long taken = bags.Sum(b => b.Pages) + handOver.Sum(b => 1L << b.Order), free = 0;
        for (int i = 0; i < 2; i++) free += AtomicLong.Load(&AllocatorState.Node(memory.State, i)->Zone.NrFree);
        if (taken + free != memory.TotalPages) wrong.Add($"{taken} pages are taken and {free} free, of {memory.TotalPages} (every list is drained)");
        if (bags.Any(b => b.Pages != b.Blocks.Sum(x => 1L << x.Order))) wrong.Add("the torture's own bags do not add up");
    }

    public override void Finish(ICollection<string> wrong)
    {
        AsCpu(0, (in ThisCpu cpu) =>
        {
            foreach (Bag bag in bags)
                while (handOver.TryPop(out var block) || TryTake(bag, out block))
                {
                    PageOps.PutExclusive((Page*)block.Page);
                    Frames.Free(cpu, (Page*)block.Page, block.Order);
                }
            PageAllocator.DrainLocal(cpu);
        });
        foreach (string line in AllocatorCheck.AllBack(memory)) wrong.Add(line);
    }

    private static bool TryTake(Bag bag, out (nint Page, int Order, long Stamp) block)
    {
        block = bag.Blocks.Count == 0 ? default : bag.Blocks[^1];
        if (bag.Blocks.Count == 0) return false;
        bag.Blocks.RemoveAt(bag.Blocks.Count - 1);
        return true;
    }

    public override void TearDown()
    {
        memory.Dispose();
        base.TearDown();
    }
}
