// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Native;

/// <summary>What happened to the calling thread since it was born; subtract two readings of one thread. Null where the system does not count.</summary>
/// <param name="VoluntarySwitches">Times it gave its CPU away (blocked or yielded).</param>
/// <param name="InvoluntarySwitches">Times its CPU was taken away: a measured thread wants none.</param>
/// <param name="Migrations">Times it moved to another CPU: a pinned thread wants none.</param>
/// <param name="MinorFaults">Page faults served without I/O.</param>
/// <param name="MajorFaults">Page faults that read a disk.</param>
public readonly record struct ThreadUsage(long? VoluntarySwitches, long? InvoluntarySwitches, long? Migrations, long? MinorFaults, long? MajorFaults)
{
    /// <summary>Why <see cref="Migrations"/> is null on Linux.</summary>
    public const string NoMigrations = "this kernel has no /proc/thread-self/sched (CONFIG_SCHED_DEBUG); the perf event cpu-migrations may";

    /// <summary>Why everything is null on Windows.</summary>
    public const string NothingOnWindows = "Windows does not count switches per thread";

    /// <summary>Reads the calling thread's counters: a system call and a file, tens of microseconds. Not for measured code.</summary>
    /// <exception cref="OsException">getrusage failed.</exception>
    public static unsafe ThreadUsage Now()
    {
        if (!OperatingSystem.IsLinux()) return default;
        Rusage u;
        int r = OsCalls.GetrusageThread(&u);
        if (r < 0) throw new OsException("getrusage", -r, $"cannot read this thread's usage (getrusage: {Errno.Name(-r)})");
        return new ThreadUsage(u.VoluntarySwitches, u.InvoluntarySwitches, MigrationsOf(SysText.TryRead("/proc/thread-self/sched")), u.MinorFaults, u.MajorFaults);
    }

    /// <summary>Involuntary switches of the calling thread alone: one system call, under a microsecond; 0 where the system does not count.</summary>
    public static unsafe long InvoluntarySwitchesNow()
    {
        Rusage u;
        return OperatingSystem.IsLinux() && OsCalls.GetrusageThread(&u) == 0 ? u.InvoluntarySwitches : 0;
    }

    /// <summary>What happened between two readings.</summary>
    public static ThreadUsage operator -(ThreadUsage after, ThreadUsage before) => new(
        after.VoluntarySwitches - before.VoluntarySwitches, after.InvoluntarySwitches - before.InvoluntarySwitches,
        after.Migrations - before.Migrations, after.MinorFaults - before.MinorFaults, after.MajorFaults - before.MajorFaults);

    /// <summary>As the operator.</summary>
    public static ThreadUsage Subtract(ThreadUsage after, ThreadUsage before) => after - before;

    /// <summary>The line "se.nr_migrations : 3" of /proc/PID/sched (kernel/sched/debug.c).</summary>
    internal static long? MigrationsOf(string? sched)
    {
        foreach (string line in (sched ?? "").Split('\n'))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && line[..colon].TrimEnd() is "se.nr_migrations" or "nr_migrations"
                && long.TryParse(line.AsSpan(colon + 1).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long n)) return n;
        }
        return null;
    }
}
