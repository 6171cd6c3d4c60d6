// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Bench;

/// <summary>
/// Events as bytes: kind, CPU, nanoseconds since the event before, then the numbers of the kind, all as LEB128. Objects are numbered as they
/// are made, and a free names its object by the distance back.
/// </summary>
internal sealed class TraceEncoder
{
    private readonly List<byte> to = [];
    private readonly Dictionary<int, long> calls = []; // by CPU
    private long time, objects;

    public ReadOnlySpan<byte> Bytes => CollectionsMarshal.AsSpan(to);

    public void Clear() => to.Clear();

    public void Add(in TraceEvent e)
    {
        to.Add((byte)e.Kind);
        Number(e.Cpu);
        Number(e.TimeNs - time);
        time = e.TimeNs;
        switch (e.Kind)
        {
            case TraceKind.Group:
                Number(e.Group);
                Number(e.Object);
                break;
            case TraceKind.Remove or TraceKind.Offline or TraceKind.Released:
                Number(e.Group);
                break;
            case TraceKind.Free:
                Number(objects - e.Object);
                Number(e.Second);
                Number(e.Amount);
                break;
            case TraceKind.Checkpoint:
                Number(e.Group);
                foreach (long value in (long[])[e.Values.Usage, e.Values.Peak, e.Values.Kmem, e.Values.Anon, e.Values.File]) Number(value + 1);
                break;
            case TraceKind.Lost:
                Number(e.Amount);
                break;
            case TraceKind.TryCharge or TraceKind.Refill or TraceKind.Uncharge or TraceKind.Drain:
                Number(e.Group);
                Number(e.Amount);
                Number(e.Second);
                calls[e.Cpu] = calls.GetValueOrDefault(e.Cpu) + 1;
                break;
            case TraceKind.CounterCharge or TraceKind.CounterUncharge:
                Number(e.Group);
                Number(e.Amount);
                Number(e.Second);
                Number(calls.GetValueOrDefault(e.Cpu) - 1 - e.Object);
                break;
            default:
                Number(e.Group);
                Number(e.Amount);
                break;
        }
        if (e.Makes) objects++;
    }

    private void Number(long n)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        for (ulong rest = (ulong)n; ; rest >>= 7)
        {
            if (rest < 0x80)
            {
                to.Add((byte)rest);
                return;
            }
            to.Add((byte)(rest | 0x80));
        }
    }
}

/// <summary>The way back; what no encoder writes is refused.</summary>
internal sealed class TraceDecoder(string name, int cpus)
{
    private readonly List<TraceEvent> events = [];
    private readonly HashSet<long> groups = [];
    private readonly Dictionary<int, long> calls = []; // of the charge path, by CPU
    private readonly List<long> live = []; // pages, or 1 for a slab object, of each object that is still there
    private readonly List<long> sizes = []; // as they were made
    private byte[] bytes = [];
    private int at, block;
    private long time, made;

    /// <summary>Groups times CPUs: each CPU has a part of each group.</summary>
    private const long MostShares = 1 << 22;

    public IReadOnlyList<TraceEvent> Events => events;

    public void Add(byte[] raw, int number)
    {
        (bytes, at, block) = (raw, 0, number);
        while (at < bytes.Length)
        {
            if (events.Count == TraceFormat.MostEvents) throw Damaged($"is more than {TraceFormat.MostEvents} events in");
            events.Add(One());
        }
    }

    private TraceEvent One()
    {
        var kind = (TraceKind)bytes[at++];
        int cpu = (int)Number("CPU", cpus - 1);
        time += Number("time", TraceFormat.MostNs);
        if (time > TraceFormat.MostNs) throw Damaged("holds a time beyond two years");
        switch (kind)
        {
            case TraceKind.Group:
                long group = Number("group", long.MaxValue), parent = Number("parent", long.MaxValue);
                if (parent != 0 && !groups.Contains(parent)) throw Damaged($"has a group {group} below {parent}, which is not there");
                if (++made > TraceFormat.MostGroups || made * cpus > MostShares) throw Damaged($"makes more than {made - 1} groups on {cpus} CPUs");
                if (group == 0 || !groups.Add(group)) throw Damaged($"makes group {group} a second time");
                return new TraceEvent(kind, cpu, time, group, parent);
            case TraceKind.Remove:
                group = Known();
                groups.Remove(group);
                return new TraceEvent(kind, cpu, time, group);
            case TraceKind.Free:
                return Freed(cpu);
            case TraceKind.Checkpoint:
                return new TraceEvent(kind, cpu, time, Known(), Values: new CounterValues(Counter(), Counter(), Counter(), Counter(), Counter()));
            case TraceKind.Lost:
                return new TraceEvent(kind, cpu, time, Amount: Number("count", long.MaxValue));
            case TraceKind.Anon or TraceKind.File or TraceKind.Kernel or TraceKind.Slab:
                group = Known();
                long amount = Number("size", kind == TraceKind.Slab ? TraceFormat.MostObject : TraceFormat.MostPages);
                if (amount == 0) throw Damaged("has an object of no size");
                live.Add(kind == TraceKind.Slab ? 1 : amount);
                sizes.Add(live[^1]);
                return new TraceEvent(kind, cpu, time, group, live.Count - 1, amount);
            case TraceKind.TryCharge or TraceKind.Refill or TraceKind.Uncharge or TraceKind.Drain:
                calls[cpu] = calls.GetValueOrDefault(cpu) + 1;
                return new TraceEvent(kind, cpu, time, Known(), Amount: Number("pages", TraceFormat.MostPages), Second: Number("usage", long.MaxValue));
            case TraceKind.CounterCharge or TraceKind.CounterUncharge:
                group = Known();
                long pages = Number("pages", TraceFormat.MostPages), usage = Number("usage", long.MaxValue), back = Number("call", long.MaxValue);
                long call = calls.GetValueOrDefault(cpu) - 1 - back;
                if (call < 0) throw Damaged("has a call of the counter within no call of the charge path");
                return new TraceEvent(kind, cpu, time, group, call, pages, usage);
            case TraceKind.Held:
                return new TraceEvent(kind, cpu, time, Known(), Amount: Number("pages", TraceFormat.MostPages));
            case TraceKind.Offline or TraceKind.Released:
                return new TraceEvent(kind, cpu, time, Known());
            default:
                throw Damaged($"has an event of kind {(byte)kind}, which this program does not know");
        }
    }

    private TraceEvent Freed(int cpu)
    {
        long back = Number("object", long.MaxValue), first = Number("page", TraceFormat.MostPages), count = Number("pages", TraceFormat.MostPages);
        long obj = live.Count - back;
        if (back < 1 || obj < 0 || count < 1 || count > live[(int)obj] || first + count > sizes[(int)obj]) throw Damaged("frees something that is not there");
        live[(int)obj] -= count;
        return new TraceEvent(TraceKind.Free, cpu, time, Object: obj, Amount: count, Second: first);
    }

    private long Known()
    {
        long group = Number("group", long.MaxValue);
        return groups.Contains(group) ? group : throw Damaged($"names group {group}, which is not there");
    }

    private long Counter() => Number("value", long.MaxValue) - 1;

    private long Number(string what, long most)
    {
        ulong n = 0;
        for (int shift = 0; shift < 63; shift += 7)
        {
            if (at == bytes.Length) throw Damaged("ends within an event");
            byte b = bytes[at++];
            n |= (ulong)(b & 0x7f) << shift;
            if (b < 0x80) return n <= (ulong)most ? (long)n : throw Damaged($"has a {what} of {n}, over {most}");
        }
        throw Damaged("has a number that does not end");
    }

    private MemcgNative.Native.UsageException Damaged(string what) => TraceFormat.Damaged(name, block, what);
}
