// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>A rule and a design that must keep it.</summary>
/// <param name="Rules">The class that holds the rule.</param>
/// <param name="Rule">Its name there.</param>
/// <param name="Sentence">The rule in words.</param>
/// <param name="Design">The answer under test.</param>
internal sealed record RuleCase(Type Rules, string Rule, string Sentence, Type Design)
{
    /// <summary>What is broken, or null.</summary>
    public string? Run() => (string?)Rules.GetMethod("Check")!.MakeGenericMethod(Design).Invoke(null, [Rule]);

    /// <summary>"Stocked of PageCounter of PageCounter40, ..." without the namespaces.</summary>
    public string DesignName => NameOf(Design);

    private static string NameOf(Type type) => !type.IsGenericType ? type.Name
        : $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>";
}

/// <summary>Every rule x every design it speaks of; `memcgnative conform` and the conformance tests run the same list.</summary>
internal static class RuleBook
{
    private static readonly Type[] bare =
    [
        typeof(PageCounter<PageCounter40>), typeof(PageCounter<PageCounter112>), typeof(PageCounter<PageCounter112Apart>), typeof(PageCounter<PageCounter192Legacy>),
        typeof(PageCounter<PageCounter256>), typeof(PageCounter<PageCounter192>),
        typeof(ResCounter<ResCounter40, TestAndSetLock>), typeof(ResCounter<ResCounter40, TicketLock>),
        typeof(ResCounter<ResCounter56, TestAndSetLock>), typeof(ResCounter<ResCounter56, TicketLock>),
    ];

    private static readonly Type[] stocks =
        [typeof(SingleSlotStock<Batch2>), typeof(SingleSlotStock<Batch32>), typeof(SingleSlotStock<Batch64>), typeof(SevenSlotStock<Batch2>), typeof(SevenSlotStock<Batch64>)];

    /// <summary>Every counter, bare and behind each stock.</summary>
    public static IEnumerable<Type> Counters => [.. Bare, .. Bare.SelectMany(counter => Stocks.Select(stock => typeof(Stocked<,>).MakeGenericType(counter, stock)))];

    private static IEnumerable<Type> Bare => bare.Concat(Announced.Of(Axis.Counter));

    private static IEnumerable<Type> Stocks => stocks.Concat(Announced.Of(Axis.Stock));

    /// <summary>Every page_cgroup that ships.</summary>
    public static IEnumerable<Type> PageCgroups =>
    [
        typeof(OwnerWord), typeof(ObjcgWord), typeof(BitSpinlock<BitLock>), typeof(BitSpinlock<ByteLock>),
        typeof(LocklessRcu<Corrected, PrefetchNone>), typeof(LocklessRcu<Corrected, PrefetchRead>), typeof(LocklessRcu<Corrected, PrefetchWrite>),
        typeof(FlagArray<PageCgroupEntry40, BitLock>), typeof(FlagArray<PageCgroupEntry40, ByteLock>),
        typeof(FlagArray<PageCgroupEntry16, BitLock>), typeof(FlagArray<PageCgroupEntry16, ByteLock>),
        typeof(PlainFlagArray<PlainAsMailed>), typeof(PlainFlagArray<Plain317>),
        .. Announced.Of(Axis.PageCgroup),
    ];

    /// <summary>Every lock kind of the source, found by reflection: a new one needs no line.</summary>
    public static IEnumerable<Type> Locks =>
        from type in typeof(ILockKind).Assembly.GetTypes()
        where type is { IsValueType: true, ContainsGenericParameters: false } && type.IsAssignableTo(typeof(ILockKind))
        select type;

    /// <summary>All of it.</summary>
    public static IEnumerable<RuleCase> All =>
    [
        .. Cases(typeof(CounterRules), CounterRules.All, Counters), .. Cases(typeof(PageCgroupRules), PageCgroupRules.All, PageCgroups),
        .. Cases(typeof(LockRules), LockRules.All, Locks),
    ];

    private static IEnumerable<RuleCase> Cases(Type rules, (string Name, string Sentence)[] all, IEnumerable<Type> designs) =>
        from design in designs from rule in all select new RuleCase(rules, rule.Name, rule.Sentence, design);
}
