// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>What a raw event was, as far as a recording is concerned.</summary>
/// <param name="Format">Index into the instance's formats.</param>
/// <param name="Cpu">Where.</param>
/// <param name="TimeNs">CLOCK_MONOTONIC.</param>
/// <param name="A">First to third value of the event, as its <see cref="WantedEvent"/> lists them.</param>
/// <param name="B">Second.</param>
/// <param name="C">Third.</param>
/// <param name="Pid">The task that was running.</param>
/// <param name="D">Fourth.</param>
/// <param name="E">Fifth.</param>
/// <param name="Flags">common_flags: 8 in a hardirq, 16 in a softirq.</param>
internal readonly record struct RawEvent(int Format, int Cpu, long TimeNs, ulong A, ulong B, ulong C, int Pid, ulong D, ulong E, byte Flags);

/// <summary>An event to switch on, and the fields of it that are kept, at most five.</summary>
internal sealed record WantedEvent(string Name, params string[] Fields)
{
    /// <summary>Not every kernel has it, and a recording is whole without.</summary>
    public bool Optional { get; init; }
}

/// <summary>
/// A tracing instance of our own with the events a recording needs, and a thread per CPU that takes its raw pages out as they fill. The
/// global trace and other instances are not touched; the directory's owner removes it, and with it everything that is switched on.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class TraceInstance : IDisposable
{
    private const int BufferKiB = 16384;
    private const int InterruptedCall = 4, TryAgain = 11;
    private readonly OwnDirectory instance;
    private readonly List<(EventFormat Format, EventField[] Fields, EventField Pid, EventField Flags)> formats = [];
    private readonly Dictionary<int, int> byId = [];
    private readonly List<Thread> readers = [];
    private readonly List<RawEvent>[] events;
    private readonly long[] lost;
    private readonly Lock gate = new();
    private bool stopping;
    private Exception? failure;

    /// <summary>What the pages and objects of tasks need.</summary>
    public static readonly WantedEvent[] PagesAndObjects =
    [
        new("kmem/mm_page_alloc", "pfn", "order", "gfp_flags"), new("kmem/mm_page_free", "pfn", "order"), new("pagemap/mm_lru_insertion", "pfn", "flags"),
        new("kmem/kmem_cache_alloc", "ptr", "bytes_alloc", "accounted"), new("kmem/kmem_cache_free", "ptr"), new("kmem/kmalloc", "ptr", "bytes_alloc", "gfp_flags"),
        new("kmem/kfree", "ptr"), new("cgroup/cgroup_attach_task", "dst_id", "pid"), new("sched/sched_process_fork", "parent_pid", "child_pid"),
        new("memcg/count_memcg_events", "id", "item", "val") { Optional = true }, // 6.14
    ];

    public TraceInstance(OwnDirectory instance, int cpus, IReadOnlyList<WantedEvent> wanted)
    {
        this.instance = instance;
        events = [.. Enumerable.Range(0, cpus).Select(_ => new List<RawEvent>(1 << 16))];
        lost = new long[cpus];
        foreach (WantedEvent want in wanted)
        {
            string path = $"{instance.Path}/events/{want.Name}/format";
            if (!File.Exists(path) && want.Optional) continue;
            if (!File.Exists(path))
                throw new UsageException($"record: this kernel has no event {want.Name}, or its events directory is locked down", ofThisMachine: true);
            EventFormat format = EventFormat.Parse(want.Name, File.ReadAllText(path));
            byId[format.Id] = formats.Count;
            formats.Add((format, [.. want.Fields.Select(f => format[f])], format["common_pid"], format["common_flags"]));
        }
    }

    /// <summary>Index of an event in <see cref="RawEvent.Format"/>.</summary>
    public int IndexOf(string name) => formats.FindIndex(f => f.Format.Name == name);

    /// <summary>Events the kernel dropped or could not store, over all CPUs.</summary>
    public long Lost => lost.Sum();

    /// <summary>Switches the events on.</summary>
    public void Start()
    {
        instance.Write("tracing_on", "0");
        instance.Write("trace_clock", "mono");
        instance.Write("buffer_size_kb", BufferKiB.ToString(CultureInfo.InvariantCulture));
        for (int cpu = 0; cpu < events.Length; cpu++)
        {
            int mine = cpu;
            var reader = new Thread(() => Follow(mine)) { IsBackground = true, Name = $"trace{cpu}" };
            readers.Add(reader);
            reader.Start();
        }
        foreach ((EventFormat format, EventField[] _, EventField _, EventField _) in formats)
            File.WriteAllText($"{instance.Path}/events/{format.Name}/enable", "1");
        instance.Write("tracing_on", "1");
    }

    /// <summary>Switches them off and reads what is left; events of all CPUs in order of time.</summary>
    public IReadOnlyList<RawEvent> Stop()
    {
        SwitchOff();
        if (failure is not null) throw new OsException("read", 0, $"reading the trace failed: {failure.Message.TrimEnd('.')}");
        for (int cpu = 0; cpu < lost.Length; cpu++) lost[cpu] = Math.Max(lost[cpu], Overrun(cpu));
        var all = new List<RawEvent>(events.Sum(e => e.Count));
        foreach (List<RawEvent> of in events) all.AddRange(of);
        return [.. all.OrderBy(e => e.TimeNs)]; // stable: events of one CPU keep their order
    }

    /// <inheritdoc/>
    public void Dispose() => SwitchOff();

    /// <summary>Also each event, which nobody can take away while it is on.</summary>
    private void SwitchOff()
    {
        instance.Write("tracing_on", "0"); // before the readers are told: what they find then is all there is
        foreach ((EventFormat format, EventField[] _, EventField _, EventField _) in formats) File.WriteAllText($"{instance.Path}/events/{format.Name}/enable", "0");
        lock (gate) stopping = true;
        foreach (Thread reader in readers) reader.Join();
        readers.Clear();
    }

    private long Overrun(int cpu)
    {
        long sum = 0;
        foreach (string line in File.ReadLines($"{instance.Path}/per_cpu/cpu{cpu}/stats"))
            if ((line.StartsWith("overrun:", StringComparison.Ordinal) || line.StartsWith("dropped events:", StringComparison.Ordinal))
                && long.TryParse(line.AsSpan(line.IndexOf(':', StringComparison.Ordinal) + 1).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long n)) sum += n;
        return sum;
    }

    private unsafe void Follow(int cpu)
    {
        byte[] page = new byte[RingPage.Bytes];
        int fd = -1;
        try
        {
            fixed (byte* path = System.Text.Encoding.UTF8.GetBytes($"{instance.Path}/per_cpu/cpu{cpu}/trace_pipe_raw\0"))
                fd = WorkerCalls.open(path, WorkerCalls.NonBlock | WorkerCalls.CloseOnExec);
            if (fd < 0) throw new IOException($"open of cpu{cpu}'s buffer: errno {System.Runtime.InteropServices.Marshal.GetLastPInvokeError()}");
            while (true)
            {
                bool last;
                lock (gate) last = stopping;
                nint n;
                fixed (byte* to = page) n = WorkerCalls.read(fd, to, RingPage.Bytes);
                if (n > 0)
                {
                    Decode(cpu, page.AsSpan(0, (int)n));
                    continue;
                }
                int errno = System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
                if (n < 0 && errno == InterruptedCall) continue;
                if (n < 0 && errno != TryAgain) throw new IOException($"read of cpu{cpu}'s buffer: errno {errno}");
                if (last) return;
                Thread.Sleep(20); // a page that is not full is handed out as it is: often would waste pages
            }
        }
        catch (Exception e) when (e is IOException or OutOfMemoryException)
        {
            failure = e;
        }
        finally
        {
            if (fd >= 0) _ = WorkerCalls.close(fd);
        }
    }

    private void Decode(int cpu, ReadOnlySpan<byte> page)
    {
        long missed = RingPage.Read(page, (time, data) =>
        {
            if (data.Length < 8 || !byId.TryGetValue(data[0] | data[1] << 8, out int index)) return;
            (EventFormat _, EventField[] fields, EventField pid, EventField flags) = formats[index];
            ulong Value(int i, ReadOnlySpan<byte> of) => i < fields.Length ? fields[i].Of(of) : 0;
            events[cpu].Add(new RawEvent(index, cpu, time, Value(0, data), Value(1, data), Value(2, data), (int)pid.Of(data),
                Value(3, data), Value(4, data), (byte)flags.Of(data)));
        });
        if (missed != 0) lost[cpu] += Math.Max(1, missed);
    }
}
