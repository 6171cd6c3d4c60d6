// SPDX-License-Identifier: GPL-2.0-only
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace MemcgNative.Tests.Unit;

/// <summary>Native &lt;- Allocator &lt;- Accounting &lt;- bench, tests. Never upward; bench never refers to tests.</summary>
internal static partial class Dependencies
{
    /// <summary>Folder of a room, and the rooms it may refer to.</summary>
    private static readonly (string Folder, string[] May)[] Rooms =
    [
        ("src/Native/", ["Native"]),
        ("src/Allocator/", ["Allocator", "Native"]),
        ("src/Accounting/", ["Accounting", "Allocator", "Native"]),
        ("bench/", ["Bench", "Accounting", "Allocator", "Native"]),
    ];

    /// <summary>Names of rooms in code: using lines and qualified names alike.</summary>
    public static IEnumerable<string> OfCode(SourceFile file) =>
        from room in Rooms
        where file.Path.StartsWith(room.Folder, StringComparison.Ordinal)
        from Match m in RoomName().Matches(file.Code)
        where !room.May.Contains(m.Groups[1].Value)
        select $"{TidyRules.At(file, m.Index)}: {room.Folder} must not refer to {m.Value}";

    /// <summary>References between project files.</summary>
    public static IEnumerable<string> OfProject(SourceFile project) =>
        from room in Rooms
        where project.Path.StartsWith(room.Folder, StringComparison.Ordinal)
        from reference in XDocument.Parse(project.Text).Descendants("ProjectReference")
        let target = reference.Attribute("Include")!.Value.Replace('\\', '/')
        where !room.May.Contains(Path.GetFileNameWithoutExtension(target)) || target.Contains("tests/", StringComparison.Ordinal)
        select $"{project.Path}: {room.Folder} must not refer to {target}";

    [GeneratedRegex(@"\bMemcgNative\.(Native|Allocator|Accounting|Bench|Tests)\b")]
    private static partial Regex RoomName();
}
