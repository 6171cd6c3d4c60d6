// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;
using NUnit.Framework;

namespace MemcgNative.Tests.Conformance;

/// <summary>Every counter, bare and behind each stock, x every rule.</summary>
[TestFixtureSource(typeof(Designs), nameof(Designs.Counters))]
public sealed class CounterTests<TCounter> where TCounter : struct, ICounterDesign
{
    [TestCaseSource(typeof(RuleCases), nameof(RuleCases.OfCounters))]
    public void Keeps(string rule) => Assert.That(CounterRules.Check<TCounter>(rule), Is.Null);
}

/// <summary>Every page_cgroup that ships x every rule.</summary>
[TestFixtureSource(typeof(Designs), nameof(Designs.PageCgroups))]
public sealed class PageCgroupTests<TPc> where TPc : struct, IPageCgroupDesign
{
    [TestCaseSource(typeof(RuleCases), nameof(RuleCases.OfPageCgroups))]
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
    public static IEnumerable<TestFixtureData> Counters() => Of(RuleBook.Counters);

    public static IEnumerable<TestFixtureData> PageCgroups() => Of(RuleBook.PageCgroups);

    private static IEnumerable<TestFixtureData> Of(IEnumerable<Type> designs) => designs.Select(design => new TestFixtureData { TypeArgs = [design] });
}

/// <summary>The rules by their sentences.</summary>
internal static class RuleCases
{
    public static IEnumerable<TestCaseData> OfCounters() => Of(CounterRules.All);

    public static IEnumerable<TestCaseData> OfPageCgroups() => Of(PageCgroupRules.All);

    public static IEnumerable<TestCaseData> OfLocks() => Of(LockRules.All);

    private static IEnumerable<TestCaseData> Of((string Name, string Sentence)[] rules) => rules.Select(r => new TestCaseData(r.Name).SetArgDisplayNames(r.Sentence));
}
