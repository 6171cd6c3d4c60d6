// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>A broken invariant: the books, a lock or a list is wrong. Never caught below the harness; exit 5.</summary>
public sealed class BugException(string message) : Exception(message);

/// <summary>BUG_ON: stays on in release. The message names the values; it is built on the cold side only.</summary>
public static class Bug
{
    /// <summary>Fails at once.</summary>
    [DoesNotReturn, MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fail(string what) => throw new BugException(what);

    /// <summary>Fails at once with one value.</summary>
    [DoesNotReturn, MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fail(string what, long value) => throw new BugException($"{what} ({value})");

    /// <summary>Fails at once with two values.</summary>
    [DoesNotReturn, MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fail(string what, long a, long b) => throw new BugException($"{what} ({a}, {b})");
}
