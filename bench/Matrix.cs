// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Something that wants a controller as a type argument.</summary>
internal interface IControllerUser<out TResult>
{
    /// <summary>Called once, with the combination the model names.</summary>
    TResult Use<TC>() where TC : struct, IMemoryController;
}

/// <summary>
/// From names to types: one switch per axis, each binding one type argument. The single place of dynamic dispatch in the program; a new
/// answer is one line here. Only the combination that is chosen is ever compiled.
/// </summary>
internal static partial class Matrix
{
    /// <summary>Calls user with the model's controller.</summary>
    /// <exception cref="UsageException">An answer that this program was not built with, or that does not go with the others.</exception>
    public static TResult Bind<TResult>(Model model, IControllerUser<TResult> user) =>
        Eras.WhyNot(model) is { } reason ? throw new UsageException($"--model: {reason}") : Counter(model, user);

    private static TResult Counter<TResult>(Model model, IControllerUser<TResult> user) => model[Axis.Counter] switch
    {
        "ResCounter40" => Stock<ResCounter<ResCounter40, TicketLock>, TResult>(model, user),
        "ResCounter40Tas" => Stock<ResCounter<ResCounter40, TestAndSetLock>, TResult>(model, user),
        "ResCounter56" => Stock<ResCounter<ResCounter56, TicketLock>, TResult>(model, user),
        "ResCounter56Tas" => Stock<ResCounter<ResCounter56, TestAndSetLock>, TResult>(model, user),
        "PageCounter40" => Stock<PageCounter<PageCounter40>, TResult>(model, user),
        "PageCounter112" => Stock<PageCounter<PageCounter112>, TResult>(model, user),
        "PageCounter112Apart" => Stock<PageCounter<PageCounter112Apart>, TResult>(model, user),
        "PageCounter192Legacy" => Stock<PageCounter<PageCounter192Legacy>, TResult>(model, user),
        "PageCounter256" => Stock<PageCounter<PageCounter256>, TResult>(model, user),
        "PageCounter192" => Stock<PageCounter<PageCounter192>, TResult>(model, user),
        DearerCounter.Answer => Stock<DearerCounter, TResult>(model, user), // not in Eras: for `compare --prove`
        var other => throw Unbound(Axis.Counter, other),
    };

    private static TResult Stock<TCounter, TResult>(Model model, IControllerUser<TResult> user) where TCounter : struct, ICounterDesign => model[Axis.Stock] switch
    {
        "None" => PageCgroup<TCounter, TResult>(model, user),
        "SingleSlot32" => PageCgroup<Stocked<TCounter, SingleSlotStock<Batch32>>, TResult>(model, user),
        "SingleSlot64" => PageCgroup<Stocked<TCounter, SingleSlotStock<Batch64>>, TResult>(model, user),
        // Not in Eras: the torture program's, which meets every edge of a stock at once.
        "SingleSlot2" => PageCgroup<Stocked<TCounter, SingleSlotStock<Batch2>>, TResult>(model, user),
        "SevenSlot2" => PageCgroup<Stocked<TCounter, SevenSlotStock<Batch2>>, TResult>(model, user),
        "SevenSlot64" => PageCgroup<Stocked<TCounter, SevenSlotStock<Batch64>>, TResult>(model, user),
        var other => throw Unbound(Axis.Stock, other),
    };

    private static TResult PageCgroup<TCounter, TResult>(Model model, IControllerUser<TResult> user) where TCounter : struct, ICounterDesign => model[Axis.PageCgroup] switch
    {
        "OwnerWord" => Lru<TCounter, OwnerWord, TResult>(model, user),
        "ObjcgWord" => Lru<TCounter, ObjcgWord, TResult>(model, user),
        "BitSpinlock" => Lru<TCounter, BitSpinlock<BitLock>, TResult>(model, user),
        "BitSpinlockByte" => Lru<TCounter, BitSpinlock<ByteLock>, TResult>(model, user),
        "LocklessRcu" => Lru<TCounter, LocklessRcu<Corrected, PrefetchWrite>, TResult>(model, user),
        "LocklessRcuRead" => Lru<TCounter, LocklessRcu<Corrected, PrefetchRead>, TResult>(model, user),
        "LocklessRcuNone" => Lru<TCounter, LocklessRcu<Corrected, PrefetchNone>, TResult>(model, user),
        "FlagArray40" => Lru<TCounter, FlagArray<PageCgroupEntry40, BitLock>, TResult>(model, user),
        "FlagArray40Byte" => Lru<TCounter, FlagArray<PageCgroupEntry40, ByteLock>, TResult>(model, user),
        "FlagArray16" => Lru<TCounter, FlagArray<PageCgroupEntry16, BitLock>, TResult>(model, user),
        "FlagArray16Byte" => Lru<TCounter, FlagArray<PageCgroupEntry16, ByteLock>, TResult>(model, user),
        "PlainFlagArrayMail" => Lru<TCounter, PlainFlagArray<PlainAsMailed>, TResult>(model, user),
        "PlainFlagArray" => Lru<TCounter, PlainFlagArray<Plain317>, TResult>(model, user),
        var other => throw Unbound(Axis.PageCgroup, other),
    };

    private static TResult Lru<TCounter, TPageCgroup, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign => model[Axis.LruLock] switch
        {
            "tas" => Lru<TCounter, TPageCgroup, TestAndSetLock, TResult>(model, user),
            "ticket" => Lru<TCounter, TPageCgroup, TicketLock, TResult>(model, user),
            "mcs" => Lru<TCounter, TPageCgroup, McsLock, TResult>(model, user),
            "tas-timed" => Lru<TCounter, TPageCgroup, Timed<TestAndSetLock>, TResult>(model, user),
            "ticket-timed" => Lru<TCounter, TPageCgroup, Timed<TicketLock>, TResult>(model, user),
            "mcs-timed" => Lru<TCounter, TPageCgroup, Timed<McsLock>, TResult>(model, user),
            var other => throw Unbound(Axis.LruLock, other),
        };

    private static TResult Lru<TCounter, TPageCgroup, TLock, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLock : struct, ILockKind => model[Axis.Lru] switch
        {
            "ZoneLruLock" => Uncharge<TCounter, TPageCgroup, ZoneLruLock<TLock>, TResult>(model, user),
            "TwinListsAsync" => Uncharge<TCounter, TPageCgroup, TwinLists<Async, TLock>, TResult>(model, user),
            "TwinListsSync" => Uncharge<TCounter, TPageCgroup, TwinLists<Sync, TLock>, TResult>(model, user),
            "Books" => BookMap<TCounter, TPageCgroup, TLock, TResult>(model, user),
            "LruvecLruBit" => Uncharge<TCounter, TPageCgroup, Lruvecs<TLock, ByLruBit>, TResult>(model, user),
            "LruvecRecheck" => Uncharge<TCounter, TPageCgroup, Lruvecs<TLock, ByRecheck>, TResult>(model, user),
            var other => throw Unbound(Axis.Lru, other),
        };

    private static TResult Uncharge<TCounter, TPageCgroup, TLru, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLru : struct, ILruDesign => model[Axis.Uncharge] switch
        {
            "AtFinalPut" => Residents<TCounter, TPageCgroup, TLru, AtFinalPut, TResult>(model, user),
            "AtUnmap27" => Residents<TCounter, TPageCgroup, TLru, AtUnmap<Early2627>, TResult>(model, user),
            "AtUnmap29" => Residents<TCounter, TPageCgroup, TLru, AtUnmap<Early2629>, TResult>(model, user),
            "AtUnmap33" => Residents<TCounter, TPageCgroup, TLru, AtUnmap<Early33>, TResult>(model, user),
            "AtUnmap36" => Residents<TCounter, TPageCgroup, TLru, AtUnmap<Early36>, TResult>(model, user),
            var other => throw Unbound(Axis.Uncharge, other),
        };

    private static TResult Residents<TCounter, TPageCgroup, TLru, TUncharge, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLru : struct, ILruDesign
        where TUncharge : struct, IUnchargeDesign => model[Axis.Residents] switch
        {
            "ForceEmpty" => Kmem<TCounter, TPageCgroup, TLru, TUncharge, ForceEmpty, TResult>(model, user),
            "MoveToParent" => Kmem<TCounter, TPageCgroup, TLru, TUncharge, MoveToParent, TResult>(model, user),
            "PinPerPage" => Kmem<TCounter, TPageCgroup, TLru, TUncharge, PinPerPage, TResult>(model, user),
            "SpliceToParent" => Kmem<TCounter, TPageCgroup, TLru, TUncharge, SpliceToParent, TResult>(model, user),
            var other => throw Unbound(Axis.Residents, other),
        };

    private static TResult Kmem<TCounter, TPageCgroup, TLru, TUncharge, TResidents, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLru : struct, ILruDesign
        where TUncharge : struct, IUnchargeDesign where TResidents : struct, IResidentsDesign => model[Axis.Kmem] switch
        {
            "None" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, NoKmem>>(),
            "PerCachePin" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, PerGroupCaches<PerCachePin>>>(),
            "ReparentCaches" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, PerGroupCaches<ReparentCaches>>>(),
            "ReparentCachesRef" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, PerGroupCaches<ReparentCachesRef>>>(),
            "ReparentPointerByPage" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, PerGroupCaches<ReparentPointerByPage>>>(),
            "ReparentPointer" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, ReparentPointer>>(),
            "ObjCgroup" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, ObjCgroup<OnePerGroup>>>(),
            "ObjCgroupPerNode" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, ObjCgroup<OnePerNode>>>(),
            var other => throw Unbound(Axis.Kmem, other),
        };

    private static UsageException Unbound(Axis axis, string answer) =>
        new($"--model: {Eras.NameOf(axis)}={answer} does not go with the rest of the model, or is not built into this program");
}
