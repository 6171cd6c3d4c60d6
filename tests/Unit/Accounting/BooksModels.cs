// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>Something that wants a list design as a type argument.</summary>
internal interface IWithLru
{
    void Use<TLru>() where TLru : struct, ILruDesign;
}

/// <summary>The list designs of these tests, by the name a failing row shows.</summary>
internal static class LruModels
{
    private static readonly (string Name, Action<IWithLru> Use)[] Rows =
    [
        ("zone", w => w.Use<ZoneLruLock<TicketLock>>()),
        ("W1 rcu+lockwait", w => w.Use<Books<TicketLock, OneBook, W1, RcuLockWait, Pagevecs>>()),
        ("W1 refcount tas", w => w.Use<Books<TestAndSetLock, OneBook, W1, RefcountIsolated, Pagevecs>>()),
        ("W1 recycle mcs", w => w.Use<Books<McsLock, OneBook, W1, Recycle, Pagevecs>>()),
        ("W2 rcu+lockwait", w => w.Use<Books<TicketLock, OneBook, W2, RcuLockWait, Pagevecs>>()),
        ("W2 recycle tas", w => w.Use<Books<TestAndSetLock, OneBook, W2, Recycle, Pagevecs>>()),
        ("W2 rcu+lockwait mcs", w => w.Use<Books<McsLock, OneBook, W2, RcuLockWait, Pagevecs>>()),
        ("W4 rcu+lockwait", w => w.Use<Books<TicketLock, OneBook, W4, RcuLockWait, Pagevecs>>()),
        ("W5 rcu+lockwait", w => w.Use<Books<TicketLock, OneBook, W5, RcuLockWait, Pagevecs>>()),
        ("W1 slices", w => w.Use<Books<TicketLock, PfnSlices, W1, RcuLockWait, Pagevecs>>()),
        ("W2 slices recycle", w => w.Use<Books<TicketLock, PfnSlices, W2, Recycle, Pagevecs>>()),
        ("W1 pending", w => w.Use<Books<TicketLock, OneBook, W1, RcuLockWait, PendingLists>>()),
        ("W2 pending slices refcount", w => w.Use<Books<TicketLock, PfnSlices, W2, RefcountIsolated, PendingLists>>()),
        ("lrubit", w => w.Use<Lruvecs<TicketLock, ByLruBit>>()),
        ("recheck", w => w.Use<Lruvecs<TicketLock, ByRecheck>>()),
    ];

    public static IEnumerable<string> Names => Rows.Select(r => r.Name);

    public static void Run(string name, IWithLru what) => Rows.Single(r => r.Name == name).Use(what);

    /// <summary>Slices are 2 MiB, dealt out to three books: a number that is no power of two.</summary>
    public static AccountingPlan Plan => new(MaxGroups: 64) { Slices = new SlicePlan(SlicePlan.HugePageOrder, 3) };
}
