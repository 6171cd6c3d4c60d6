// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Bench;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

public sealed class ParsingTests
{
    [Theory]
    [InlineData("1048576", 1L << 20)]
    [InlineData("4K", 4096)]
    [InlineData("64M", 64L << 20)]
    [InlineData("2g", 2L << 30)]
    [InlineData("3 GiB", 3L << 30)]
    [InlineData("1T", 1L << 40)]
    public void Sizes_are_powers_of_1024(string text, long bytes)
    {
        Assert.Equal(bytes, SizeText.Parse("--x", text));
        Assert.Equal(bytes, SizeText.Parse("--x", SizeText.Format(bytes)));
    }

    [Theory]
    [InlineData("1kB")]
    [InlineData("64MB")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("1.5G")]
    [InlineData("M")]
    [InlineData("")]
    [InlineData("9999999999T")]
    public void Sizes_that_could_mean_two_things_or_nothing_are_refused(string text) =>
        Assert.StartsWith("--x: ", Assert.Throws<UsageException>(() => SizeText.Parse("--x", text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("250ms", 250)]
    [InlineData("5s", 5000)]
    [InlineData("2m", 120000)]
    [InlineData("1.5", 1500)]
    [InlineData("500us", 0.5)]
    public void A_bare_duration_is_seconds(string text, double ms) => Assert.Equal(ms, DurationText.Parse("--x", text).TotalMilliseconds, 6);

    [Theory]
    [InlineData("8", 16, new[] { 8 })]
    [InlineData("50%", 16, new[] { 8 })]
    [InlineData("1%", 16, new[] { 1 })]
    [InlineData("1..16:x2", 16, new[] { 1, 2, 4, 8, 16 })]
    [InlineData("1..6:+2", 16, new[] { 1, 3, 5 })]
    [InlineData("1..4", 16, new[] { 1, 2, 3, 4 })]
    [InlineData("4,1,2,2", 16, new[] { 1, 2, 4 })]
    [InlineData("1,25%,100%", 8, new[] { 1, 2, 8 })]
    [InlineData("1..100%:x2", 8, new[] { 1, 2, 4, 8 })]
    public void A_ladder_is_ascending_and_names_each_count_once(string text, int cpus, int[] counts) => Assert.Equal(counts, ThreadLadder.Parse(text, cpus));

    [Fact]
    public void The_default_ladder_ends_with_all_cpus()
    {
        static int[] Default(string machine)
        {
            Topology t = CliBox.MachineOf(machine)();
            return ThreadLadder.Default(t, CpuOrder.CoresFirst(t, t.Cpus.Select(c => c.Id)));
        }
        Assert.Equal([1, 2], Default("pack:1 core:2 pu:1"));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24], Default("pack:2 core:6 pu:2"));
        Assert.Equal(1280, Default("1280-cpus")[^1]);
    }

    [Fact]
    public void A_seed_reads_back_what_it_prints()
    {
        Assert.Equal(0x5eedUL, SeedText.Parse("0x5eed"));
        Assert.Equal(ulong.MaxValue, SeedText.Parse(SeedText.Format(ulong.MaxValue)));
    }

    [Fact]
    public void Swapped_letters_are_one_mistake_and_another_word_is_none()
    {
        Assert.Equal("fault", Nearest.Find("fualt", ["fault", "alloc-free"]));
        Assert.Null(Nearest.Find("frobnicate", ["fault", "alloc-free"]));
    }

    [Fact]
    public void The_seeded_order_is_a_permutation_and_the_same_for_the_same_seed()
    {
        int[] a = [.. Enumerable.Range(0, 50)], b = [.. a], c = [.. a];
        new SeededRandom(7).Shuffle(a);
        new SeededRandom(7).Shuffle(b);
        new SeededRandom(8).Shuffle(c);
        Assert.Equal(a, b);
        Assert.NotEqual(a, c);
        Assert.Equal(Enumerable.Range(0, 50), a.Order());
    }
}
