// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// Protocols that lose a page. They exist so that the checkers can be seen to find them; a normal run refuses them.

/// <summary>The owner is stored and nothing else happens (B1).</summary>
public readonly unsafe struct W0 : ISwitchProtocol
{
    /// <inheritdoc/>
    public static string Name => "W0";
    /// <inheritdoc/>
    public static CatchRule Catcher => CatchRule.Verify;
    /// <inheritdoc/>
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove => change.Run(cpu, page);
}

/// <summary>The catcher looks again after it saw the LRU bit: right for one move, wrong for two, when the page leaves and is on its way back (ABA).</summary>
public readonly unsafe struct W3 : ISwitchProtocol
{
    /// <inheritdoc/>
    public static string Name => "W3";
    /// <inheritdoc/>
    public static CatchRule Catcher => CatchRule.Verify | CatchRule.VerifyLast;
    /// <inheritdoc/>
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove => change.Run(cpu, page);
}

/// <summary><see cref="W2"/> as the mail wrote it, without a fence (B2).</summary>
public readonly unsafe struct W2NoFence : ISwitchProtocol
{
    /// <inheritdoc/>
    public static string Name => "W2-nofence";
    /// <inheritdoc/>
    public static CatchRule Catcher => CatchRule.Verify;
    /// <inheritdoc/>
    public static void Switch<TLock, TMove>(in ThisCpu cpu, Page* page, Book* old, Book* fresh, ref TMove change)
        where TLock : struct, ILockKind where TMove : struct, IOwnerMove
    {
        change.Run(cpu, page);
        TLock.WaitForHolder(&old->Lock);
    }
}
