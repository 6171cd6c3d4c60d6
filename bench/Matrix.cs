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
internal static class Matrix
{
    /// <summary>Calls user with the model's controller.</summary>
    /// <exception cref="UsageException">An answer that this program was not built with, or that does not go with the others.</exception>
    public static TResult Bind<TResult>(Model model, IControllerUser<TResult> user) => model[Axis.Counter] switch
    {
        "PageCounter40" => Stock<PageCounter<PageCounter40>, TResult>(model, user),
        "PageCounter192" => Stock<PageCounter<PageCounter192>, TResult>(model, user),
        var other => throw Unbound(Axis.Counter, other),
    };

    private static TResult Stock<TCounter, TResult>(Model model, IControllerUser<TResult> user) where TCounter : struct, ICounterDesign => model[Axis.Stock] switch
    {
        "None" => PageCgroup<TCounter, TResult>(model, user),
        "SingleSlot32" => PageCgroup<Stocked<TCounter, SingleSlotStock<Batch32>>, TResult>(model, user),
        "SingleSlot64" => PageCgroup<Stocked<TCounter, SingleSlotStock<Batch64>>, TResult>(model, user),
        "SevenSlot64" => PageCgroup<Stocked<TCounter, SevenSlotStock<Batch64>>, TResult>(model, user),
        var other => throw Unbound(Axis.Stock, other),
    };

    private static TResult PageCgroup<TCounter, TResult>(Model model, IControllerUser<TResult> user) where TCounter : struct, ICounterDesign => model[Axis.PageCgroup] switch
    {
        "OwnerWord" => Lru<TCounter, OwnerWord, TResult>(model, user),
        var other => throw Unbound(Axis.PageCgroup, other),
    };

    private static TResult Lru<TCounter, TPageCgroup, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign => (model[Axis.Lru], model[Axis.LruLock]) switch
        {
            ("ZoneLruLock", "tas") => Uncharge<TCounter, TPageCgroup, ZoneLruLock<TestAndSetLock>, TResult>(model, user),
            ("ZoneLruLock", "ticket") => Uncharge<TCounter, TPageCgroup, ZoneLruLock<TicketLock>, TResult>(model, user),
            ("ZoneLruLock", "mcs") => Uncharge<TCounter, TPageCgroup, ZoneLruLock<McsLock>, TResult>(model, user),
            ("ZoneLruLock", var other) => throw Unbound(Axis.LruLock, other),
            (var other, _) => throw Unbound(Axis.Lru, other),
        };

    private static TResult Uncharge<TCounter, TPageCgroup, TLru, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLru : struct, ILruDesign => model[Axis.Uncharge] switch
        {
            "AtFinalPut" => Residents<TCounter, TPageCgroup, TLru, AtFinalPut, TResult>(model, user),
            var early and ("AtUnmap27" or "AtUnmap29" or "AtUnmap32") when model[Axis.PageCgroup] is "OwnerWord" => throw new UsageException(
                $"--model: uncharge={early} needs a page_cgroup that keeps the owner of an uncharged page on its list; OwnerWord does not. Choose uncharge=AtFinalPut"),
            "AtUnmap27" => Residents<TCounter, TPageCgroup, TLru, AtUnmap<Early2627>, TResult>(model, user),
            "AtUnmap29" => Residents<TCounter, TPageCgroup, TLru, AtUnmap<Early2629>, TResult>(model, user),
            "AtUnmap32" => Residents<TCounter, TPageCgroup, TLru, AtUnmap<Early32>, TResult>(model, user),
            var other => throw Unbound(Axis.Uncharge, other),
        };

    private static TResult Residents<TCounter, TPageCgroup, TLru, TUncharge, TResult>(Model model, IControllerUser<TResult> user)
        where TCounter : struct, ICounterDesign where TPageCgroup : struct, IPageCgroupDesign where TLru : struct, ILruDesign
        where TUncharge : struct, IUnchargeDesign => model[Axis.Residents] switch
        {
            "ForceEmpty" => Kmem<TCounter, TPageCgroup, TLru, TUncharge, ForceEmpty, TResult>(model, user),
            "MoveToParent" => Kmem<TCounter, TPageCgroup, TLru, TUncharge, MoveToParent, TResult>(model, user),
            "PinPerPage" => Kmem<TCounter, TPageCgroup, TLru, TUncharge, PinPerPage, TResult>(model, user),
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
            "ObjCgroup" => user.Use<Controller<TCounter, TPageCgroup, TLru, TUncharge, TResidents, ObjCgroup>>(),
            var other => throw Unbound(Axis.Kmem, other),
        };

    private static UsageException Unbound(Axis axis, string answer) =>
        new($"--model: {Eras.NameOf(axis)}={answer} does not go with the rest of the model, or is not built into this program");
}

/// <summary>Makes the machine of a plan.</summary>
internal sealed class InstanceMaker(InstancePlan plan) : IControllerUser<Instance>
{
    /// <inheritdoc/>
    public Instance Use<TC>() where TC : struct, IMemoryController => new Instance<TC>(plan);
}
