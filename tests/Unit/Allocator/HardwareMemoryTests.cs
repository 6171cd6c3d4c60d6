// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using Face = MemcgNative.Allocator.PageAllocator<MemcgNative.Allocator.NoHook>;

namespace MemcgNative.Tests.Unit;

/// <summary>The allocator on real, placed memory; the OS's faults are armed here, so it runs alone.</summary>
[Collection(nameof(OsFaultAlone))]
public sealed unsafe class HardwareMemoryTests
{
    private static HardwareMemory Local(params PageKind[] frames)
        => new(use => new(use == MemoryUse.Frames ? frames : [PageKind.NoThp], NumaPolicy.Parse("local")));

    private static NodeId FirstNode => new(HugePages.MemoryNodes()[0].Value);

    [Fact]
    public void Every_frame_of_a_placed_node_can_be_written_and_its_placement_is_proved()
    {
        NodeSpec[] fake = NodeSpec.Fake([new(FirstNode, FirstNode, 16 << 20)], 2);
        HardwareMemory source = Local(PageKind.NoThp);
        using PerCpu cpus = new([(new CpuId(0), FirstNode), (new CpuId(1), FirstNode)]);
        using PhysicalMemory memory = new(new(fake) { Watermarks = Watermarks.None }, source);
        memory.Attach(cpus.Table);
        ThisCpu cpu = cpus.Witness(0);
        List<nint> pages = [];
        for (Page* page; (page = Face.Alloc(in cpu, Gfp.Zero)) != null; pages.Add((nint)page))
            *(long*)MemMap.FrameOf(MemMap.Of(in cpu), page) = (long)page;
        Assert.Equal(4096, pages.Count);
        foreach (nint page in pages) Assert.Equal(page, *(long*)MemMap.FrameOf(MemMap.Of(in cpu), (Page*)page));
        foreach (PartProof proof in source.Prove())
        {
            Assert.NotEqual(PlacementVerdict.Differs, proof.Verdict);
            Assert.Equal(0, proof.Found.AbsentFrames);
        }
        Assert.Contains(source.Parts, p => p is { Use: MemoryUse.Frames, Bytes: 16 << 20 });
        Assert.Contains(source.Parts, p => p is { Use: MemoryUse.MemMap, Bytes: (16 << 20) / 64 });
        foreach (nint page in pages) AllocatorBox.PutAndFree(in cpu, (Page*)page);
        PageAllocator.DrainLocal(in cpu);
        Assert.Empty(AllocatorCheck.Run(memory));
        Assert.Empty(AllocatorCheck.AllBack(memory));
    }

    [Fact]
    public void A_refused_mapping_falls_to_the_next_kind_of_the_wish_only()
    {
        using HardwareMemory source = Local(PageKind.Thp, PageKind.NoThp);
        OsFault.Arm(OsCall.Mmap, 1, Errno.ENOMEM);
        try
        {
            Assert.True(source.Map([new(4 << 20, FirstNode)], MemoryUse.Frames) != null);
            Assert.Equal(PageKind.NoThp, source.Parts[0].Region.Pages);
            OsFault.Arm(OsCall.Mmap, 1, Errno.ENOMEM);
            Assert.Throws<OsException>(() => source.Map([new(4096, FirstNode)], MemoryUse.Zones));
            Assert.Single(source.Parts);
        }
        finally
        {
            OsFault.Disarm();
        }
    }

    [Fact]
    public void Parts_that_huge_pages_would_straddle_are_refused_with_the_sizes()
    {
        using HardwareMemory source = Local(PageKind.Huge1G);
        Assert.Contains("--pages 1G: Frames of node 0 has 4194304 bytes",
            Assert.Throws<UsageException>(() => source.Map([new(4 << 20, new(0)), new(4 << 20, new(1))], MemoryUse.Frames)).Message);
    }
}
