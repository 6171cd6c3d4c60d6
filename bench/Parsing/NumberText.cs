// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Small counts with their bounds.</summary>
internal static class NumberText
{
    /// <exception cref="UsageException">One line.</exception>
    public static int Parse(string option, string text, int least, int most)
    {
        if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long n)) throw new UsageException($"{option}: '{text}' is not a number");
        return n >= least && n <= most ? (int)n : throw new UsageException($"{option}: {text} is outside of {least} to {most}");
    }
}
