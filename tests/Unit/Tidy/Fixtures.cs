// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Unit;

/// <summary>
/// Every fixture names its provenance: the word "provenance" or "synthetic" in the file itself, in a PROVENANCE, README or machine.json
/// of its folder, or in one further up (at the top it must name the folder on the way down). Otherwise nobody can tell a machine from an invention.
/// </summary>
internal static class Fixtures
{
    private const int HeadChars = 2000;

    /// <param name="root">The Fixtures folder.</param>
    /// <param name="files">Paths below it.</param>
    /// <param name="read">The beginning of a file's text, or null when it is not there.</param>
    public static IEnumerable<string> WithoutProvenance(string root, IEnumerable<string> files, Func<string, string?> read) =>
        from file in files
        where !SaysWhence(read(file)) && !Above(root, file, read)
        select $"{file}: no provenance; say in {Path.GetDirectoryName(file)!.Replace('\\', '/')}/PROVENANCE where it was recorded, or synthetic: true";

    private static bool Above(string root, string file, Func<string, string?> read)
    {
        string below = file;
        for (string folder = Parent(file); folder.Length >= root.Length; below = folder, folder = Parent(folder))
        {
            foreach (string name in new[] { "PROVENANCE", "README.md", "machine.json" })
            {
                string? text = read(folder + "/" + name);
                bool covers = folder != root || (text?.Contains(Path.GetFileName(below), StringComparison.Ordinal) ?? false);
                if (covers && SaysWhence(text)) return true;
            }
        }
        return false;
    }

    private static string Parent(string path) => path[..Math.Max(0, path.LastIndexOf('/'))];

    private static bool SaysWhence(string? text)
    {
        string head = text is null ? "" : text[..Math.Min(text.Length, HeadChars)];
        return head.Contains("provenance", StringComparison.OrdinalIgnoreCase) || head.Contains("synthetic", StringComparison.OrdinalIgnoreCase);
    }
}
