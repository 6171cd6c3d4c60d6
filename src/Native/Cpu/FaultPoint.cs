// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>Where memory may be made to run out. Linux: should_fail_alloc_page, mm/fail_page_alloc.c (CONFIG_FAIL_PAGE_ALLOC off).</summary>
/// <remarks>tests/Torture compiles the same sources with a class of the same name that says yes by chance and for the nth call.</remarks>
public static class FaultPoint
{
    /// <summary>True when this allocation must fail. A constant here: no code is left of the question.</summary>
    public static bool PageAlloc { [MethodImpl(MethodImplOptions.AggressiveInlining)] get => false; }
}
