// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;

namespace MemcgNative.Native;

/// <summary>Lists as text: the short form out, and what of a user's text may stand in a one-line message.</summary>
internal static class ListText
{
    private const int ShownChars = 40;

    /// <summary>Ranges, and strides where they are shorter than the numbers: 0-3,8-14:2. Empty: "none".</summary>
    internal static string Format(IEnumerable<int> numbers)
    {
        var n = numbers.Distinct().Order().ToArray();
        if (n.Length == 0)
            return "none";
        var text = new StringBuilder();
        for (var i = 0; i < n.Length;)
        {
            var run = 1;
            var step = i + 1 < n.Length ? n[i + 1] - n[i] : 0;
            while (i + run < n.Length && n[i + run] - n[i + run - 1] == step)
                run++;
            var range = step == 1 ? $"{n[i]}-{n[i + run - 1]}" : $"{n[i]}-{n[i + run - 1]}:{step}";
            if (run == 1 || (step > 1 && range.Length >= Singly(n, i, run)))
                (run, range) = (1, n[i].ToString(CultureInfo.InvariantCulture));
            text.Append(text.Length == 0 ? "" : ",").Append(range);
            i += run;
        }
        return text.ToString();
    }

    /// <summary>The text without control characters and not longer than a line can bear.</summary>
    internal static string Shown(string text) => Line(text) is var clean && clean.Length <= ShownChars ? clean : clean[..ShownChars] + "...";

    /// <summary>The text as one line: what a terminal would act on is a question mark.</summary>
    internal static string Line(string text) =>
        string.Concat(text.Select(c => char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029' ? '?' : c));

    private static int Singly(int[] n, int start, int run) =>
        n.Skip(start).Take(run).Sum(x => x.ToString(CultureInfo.InvariantCulture).Length + 1) - 1;
}
