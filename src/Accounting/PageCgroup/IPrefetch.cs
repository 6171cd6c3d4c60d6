// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>Patch 5: what is done with the line of the group's zone info while the page_cgroup is being filled.</summary>
public unsafe interface IPrefetch
{
    /// <summary>Name users choose it by: none, read, write.</summary>
    static abstract string Name { get; }
    /// <summary>Asks for the line at p; p may be null.</summary>
    static abstract void Line(void* p);
}

/// <summary>Nothing.</summary>
public readonly unsafe struct PrefetchNone : IPrefetch
{
    /// <inheritdoc/>
    public static string Name => "none";
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(void* p) { }
}

/// <summary>prefetcht0: one instruction; a line that is dirty elsewhere comes in shared, and the lock then has to ask again.</summary>
public readonly unsafe struct PrefetchRead : IPrefetch
{
    /// <inheritdoc/>
    public static string Name => "read";
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(void* p) => Machine.Prefetch(p);
}

/// <summary>prefetchw, as posted: the line comes in exclusive. Costs a call, because the runtime has no such instruction; see <see cref="PrefetchWriteStub"/>.</summary>
public readonly unsafe struct PrefetchWrite : IPrefetch
{
    /// <inheritdoc/>
    public static string Name => "write";
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Line(void* p) => PrefetchWriteStub.Line(p);
}
