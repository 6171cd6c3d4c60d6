// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>
/// Checks at every list operation: the lock held is that of the page's book, a list's length is its walk, no book dies under its lock's
/// holder. The programs of tests/ run with them (MemcgNative.DebugVm in their projects), memcgnative without: they would be in every figure.
/// </summary>
/// <remarks>Linux: CONFIG_DEBUG_VM, and lruvec_memcg_debug of 5.11.</remarks>
public static class DebugVm
{
    /// <summary>A constant in whatever is compiled after the first look, which AccountingMemory.Build takes.</summary>
    public static bool On { get; } = AppContext.TryGetSwitch("MemcgNative.DebugVm", out bool on) && on;
}
