// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Unit;

/// <summary>One row: how many instructions a hot path has, frame and return included, how many of them lock a line, how many call.</summary>
internal readonly record struct GoldenRow(string Method, int Instructions, int Locked, int Calls)
{
    public static GoldenRow Of(string method, Listing listing) => new(method, listing.Instructions.Count, listing.Locked, listing.Calls);

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Method,-40} {Instructions,4} {Locked,4} {Calls,4}");
}

/// <summary>The counts of one calling convention, architecture and runtime version; code generation differs between them, so each has its file.</summary>
internal static class GoldenTable
{
    public const string Regenerate = "MEMCGNATIVE_REGENERATE";

    public static string Path { get; } = $"tests/Unit/Golden/{Convention}-{Architecture}-net{Environment.Version.ToString(2)}.golden";

    private static string Convention => OperatingSystem.IsWindows() ? "win" : "sysv";

    private static string Architecture => RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();

    private static readonly char[] Blank = [' ', '\t', '\r'];

    public static string Print(IEnumerable<GoldenRow> rows) =>
        $"# Machine code of the hot paths: method, instructions, locked ones, calls. Written by {Regenerate}=1 ./build.sh test Unit\n"
        + string.Concat(rows.OrderBy(r => r.Method, StringComparer.Ordinal).Select(r => r + "\n"));

    public static IReadOnlyList<GoldenRow> Parse(string text) =>
        [.. from line in text.Split('\n')
            where line.Length > 0 && line[0] != '#'
            let words = line.Split(Blank, StringSplitOptions.RemoveEmptyEntries)
            let counts = words.Skip(1).Select(w => int.Parse(w, CultureInfo.InvariantCulture)).ToArray()
            select new GoldenRow(words[0], counts[0], counts[1], counts[2])];

    /// <summary>What differs, each with the code that was found.</summary>
    public static IEnumerable<string> Differences(IReadOnlyList<GoldenRow> golden, IReadOnlyDictionary<string, Listing> found)
    {
        foreach ((string method, Listing listing) in found)
        {
            GoldenRow now = GoldenRow.Of(method, listing);
            GoldenRow[] was = [.. golden.Where(g => g.Method == method)];
            if (was.Length == 0) yield return $"no row for {method}; with {Regenerate}=1 the test writes it";
            else if (was[0] != now) yield return $"was {was[0]}\nnow {now}\n    {string.Join("\n    ", listing.Instructions)}";
        }
        foreach (GoldenRow row in golden.Where(g => !found.ContainsKey(g.Method))) yield return $"{row.Method} is gone; with {Regenerate}=1 the test deletes its row";
    }
}
