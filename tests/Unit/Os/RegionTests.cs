// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed unsafe class RegionTests
{
    private const nuint MiB = 1 << 20;

    [Theory]
    [InlineData("4K")]
    [InlineData("nothp")]
    [InlineData("thp")]
    public void A_committed_region_is_proved_to_be_in_memory_in_pages_of_its_kind(string kind)
    {
        if (kind == "thp" && HostSettings.Read().Thp.Value is not ("always" or "madvise")) Assert.Skip("this kernel has no transparent huge pages");
        using VirtualRegion region = VirtualRegion.Reserve(64 * MiB, PageKind.Parse(kind));
        region.Commit();
        Placement proof = Placement.Of(region);

        Assert.Equal(16384, proof.Frames);
        Assert.Equal(16384, proof.Found.Sum(f => f.Value));
        // A crowded host may lack whole 2 MiB blocks: then the verdict must say so, which the busted twin below covers.
        PlacementVerdict verdict = proof.Judge(null, out string? reason);
        if (kind == "thp" && verdict == PlacementVerdict.Differs) Assert.Skip($"the kernel had no free 2M blocks: {reason}");
        Assert.Null(reason);
        Assert.Equal(PlacementVerdict.AsAsked, verdict);
    }

    [Fact]
    public void A_region_of_base_pages_does_not_pass_for_thp()
    {
        using VirtualRegion region = VirtualRegion.Reserve(8 * MiB, PageKind.NoThp);
        region.Commit();
        Placement real = Placement.Of(region);
        long inThp = Placement.BytesOfKind(File.ReadLines("/proc/self/smaps"), (ulong)region.Base, region.Bytes, PageKind.Thp);
        Placement claimed = With(real, PageKind.Thp, inThp);

        Assert.Equal(PlacementVerdict.Differs, claimed.Judge(null, out string? reason));
        Assert.Equal("page size differs: 0.0 % of 8 MiB in 2M pages (asked: --pages thp). Not measured.", reason);
    }

    [Fact]
    public void A_region_of_thp_does_not_pass_for_base_pages()
    {
        if (HostSettings.Read().Thp.Value is not ("always" or "madvise")) Assert.Skip("this kernel has no transparent huge pages");
        using VirtualRegion region = VirtualRegion.Reserve(8 * MiB, PageKind.Thp);
        region.Commit();
        Placement real = Placement.Of(region);
        if (real.BytesInKind is not > 0) Assert.Skip("the kernel had no free 2M block");
        long inBase = Placement.BytesOfKind(File.ReadLines("/proc/self/smaps"), (ulong)region.Base, region.Bytes, PageKind.NoThp);
        Assert.Equal((long)region.Bytes - real.BytesInKind, inBase);
        Assert.Equal(PlacementVerdict.Differs, With(real, PageKind.NoThp, inBase).Judge(null, out _));
    }

    [Fact]
    public void A_region_that_nobody_touched_does_not_pass()
    {
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        Placement proof = Placement.Of(region);

        Assert.Equal(PlacementVerdict.Differs, proof.Judge(null, out string? reason));
        Assert.Equal("placement differs: 256 of 256 frames are not in memory (asked: 4K). Not measured.", reason);
    }

    [Fact]
    public void Committing_twice_keeps_the_content()
    {
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        region.Commit();
        region.Base[4097] = 42;
        region.Commit();
        Assert.Equal(42, region.Base[4097]);
        Assert.Equal(0, region.Base[4096]);
    }

    [Theory]
    [InlineData(2u << 20)]
    [InlineData(1u << 30)]
    public void A_region_starts_where_the_alignment_says(uint alignment)
    {
        using VirtualRegion region = VirtualRegion.Reserve(3 * MiB, PageKind.Small, alignment);
        Assert.Equal(0u, (nuint)region.Base % alignment);
        Assert.Equal(3 * MiB, region.Bytes);
    }

    [Fact]
    public void A_terabyte_of_address_space_costs_no_memory()
    {
        using VirtualRegion region = VirtualRegion.Reserve((nuint)1 << 40, PageKind.NoThp);
        region.Commit(512 * MiB, MiB);
        region.Base[512 * MiB] = 1;
        Assert.Equal((nuint)1 << 40, region.Bytes);
    }

    [Fact]
    public void Length_is_rounded_up_to_whole_pages_of_the_kind()
    {
        using VirtualRegion small = VirtualRegion.Reserve(1, PageKind.Small);
        Assert.Equal(4096u, small.Bytes);
        if (HostSettings.Read().Thp.Value is not ("always" or "madvise")) Assert.Skip("this kernel has no transparent huge pages");
        using VirtualRegion thp = VirtualRegion.Reserve(1, PageKind.Thp);
        Assert.Equal(2 * MiB, thp.Bytes);
        Assert.Equal(0u, (nuint)thp.Base % (2 * MiB));
    }

    [Fact]
    public void A_disposed_region_is_gone_and_disposing_again_does_nothing()
    {
        VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        region.Dispose();
        region.Dispose();
        Assert.True(region.Base == null);
        Assert.Throws<ObjectDisposedException>(() => region.Commit());
    }

    [Theory]
    [InlineData(0, 2 << 20)]
    [InlineData(1 << 20, 4096)]
    [InlineData(100, 4096)]
    [InlineData(0, 100)]
    public void A_part_outside_of_the_region_or_of_page_bounds_is_refused(int offset, int bytes)
    {
        using VirtualRegion region = VirtualRegion.Reserve(MiB, PageKind.Small);
        Assert.Throws<ArgumentOutOfRangeException>(() => region.Commit((nuint)offset, (nuint)bytes));
    }

    [Fact]
    public void Hugetlb_pages_that_the_bound_node_lacks_are_refused_before_mmap()
    {
        if (HugePages.Pools(PageKind.Huge2M).Count == 0) Assert.Skip("this kernel has no hugetlb pages");
        var e = Assert.Throws<OsException>(() => VirtualRegion.Reserve(2 * MiB, PageKind.Huge2M, 0, [new NodeId(900)]));
        Assert.StartsWith("--pages 2M: 1 pages needed on node 900, 0 free. As root: echo 1 > ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_hugetlb_pool_is_an_error_with_the_command_that_fills_it()
    {
        IReadOnlyList<HugePagePool> pools = HugePages.Pools(PageKind.Huge2M);
        if (pools.Count == 0) Assert.Skip("this kernel has no hugetlb pages");
        nuint pages = (nuint)pools[0].FreePages + 8;
        if (pools.Count > 1) Assert.Skip("several nodes share the pool");
        var e = Assert.Throws<OsException>(() => VirtualRegion.Reserve(pages * 2 * MiB, PageKind.Huge2M));
        Assert.Equal(Errno.ENOMEM, e.ErrorNumber);
        Assert.Equal($"--pages 2M: {pages} pages needed on node 0, {pools[0].FreePages} free. As root: echo {pools[0].TotalPages + 8}"
            + " > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages or let the kernel try: --pages thp, or say --pages 2M,4K to accept less", e.Message);
    }

    [Fact]
    public void A_wish_list_takes_the_first_kind_that_can_be_had_and_says_which()
    {
        if (HugePages.Pools(PageKind.Huge1G) is [{ FreePages: > 0 }, ..]) Assert.Skip("this machine has 1G pages");
        using VirtualRegion region = VirtualRegion.Map(MiB, PageKind.ParseList("1G,4K"), NumaPolicy.Parse("local"), out _);
        Assert.Same(PageKind.Small, region.Pages);
    }

    [Fact]
    public void Hugetlb_pages_are_proved_by_their_mapping()
    {
        if (HugePages.Pools(PageKind.Huge2M) is not [{ FreePages: >= 4 }, ..]) Assert.Skip("fewer than four free 2M hugetlb pages on node 0");
        using VirtualRegion region = VirtualRegion.Reserve(8 * MiB, PageKind.Huge2M);
        region.Commit();
        Placement proof = Placement.Of(region);
        Assert.Equal(4, proof.Frames);
        Assert.Equal(PlacementVerdict.AsAsked, proof.Judge(null, out _));
    }

    [Fact]
    public void A_part_is_proved_on_its_own()
    {
        using VirtualRegion region = VirtualRegion.Reserve(4 * MiB, PageKind.Small);
        region.Commit(MiB, 2 * MiB);
        Assert.Equal(PlacementVerdict.AsAsked, Placement.Of(region, MiB, 2 * MiB).Judge(null, out _));
        Assert.Equal(256, Placement.Of(region, 0, 2 * MiB).AbsentFrames);
    }

    private static Placement With(Placement p, PageKind pages, long? bytesInKind) => new()
    {
        Method = p.Method, Found = p.Found, AbsentFrames = p.AbsentFrames, Untold = p.Untold, FrameBytes = p.FrameBytes,
        BytesInKind = bytesInKind, RegionBytes = p.RegionBytes, Pages = pages,
    };
}
