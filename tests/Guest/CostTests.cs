// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using Xunit;

namespace MemcgNative.Tests.Guest;

/// <summary>
/// The port's instructions per operation repeat to the last, so one more in a hot path shows in icount.golden. Compared with it where
/// MEMCGNATIVE_ICOUNT=1 asks for that, which takes minutes; written by ./build.sh icount -g.
/// </summary>
public sealed class CostTests
{
    private const string Machine = "-i -a DOTNET_EnableAVX=0 -a norandmaps";
    private static readonly bool asked = Environment.GetEnvironmentVariable("MEMCGNATIVE_ICOUNT") == "1";
    private static readonly Boot repeated = new(Machine, "inside /out <<'JOBS'\nonce port-costs 3.19\nagain port-costs 3.19\nJOBS\n");
    private static readonly Lazy<Boot> all = new(() => new(Machine, "inside /out <<'JOBS'\ncosts port-costs\nJOBS\n"));

    [Fact]
    public void Counts_repeat_to_the_last_instruction()
    {
        if (!asked) Assert.Skip("asked for by MEMCGNATIVE_ICOUNT=1 ./build.sh test Guest");
        Assert.Equal(4, Lines(repeated["once"].Out).Length);
        Assert.Equal(repeated["once"].Out, repeated["again"].Out);
    }

    [Fact]
    public void Each_operation_takes_as_many_instructions_as_the_golden_file_says()
    {
        if (!asked) Assert.Skip("takes minutes; asked for by MEMCGNATIVE_ICOUNT=1 ./build.sh test Guest");
        string[] counted = Lines(all.Value["costs"].Out), golden = Golden();
        if (golden[0] != counted[0]) Assert.Skip($"icount.golden was written with {golden[0][2..]}, this is {counted[0][2..]}: ./build.sh icount -g");
        Assert.Empty(golden.Except(counted)); // what is new since then is no offence
    }

    [Fact]
    public void The_golden_file_tells_designs_apart() =>
        Assert.True(Golden().Where(l => l.Contains("charge-uncharge", StringComparison.Ordinal)).Select(l => l[^10..]).Distinct().Count() > 6);

    private static string[] Golden([CallerFilePath] string here = "") => Lines(File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "icount.golden")));

    private static string[] Lines(string text) => text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
