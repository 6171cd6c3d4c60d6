// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Page to book: which group's, and which slice of the node.</summary>
public unsafe interface IBookMap
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>True when a node has more than one book per group.</summary>
    static abstract bool Slices { get; }
    /// <summary>The group whose book a page is in; null = the root.</summary>
    static abstract Memcg* GroupOf<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign;
}

/// <summary>T2, the v3 translation: an uncharged page stays in its last owner's book until it is freed (B5). One book per group and node.</summary>
public readonly unsafe struct OneBook : IBookMap
{
    /// <inheritdoc/>
    public static string Name => "none";
    /// <inheritdoc/>
    public static bool Slices => false;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* GroupOf<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign => TPc.OwnerOf(cpu, page, out _);
}

/// <summary>T2 with slices: the plan cuts each node by page frame number, for every group alike.</summary>
public readonly unsafe struct PfnSlices : IBookMap
{
    /// <inheritdoc/>
    public static string Name => "slices";
    /// <inheritdoc/>
    public static bool Slices => true;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* GroupOf<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign => TPc.OwnerOf(cpu, page, out _);
}

/// <summary>
/// T1, the mail's translation: an uncharged page is in the zone's own book. Its answer changes at uncharge, under no lock, while the page is
/// still on its owner's list (B5). For the explorer and the tests of the checkers.
/// </summary>
public readonly unsafe struct UsedOnly : IBookMap
{
    /// <inheritdoc/>
    public static string Name => "T1";
    /// <inheritdoc/>
    public static bool Slices => false;
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Memcg* GroupOf<TPc>(in ThisCpu cpu, Page* page) where TPc : struct, IPageCgroupDesign
    {
        Memcg* owner = TPc.OwnerOf(cpu, page, out bool used);
        return used ? owner : null;
    }
}

/// <summary>Do new pages wait in the CPU's pagevec, or in their book?</summary>
public interface IBookInbox
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>True when each book has a list of pages that wait.</summary>
    static abstract bool PerBook { get; }
}

/// <summary>The CPU's pagevec of 14: after the split its pages belong to several books, and the drain takes several locks.</summary>
public readonly struct Pagevecs : IBookInbox
{
    /// <inheritdoc/>
    public static string Name => "off";
    /// <inheritdoc/>
    public static bool PerBook => false;
}

/// <summary>The author's proposal: a list per book, pushed to without a lock and taken whole with one exchange.</summary>
public readonly struct PendingLists : IBookInbox
{
    /// <inheritdoc/>
    public static string Name => "on";
    /// <inheritdoc/>
    public static bool PerBook => true;
}
