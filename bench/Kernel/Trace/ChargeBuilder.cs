// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>
/// From raw probe events to the calls that came from outside of the charge path. A refill within a try_charge is its own rest, an uncharge within a
/// refill or a drain is the stock being emptied: the port does these itself, and that it does them at the same call is what is compared.
/// </summary>
internal sealed class ChargeBuilder(Func<string, int> indexOf, IReadOnlyDictionary<long, long> groupOfDirectory)
{
    private const byte InInterrupt = 8 | 16;
    private readonly int tryAt = indexOf("try"), tried = indexOf("tried"), refill = indexOf("refill"), refilled = indexOf("refilled"), uncharge = indexOf("uncharge"),
        drain = indexOf("drain"), drained = indexOf("drained");

    private readonly Dictionary<long, long> groups = new(groupOfDirectory);
    private readonly Dictionary<long, long> parentOf = [], firstUsage = []; // by directory
    private readonly Dictionary<ulong, long> groupAt = []; // address of the group
    private readonly Dictionary<(int Task, byte Context), int> within = []; // calls of the charge path that the task is in; an interrupt begins anew

    /// <summary>
    /// Groups whose charges go through the same stocks, parents first, each with its parent (0: none that was charged). Beside ours those
    /// that were empty when they were first seen can be compared; others are driven only.
    /// </summary>
    public IEnumerable<(long Group, long Parent)> Groups
    {
        get
        {
            var done = new HashSet<long>();
            for (bool more = true; more;)
            {
                more = false;
                foreach ((long directory, long group) in groups.Where(g => !done.Contains(g.Value)).OrderBy(g => g.Value).ToArray())
                {
                    long parent = groups.GetValueOrDefault(parentOf.GetValueOrDefault(directory));
                    if (parent != 0 && !done.Contains(parent)) continue;
                    done.Add(group);
                    more = true;
                    yield return (group, parent);
                }
            }
        }
    }

    /// <summary>In order of time.</summary>
    public List<TraceEvent> Build(IReadOnlyList<RawEvent> raw)
    {
        foreach (RawEvent e in raw)
        {
            if ((e.Format != tryAt && e.Format != refill) || e.B == 0) continue;
            if (!groups.ContainsKey((long)e.B)) groups[(long)e.B] = 1000 + groups.Count;
            groupAt[e.D] = groups[(long)e.B];
            parentOf[(long)e.B] = (long)e.E;
            firstUsage.TryAdd(groups[(long)e.B], (long)e.C);
        }
        ulong offset = CounterOffset(raw);
        var events = new List<TraceEvent>();
        foreach (RawEvent e in raw)
        {
            // An interrupt belongs to its CPU, and so does the idle task, which is one number on all of them.
            int interrupt = e.Flags & InInterrupt;
            (int, byte) context = (interrupt != 0 || e.Pid == 0 ? -1 - e.Cpu : e.Pid, (byte)interrupt);
            int depth = within.GetValueOrDefault(context);
            if (e.Format == tried || e.Format == refilled || e.Format == drained)
            {
                within[context] = Math.Max(0, depth - 1);
                continue;
            }
            if (e.Format != uncharge) within[context] = depth + 1;
            if (depth > 0) continue;
            if (e.Format == drain) events.Add(new TraceEvent(TraceKind.Drain, e.Cpu, e.TimeNs, groups.Values.Min()));
            else if (e.Format == uncharge && groupAt.TryGetValue(e.C - offset, out long owner)) events.Add(Call(TraceKind.Uncharge, e, owner, (long)e.B));
            else if (e.Format != uncharge && groups.TryGetValue((long)e.B, out owner))
                events.Add(Call(e.Format == tryAt ? TraceKind.TryCharge : TraceKind.Refill, e, owner, (long)e.C));
        }
        return events;
    }

    private TraceEvent Call(TraceKind kind, in RawEvent e, long group, long usage) =>
        new(kind, e.Cpu, e.TimeNs, group, Amount: (long)e.A, Second: groupOfDirectory.Values.Contains(group) || firstUsage.GetValueOrDefault(group) == 0 ? usage + 1 : 0);

    /// <summary>Where in a group its memory counter lies: the most frequent distance from a group to a counter that is uncharged.</summary>
    private ulong CounterOffset(IReadOnlyList<RawEvent> raw) => raw.Where(e => e.Format == uncharge).Take(100_000)
        .SelectMany(e => groupAt.Keys.Where(g => e.C >= g && e.C - g < 4096).Select(g => e.C - g))
            .GroupBy(d => d).OrderByDescending(g => g.Count()).Select(g => g.Key).FirstOrDefault();
}
