// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>The words of one line, taken from the left; every complaint names file, line, word and cure.</summary>
internal sealed class ScriptLine
{
    /// <summary>Largest size a scenario may name: 16 TiB, so that sums of many stay far from the end of a long.</summary>
    public const long MostPages = 1L << 32;

    private const int NameMost = 64;
    private readonly string[] words;
    private int next;

    public ScriptLine(string file, int number, string text)
    {
        (File, Number) = (file, number);
        int comment = text.IndexOf('#', StringComparison.Ordinal);
        Text = (comment < 0 ? text : text[..comment]).Trim();
        words = Text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
    }

    public string File { get; }
    public int Number { get; }
    public string Text { get; }
    public bool IsEmpty => words.Length == 0;
    public bool AtEnd => next == words.Length;

    /// <summary>One line for the user.</summary>
    public UsageException Error(string what) => new($"{File}:{Number}: {what}");

    /// <summary>The next word.</summary>
    public string Take(string what) => AtEnd ? throw Error($"'{Shorten(Text)}' ends where {what} should be") : words[next++];

    /// <summary>The next word if it is this one.</summary>
    public bool Took(string word)
    {
        if (AtEnd || words[next] != word) return false;
        next++;
        return true;
    }

    /// <summary>This very word.</summary>
    public void Demand(string word)
    {
        string got = Take($"'{word}'");
        if (got != word) throw Error($"'{Shorten(got)}' where '{word}' should be{Nearest.Hint(got, [word])}");
    }

    /// <summary>Nothing may follow.</summary>
    public void End()
    {
        if (!AtEnd) throw Error($"'{Shorten(words[next])}' is one word too many");
    }

    /// <summary>One of a few words.</summary>
    public string OneOf(string what, IReadOnlyCollection<string> known)
    {
        string got = Take(what);
        return known.Contains(got) ? got : throw Unknown(what, got, known);
    }

    /// <summary>A word that is not known, the nearest that is, and the first of all.</summary>
    public UsageException Unknown(string what, string got, IReadOnlyCollection<string> known) =>
        Error($"'{Shorten(got)}' is no {what}{Nearest.Hint(Shorten(got), known)} Known: {(known.Count == 0 ? "none yet" : string.Join(", ", known.Take(24)))}");

    /// <summary>A name of letters, digits, - and _: nothing that a path could mean more by.</summary>
    public string Name(string what)
    {
        string name = Take(what);
        return IsName(name) ? name : throw Error($"'{Shorten(name)}' cannot be {what}: at most {NameMost} of A-Z a-z 0-9 _ -, and a letter or digit first");
    }

    /// <summary>Names joined by /.</summary>
    public string Path()
    {
        string path = Take("a group");
        if (path.Length > 16 * NameMost || !path.Split('/').All(IsName))
            throw Error($"'{Shorten(path)}' cannot be a group: names of A-Z a-z 0-9 _ - joined by /, relative to the scenario's own group");
        return path;
    }

    /// <summary>A whole number.</summary>
    public long Number64(string what, long least, long most)
    {
        string text = Take(what);
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long n) && n >= least && n <= most ? n
            : throw Error($"'{Shorten(text)}' is not {what}: a whole number from {least} to {most}");
    }

    /// <summary>A size in pages: 12p, or 48K, 50M of whole pages.</summary>
    public long Size(string what) => SizeOf(Take(what), what);

    /// <summary>The same of a word that is part of a longer one.</summary>
    public long SizeOf(string text, string what)
    {
        int digits = text.TakeWhile(char.IsAsciiDigit).Count();
        (int shift, bool known) = text[digits..] switch
        {
            "p" => (0, true),
            "K" => (-2, true),
            "M" => (8, true),
            "G" => (18, true),
            "T" => (28, true),
            _ => (0, false),
        };
        if (digits is 0 or > 15 || !known)
            throw Error($"'{Shorten(text)}' is not {what}; write pages as 12p, or 48K, 50M, 1G{(known || digits == 0 ? "" : "; a bare number could mean bytes or pages")}");
        long n = long.Parse(text.AsSpan(0, digits), CultureInfo.InvariantCulture);
        if (shift < 0 && n % 4 != 0) throw Error($"'{text}' is not whole pages of 4K; write {n / 4 * 4}K or {n / 4 * 4 + 4}K");
        long pages = shift < 0 ? n >> 2 : n > MostPages >> shift ? long.MaxValue : n << shift;
        return pages <= MostPages ? pages : throw Error($"'{text}' is more than a scenario can ask for (16T)");
    }

    /// <summary>Long words are cut in messages.</summary>
    public static string Shorten(string word) => word.Length <= 40 ? word : word[..37] + "...";

    private static bool IsName(string name) => name.Length is > 0 and <= NameMost && char.IsAsciiLetterOrDigit(name[0])
        && name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');
}
