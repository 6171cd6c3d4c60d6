// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.CompilerServices;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>
/// The port's instructions per operation repeat to the last, on one machine after another, in one process and in the next, so one more in a hot
/// path shows in icount.golden, which ./build.sh icount -g writes. Three eras are counted in every test run, all under MEMCGNATIVE_ICOUNT=1.
/// </summary>
public sealed class CostTests
{
    private const string Machine = "-i -a DOTNET_EnableAVX=0 -a norandmaps";
    private static readonly string[] eras = ["2.6.27", "3.19", "6.18"];
    private static readonly Boot some = new(Machine, $"""
        cat >/tmp/jobs <<'JOBS'
        once port-costs {string.Join(' ', eras)}
        again port-costs {string.Join(' ', eras)}
        JOBS
        inside /out </tmp/jobs
        """, wanted: true);
    private static readonly Boot all = new(Machine, "inside /out <<'JOBS'\ncosts port-costs\nJOBS\n", Environment.GetEnvironmentVariable("MEMCGNATIVE_ICOUNT") == "1");

    [Fact]
    public void Counts_repeat_to_the_last_instruction()
    {
        Assert.Equal(1 + 3 * eras.Length, Lines(some["once"].Out).Length);
        Assert.Equal(some["once"].Out, some["again"].Out);
    }

    [Fact]
    public void Each_operation_takes_as_many_instructions_as_the_golden_file_says() =>
        Compare([.. Golden().Where(g => g[0] == '#' || eras.Contains(g.Split(' ')[0]))], Lines(some["once"].Out));

    /// <summary>In another process, and beside other machines.</summary>
    [Fact]
    public void Every_era_and_every_answer_takes_as_many_instructions_as_the_golden_file_says() => Compare(Golden(), Lines(all["costs"].Out));

    /// <summary>The comparison is believed because it finds one hundredth of an instruction more, in any row, and a row that is gone; a new row is no offence.</summary>
    [Fact]
    public void A_planted_difference_is_caught()
    {
        string[] golden = Golden();
        Assert.Empty(Offences(golden, [.. golden, "9.9 fault 1.00"]));
        foreach (string row in golden.Skip(1))
        {
            double count = double.Parse(row.Split(' ')[^1], CultureInfo.InvariantCulture);
            string planted = row[..^10] + (count + 0.01).ToString("0.00", CultureInfo.InvariantCulture).PadLeft(10);
            Assert.Equal([row], Offences(golden, [.. golden.Select(g => g == row ? planted : g)]));
            Assert.Equal([row], Offences(golden, [.. golden.Where(g => g != row)]));
        }
    }

    [Fact]
    public void The_golden_file_tells_designs_apart() =>
        Assert.True(Golden().Where(l => l.Contains("charge-uncharge", StringComparison.Ordinal)).Select(l => l[^10..]).Distinct().Count() > 6);

    private static void Compare(string[] golden, string[] counted)
    {
        if (golden[0] != counted[0]) Assert.Skip($"icount.golden was written with {golden[0][2..]}, this is {counted[0][2..]}: ./build.sh icount -g");
        string[] offences = Offences(golden, counted);
        Assert.True(offences.Length == 0, $"""
            a hot path changed; if that is meant, ./build.sh icount -g writes the new counts. Golden file:
            {string.Join('\n', offences)}
            counted:
            {string.Join('\n', counted.Except(golden))}
            """);
    }

    /// <summary>Rows of the golden file that were not counted so.</summary>
    private static string[] Offences(string[] golden, string[] counted) => [.. golden.Skip(1).Except(counted)];

    private static string[] Golden([CallerFilePath] string here = "") => Lines(File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "icount.golden")));

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
