// SPDX-License-Identifier: GPL-2.0-only
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The table of invariants is complete: every checking line is in it, every line it names exists, and so does every broken twin.</summary>
public sealed partial class InvariantTests
{
    private const string Table = "tests/INVARIANTS.md";

    /// <summary>Files all of whose findings must be in the table.</summary>
    private static readonly string[] audited =
    [
        "src/Accounting/Audit.cs", "src/Accounting/AuditPageCgroup.cs", "src/Accounting/AuditSwap.cs", "src/Accounting/Lru/Lruvec.cs", "src/Accounting/Lru/TwinLists.Nodes.cs",
        "src/Accounting/PageCgroup/BitSpinlock.cs", "src/Accounting/PageCgroup/FlagArray.cs", "src/Accounting/PageCgroup/LocklessRcu.cs",
        "src/Accounting/PageCgroup/OwnerWord.cs", "src/Accounting/PageCgroup/PlainFlagArray.cs",
    ];

    [GeneratedRegex("wrong\\.Add\\(.*")]
    private static partial Regex Finding();

    [Fact]
    public void Every_finding_of_the_audit_is_in_the_table() => Assert.All(audited, file =>
        Assert.All(Finding().Matches(Repository.Read(file).Text), m =>
            Assert.True(Invariants.All.Any(i => i.File == file && m.Value.Contains(i.Line, StringComparison.Ordinal))
                || KmemInvariants.All.SelectMany(i => i.Checkers).Any(c => m.Value.Contains(c[(c.IndexOf(": ", StringComparison.Ordinal) + 2)..], StringComparison.Ordinal)),
                $"{file}: {m.Value} is in no table")));

    [Fact]
    public void Every_line_of_the_table_exists() => Assert.All(Invariants.All, i => Assert.Contains(i.Line, Repository.Read(i.File).Text, StringComparison.Ordinal));

    [Fact]
    public void Every_checker_has_a_broken_twin_that_exists() => Assert.All(Invariants.All, i =>
    {
        Assert.NotEmpty(i.Twins);
        Assert.All(i.Twins, twin => Assert.True(Exists(twin), twin));
    });

    private static bool Exists(string twin)
    {
        if (twin.StartsWith("torture ", StringComparison.Ordinal))
            return Repository.Read("tests/Torture/Types/TypeList.cs").Text.Contains($"Bad(\"{twin[8..]}\"", StringComparison.Ordinal);
        if (twin.StartsWith("explorer ", StringComparison.Ordinal))
        {
            string[] name = twin[9..].Split('/'); // id and design, as a row of VERDICTS.md begins; F: a schedule was found
            string row = $"| {name[0]} | {name[1]}";
            return Repository.Read("tests/Interleavings/VERDICTS.md").Lines.Any(l => l.StartsWith(row, StringComparison.Ordinal) && l.Contains("| F ", StringComparison.Ordinal));
        }
        string[] parts = twin.Split('.');
        return typeof(InvariantTests).Assembly.GetTypes().FirstOrDefault(t => t.Name == parts[0])?.GetMethod(parts[1])
            ?.GetCustomAttributes(typeof(FactAttribute), true).Length > 0;
    }

    [Fact]
    public void The_table_is_written_out()
    {
        var text = new StringBuilder("""
            # What must hold, who checks it, and which broken twin it caught

            Written by InvariantTests (MEMCGNATIVE_WRITE_INVARIANTS=1 writes it anew). Rules of page_cgroups (A-I), uncharge (C-I), counters and groups (I) and of
            the books at rest (5.7). The audit runs them after every run and at every rest of the torture. A twin is a test that damages one thing, an explorer
            case (`memcgnative explore ID`), or a torture type (`./build.sh torture --type NAME`). Rules of books and kmem: BooksChecks, KmemAuditTests.

            | id | rule | checked in | broken twins |
            |---|---|---|---|

            """);
        foreach (Invariant i in Invariants.All)
            text.Append("| ").Append(i.Id).Append(" | ").Append(i.Rule).Append(" | ").Append(i.File[4..]).Append(" | ").AppendJoin("; ", i.Twins).Append(" |\n");
        foreach ((string id, string why) in Invariants.NotHere) text.Append("| ").Append(id).Append(" | not here: ").Append(why).Append(" | | |\n");
        if (Environment.GetEnvironmentVariable("MEMCGNATIVE_WRITE_INVARIANTS") == "1") File.WriteAllText(Path.Combine(Repository.Root, Table), text.ToString());
        Assert.Equal(Repository.Read(Table).Text, text.ToString());
    }
}
