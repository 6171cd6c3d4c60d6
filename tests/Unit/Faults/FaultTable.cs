// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace MemcgNative.Tests.Unit;

/// <summary>The committed tables of what happens when a call fails: written by a test, compared by it ever after.</summary>
internal static class FaultTable
{
    /// <summary>Numbers, names of runs and directories of the moment become N.</summary>
    public static string Masked(string line) =>
        Regex.Replace(Regex.Replace(Regex.Replace(line, @"memcgnative\.[0-9]+\.[0-9a-f]{16}|[0-9]+\.[0-9a-f]{16}\.undo", "NAME"), @"/(tmp|dev/shm)/[A-Za-z0-9]+", "DIR"),
            "(?<!openat)[0-9]+(\\.[0-9]+)?", "N");

    /// <summary>The rows against the committed ones; MEMCGNATIVE_WRITE_FAULTS=1 writes them first.</summary>
    public static void Compare(string table, string head, SortedDictionary<string, SortedSet<string>> seen)
    {
        var text = new StringBuilder(head);
        text.Append("\n| Call | errno | Exit and line |\n|---|---|---|\n");
        foreach (var (key, outcomes) in seen) text.Append(CultureInfo.InvariantCulture, $"| {key} | {string.Join("<br>", outcomes)} |\n");
        string path = Path.Combine(Repository.Root, table);
        if (Environment.GetEnvironmentVariable("MEMCGNATIVE_WRITE_FAULTS") == "1") File.WriteAllText(path, text.ToString());
        if (!File.Exists(path)) Assert.Skip($"every pair ended as it must, and {table} is missing: MEMCGNATIVE_WRITE_FAULTS=1 writes it");
        Dictionary<string, string[]> committed = File.ReadAllLines(path).Where(l => l.StartsWith("| ", StringComparison.Ordinal))
            .Select(l => l.Trim('|', ' ').Split(" | ")).ToDictionary(c => $"{c[0]} | {c[1]}", c => c[2].Split("<br>"), StringComparer.Ordinal);
        // A run that tries some of the positions sees some of the outcomes.
        string[] drift = [.. seen.SelectMany(s => s.Value.Except(committed.GetValueOrDefault(s.Key) ?? []).Select(o => $"{s.Key} | {o}"))];
        Assert.True(drift.Length == 0, $"{table} does not say:\n{string.Join('\n', drift)}");
    }
}
