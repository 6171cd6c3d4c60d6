// SPDX-License-Identifier: GPL-2.0-only
using System.Reflection;
using MemcgNative.Accounting;
using MemcgNative.Native;
using NUnit.Framework;

namespace MemcgNative.Tests.Conformance;

/// <summary>Every lock kind of src x every rule. A new kind is found by reflection and needs no line here.</summary>
[TestFixtureSource(typeof(LockKinds), nameof(LockKinds.Fixtures))]
public sealed class LockKindTests<TLock> where TLock : ILockKind
{
    [TestCaseSource(typeof(RuleCases), nameof(RuleCases.OfLocks))]
    public void Keeps(string rule) => Assert.That(LockRules.Check<TLock>(rule), Is.Null);
}

public sealed class LockKindNames
{
    [Test]
    public void No_two_lock_kinds_share_the_name_users_choose_them_by()
    {
        string[] names = [.. RuleBook.Locks.Select(LockKinds.NameOf)];
        Assert.That(names, Is.Not.Empty);
        Assert.That(names, Is.Unique);
        Assert.That(names, Has.All.Match("^[a-z0-9-]+$"));
    }
}

/// <summary>The rules bite: each one finds the lock that breaks it.</summary>
public sealed class BustedLockTests
{
    [TestCase(typeof(BornHeld), "FreshIsFree", ExpectedResult = "held after Init")]
    [TestCase(typeof(TryAlwaysSucceeds), "TryRefusesWhileHeld", ExpectedResult = "two holders")]
    [TestCase(typeof(NoLock), "HolderExcludes", ExpectedResult = "a second CPU got in while the lock was held")]
    [TestCase(typeof(NoLock), "WaitForHolderOutlastsTheHolder", ExpectedResult = "WaitForHolder returned before the holder's release")]
    [TestCase(typeof(WritesSixteenBytes), "LocksNest", ExpectedResult = "the lock wrote outside its eight bytes")]
    public string? The_broken_lock_is_caught(Type kind, string rule) =>
        (string?)typeof(LockRules).GetMethod(nameof(LockRules.Check))!.MakeGenericMethod(kind).Invoke(null, [rule]);

    [Test]
    public void Without_a_lock_updates_are_lost_or_this_machine_runs_one_thread_at_a_time()
    {
        for (long started = Environment.TickCount64; Environment.TickCount64 < started + 2000;)
            if (LockRules.Check<NoLock>("NoUpdateIsLost") is not null) return;
        Assert.Inconclusive("the threads never overlapped here");
    }
}

internal static class LockKinds
{
    // Not in the generic fixture itself: NUnit cannot ask an open type, and then finds no tests at all.
    public static IEnumerable<TestFixtureData> Fixtures() => RuleBook.Locks.Select(kind => new TestFixtureData { TypeArgs = [kind] });

    public static string NameOf(Type kind) =>
        (string)typeof(LockKinds).GetMethod(nameof(Name), BindingFlags.Static | BindingFlags.NonPublic)!.MakeGenericMethod(kind).Invoke(null, null)!;

    private static string Name<TLock>() where TLock : ILockKind => TLock.Name;
}
