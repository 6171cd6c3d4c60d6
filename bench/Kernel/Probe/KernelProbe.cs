// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Operations per CPU second of one loop in one place on so many CPUs, one sample a round.</summary>
internal sealed record ProbeSeries(string Loop, string Place, int Cpus, IReadOnlyList<double> OpsPerSecond)
{
    public double Median => Percentile(50);

    /// <summary>Half of the middle half's width, relative.</summary>
    public double Spread => Median == 0 ? 0 : (Percentile(75) - Percentile(25)) / 2 / Median;

    private double Percentile(int p)
    {
        double[] sorted = [.. OpsPerSecond.Order()];
        if (sorted.Length == 0) return 0;
        double at = (sorted.Length - 1) * p / 100.0;
        int low = (int)at;
        return sorted[low] + (at - low) * (sorted[Math.Min(low + 1, sorted.Length - 1)] - sorted[low]);
    }
}

/// <summary>
/// The kernel's own cost of charging: loops that fault, read sparse files and fill pipes, in the group this process is in and in groups of
/// ours 1, 3 and 5 levels below it, and, if asked, in the root group. All places take turns in every round, in an order drawn from the seed, so that what else happens on the
/// machine falls on all of them alike.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class KernelProbe : IDisposable
{
    public static readonly string[] Loops = ["fault", "page-cache", "kmem"];
    public static readonly int[] Depths = [1, 3, 5];
    private readonly Dictionary<string, KernelTask[]> places = [];
    private readonly int milliseconds;
    private readonly SeededRandom random;

    public KernelProbe(OwnDirectory top, CgroupHost cgroups, IReadOnlyList<int> cpus, TimeSpan batch, ulong seed, bool root)
    {
        milliseconds = Math.Max(1, (int)batch.TotalMilliseconds);
        random = new SeededRandom(seed);
        try
        {
            if (root) StartInRoot(cgroups, cpus);
            places["here"] = [.. cpus.Select(KernelTask.Start)];
            foreach (int depth in Depths)
            {
                OwnDirectory group = top;
                for (int level = 1; level <= depth; level++)
                {
                    if (cgroups.V2 && level > 1) group.Write("cgroup.subtree_control", "+memory");
                    group = group.Make(string.Create(CultureInfo.InvariantCulture, $"d{depth}-{level}"));
                }
                KernelTask[] tasks = [.. cpus.Select(KernelTask.Start)];
                places[string.Create(CultureInfo.InvariantCulture, $"depth {depth}")] = tasks;
                foreach (KernelTask task in tasks) group.Write("cgroup.procs", task.Pid.ToString(CultureInfo.InvariantCulture));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The one group that is not charged. It is not ours: asked for by an option, tasks of ours enter it and end there.</summary>
    private void StartInRoot(CgroupHost cgroups, IReadOnlyList<int> cpus)
    {
        string procs = Path.Combine(cgroups.Mount, "cgroup.procs");
        if (!cgroups.ShowsRoot)
            throw new UsageException($"kernel probe --root: {cgroups.Mount} is the root of a namespace, not of the hierarchy; run it outside of it", ofThisMachine: true);
        KernelTask[] tasks = places["root"] = [.. cpus.Select(KernelTask.Start)];
        try
        {
            foreach (KernelTask task in tasks) File.WriteAllText(procs, task.Pid.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"kernel probe --root: a task may not enter the root group ({procs}: {e.Message.TrimEnd('.')}); it needs root", ofThisMachine: true);
        }
    }

    /// <summary>All loops x places x numbers of CPUs, rounds times.</summary>
    public IReadOnlyList<ProbeSeries> Run(IReadOnlyList<int> counts, int rounds, Action<int> progress, CancellationToken stop)
    {
        var points = (from loop in Loops from cpus in counts from place in places.Keys select (Loop: loop, Cpus: cpus, Place: place, Samples: new List<double>())).ToArray();
        int[] order = [.. Enumerable.Range(0, points.Length)];
        for (int round = -1; round < rounds; round++) // the first is to warm up
        {
            random.Shuffle(order);
            foreach (int i in order)
            {
                stop.ThrowIfCancellationRequested();
                double sample = Sample(points[i].Loop, places[points[i].Place].AsSpan(0, points[i].Cpus));
                if (round >= 0) points[i].Samples.Add(sample);
            }
            progress(round + 1);
        }
        return [.. points.Select(p => new ProbeSeries(p.Loop, p.Place, p.Cpus, p.Samples))];
    }

    private double Sample(string loop, ReadOnlySpan<KernelTask> tasks)
    {
        foreach (KernelTask task in tasks) task.Ask(string.Create(CultureInfo.InvariantCulture, $"loop {Array.IndexOf(Loops, loop)} {milliseconds}"));
        double sum = 0;
        foreach (KernelTask task in tasks)
        {
            string[] answer = (task.Hear() ?? throw new OsException("read", 0, "a probe's task was killed")).Split(' ');
            if (answer is not ["done", var ops, var ns] || !long.TryParse(ops, CultureInfo.InvariantCulture, out long n)
                || !long.TryParse(ns, CultureInfo.InvariantCulture, out long t) || t == 0)
                throw new OsException("read", 0, $"a probe's task said '{string.Join(' ', answer)}'");
            sum += n * 1e9 / t;
        }
        return sum;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (KernelTask task in places.Values.SelectMany(t => t)) task.Dispose();
    }
}
