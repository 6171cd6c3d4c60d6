// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

/// <summary>A difference that is meant: why, and how many pages.</summary>
internal sealed record Row(string Mechanism, long Pages);

/// <summary>What a group's counters say when everything is drained, and what it uses: mapped and cached pages, entries on the device.</summary>
internal sealed record Checkpoint(string Name, long Memory, long? Memsw, long Used, long Swapped, IReadOnlyList<Row> Rows);

/// <summary>The names, which do not depend on the era.</summary>
internal static class EraStream
{
    public const string HeldUnmapped = "late: unmapped and held", HeldTruncated = "late: truncated and held", InSwapCache = "not 2.6.27: unmapped, in the swap cache",
        Inserted = "2.6.27: inserted device pages", Forced = "2.6.27: force_empty leaves pages nobody's";
    public const int MostPins = 8;

    public static string[] Names { get; } =
        ["faulted", "read", "unmapped, 5 held", "truncated, 2 held", "put", "written out", "swapped out", "swapped in", "migrated, 4 held",
            "inserted", "zapped", "group removed", "file truncated"];
    public static string[] Mechanisms { get; } = [HeldUnmapped, HeldTruncated, InSwapCache, Inserted, Forced];
}

/// <summary>One CPU, one group below another; each step is followed by a drain of everything and a checkpoint.</summary>
internal sealed unsafe class EraStream<TC>(Era era) : IDisposable where TC : struct, IMemoryController
{
    private const int Anon = 40, Cached = 16, FileAt = 512, DeviceAt = 1024;

    private readonly AccountingBox<TC> box = new(plan: new AccountingPlan(MaxGroups: 16, SwapAccounting: era.Declares(CounterKind.Memsw), SwapEntries: 64));
    private readonly bool early = era.Answers[(int)Axis.Uncharge].StartsWith("AtUnmap", StringComparison.Ordinal);

    public IEnumerable<Checkpoint> Run()
    {
        var made = new List<Checkpoint>();
        Memcg* parent = box.Group(), memcg = box.Inhabited(parent);
        FileSpace* file = box.File();
        FileSpace.TryMap(file, box.Space(), FileAt, 0, Cached);
        void Check(string name, Memcg* of, params (string Mechanism, long Pages)[] rows) => made.Add(At(name, of, file, rows));
        nint[] Pin(long first, int n) => [.. Enumerable.Range(0, n).Select(i => (nint)Mm.Follow(box.Cpu(), box.Space(), first + i))];
        void Put(nint[] pages) => Array.ForEach(pages, p => Mm.Put<TC>(box.Cpu(), (Page*)p));

        box.FaultAll(0, Anon);
        Check("faulted", memcg);
        for (int i = 0; i < Cached; i++) Assert.Equal(FaultResult.Mapped, MmFile.Fault<TC>(box.Cpu(), box.Space(), FileAt + i, file, i, write: false));
        Check("read", memcg);
        nint[] anon = Pin(0, 5), cached = Pin(FileAt, 2);
        box.Quiesce();
        box.Unmap(0, 10);
        Check("unmapped, 5 held", memcg, (EraStream.HeldUnmapped, early ? 0 : 5));
        MmFile.Truncate<TC>(box.Cpu(), file, 0, 4);
        Check("truncated, 2 held", memcg, (EraStream.HeldUnmapped, early ? 0 : 5), (EraStream.HeldTruncated, early ? 0 : 2));
        Put([.. anon, .. cached]);
        Check("put", memcg);
        Reclaim.Shrink<TC>(box.Cpu(), memcg, long.MaxValue);
        box.Quiesce();
        Check("written out", memcg, (EraStream.InSwapCache, era.Name is "2.6.27" or "rfc-2008-lockless" ? 0 : InSwapCache()));
        Reclaim.Shrink<TC>(box.Cpu(), memcg, long.MaxValue);
        Check("swapped out", memcg);
        for (int i = 10; i < 20; i++) Assert.Equal(FaultResult.Mapped, box.Touch(i));
        for (int i = 4; i < 12; i++) Assert.Equal(FaultResult.Mapped, MmFile.Fault<TC>(box.Cpu(), box.Space(), FileAt + i, file, i, write: false));
        Check("swapped in", memcg);
        box.Quiesce();
        nint[] old = Pin(10, 4);
        foreach (nint page in old) Assert.Equal(MigrateResult.Moved, Migration.Migrate<TC>(box.Cpu(), (Page*)page, AllocatorState.Node(AllocatorState.Of(box.Cpu()), 0)));
        Check("migrated, 4 held", memcg);
        Put(old);
        InsertAndCheck(memcg, file, made);
        box.Unmap(0, FileAt + Cached);
        Check("zapped", memcg);
        MemcgLife.Detach(box.Cpu(), box.Space());
        MemcgLife.Remove(box.Cpu(), memcg);
        for (int i = 0; i < 4; i++) box.Quiesce();
        long left = AtomicLong.Load(&file->Pages);
        Check("group removed", parent, (EraStream.Forced, era.Answers[(int)Axis.Residents] == ForceEmpty.Name ? -left : 0));
        MmFile.Truncate<TC>(box.Cpu(), file, 0, Cached);
        Check("file truncated", parent);
        box.AssertBalanced();
        return made;
    }

    private void InsertAndCheck(Memcg* memcg, FileSpace* file, List<Checkpoint> made)
    {
        var pages = new List<nint>();
        for (int i = 0; i < 3; i++)
        {
            Page* page = Frames.Alloc(box.Cpu(), Gfp.Kernel);
            AtomicInt.Init(&page->MapCount, 0);
            Assert.True(MmFile.InsertPage<TC>(box.Cpu(), box.Space(), DeviceAt + i, page));
            Assert.False(MmFile.InsertPage<TC>(box.Cpu(), box.Space(), DeviceAt + i, page)); // the error path gives its charge back
            pages.Add((nint)page);
        }
        made.Add(At("inserted", memcg, file, [(EraStream.Inserted, era.Name == "2.6.27" ? 3 : 0)]));
        box.Unmap(DeviceAt, 3);
        foreach (nint page in pages) Mm.Put<TC>(box.Cpu(), (Page*)page);
    }

    private Checkpoint At(string name, Memcg* memcg, FileSpace* file, (string Mechanism, long Pages)[] rows)
    {
        // A page that migrated away and is still held is on no list: books count it as taken off one.
        string[] wrong = [.. box.Audit().Wrong.Where(w => name != "migrated, 4 held" || !w.EndsWith("4 pages isolated at quiescence", StringComparison.Ordinal))];
        Assert.True(wrong.Length == 0, $"{era.Name}, {name}: {string.Join('\n', wrong)}");
        long present = 0, swapped = 0;
        for (int i = 0; i < FileAt; i++)
        {
            Page* pte = GuardedPtr<Page>.Get(MmStruct.Entry(box.Space(), i));
            if (Pte.IsPresent(pte)) present++;
            else if (Pte.IsSwap(pte)) swapped++;
        }
        swapped -= name == "written out" ? InSwapCache() : 0; // the page still holds both charges
        return new Checkpoint(name, TC.Usage(memcg, CounterKind.Memory), era.Declares(CounterKind.Memsw) ? TC.Usage(memcg, CounterKind.Memsw) : null,
            present + AtomicLong.Load(&file->Pages), swapped, [.. rows.Where(r => r.Pages != 0).Select(r => new Row(r.Mechanism, r.Pages))]);
    }

    private long InSwapCache()
    {
        long n = 0;
        for (int i = 0; i < 64; i++)
        {
            Page* page = GuardedPtr<Page>.Get(SwapDevice.CacheSlot(box.Swap, new SwapEntry(i)));
            if (page != null && AtomicInt.Load(&page->MapCount) == 0) n++;
        }
        return n;
    }

    /// <summary>
    /// Charged pages minus really used ones (mapped, or held by somebody who will look at them; a CPU's page vector will not) after every step,
    /// nothing drained: the time integral of the difference in page-steps, its least and its most.
    /// </summary>
    public static (long Sum, long Low, long High) Integral(int steps)
    {
        using var box = new AccountingBox<TC>(cpus: 2, plan: new AccountingPlan(MaxGroups: 8));
        Memcg* memcg = box.Inhabited();
        var pins = new Queue<nint>();
        long sum = 0, low = long.MaxValue, high = long.MinValue;
        ulong state = 0x5eed;
        for (int step = 0; step < steps; step++)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            long at = (long)(state >> 8 & 63);
            Page* page = Mm.Lookup(box.Cpu(), box.Space(), at);
            if (page == null) Mm.Fault<TC>(box.Cpu((int)(state >> 20 & 1)), box.Space(), at, write: true); // the other CPU's vector keeps it when it is unmapped
            else if ((state & 3) == 0 && pins.Count < EraStream.MostPins) pins.Enqueue((nint)Mm.Follow(box.Cpu(), box.Space(), at));
            else if ((state & 3) == 1 && pins.Count > 0) Mm.Put<TC>(box.Cpu(), (Page*)pins.Dequeue());
            else box.Unmap(at, 1);
            for (int cpu = 0; cpu < 2; cpu++) Poll.Run(box.Cpu(cpu));
            long used = 0;
            for (int i = 0; i < 64; i++) used += Mm.Lookup(box.Cpu(), box.Space(), i) != null ? 1 : 0;
            used += pins.Distinct().Count(pin => AtomicInt.Load(&((Page*)pin)->MapCount) == 0);
            long over = TC.Usage(memcg, CounterKind.Memory) - TC.StockedPages(box.Cpus.Area(0), memcg) - TC.StockedPages(box.Cpus.Area(1), memcg) - used;
            (sum, low, high) = (sum + over, Math.Min(low, over), Math.Max(high, over));
        }
        while (pins.Count > 0) Mm.Put<TC>(box.Cpu(), (Page*)pins.Dequeue());
        box.Unmap(0, 64);
        box.AssertBalanced();
        return (sum, low, high);
    }

    public void Dispose() => box.Dispose();
}
