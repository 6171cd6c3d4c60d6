// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

// The sub-choices of lru=Books. What a normal run refuses never gets here: Model.Parse names the reason.
internal static partial class Matrix
{
    private static TResult BookMap<TCounter, TPageCgroup, TLock, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLock : struct, ILockKind =>
        model[Axis.LruSlice] == SlicePlan.Whole.ToString()
            ? BookSwitch<TCounter, TPageCgroup, TLock, OneBook, TResult>(model, user)
            : BookSwitch<TCounter, TPageCgroup, TLock, PfnSlices, TResult>(model, user);

    private static TResult BookSwitch<TCounter, TPageCgroup, TLock, TMap, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLock : struct, ILockKind
        where TMap : struct, IBookMap => model[Axis.LruSwitch] switch
        {
            "W1" => BookDestroy<TCounter, TPageCgroup, TLock, TMap, W1, TResult>(model, user),
            "W2" => BookDestroy<TCounter, TPageCgroup, TLock, TMap, W2, TResult>(model, user),
            "W4" => BookDestroy<TCounter, TPageCgroup, TLock, TMap, W4, TResult>(model, user),
            "W5" => BookDestroy<TCounter, TPageCgroup, TLock, TMap, W5, TResult>(model, user),
            var other => throw Unbound(Axis.LruSwitch, other),
        };

    private static TResult BookDestroy<TCounter, TPageCgroup, TLock, TMap, TSwitch, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLock : struct, ILockKind
        where TMap : struct, IBookMap where TSwitch : struct, ISwitchProtocol => model[Axis.LruDestroy] switch
        {
            "refcount" => BookInbox<TCounter, TPageCgroup, TLock, TMap, TSwitch, RefcountIsolated, TResult>(model, user),
            "rcu+lockwait" => BookInbox<TCounter, TPageCgroup, TLock, TMap, TSwitch, RcuLockWait, TResult>(model, user),
            "recycle" => BookInbox<TCounter, TPageCgroup, TLock, TMap, TSwitch, Recycle, TResult>(model, user),
            var other => throw Unbound(Axis.LruDestroy, other),
        };

    private static TResult BookInbox<TCounter, TPageCgroup, TLock, TMap, TSwitch, TDestroy, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLock : struct, ILockKind
        where TMap : struct, IBookMap where TSwitch : struct, ISwitchProtocol where TDestroy : struct, IBookDestroy => model[Axis.LruPending] switch
        {
            "off" => Uncharge<TCounter, TPageCgroup, Books<TLock, TMap, TSwitch, TDestroy, Pagevecs>, TResult>(model, user),
            "on" => Uncharge<TCounter, TPageCgroup, Books<TLock, TMap, TSwitch, TDestroy, PendingLists>, TResult>(model, user),
            var other => throw Unbound(Axis.LruPending, other),
        };
}
