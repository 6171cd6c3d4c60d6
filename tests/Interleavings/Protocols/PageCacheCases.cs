// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

internal static unsafe class CacheScene
{
    /// <summary>An empty file, and the page cache that all CPUs find.</summary>
    public static FileSpace* File(SimulatedCpus cpus, int count, int buckets = 1)
    {
        MemcgTree* tree = Arena.New<MemcgTree>("tree");
        SimulatedFrames.Cache(tree, buckets);
        for (int c = 0; c < count; c++) GuardedPtr<MemcgTree>.Set(&AccountingCpu.Of(cpus[c])->Tree, tree);
        FileSpace* file = Arena.New<FileSpace>("file");
        FileSpace.Init(file);
        return file;
    }
}

/// <summary>A file, with one page cached or none, and CPUs that add, remove and look up at one index of it. At rest what is counted is what is found.</summary>
internal readonly unsafe struct CacheOfOneIndex<TAdds, TRemoves, TFinds> : ICase where TAdds : struct, ISize where TRemoves : struct, ISize where TFinds : struct, ISize
{
    private static SimulatedCpus cpus;
    private static FileSpace* file;
    private static Page* pages;
    private static AtomicInt* added;

    public static int Cpus => TAdds.N + TRemoves.N + TFinds.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        file = CacheScene.File(cpus, Cpus);
        added = Arena.New<AtomicInt>("added");
        pages = Arena.Array<Page>(TAdds.N + 1, "page");
        for (int i = 0; i <= TAdds.N; i++) AtomicInt.Init(&pages[i].RefCount, 1); // its reader's
        if (TRemoves.N != 0 && !PageCache.TryAdd(cpus[0], file, 0, pages + TAdds.N)) Bug.Fail("setup: page cache");
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        if (cpu < TAdds.N)
        {
            if (PageCache.TryAdd(self, file, 0, pages + cpu)) AtomicInt.Add(added, 1);
        }
        else if (cpu < TAdds.N + TRemoves.N) Remove(self, pages + TAdds.N);
        else if (PageCache.Find(self, file, 0) is var found && found != null)
        {
            if (PageOps.Count(found) < 1) Bug.Fail("a page was found and has no reference");
            PageOps.PutAndTest(found);
        }
    }

    /// <summary>As truncate: with the page's lock, unless somebody else has removed it.</summary>
    private static void Remove(in ThisCpu cpu, Page* page)
    {
        PageOps.Lock(page);
        if (PageMapping.FileOf(page) == file && PageCache.TryRemove(cpu, page)) PageOps.PutAndTest(page); // the cache's
        PageOps.Unlock(page);
    }

    public static void Final()
    {
        Page* found = PageCache.Find(cpus[0], file, 0);
        long cached = found == null ? 0 : 1;
        if (AtomicLong.Load(&file->Pages) != cached) Bug.Fail("pages of the file, counted and found", AtomicLong.Load(&file->Pages), cached);
        if (AtomicInt.Load(added) > 1 || (TRemoves.N == 0 && cached != 1)) Bug.Fail("pages added at one index (and found)", AtomicInt.Load(added), cached);
        for (int i = 0; i <= TAdds.N; i++)
            if (PageOps.Count(pages + i) is var count && count != 1 + (pages + i == found ? 2 : 0)) Bug.Fail("references of a page (page, references)", i, count);
    }
}

/// <summary>Two places of a file, in buckets with a lock each: one CPU fills the one, the other empties the other. The count of the file's pages is shared.</summary>
internal readonly unsafe struct CacheOfTwoBuckets : ICase
{
    private static SimulatedCpus cpus;
    private static FileSpace* file;
    private static Page* pages;

    public static int Cpus => 2;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        file = CacheScene.File(cpus, Cpus, buckets: 2);
        pages = Arena.Array<Page>(2, "page");
        for (int i = 0; i < 2; i++) AtomicInt.Init(&pages[i].RefCount, 1);
        if (!PageCache.TryAdd(cpus[0], file, 1, pages + 1)) Bug.Fail("setup: page cache");
    }

    public static void Body(int cpu)
    {
        if (cpu == 0 ? !PageCache.TryAdd(cpus[0], file, 0, pages) : !PageCache.TryRemove(cpus[1], pages + 1)) Bug.Fail("refused, though nobody else wants the place");
    }

    public static void Final()
    {
        if (AtomicLong.Load(&file->Pages) != 1) Bug.Fail("pages of the file, of one", AtomicLong.Load(&file->Pages));
    }
}

/// <summary>A file is mapped twice while walkers (truncate, rmap) look at its mappings: what they are told of is whole, and stays.</summary>
internal readonly unsafe struct MappingsOfOneFile<TWalkers> : ICase where TWalkers : struct, ISize
{
    private static FileSpace* file;
    private static MmStruct* mm;

    public static int Cpus => TWalkers.N + 1;

    public static void Setup()
    {
        file = Arena.New<FileSpace>("file");
        FileSpace.Init(file);
        mm = Arena.New<MmStruct>("mm");
    }

    public static void Body(int cpu)
    {
        if (cpu != TWalkers.N) Walk(FileSpace.Mappings(file));
        else if (!FileSpace.TryMap(file, mm, 0, 0, 1) || !FileSpace.TryMap(file, mm, 1, 1, 1)) Bug.Fail("no room for a mapping");
    }

    private static void Walk(int mappings)
    {
        for (int i = 0; i < mappings; i++)
        {
            FileMapping* m = FileSpace.MappingAt(file, i);
            if (Guarded<nint>.Get(&m->Space) != (nint)mm || Guarded<long>.Get(&m->FirstIndex) != i || Guarded<long>.Get(&m->Count) != 1) Bug.Fail("a mapping in parts", i);
        }
    }

    public static void Final()
    {
        if (FileSpace.Mappings(file) != 2) Bug.Fail("mappings of the file", FileSpace.Mappings(file));
        Walk(2);
    }
}

internal static class PageCacheCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<CacheOfOneIndex<N2, N0, N1>>("page-cache", shape: "2a1f"),
        Case.Of<CacheOfOneIndex<N1, N1, N1>>("page-cache", shape: "1a1r1f"),
        Case.Of<CacheOfOneIndex<N1, N2, N1>>("page-cache", shape: "1a2r1f"),
        Case.Of<CacheOfOneIndex<N2, N1, N1>>("page-cache", shape: "2a1r1f"),
        Case.Of<CacheOfTwoBuckets>("page-cache", shape: "1a1r, two buckets"),
        Case.Of<CacheOfOneIndex<N2, N1, N1>>("page-cache", "busted-no-lock", "2a1r1f", Expect.Broken).Mutated("TestAndSetLock.Acquire#1", MutationOp.DropLock),
        Case.Of<MappingsOfOneFile<N1>>("file-map", shape: "1m1w"),
        Case.Of<MappingsOfOneFile<N3>>("file-map", shape: "1m3w"),
        Case.Of<MappingsOfOneFile<N1>>("file-map", "busted-no-release", "1m1w", Expect.Broken).Mutated("FileSpace.TryMap#6", MutationOp.StoreRelaxed),
    ];
}
