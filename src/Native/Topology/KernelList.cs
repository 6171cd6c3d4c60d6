// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>The list format of the kernel's files, "0-3,8-11", and of recordings, which also write strides, "0-62:2". Linux: lib/bitmap.c (%*pbl).</summary>
internal static class KernelList
{
    /// <summary>NR_CPUS is at most 8192: no system numbers CPUs or nodes this high.</summary>
    internal const int Limit = 8192;

    /// <summary>The numbers, or null when the text is no list.</summary>
    internal static SortedSet<int>? TryParse(string text)
    {
        var set = new SortedSet<int>();
        text = text.Trim();
        if (text.Length == 0)
            return set;
        foreach (var item in text.Split(','))
        {
            var dash = item.IndexOf('-', StringComparison.Ordinal);
            var colon = dash < 0 ? -1 : item.IndexOf(':', dash);
            var stride = 1;
            if (!Number(dash < 0 ? item : item[..dash], out var first)
                || !Number(dash < 0 ? item : item[(dash + 1)..(colon < 0 ? item.Length : colon)], out var last) || last < first
                || (colon >= 0 && (!Number(item[(colon + 1)..], out stride) || stride == 0)))
                return null;
            for (var n = first; n <= last; n += stride)
                set.Add(n);
        }
        return set;
    }

    private static bool Number(string text, out int n) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out n) && n < Limit;
}
