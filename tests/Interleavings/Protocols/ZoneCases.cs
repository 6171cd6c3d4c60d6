// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Frames = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>CPUs whose lists are empty take pages from one zone and give them back: no page is handed out twice, none is lost.</summary>
internal readonly unsafe struct ZoneCase<TCpus, TTimes> : ICase where TCpus : struct, ISize where TTimes : struct, ISize
{
    private const int Pages = 4;

    private static SimulatedCpus cpus;
    private static Page* pages;

    public static int Cpus => TCpus.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        pages = Arena.Array<Page>(Pages, "page");
        SimulatedFrames.Attach(cpus, Cpus, pages, Pages);
        Zone* zone = &SimulatedFrames.NodeOf(cpus[0])->Zone;
        Zone.Init(zone, pages, new Pfn(0), new Pfn(Pages), 0, default);
        for (int i = 0; i < Pages; i++)
        {
            AtomicLong.Init(&pages[i].Flags, PageFlags.Free);
            Zone.Give(zone, pages + i, 0);
        }
    }

    public static void Body(int cpu)
    {
        for (int i = 0; i < TTimes.N; i++) TakeAndGive(cpu);
    }

    private static void TakeAndGive(int cpu)
    {
        Page* page = Frames.Alloc(cpus[cpu], Gfp.Kernel);
        if (page == null) Bug.Fail("no page, with one for everybody");
        AtomicLong.Store(&page->Private, cpu);
        if (AtomicLong.Load(&page->Private) != cpu) Bug.Fail("the page is somebody else's, too");
        if (PageOps.PutAndTest(page)) Frames.Free(cpus[cpu], page);
        PageAllocator.DrainLocal(cpus[cpu]);
    }

    public static void Final()
    {
        Zone* zone = &SimulatedFrames.NodeOf(cpus[0])->Zone;
        if (AtomicLong.RacyLoad(&zone->NrFree) != Pages) Bug.Fail("pages in the zone", AtomicLong.RacyLoad(&zone->NrFree));
        if (!Zone.IsFreeBlock(pages, 2)) Bug.Fail("the buddies have not found each other");
    }
}

internal static class ZoneCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<ZoneCase<N2, N1>>("zone", shape: "2"),
        Case.Of<ZoneCase<N2, N2>>("zone", shape: "2x2"),
        Case.Of<ZoneCase<N3, N1>>("zone", shape: "3"),
        Case.Of<ZoneCase<N4, N1>>("zone", shape: "4", heavy: true),
        Case.Of<ZoneCase<N2, N1>>("zone", "busted-no-lock", "2", Expect.Broken).Mutated("TestAndSetLock.Acquire#1", MutationOp.DropLock),
    ];
}
