// SPDX-License-Identifier: GPL-2.0-only
using System.Text.RegularExpressions;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// Ordering comments come in pairs: where one end says that its point, a letter in parentheses, pairs with another one in a file, that file
/// says it back. A claim names its file without or with .cs (or a member: File.Member); without a file both ends are in the same one.
/// </summary>
internal static partial class OrderingPairs
{
    private readonly record struct End(string Point, string Partner, SourceFile File, string? Named, string Where);

    public static IEnumerable<string> Offences(IReadOnlyList<SourceFile> files)
    {
        End[] ends = [.. files.SelectMany(EndsOf)];
        foreach (End end in ends)
        {
            SourceFile[] targets = [.. end.Named is null ? [end.File] : files.Where(f => IsNamed(f, end.Named))];
            if (targets.Length == 0)
                yield return $"{end.Where}: {end.Point} pairs with {end.Partner} in {end.Named}, and no source file is called that";
            else if (!ends.Any(e => targets.Contains(e.File) && e.Point == end.Partner && e.Partner == end.Point && SaysBack(e, end.File)))
                yield return $"{end.Where}: {end.Point} pairs with {end.Partner} in {targets[0].Path}, which does not say it back";
        }
    }

    private static bool SaysBack(End end, SourceFile to) => end.Named is null ? end.File == to : IsNamed(to, end.Named);

    private static bool IsNamed(SourceFile file, string name)
    {
        string stem = Path.GetFileNameWithoutExtension(file.Name);
        return name == stem || name == file.Name || name.StartsWith(stem + ".", StringComparison.Ordinal);
    }

    private static IEnumerable<End> EndsOf(SourceFile file) =>
        from Match m in Claim().Matches(file.Text)
        let rest = m.Groups["file"].Value
        from Capture partner in m.Groups["partner"].Captures
        select new End(m.Groups["point"].Value, partner.Value, file, rest.Length > 0 ? rest : null, TidyRules.At(file, m.Index));

    // A claim may run over the lines of a comment: Gap is white space, or a line break with the slashes or star of the next line.
    private const string Gap = @"(?:[ \t]|\r?\n[ \t]*(?:///?|\*)?)+";

    [GeneratedRegex($@"\((?<point>\w+)\){Gap}pairs{Gap}with{Gap}\((?<partner>\w+)\)(?:(?:,|{Gap}and){Gap}\((?<partner>\w+)\))*"
        + $@"(?:{Gap}in{Gap}(?:<see{Gap}cref=""|`)?(?<file>[A-Z]\w*(?:\.\w+)*))?")]
    private static partial Regex Claim();
}
