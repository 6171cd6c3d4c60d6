// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>Settings of the host, read only.</summary>
public static class HostSettings
{
    /// <summary>always, madvise or never; null where the kernel has no THP.</summary>
    internal static string? ThpMode(string root = "/") =>
        SysText.TryRead(Path.Combine(root, "sys/kernel/mm/transparent_hugepage/enabled")) is { } text ? Chosen(text) : null;

    /// <summary>The bracketed word of "always [madvise] never".</summary>
    internal static string Chosen(string text)
    {
        int open = text.IndexOf('[', StringComparison.Ordinal), close = text.IndexOf(']', StringComparison.Ordinal);
        return open >= 0 && close > open ? text[(open + 1)..close] : text;
    }
}
