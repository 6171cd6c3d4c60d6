// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using NUnit.Framework;

namespace MemcgNative.Tests.Conformance;

/// <summary>Every counter, bare and behind each stock, x every rule.</summary>
[TestFixtureSource(typeof(Designs), nameof(Designs.Counters))]
public sealed class CounterTests<TCounter> where TCounter : struct, ICounterDesign
{
    [TestCaseSource(typeof(CounterRules), nameof(CounterRules.Cases))]
    public void Keeps(string rule) => Assert.That(CounterRules.Check<TCounter>(rule), Is.Null);
}

/// <summary>Every page_cgroup that ships x every rule.</summary>
[TestFixtureSource(typeof(Designs), nameof(Designs.PageCgroups))]
public sealed class PageCgroupTests<TPc> where TPc : struct, IPageCgroupDesign
{
    [TestCaseSource(typeof(PageCgroupRules), nameof(PageCgroupRules.Cases))]
    public void Keeps(string rule) => Assert.That(PageCgroupRules.Check<TPc>(rule), Is.Null);
}

/// <summary>The rules bite: each broken design is found by the rule it breaks.</summary>
public sealed class BustedDesignTests
{
    [TestCase(typeof(ForgetsTheParent), "RefusalLeavesNoTrace", ExpectedResult = "4 pages fitted under a limit of 3")]
    [TestCase(typeof(ForgetsTheParent), "ChargesEveryLevel", ExpectedResult = "5 pages charged, usage is 0 at depth 2")]
    [TestCase(typeof(ForgetsTheParent), "HoldsTheLimit", ExpectedResult = "200 of 100 pages could be had")]
    public string? The_broken_counter_is_caught(Type counter, string rule) =>
        (string?)typeof(CounterRules).GetMethod(nameof(CounterRules.Check))!.MakeGenericMethod(counter).Invoke(null, [rule]);

    [TestCase(typeof(OverwritesTheOwner), "SecondCommitIsRefused", ExpectedResult = "a second commit was accepted")]
    [TestCase(typeof(NeverClears), "ClearsOnce", ExpectedResult = "a page was cleared twice")]
    [TestCase(typeof(NeverClears), "NamesTheOwner", ExpectedResult = "a cleared page is charged")]
    public string? The_broken_page_cgroup_is_caught(Type design, string rule) =>
        (string?)typeof(PageCgroupRules).GetMethod(nameof(PageCgroupRules.Check))!.MakeGenericMethod(design).Invoke(null, [rule]);
}

internal static class Designs
{
    private static readonly Type[] Bare =
    [
        typeof(PageCounter<PageCounter40>), typeof(PageCounter<PageCounter192>),
        typeof(ResCounter<ResCounter40, TestAndSetLock>), typeof(ResCounter<ResCounter40, TicketLock>),
        typeof(ResCounter<ResCounter56, TestAndSetLock>), typeof(ResCounter<ResCounter56, TicketLock>),
    ];

    private static readonly Type[] Stocks =
        [typeof(SingleSlotStock<Batch2>), typeof(SingleSlotStock<Batch32>), typeof(SingleSlotStock<Batch64>), typeof(SevenSlotStock<Batch2>), typeof(SevenSlotStock<Batch64>)];

    public static IEnumerable<TestFixtureData> Counters() =>
        Of(Bare.Concat(Bare.SelectMany(counter => Stocks.Select(stock => typeof(Stocked<,>).MakeGenericType(counter, stock)))));

    public static IEnumerable<TestFixtureData> PageCgroups() => Of(
    [
        typeof(OwnerWord), typeof(BitSpinlock<BitLock>), typeof(BitSpinlock<ByteLock>),
        typeof(LocklessRcu<Corrected, PrefetchNone>), typeof(LocklessRcu<Corrected, PrefetchRead>), typeof(LocklessRcu<Corrected, PrefetchWrite>),
        typeof(FlagArray<PageCgroupEntry40, BitLock>), typeof(FlagArray<PageCgroupEntry40, ByteLock>),
        typeof(FlagArray<PageCgroupEntry16, BitLock>), typeof(FlagArray<PageCgroupEntry16, ByteLock>),
        typeof(PlainFlagArray<PlainAsMailed>), typeof(PlainFlagArray<Plain317>),
    ]);

    private static IEnumerable<TestFixtureData> Of(IEnumerable<Type> designs) => designs.Select(design => new TestFixtureData { TypeArgs = [design] });
}
