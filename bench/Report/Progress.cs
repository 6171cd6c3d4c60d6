// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What stderr gets while a run goes on: a line that rewrites itself for a person, one plain line a step for a file.</summary>
internal sealed class Progress(TextWriter error, bool interactive, bool quiet)
{
    private const int BarWidth = 30;
    private bool lineOpen;

    /// <summary>One line.</summary>
    public void Say(string line)
    {
        if (quiet || line.Length == 0) return;
        EndLine();
        error.WriteLine(line);
    }

    /// <summary>A warning; also when quiet.</summary>
    public void Warn(string line)
    {
        EndLine();
        error.WriteLine($"memcgnative: {line}");
    }

    /// <summary>An instance stands and its memory is proved.</summary>
    public void Placed(Instance instance, NumaPolicy mem) =>
        Say($"placed   {mem.Text}: {instance.Before.Frames} frames of {SizeText.Format((long)instance.Before.FrameBytes)} on "
            + $"{string.Join(", ", instance.Before.Found.Select(f => $"node {f.Key} ({f.Value})"))}, proved by {instance.Before.Method}");

    /// <summary>A repetition of all points is over.</summary>
    public void Rep(int done, int all, IReadOnlyList<Point> points)
    {
        if (quiet) return;
        string speed = points.Count == 1 ? $"  {Numbers.Rate(Last(points[0]))}" : "";
        if (!interactive)
        {
            error.WriteLine($"[{done}/{all}]{speed}");
            return;
        }
        int filled = BarWidth * done / all;
        error.Write($"\r[{new string('#', filled)}{new string('.', BarWidth - filled)}] {done}/{all}{speed}   ");
        lineOpen = true;
        if (done == all) EndLine();
    }

    private static double Last(Point p) => Estimate.PlainMedian(p.Throughput.AsSpan(Math.Max(0, p.Rounds - 20), Math.Min(20, p.Rounds)));

    private void EndLine()
    {
        if (!lineOpen) return;
        error.WriteLine();
        lineOpen = false;
    }
}

/// <summary>Numbers for people, the same in every locale.</summary>
internal static class Numbers
{
    /// <summary>"14.7 Mop/s".</summary>
    public static string Rate(double? perSecond) => perSecond switch
    {
        null => "n/a",
        >= 1e9 and var v => string.Create(CultureInfo.InvariantCulture, $"{v / 1e9:0.00} Gop/s"),
        >= 1e6 and var v => string.Create(CultureInfo.InvariantCulture, $"{v / 1e6:0.0} Mop/s"),
        >= 1e3 and var v => string.Create(CultureInfo.InvariantCulture, $"{v / 1e3:0.0} kop/s"),
        var v => string.Create(CultureInfo.InvariantCulture, $"{v:0} op/s"),
    };

    /// <summary>"61 ns", "2.2 us", "1.3 ms".</summary>
    public static string Ns(double? ns) => ns switch
    {
        null => "n/a",
        >= 1e6 and var v => string.Create(CultureInfo.InvariantCulture, $"{v / 1e6:0.0} ms"),
        >= 1e3 and var v => string.Create(CultureInfo.InvariantCulture, $"{v / 1e3:0.0} us"),
        >= 100 and var v => string.Create(CultureInfo.InvariantCulture, $"{v:0} ns"),
        >= 10 and var v => string.Create(CultureInfo.InvariantCulture, $"{v:0.0} ns"),
        var v => string.Create(CultureInfo.InvariantCulture, $"{v:0.00} ns"),
    };

    /// <summary>"0.5 %".</summary>
    public static string Percent(double? p, string sign = "") => p is { } v ? string.Create(CultureInfo.InvariantCulture, $"{sign}{v:0.0} %") : "n/a";
}
