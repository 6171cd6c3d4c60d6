// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Tests.Torture;

namespace MemcgNative.Native;

/// <summary>An allocation fails by chance, or because it is the nth since the worker said so (Linux: /proc/self/fail-nth).</summary>
public static class FaultPoint
{
    public static bool PageAlloc { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => Perturb.ShouldFail(); }
}
