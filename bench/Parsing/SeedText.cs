// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Seeds are 64-bit, decimal or 0x hexadecimal; printed as hexadecimal.</summary>
internal static class SeedText
{
    /// <exception cref="UsageException">One line.</exception>
    public static ulong Parse(string text)
    {
        bool hex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        return ulong.TryParse(hex ? text[2..] : text, hex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed)
            ? seed : throw new UsageException($"--seed: '{text}' is not a 64-bit number; write for example 7 or 0x5eed1a2b");
    }

    public static string Format(ulong seed) => "0x" + seed.ToString("x", CultureInfo.InvariantCulture);
}
