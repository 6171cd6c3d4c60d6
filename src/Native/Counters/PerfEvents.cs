// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

/// <summary>One counter of one thread. A missing one carries its reason and never a zero in place of a count.</summary>
/// <param name="Name">As perf spells it; ":u" when the kernel's share is not counted.</param>
/// <param name="Value">Events, scaled up when the counter was multiplexed; null when there is none. task-clock counts ns.</param>
/// <param name="Running">Share of the time in which it really counted, 0 to 1; under 1 the value is an estimate.</param>
/// <param name="Reason">Why there is no value.</param>
public readonly record struct PerfCount(string Name, long? Value, double Running, string? Reason);

/// <summary>
/// perf events of the calling thread: software events wherever the kernel has them, hardware events where the CPU shows them. Opened
/// and read by the thread itself; <see cref="Start"/> and <see cref="Stop"/> allocate nothing.
/// </summary>
public sealed partial class PerfEvents : IDisposable
{
    private readonly PerfEvent[] events;

    private PerfEvents(PerfEvent[] events) => this.events = events;

    /// <summary>Opens the standard set, stopped: page-faults, context-switches, cpu-migrations, task-clock; cycles, instructions, cache-misses, branch-misses.</summary>
    public static PerfEvents OpenForThisThread() =>
        new(OperatingSystem.IsLinux() ? OpenLinux() : Array.ConvertAll(standard, s => new PerfEvent(s.Name, -1, "perf events exist on Linux only")));

    /// <summary>Counters from zero on.</summary>
    public void Start()
    {
        if (OperatingSystem.IsLinux()) Control(PERF_EVENT_IOC_RESET, PERF_EVENT_IOC_ENABLE);
    }

    /// <summary>Counters stand still.</summary>
    public void Stop()
    {
        if (OperatingSystem.IsLinux()) Control(PERF_EVENT_IOC_DISABLE, 0);
    }

    /// <summary>All counters, present or missing, in the order of the standard set.</summary>
    public IReadOnlyList<PerfCount> Read() =>
        Array.ConvertAll(events, e => OperatingSystem.IsLinux() && e.Fd >= 0 ? ReadLinux(e) : new PerfCount(e.Name, null, 0, e.Reason));

    /// <summary>One line per distinct reason, for the user: "counters: cycles, instructions not available: ... Continuing without."</summary>
    public static IReadOnlyList<string> Warnings(IReadOnlyList<PerfCount> counts) =>
    [
        .. counts.Where(c => c.Value is null).GroupBy(c => c.Reason)
            .Select(g => $"counters: {string.Join(", ", g.Select(c => c.Name))} not available: {g.Key}. Continuing without."),
    ];

    /// <summary>Closes; the second time does nothing.</summary>
    public void Dispose()
    {
        for (int i = 0; i < events.Length; i++)
        {
            int fd = events[i].Fd;
            if (fd < 0) continue;
            events[i] = events[i] with { Fd = -1, Reason = "closed" };
            if (OperatingSystem.IsLinux()) _ = OsCalls.Close(fd);
        }
    }

    private sealed record PerfEvent(string Name, int Fd, string? Reason);
}
