// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>One step of the order that was found.</summary>
/// <param name="Event">Index into the recording.</param>
/// <param name="Still">No other CPU was within a call: the port's counter must be the kernel's.</param>
internal readonly record struct OrderedEvent(int Event, bool Still);

/// <summary>
/// The order in which the calls of several CPUs met at the counters. A time stamp is taken before the counter is read, and the counter is moved later
/// still, so calls of two CPUs that overlapped may stand the wrong way round; the order on each CPU is certain. Found is an order of all
/// reads and moves in which every read finds what was recorded: the kernel's numbers alone decide it, so that there is one says that no call is missing.
/// </summary>
/// <remarks>
/// A step of a call stamped t can come before a step that another CPU has yet to do only if t is before the stamp of the call after that one.
/// Depth first, in order of time; a dead end is not entered again, since the positions of all CPUs say everything about a state.
/// </remarks>
internal sealed class ChargeOrder
{
    private readonly long mostTries; // before an order is given up
    private readonly IReadOnlyList<TraceEvent> events;
    private readonly Dictionary<long, long> parents = [], usage = [];
    private readonly int[][] own; // events of each CPU that has some
    private readonly int[] at; // position of each of these CPUs: 2 for each event, odd between read and move
    private readonly Dictionary<(int Cpu, long Call), int> inside = []; // moves yet to come within a call
    private readonly Dictionary<int, long> numberOf = []; // of each call on its CPU
    private readonly HashSet<ulong> dead = [];
    private readonly ulong[] salt;
    private ulong state;
    private long open; // calls begun whose moves are not all done, as moves
    private readonly int total;
    private int reached;

    private ChargeOrder(TraceFile trace)
    {
        events = trace.Events;
        foreach (TraceEvent e in events.Where(e => e.Kind == TraceKind.Group)) (parents[e.Group], usage[e.Group]) = (e.Object, 0);
        List<int>[] by = [.. Enumerable.Range(0, trace.Header.Cpus).Select(_ => new List<int>())];
        for (int i = 0; i < events.Count; i++)
            if (Takes(events[i])) by[events[i].Cpu].Add(i);
        own = [.. by.Where(b => b.Count > 0).Select(b => b.ToArray())];
        at = new int[own.Length];
        var random = new SeededRandom(1);
        salt = [.. own.Select(_ => ((ulong)random.Next(int.MaxValue) << 32 | (uint)random.Next(int.MaxValue)) | 1)];
        foreach (TraceEvent e in events.Where(e => e.Counts)) inside[(e.Cpu, e.Object)] = inside.GetValueOrDefault((e.Cpu, e.Object)) + 1;
        total = own.Sum(o => o.Length);
        mostTries = 1_000_000 + 4L * total;
        foreach (int[] mine in own)
            foreach ((int call, int number) in mine.Where(i => events[i].Calls).Select((i, n) => (i, n))) numberOf[call] = number;
    }

    private static bool Takes(in TraceEvent e) => e.Calls || e.Counts || e.Kind is TraceKind.Offline or TraceKind.Released;

    private static bool Moves(in TraceEvent e) => e.Counts || e.Kind == TraceKind.Uncharge;

    /// <summary>The order; wrong says where it ends when there is none, and the rest follows by time.</summary>
    public static IReadOnlyList<OrderedEvent> Of(TraceFile trace, out string? wrong, CancellationToken stop) => new ChargeOrder(trace).Search(out wrong, stop);

    private List<OrderedEvent> Search(out string? wrong, CancellationToken stop)
    {
        var taken = new Stack<(int Cpu, bool Opened)>();
        var found = new List<OrderedEvent>(total);
        (int Cpu, int After) next = (-1, -1);
        wrong = null;
        for (long tries = 0; found.Count < total || at.Any(p => (p & 1) != 0); tries++)
        {
            if ((tries & 0xffff) == 0) stop.ThrowIfCancellationRequested();
            int cpu = dead.Contains(state) ? -1 : Choose(next.After);
            if (cpu >= 0)
            {
                taken.Push((cpu, Do(cpu, found)));
                next = (-1, -1);
                if (found.Count > reached) (reached, wrong) = (found.Count, null);
                continue;
            }
            dead.Add(state);
            wrong ??= Say();
            if (taken.Count == 0 || tries > mostTries) return ByTime();
            (int back, bool opened) = taken.Pop();
            Undo(back, opened, found);
            next = (-1, back);
        }
        wrong = null;
        return found;
    }

    /// <summary>The CPU with the earliest step that may come now, after the one that was tried before in this state.</summary>
    private int Choose(int after)
    {
        (long Time, int Cpu) bound = after < 0 ? (long.MinValue, -1) : (Due(after), after), best = (long.MaxValue, -1);
        (long Ends, int Cpu) first = (long.MaxValue, -1), second = first; // the CPUs whose steps must be done soonest
        for (int cpu = 0; cpu < own.Length; cpu++)
        {
            int next = (at[cpu] >> 1) + 1;
            if (next >= own[cpu].Length) continue;
            (long, int) ends = (events[own[cpu][next]].TimeNs, cpu);
            if (ends.CompareTo(first) < 0) (first, second) = (ends, first);
            else if (ends.CompareTo(second) < 0) second = ends;
        }
        for (int cpu = 0; cpu < own.Length; cpu++)
        {
            if (at[cpu] >> 1 == own[cpu].Length) continue;
            (long Time, int Cpu) due = (Due(cpu), cpu);
            if (due.CompareTo(bound) <= 0 || due.CompareTo(best) >= 0 || due.Time >= (first.Cpu == cpu ? second : first).Ends || !Finds(cpu)) continue;
            best = due;
        }
        return best.Cpu;
    }

    private long Due(int cpu) => events[own[cpu][at[cpu] >> 1]].TimeNs;

    /// <summary>The next step moves a counter, or reads what was recorded.</summary>
    private bool Finds(int cpu)
    {
        TraceEvent e = events[own[cpu][at[cpu] >> 1]];
        return (at[cpu] & 1) != 0 || e.Second == 0 || usage[e.Group] == e.Second - 1;
    }

    /// <summary>Reads, and goes on at once where nothing is moved. True when the event came into the order now.</summary>
    private bool Do(int cpu, List<OrderedEvent> found)
    {
        int index = own[cpu][at[cpu] >> 1];
        TraceEvent e = events[index];
        bool read = (at[cpu] & 1) == 0;
        if (read)
        {
            found.Add(new OrderedEvent(index, open == 0));
            if (e.Calls) open += Inside(index, e);
        }
        else
        {
            Move(e, 1);
            open--;
        }
        Step(cpu, read && !Moves(e) ? 2 : 1);
        return read;
    }

    private void Undo(int cpu, bool read, List<OrderedEvent> found)
    {
        int place = read && (at[cpu] & 1) == 0 ? at[cpu] - 2 : at[cpu] - 1;
        int index = own[cpu][place >> 1];
        TraceEvent e = events[index];
        Step(cpu, place - at[cpu]);
        if (read)
        {
            found.RemoveAt(found.Count - 1);
            if (e.Calls) open -= Inside(index, e);
        }
        else
        {
            Move(e, -1);
            open++;
        }
    }

    /// <summary>Moves of the counter that a call makes.</summary>
    private long Inside(int index, in TraceEvent e) => inside.GetValueOrDefault((e.Cpu, numberOf[index])) + (e.Kind == TraceKind.Uncharge ? 1 : 0);

    private void Step(int cpu, int by)
    {
        at[cpu] += by;
        state += salt[cpu] * (ulong)(long)by;
    }

    private void Move(in TraceEvent e, int sign)
    {
        long by = e.Kind == TraceKind.CounterCharge ? e.Amount : -e.Amount;
        for (long group = e.Group; group != 0; group = parents[group]) usage[group] += sign * by;
    }

    private string Say()
    {
        for (int cpu = 0; cpu < own.Length; cpu++)
        {
            if (at[cpu] >> 1 == own[cpu].Length || (at[cpu] & 1) != 0) continue;
            TraceEvent e = events[own[cpu][at[cpu] >> 1]];
            if (e.Second > 0 && usage[e.Group] != e.Second - 1)
                return $"event {own[cpu][at[cpu] >> 1]} ({e.Kind} of {e.Amount} page(s) in group {e.Group} on CPU {e.Cpu}) found {e.Second - 1} pages, "
                    + $"the calls before it come to {usage[e.Group]}";
        }
        return "no order of the calls gives the counters that were recorded";
    }

    private List<OrderedEvent> ByTime() => [.. Enumerable.Range(0, events.Count).Where(i => Takes(events[i])).Select(i => new OrderedEvent(i, true))];
}
