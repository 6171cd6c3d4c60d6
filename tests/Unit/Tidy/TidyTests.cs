// SPDX-License-Identifier: GPL-2.0-only
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The rules over this repository. That each rule bites is in TidyRulesBite.</summary>
public class TidyTests
{
    private static readonly string[] Everywhere = ["src", "bench", "tests"];

    [Fact]
    public void Only_Machine_names_what_the_hardware_orders_memory_with() =>
        Offences.None(Repository.CSharp("src").SelectMany(TidyRules.MachineNames));

    [Fact]
    public void Both_ends_of_every_ordering_pair_exist() => Offences.None(OrderingPairs.Offences(NotTidy(Repository.CSharp("src", "tests"))));

    [Fact]
    public void No_banned_word_stands_anywhere()
    {
        IEnumerable<SourceFile> texts = Repository.Files("", ".md", ".sh", ".props", ".csproj", ".c", ".h").Select(Repository.Read);
        Offences.None(NotTidy([.. Repository.CSharp(Everywhere), .. texts]).SelectMany(TidyRules.BannedWords));
    }

    [Fact]
    public void Every_source_file_begins_with_its_licence() => Offences.None(Repository.CSharp(Everywhere).SelectMany(TidyRules.License));

    [Fact]
    public void Lines_and_files_are_short_or_say_why() => Offences.None(Repository.CSharp(Everywhere).SelectMany(TidyRules.Size));

    [Fact]
    public void Long_functions_are_listed_with_a_reason_and_no_listed_one_has_gone()
    {
        const string List = "tests/Unit/Tidy/long-functions.txt";
        string[] rows = [.. Repository.Read(List).Lines.Where(l => l.Length > 0 && l[0] != '#')];
        Assert.All(rows, row => Assert.True(row.Split(' ', 3) is [_, _, { Length: > 10 }], $"{List}: '{row}' gives no reason"));
        string[] listed = [.. rows.Select(row => string.Join(' ', row.Split(' ').Take(2)))];
        string[] found = [.. Repository.CSharp("src", "bench").SelectMany(TidyRules.LongFunctions)];
        Offences.None(found.Except(listed).Select(f => $"{f}: over {TidyRules.MaxFunctionLines} lines; split it or list it in {List} with the reason"));
        Offences.None(listed.Except(found).Select(f => $"{List}: {f} is not long any more; delete the row"));
    }

    [Fact]
    public void Rooms_refer_downwards_only()
    {
        Offences.None(Repository.CSharp("src", "bench").SelectMany(Dependencies.OfCode));
        SourceFile[] projects = [.. Repository.Files("", ".csproj").Select(Repository.Read)];
        Assert.True(projects.Length >= 5);
        Offences.None(projects.SelectMany(Dependencies.OfProject));
    }

    [Fact]
    public void Every_fixture_names_its_provenance()
    {
        string[] roots = [.. Repository.Files("tests").Select(FixtureRoot).OfType<string>().Distinct()];
        if (roots.Length == 0) Assert.Skip("there is no Fixtures folder below tests");
        foreach (string root in roots) Offences.None(Fixtures.WithoutProvenance(root, Repository.Files(root), ReadIfThere));
    }

    [Fact]
    public void No_committed_file_is_larger_than_a_mebibyte()
    {
        string? listed = Repository.Git("ls-files", "-z");
        if (listed is null) Assert.Skip("git or its repository is not here");
        Offences.None(TooLarge(listed!.Split('\0', StringSplitOptions.RemoveEmptyEntries), path =>
        {
            var file = new FileInfo(Path.Combine(Repository.Root, path));
            return file.Exists && file.LinkTarget is null ? file.Length : 0;
        }));
    }

    internal static IEnumerable<string> TooLarge(IEnumerable<string> paths, Func<string, long> bytesOf) =>
        from path in paths
        let bytes = bytesOf(path)
        where bytes > 1 << 20
        select $"{path}: {bytes} bytes";

    private static string? FixtureRoot(string path)
    {
        int at = path.IndexOf("/Fixtures/", StringComparison.Ordinal);
        return at < 0 ? null : path[..(at + "/Fixtures".Length)];
    }

    private static string? ReadIfThere(string path) =>
        File.Exists(Path.Combine(Repository.Root, path)) ? Repository.Read(path).Text : null;

    // The rules and their samples name what they forbid.
    private static SourceFile[] NotTidy(IEnumerable<SourceFile> files) =>
        [.. files.Where(f => !f.Path.StartsWith("tests/Unit/Tidy/", StringComparison.Ordinal))];
}
