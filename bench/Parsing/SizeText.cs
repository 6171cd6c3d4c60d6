// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Sizes as numactl and fio write them: 64M, 2G, 1KiB; powers of 1024. kB and MB are refused: half the tools mean 1000 by them.</summary>
internal static class SizeText
{
    /// <summary>Bytes of "64M"; more than 0.</summary>
    /// <exception cref="UsageException">One line with the option's name.</exception>
    public static long Parse(string option, string text)
    {
        string t = text.Trim();
        int digits = t.TakeWhile(char.IsAsciiDigit).Count();
        string unit = t[digits..].Trim();
        int shift = unit.ToUpperInvariant() switch
        {
            "" or "B" => 0,
            "K" or "KIB" => 10,
            "M" or "MIB" => 20,
            "G" or "GIB" => 30,
            "T" or "TIB" => 40,
            "KB" or "MB" or "GB" or "TB" => throw new UsageException($"{option}: '{text}' is ambiguous: {unit} means 1000 or 1024; write "
                + $"{t[..digits]}{char.ToUpperInvariant(unit[0])} for powers of 1024"),
            _ => -1,
        };
        if (shift < 0 || !long.TryParse(t.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out long n))
            throw new UsageException($"{option}: '{text}' is not a size; write for example 64M, 2G or 1048576");
        if (n == 0) throw new UsageException($"{option}: '{text}' is nothing; write for example 64M");
        if (n > long.MaxValue >> shift) throw new UsageException($"{option}: '{text}' is more than an address can reach");
        return n << shift;
    }

    /// <summary>The short form: 64M, 2G, 4097.</summary>
    public static string Format(long bytes)
    {
        foreach ((int shift, char unit) in ((int, char)[])[(40, 'T'), (30, 'G'), (20, 'M'), (10, 'K')])
            if (bytes >= 1L << shift && bytes % (1L << shift) == 0) return (bytes >> shift).ToString(CultureInfo.InvariantCulture) + unit;
        return bytes.ToString(CultureInfo.InvariantCulture);
    }
}
