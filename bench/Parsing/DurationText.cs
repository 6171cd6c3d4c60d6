// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Durations: 250ms, 5s, 2m, 500us; a bare number is seconds.</summary>
internal static class DurationText
{
    private static readonly TimeSpan longest = TimeSpan.FromHours(24);

    /// <summary>More than 0, at most a day.</summary>
    /// <exception cref="UsageException">One line with the option's name.</exception>
    public static TimeSpan Parse(string option, string text)
    {
        string t = text.Trim();
        int digits = t.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        double unit = t[digits..].Trim() switch { "" or "s" => 1, "ms" => 1e-3, "us" => 1e-6, "m" or "min" => 60, "h" => 3600, _ => 0 };
        if (unit == 0 || !double.TryParse(t.AsSpan(0, digits), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double n))
            throw new UsageException($"{option}: '{text}' is not a duration; write for example 250ms, 5s or 2m (a bare number is seconds)");
        if (n == 0) throw new UsageException($"{option}: '{text}' is no time at all; write for example 250ms");
        return n * unit <= longest.TotalSeconds ? TimeSpan.FromSeconds(n * unit) : throw new UsageException($"{option}: '{text}' is longer than a day");
    }

    /// <summary>Three digits: 2.5 s, 40 ms, 3 min 20 s.</summary>
    public static string Format(TimeSpan d) => d.TotalSeconds switch
    {
        < 1 => string.Create(CultureInfo.InvariantCulture, $"{d.TotalMilliseconds:0.#} ms"),
        < 90 => string.Create(CultureInfo.InvariantCulture, $"{d.TotalSeconds:0.#} s"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{(int)d.TotalMinutes} min {d.Seconds} s"),
    };
}
