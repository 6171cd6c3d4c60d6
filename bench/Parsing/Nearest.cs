// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>"Did you mean": the known word that is nearest to a mistyped one.</summary>
internal static class Nearest
{
    /// <summary>The known word within a third of its length (at least one edit), or null.</summary>
    public static string? Find(string given, IEnumerable<string> known)
    {
        string? best = known.MinBy(k => Distance(k, given));
        return best is not null && Distance(best, given) <= Math.Max(1, best.Length / 3) ? best : null;
    }

    /// <summary>"; did you mean 'x'?" or an empty string.</summary>
    public static string Hint(string given, IEnumerable<string> known) => Find(given, known) is { } k ? $"; did you mean '{k}'?" : "";

    /// <summary>Levenshtein, without regard to case.</summary>
    private static int Distance(string a, string b)
    {
        int[] row = [.. Enumerable.Range(0, b.Length + 1)];
        for (int i = 1; i <= a.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.Length; j++)
            {
                int cost = char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]) ? 0 : 1;
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + cost));
            }
        }
        return row[^1];
    }
}
