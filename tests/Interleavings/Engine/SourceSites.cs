// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text.RegularExpressions;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Accesses of the source by name: type, member, ordinal of the line among the member's accesses. A name survives edits elsewhere in the file.</summary>
internal static partial class SourceSites
{
    private static readonly Dictionary<string, string[]> texts = [];

    private static string[] Lines(string file)
    {
        if (!texts.TryGetValue(file, out string[]? lines)) texts[file] = lines = File.ReadAllLines(file);
        return lines;
    }

    /// <summary>Type.Member#n of a line.</summary>
    public static string Name(string file, int line)
    {
        string[] lines = Lines(file);
        int at = line - 1, start = at;
        while (start > 0 && !MemberStart().IsMatch(lines[start])) start--;
        int type = start;
        while (type > 0 && !TypeStart().IsMatch(lines[type])) type--;
        string member = MemberStart().Match(lines[start]).Groups[1].Value;
        int ordinal = lines[start..at].Count(l => Access().IsMatch(l)) + 1;
        return string.Create(CultureInfo.InvariantCulture, $"{TypeStart().Match(lines[type]).Groups[1].Value}.{member}#{ordinal}");
    }

    /// <summary>Name and operator, as SURVIVORS.md lists them.</summary>
    public static string Key(SiteMutation m) => $"{Name(m.File, m.Line)} {m.Op}";

    /// <summary>The mutation of the access called name.</summary>
    /// <exception cref="InvalidOperationException">No line of src is called so.</exception>
    public static SiteMutation Find(string name, MutationOp op)
    {
        foreach (string file in Directory.EnumerateFiles(Path.Combine(Source.Root, "src"), "*.cs", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            string[] lines = Lines(file);
            if (!lines.Any(l => TypeStart().Match(l) is { Success: true } m && name.StartsWith(m.Groups[1].Value + ".", StringComparison.Ordinal))) continue;
            for (int i = 0; i < lines.Length; i++)
                if (Access().IsMatch(lines[i]) && Name(file, i + 1) == name) return new SiteMutation(file, i + 1, op);
        }
        throw new InvalidOperationException($"no access of src is called {name}");
    }

    /// <summary>Lines of a file that access shared state.</summary>
    public static int CountIn(string file) => Lines(file).Count(l => Access().IsMatch(l));

    [GeneratedRegex(@"^    (?:public|internal|private|protected)[^=;(]*?\b(\w+)(?:<[^>]*>)?\(")]
    private static partial Regex MemberStart();

    [GeneratedRegex(@"^(?:public|internal)[^=;(]*?\b(?:class|struct)\s+(\w+)")]
    private static partial Regex TypeStart();

    [GeneratedRegex(@"\b(?:Atomic|Guarded|Machine|LockModel)\w*(?:<[^>]*>)?\.\w+\(")]
    private static partial Regex Access();
}
