// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>One-value files of /proc and /sys.</summary>
internal static class SysText
{
    /// <summary>The file's text without the line end; null when it is absent or closed to us.</summary>
    public static string? TryRead(string path) => TryRead(path, out _);

    /// <summary>As above, and why not.</summary>
    public static string? TryRead(string path, out string? reason)
    {
        try
        {
            reason = null;
            return File.ReadAllText(path).TrimEnd();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            reason = e is FileNotFoundException or DirectoryNotFoundException ? $"{path} does not exist" : $"{path}: {e.Message}";
            return null;
        }
    }

    /// <summary>A file that holds one number; null otherwise.</summary>
    public static long? TryReadLong(string path) =>
        long.TryParse(TryRead(path), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long v) ? v : null;

    /// <summary>The kernel's list form, "0-3,8"; empty text is the empty list.</summary>
    public static List<int> ParseList(string text)
    {
        var list = new List<int>();
        foreach (string item in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            int dash = item.IndexOf('-', StringComparison.Ordinal);
            int first = int.Parse(dash < 0 ? item : item[..dash], CultureInfo.InvariantCulture);
            int last = dash < 0 ? first : int.Parse(item[(dash + 1)..], CultureInfo.InvariantCulture);
            for (int i = first; i <= last; i++) list.Add(i);
        }
        return list;
    }
}
