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

    /// <summary>"; did you mean 'x'?", or a full stop.</summary>
    public static string Hint(string given, IEnumerable<string> known) => Find(given, known) is { } k ? $"; did you mean '{k}'?" : ".";

    /// <summary>Levenshtein with swapped neighbours as one edit, without regard to case.</summary>
    private static int Distance(string a, string b)
    {
        int[,] d = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++)
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }
                d[i, j] = Math.Min(Math.Min(d[i - 1, j], d[i, j - 1]) + 1, d[i - 1, j - 1] + (Same(a[i - 1], b[j - 1]) ? 0 : 1));
                if (i > 1 && j > 1 && Same(a[i - 1], b[j - 2]) && Same(a[i - 2], b[j - 1])) d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        return d[a.Length, b.Length];
    }

    private static bool Same(char a, char b) => char.ToUpperInvariant(a) == char.ToUpperInvariant(b);
}
