// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.CompilerServices;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>
/// The port's instructions per operation are to repeat to the last, in one process and in the next, so one more in a hot path shows in
/// icount.golden, which ./build.sh icount -g writes. Counted where MEMCGNATIVE_ICOUNT=1 asks for it: minutes, and see src/README, known defects.
/// </summary>
public sealed class CostTests
{
    private const string Machine = "-i -a DOTNET_EnableAVX=0 -a norandmaps", Eras = "2.6.27 3.19 6.18";
    private static readonly bool asked = Environment.GetEnvironmentVariable("MEMCGNATIVE_ICOUNT") == "1";
    private static readonly Lazy<Boot> some = new(() => new(Machine, $"""
        inside /out <<'JOBS'
        once port-costs {Eras}
        again port-costs {Eras}
        JOBS
        mkdir /next
        echo 'next port-costs {Eras}' | inside /next
        cp /next/* /out
        """));
    private static readonly Lazy<Boot> all = new(() => new(Machine, "inside /out <<'JOBS'\ncosts port-costs\nJOBS\n"));

    [Fact]
    public void Counts_repeat_to_the_last_instruction()
    {
        Ask();
        Assert.Equal(1 + 3 * 3, Lines(some.Value["once"].Out).Length);
        Assert.Equal(some.Value["once"].Out, some.Value["again"].Out);
        Assert.Equal(some.Value["once"].Out, some.Value["next"].Out);
    }

    [Fact]
    public void Each_operation_takes_as_many_instructions_as_the_golden_file_says()
    {
        Ask();
        string[] counted = Lines(all.Value["costs"].Out), golden = Golden();
        if (golden[0] != counted[0]) Assert.Skip($"icount.golden was written with {golden[0][2..]}, this is {counted[0][2..]}: ./build.sh icount -g");
        Assert.Empty(Offences(golden, counted));
    }

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

    private static void Ask()
    {
        if (!asked) Assert.Skip("takes minutes; asked for by MEMCGNATIVE_ICOUNT=1 ./build.sh test Guest");
    }

    /// <summary>Rows of the golden file that were not counted so.</summary>
    private static string[] Offences(string[] golden, string[] counted) => [.. golden.Skip(1).Except(counted)];

    private static string[] Golden([CallerFilePath] string here = "") => Lines(File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "icount.golden")));

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
