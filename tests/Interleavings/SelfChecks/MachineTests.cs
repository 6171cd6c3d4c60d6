// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Xunit;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The explorer's Machine is a twin of the one that ships.</summary>
public partial class MachineTests
{
    [Fact]
    public void The_two_machines_have_the_same_members()
    {
        string[] ships = Members(Path.Combine(Source.Root, "src", "Native", "Cpu", "Machine.cs"));
        string[] explored = Members(Path.Combine(Source.Root, "tests", "Interleavings", "Engine", "Machine.cs"));
        Assert.True(ships.Length > 40, $"only {ships.Length} members read");
        Assert.Equal(ships, explored);
    }

    [Fact]
    public void A_member_that_only_one_machine_has_is_noticed() =>
        Assert.NotEqual(MembersOf("public static int Load(int* p, string file, int line) => 0;"), MembersOf("public static int Load(int* p, int line) => 0;"));

    private static string[] Members(string path) => MembersOf(File.ReadAllText(path));

    /// <summary>Every public static member up to its body, without attributes, in order of text.</summary>
    private static string[] MembersOf(string source) =>
        [.. Member().Matches(source).Select(m => Space().Replace(m.Groups[1].Value, " ").Trim()).Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"public static (?!unsafe|class)((?:[^={;]|=(?!>))+)")]
    private static partial Regex Member();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();
}

/// <summary>Where the sources are: from the path the compiler saw.</summary>
internal static class Source
{
    public static string Root { get; } = FindRoot();

    private static string FindRoot([CallerFilePath] string here = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}
