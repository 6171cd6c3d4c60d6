// SPDX-License-Identifier: GPL-2.0-only
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The table of invariants says what is there.</summary>
public sealed class KmemInvariantTests
{
    private static string File(params string[] path) => System.IO.File.ReadAllText(Path.Combine([KmemInvariants.Root(), .. path]));

    [Fact]
    public void Every_invariant_is_checked_and_has_a_twin_or_says_why_not() =>
        Assert.DoesNotContain(KmemInvariants.All, i => (i.Checkers.Length == 0 || i.Twins.Length == 0) && i.Not is null);

    [Fact]
    public void Every_checker_says_what_the_table_says()
    {
        foreach (string checker in KmemInvariants.All.SelectMany(i => i.Checkers))
        {
            int colon = checker.IndexOf(": ", StringComparison.Ordinal);
            Assert.Contains(checker[(colon + 2)..], File("src", checker[..colon]), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Every_twin_is_a_test_a_torture_type_or_a_case()
    {
        string types = File("tests", "Torture", "Types", "TypeList.cs"), verdicts = File("tests", "Interleavings", "VERDICTS.md");
        foreach (string twin in KmemInvariants.All.SelectMany(i => i.Twins))
        {
            if (twin.StartsWith("torture ", StringComparison.Ordinal)) Assert.Contains($"\"{twin[8..]}\"", types, StringComparison.Ordinal);
            else if (twin.StartsWith("explore ", StringComparison.Ordinal))
                Assert.Contains($"| {twin[8..].Replace("/", " | ", StringComparison.Ordinal)} | ", verdicts, StringComparison.Ordinal);
            else
            {
                string[] name = twin.Split('.');
                Type? type = typeof(KmemInvariantTests).Assembly.GetTypes().FirstOrDefault(t => t.Name == name[0]);
                Assert.True(type?.GetMethod(name[1])?.GetCustomAttributes(typeof(FactAttribute), false).Length == 1, $"{twin} is no test");
            }
        }
    }

    [Fact]
    public void The_table_in_the_tree_is_this_one()
    {
        string path = Path.Combine(KmemInvariants.Root(), "tests", "INVARIANTS-KMEM.md"), now = KmemInvariants.Text();
        if (Environment.GetEnvironmentVariable("MEMCGNATIVE_REGENERATE") == "1") System.IO.File.WriteAllText(path, now);
        Assert.Equal(System.IO.File.ReadAllText(path), now);
    }
}
