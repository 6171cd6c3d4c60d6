// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Thread counts: 8, 50%, 1..64:x2, 1..8:+2, 1..4, or a list of these. A percentage is of the CPUs chosen.</summary>
internal static class ThreadLadder
{
    private const string Example = "write for example 4, 50%, 1..64:x2 or 1,2,4";

    /// <summary>Ascending, each once, each from 1 to cpus: a thread is a CPU, so there cannot be more.</summary>
    /// <exception cref="UsageException">One line.</exception>
    public static int[] Parse(string text, int cpus)
    {
        var counts = new SortedSet<int>();
        foreach (string item in text.Split(',', StringSplitOptions.TrimEntries))
            foreach (int n in Item(item, cpus)) counts.Add(n);
        if (counts.Max > cpus)
            throw new UsageException($"--threads: {counts.Max} threads, but {(cpus == 1 ? "only 1 CPU is" : $"{cpus} CPUs are")} chosen; a thread is a CPU here, so give "
                + $"--cpus more or ask for fewer");
        return [.. counts];
    }

    /// <summary>
    /// What is measured when nothing is asked: every count up to 8, then doubling; and where the machine changes character, which on the
    /// default order of CPUs is at one core of each L3, at all cores, and at all CPUs.
    /// </summary>
    public static int[] Default(Topology topology, IReadOnlyList<CpuId> cpus)
    {
        CpuInfo[] all = [.. cpus.Select(topology.Cpu)];
        var counts = new SortedSet<int>(Enumerable.Range(1, Math.Min(all.Length, 8)))
        {
            all.Select(c => c.L3 >= 0 ? (c.L3, default) : (-1, c.Node)).Distinct().Count(), all.Select(c => c.Core).Distinct().Count(), all.Length,
        };
        for (int n = 16; n < all.Length; n *= 2) counts.Add(n);
        return [.. counts];
    }

    private static IEnumerable<int> Item(string item, int cpus)
    {
        int dots = item.IndexOf("..", StringComparison.Ordinal);
        if (dots < 0) return [Count(item, item, cpus)];
        string rest = item[(dots + 2)..];
        int colon = rest.IndexOf(':', StringComparison.Ordinal);
        int first = Count(item, item[..dots], cpus), last = Count(item, colon < 0 ? rest : rest[..colon], cpus);
        if (last < first) throw new UsageException($"--threads: '{item}' ends before it begins");
        string step = colon < 0 ? "+1" : rest[(colon + 1)..];
        if (step.Length < 2 || step[0] is not ('x' or '+') || !int.TryParse(step.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out int by)
            || by < (step[0] == 'x' ? 2 : 1))
            throw new UsageException($"--threads: '{item}': the step '{step}' is neither xN (N from 2) nor +N (N from 1)");
        return Steps(first, last, step[0] == 'x', by);
    }

    private static IEnumerable<int> Steps(int first, int last, bool times, int by)
    {
        long n = first;
        for (; n <= last; n = times ? n * by : n + by) yield return (int)n;
    }

    private static int Count(string item, string text, int cpus)
    {
        bool percent = text.EndsWith('%');
        if (!int.TryParse(percent ? text[..^1] : text, NumberStyles.None, CultureInfo.InvariantCulture, out int n))
            throw new UsageException($"--threads: '{item}' is not a number of threads; {Example}");
        if (percent && n > 100) throw new UsageException($"--threads: '{item}': at most 100% of the CPUs can be used");
        if (n == 0) throw new UsageException($"--threads: '{item}' is no thread; {Example}");
        return percent ? Math.Max(1, (int)((long)cpus * n / 100)) : n;
    }
}
