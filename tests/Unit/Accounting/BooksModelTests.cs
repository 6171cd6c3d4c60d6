// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>How users choose books: -M era,lru.switch=...</summary>
public sealed class BooksModelTests
{
    [Theory]
    [InlineData("rfc-2012-books")]
    [InlineData("rfc-2012-books,lru.switch=W1,lru.slice=256M")]
    [InlineData("rfc-2012-books,lru.destroy=recycle,lru.slice=interleave:4@12,lru.pending=on")]
    [InlineData("3.19,lru=Books,lru.switch=W2")]
    [InlineData("rfc-2012-books,lru.switch=W4")]
    [InlineData("5.11,lru.lock=tas")]
    public void A_choice_reads_back_as_it_was_written(string text)
    {
        Model model = Model.Parse(text);
        Assert.Equal(model.Answers, Model.Parse(model.ToString()).Answers);
        string[] Sorted(string t) => [.. t.Split(',').Order(StringComparer.Ordinal)];
        Assert.Equal(Sorted(text), Sorted(model.ToString()));
    }

    [Theory]
    [InlineData("rfc-2012-books,lru.switch=W0", "lru.switch=W0 is for the explorer only: the catcher takes the page off the new list")]
    [InlineData("rfc-2012-books,lru.switch=w3", "lru.switch=W3 is for the explorer only: right for one move")]
    [InlineData("rfc-2012-books,lru.switch=W2-nofence", "choose W1 or W2 or W4 or W5")]
    [InlineData("rfc-2012-books,lru.destroy=rcu", "choose refcount or rcu+lockwait or recycle")]
    [InlineData("rfc-2012-books,lru.slice=1M", "at least 2M")]
    [InlineData("3.19,lru.switch=W2", "is a choice of lru=Books, and the model has lru=ZoneLruLock")]
    [InlineData("rfc-2012-books,lru.swich=W1", "did you mean lru.switch?")]
    public void A_choice_that_is_wrong_unproven_or_meaningless_is_refused_with_the_reason(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<UsageException>(() => Model.Parse(text)).Message, StringComparison.Ordinal);

    /// <summary>A page of a dead group waits in a CPU's vector, uncharged: its add would lock a book that was freed. Torture found it within 20,000 operations.</summary>
    [Theory]
    [InlineData("3.14,lru=Books")]
    [InlineData("3.17,lru=Books,lru.destroy=recycle")]
    [InlineData("3.19,lru=Books,page_cgroup=FlagArray16Byte")]
    public void Books_do_not_go_with_an_array_that_names_groups_that_are_gone(string text) =>
        Assert.StartsWith("lru=Books needs page_cgroup=OwnerWord", Eras.WhyNot(Model.Parse(text)), StringComparison.Ordinal);

    [Theory]
    [InlineData("3.3,lru=LruvecLruBit", "lru=LruvecLruBit needs uncharge=AtFinalPut, because a page on a list has to keep its owner")]
    [InlineData("3.3,lru=Books,lru.switch=W5", "lru.switch=W5 needs uncharge=AtFinalPut")]
    public void Early_uncharge_does_not_go_with_a_bit_that_keeps_the_owner(string text, string reason) =>
        Assert.StartsWith(reason, Eras.WhyNot(Model.Parse(text)), StringComparison.Ordinal);

    [Fact]
    public void Every_era_names_an_answer_that_exists_on_every_axis() => Assert.All(Eras.All, era =>
    {
        Assert.Equal(Enum.GetValues<Axis>().Length, era.Answers.Count);
        Assert.Equal(era.Answers, Model.Parse(era.Name).Answers);
        Assert.All(Enum.GetValues<Axis>(), axis => Assert.Contains(Eras.Answers, a => a.Axis == axis && a.Name == era.Answers[(int)axis] && a.Refused is null));
    });
}
