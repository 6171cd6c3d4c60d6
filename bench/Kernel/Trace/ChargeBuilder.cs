// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Bench;

/// <summary>
/// From raw probe events to the calls that came from outside of the charge path, each with the calls of the counter that it made. The port does
/// the latter itself, and that it does the same ones within the same call is what is compared. Nothing says in the recording what lies within what; the
/// order of events of a task, or of an interrupt, and their arguments do (Linux 6.5 to 6.15):
/// <list type="bullet">
/// <item>a refill right after a counter was charged within a try_charge, of what that charged too much, is its own rest;</item>
/// <item>a drain right after a refill of another group, or of more than a batch, is part of it; every other drain is a stock being emptied;</item>
/// <item>an uncharge right after a drain of as many pages of that group is the drain's.</item>
/// </list>
/// </summary>
internal sealed class ChargeBuilder(Func<string, int> indexOf, IReadOnlyDictionary<long, long> groupOfDirectory)
{
    private const byte InInterrupt = 8 | 16;
    private const long Batch = 64; // MEMCG_CHARGE_BATCH of those kernels
    private readonly int tryAt = indexOf("try"), refill = indexOf("refill"), local = indexOf("local"), drain = indexOf("drain"), charge = indexOf("charge"),
        force = indexOf("force"), uncharge = indexOf("uncharge"), offline = indexOf("offline"), free = indexOf("free");

    private readonly Dictionary<long, long> groups = new(groupOfDirectory);
    private readonly Dictionary<long, long> parentOf = [], firstUsage = []; // by directory
    private readonly Dictionary<ulong, long> groupAt = []; // address of the group
    private readonly Dictionary<(int Task, byte Context), Context> contexts = []; // an interrupt begins anew
    private readonly Dictionary<int, long> calls = []; // by CPU
    private readonly List<TraceEvent> events = [];
    private ulong offset;

    private enum State { Outside, Try, Charged, Rest, Refill }

    private sealed class Context
    {
        public State State;
        public long Call, Pages, Charged;
        public ulong Group, DrainedGroup;
        public long DrainedPages;
    }

    /// <summary>Calls of the counters of known groups that belong to no call of the charge path.</summary>
    public long Strays { get; private set; }

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
        offset = CounterOffset(raw);
        foreach (RawEvent e in raw) Take(e);
        events.InsertRange(0, events.Select(e => e.Cpu).Distinct().Select(HeldAtFirst).Where(e => e.Amount > 0).ToArray());
        return events;
    }

    /// <summary>
    /// What the CPU's stock held before: told by what it gave without asking the counter, and by what was left when it was emptied or changed its group.
    /// </summary>
    private TraceEvent HeldAtFirst(int cpu)
    {
        TraceEvent[] mine = [.. events.Where(e => e.Cpu == cpu)], calls = [.. mine.Where(e => e.Calls)];
        long given = 0, owner = 0;
        for (int number = 0; number < calls.Length; number++)
        {
            TraceEvent call = calls[number];
            if (call.Kind == TraceKind.Uncharge) continue;
            TraceEvent[] within = [.. mine.Where(e => e.Counts && e.Object == number)];
            TraceEvent emptied = within.FirstOrDefault(e => e.Kind == TraceKind.CounterUncharge);
            if (emptied.Amount > 0)
                (owner, given) = (emptied.Group, given + emptied.Amount - (call.Kind == TraceKind.Refill && call.Group == emptied.Group ? call.Amount : 0));
            if (emptied.Amount > 0 || call.Kind == TraceKind.Drain || within.Length > 0) break;
            (owner, given) = (call.Group, given + (call.Kind == TraceKind.TryCharge ? call.Amount : -call.Amount));
        }
        return new TraceEvent(TraceKind.Held, cpu, events[0].TimeNs, owner, Amount: owner == 0 ? 0 : given);
    }

    private void Take(in RawEvent e)
    {
        // An interrupt belongs to its CPU, and so does the idle task, which is one number on all of them.
        int interrupt = e.Flags & InInterrupt;
        (int, byte) key = (interrupt != 0 || e.Pid == 0 ? -1 - e.Cpu : e.Pid, (byte)interrupt);
        if (!contexts.TryGetValue(key, out Context? within)) contexts[key] = within = new Context();
        if (e.Format == tryAt) TakeTry(e, within);
        else if (e.Format == refill) TakeRefill(e, within);
        else if (e.Format == local) within.State = State.Outside;
        else if (e.Format == drain) TakeDrain(e, within);
        else if (e.Format == uncharge) TakeUncharge(e, within);
        else if (e.Format == charge || e.Format == force) TakeCharge(e, within);
        else if (groups.TryGetValue((long)e.A, out long group))
            events.Add(new TraceEvent(e.Format == offline ? TraceKind.Offline : TraceKind.Released, e.Cpu, e.TimeNs, group));
    }

    private void TakeTry(in RawEvent e, Context within)
    {
        if (!groups.TryGetValue((long)e.B, out long group)) return;
        within.State = State.Try;
        (within.Pages, within.Group) = ((long)e.A, e.D);
        within.Call = Call(TraceKind.TryCharge, e, group, (long)e.A, (long)e.C);
    }

    private void TakeCharge(in RawEvent e, Context within)
    {
        if (!groupAt.TryGetValue(e.C - offset, out long group)) return; // another resource, or a group nobody charges
        if (within.State is not (State.Try or State.Charged) || groupAt[within.Group] != group)
        {
            Strays++;
            return;
        }
        (within.State, within.Charged) = (State.Charged, (long)e.A);
        Within(TraceKind.CounterCharge, e, group, within);
    }

    private void TakeRefill(in RawEvent e, Context within)
    {
        if (!groups.TryGetValue((long)e.B, out long group)) return;
        if (within.State == State.Charged && within.Group == e.D && within.Charged - within.Pages == (long)e.A) within.State = State.Rest;
        else
        {
            within.State = State.Refill;
            within.Call = Call(TraceKind.Refill, e, group, (long)e.A, (long)e.C);
        }
        within.Group = e.D;
    }

    private void TakeDrain(in RawEvent e, Context within)
    {
        (within.DrainedGroup, within.DrainedPages) = (e.A, (long)e.B);
        if (within.State is State.Rest or State.Refill && (e.A != within.Group || (long)e.B > Batch)) return;
        within.State = State.Outside;
        if (groupAt.TryGetValue(e.A, out long group)) within.Call = Call(TraceKind.Drain, e, group, 0, -1);
    }

    private void TakeUncharge(in RawEvent e, Context within)
    {
        if (!groupAt.TryGetValue(e.C - offset, out long group)) return;
        if (within.DrainedGroup == e.C - offset && within.DrainedPages == (long)e.A)
        {
            within.DrainedGroup = 0;
            Within(TraceKind.CounterUncharge, e, group, within);
            return;
        }
        within.State = State.Outside;
        within.Call = Call(TraceKind.Uncharge, e, group, (long)e.A, (long)e.B);
    }

    private void Within(TraceKind kind, in RawEvent e, long group, Context within) =>
        events.Add(new TraceEvent(kind, e.Cpu, e.TimeNs, group, within.Call, (long)e.A, Compared(group) ? (long)e.B + 1 : 0));

    private long Call(TraceKind kind, in RawEvent e, long group, long pages, long usage)
    {
        events.Add(new TraceEvent(kind, e.Cpu, e.TimeNs, group, Amount: pages, Second: Compared(group) ? usage + 1 : 0));
        return (calls[e.Cpu] = calls.GetValueOrDefault(e.Cpu) + 1) - 1;
    }

    private bool Compared(long group) => groupOfDirectory.Values.Contains(group) || firstUsage.GetValueOrDefault(group) == 0;

    /// <summary>Where in a group its memory counter lies: the most frequent distance from a group to a counter that is uncharged.</summary>
    private ulong CounterOffset(IReadOnlyList<RawEvent> raw) => raw.Where(e => e.Format == uncharge).Take(100_000)
        .SelectMany(e => groupAt.Keys.Where(g => e.C >= g && e.C - g < 4096).Select(g => e.C - g))
            .GroupBy(d => d).OrderByDescending(g => g.Count()).Select(g => g.Key).FirstOrDefault();
}
