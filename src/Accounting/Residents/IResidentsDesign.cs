// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>What of a group's counted pages holds a css reference on it.</summary>
public enum Pins
{
    /// <summary>Nothing, or one reference of the mover until the group is empty.</summary>
    Nothing,
    /// <summary>Every counted page, stocked ones included (3.19).</summary>
    Pages,
    /// <summary>Every CPU whose stock remembers the group (7.1).</summary>
    Stocks,
}

/// <summary>What becomes of a dead group's user pages?</summary>
public unsafe interface IResidentsDesign : IChargePin
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>What explains a dead group's references.</summary>
    static virtual Pins Pins => Pins.Nothing;

    /// <summary>Does a page that is in use lose its charge? Then nothing that a page is in can be counted per group (<see cref="IUnchargeDesign.CountsPageState"/>).</summary>
    static virtual bool UnchargesPagesInUse => false;

    /// <summary>Prepares a new group's state.</summary>
    static abstract void InitMemcg(Memcg* memcg);

    /// <summary>The group goes offline: no task is left in it, its counters may still hold pages.</summary>
    static abstract void OnOffline<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController;

    /// <summary>The last reference is gone, under whatever lock. False: pages still name the group, and the design retires it (MemcgLife.Retire) when none does.</summary>
    static virtual bool OnReleased<TC>(in ThisCpu cpu, Memcg* memcg) where TC : struct, IMemoryController => true;
}
