// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Accounting;

/// <summary>The lockless series as it was posted, or with its races closed. Each member is one race of the posting.</summary>
public interface ILocklessForm
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>Bytes of one object.</summary>
    static abstract int ObjectBytes { get; }
    /// <summary>OBSOLETE is set by a test-and-set with one winner; else tested, then set (A4).</summary>
    static abstract bool ClaimsAtomically { get; }
    /// <summary>The object is on its list before the page shows it; else after (A5).</summary>
    static abstract bool LinksFirst { get; }
    /// <summary>A page that has an object gives the second charge back, whatever it is; else only anonymous pages are looked up and the rest asserts (A9).</summary>
    static abstract bool UndoesSecondCharge { get; }
    /// <summary>The object carries its RCU head; else a work item is allocated per batch, and the sink grows while there is none (A17).</summary>
    static abstract bool EmbedsRcuHead { get; }
    /// <summary>The scanner looks again whether the page still has this object (A8), movers whether the object is still live under the list's lock (A11).</summary>
    static abstract bool Rechecks { get; }
    /// <summary>A force drain waits for the callbacks; else for a grace period, after which they may still be queued (A7).</summary>
    static abstract bool DrainsWithBarrier { get; }
}

/// <summary>What ships.</summary>
public readonly struct Corrected : ILocklessForm
{
    /// <inheritdoc/>
    public static string Name => "corrected";
    /// <inheritdoc/>
    public static int ObjectBytes => PageCgroupObject.CorrectedBytes;
    /// <inheritdoc/>
    public static bool ClaimsAtomically => true;
    /// <inheritdoc/>
    public static bool LinksFirst => true;
    /// <inheritdoc/>
    public static bool UndoesSecondCharge => true;
    /// <inheritdoc/>
    public static bool EmbedsRcuHead => true;
    /// <inheritdoc/>
    public static bool Rechecks => true;
    /// <inheritdoc/>
    public static bool DrainsWithBarrier => true;
}

/// <summary>v1 of 2008-08-20 with all its races: for exploration, never for a run.</summary>
public readonly struct AsPosted : ILocklessForm
{
    /// <inheritdoc/>
    public static string Name => "as posted";
    /// <inheritdoc/>
    public static int ObjectBytes => PageCgroupObject.PostedBytes;
    /// <inheritdoc/>
    public static bool ClaimsAtomically => false;
    /// <inheritdoc/>
    public static bool LinksFirst => false;
    /// <inheritdoc/>
    public static bool UndoesSecondCharge => false;
    /// <inheritdoc/>
    public static bool EmbedsRcuHead => false;
    /// <inheritdoc/>
    public static bool Rechecks => false;
    /// <inheritdoc/>
    public static bool DrainsWithBarrier => false;
}
