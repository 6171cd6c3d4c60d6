// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Accounting;

/// <summary>A place on the swap device. Linux: swp_entry_t, one device only.</summary>
/// <param name="Index">Dense index, from 0.</param>
public readonly record struct SwapEntry(int Index);
