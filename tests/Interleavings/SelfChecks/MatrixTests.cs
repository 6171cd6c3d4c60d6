// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using Xunit;

namespace MemcgNative.Tests.Interleavings;

/// <summary>MATRIX.md is what the shipped code does, and the letters are those of the prototype.</summary>
public class MatrixTests
{
    /// <summary>Cells that take longer are left to explore --tables --all.</summary>
    private const long Most = 2000;

    /// <summary>Regenerate with: explore --tables --all, or these tests alone with MEMCGNATIVE_UPDATE_FIXTURES=1.</summary>
    [Fact]
    public void Every_cell_has_the_letter_of_the_prototype_and_is_in_the_table()
    {
        string path = Path.Combine(Source.Root, "tests", "Interleavings", "MATRIX.md");
        if (Environment.GetEnvironmentVariable("MEMCGNATIVE_UPDATE_FIXTURES") == "1") File.WriteAllText(path, BookMatrix.Write());
        string[] lines = File.ReadAllLines(path);
        foreach (BookMatrix.Row row in BookMatrix.Rows)
        {
            string[] written = Assert.Single(lines, l => l.StartsWith($"| {row.Switch} | {row.Catch} |", StringComparison.Ordinal)).Split(" | ")[2..];
            for (int shape = 0; shape < row.Cases.Count; shape++)
            {
                string[] cells = written[shape].Split(" (")[0].Split(" / ");
                foreach (MemoryModel memory in Enum.GetValues<MemoryModel>())
                {
                    string cell = cells[memory == MemoryModel.TSO ? 1 : 0], now = BookMatrix.Cell(row.Cases[shape], memory, Most);
                    Assert.Equal(BookMatrix.PrototypeOf(row, shape, memory)[0], cell[0]);
                    if (now[0] != '-') Assert.Equal(cell, now);
                    else Assert.True(long.Parse(cell[2..], CultureInfo.InvariantCulture) > Most, $"{row.Switch}/{row.Catch}: {cell}, and {Most} executions were not enough");
                }
            }
        }
    }
}
