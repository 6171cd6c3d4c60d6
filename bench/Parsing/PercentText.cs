// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Percentages: 2%, 0.5%, ±1%, +-1%, or the bare number of percent.</summary>
internal static class PercentText
{
    /// <summary>As a fraction.</summary>
    /// <exception cref="UsageException">One line.</exception>
    public static double Parse(string option, string text)
    {
        string digits = text.Trim().TrimEnd('%').TrimEnd();
        foreach (string sign in (string[])["±", "+-", "+"])
            if (digits.StartsWith(sign, StringComparison.Ordinal)) digits = digits[sign.Length..];
        return double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double v) && v is > 0 and <= 100 ? v / 100
            : throw new UsageException($"{option}: '{text}' is not a percentage above 0; write for example 2% or 0.5%");
    }
}
