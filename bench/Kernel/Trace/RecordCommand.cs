// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`record -- COMMAND`: the kernel's page and slab events of a command that runs in a group of its own.</summary>
internal sealed class RecordCommand(CommandContext context)
{
    private const int MostCheckpoints = 200;
    private static readonly TimeSpan afterwards = TimeSpan.FromMilliseconds(2500); // statistics are flushed every two seconds
    public static readonly Argument<string[]> Command = new("command") { Description = "what to run, after --", Arity = ArgumentArity.OneOrMore };
    public static readonly Option<string?> Every = new("--every") { HelpName = "TIME", Description = "time between checkpoints (default 100ms, doubled when there are too many)" };

    public static readonly Option<bool> Charges = new("--charges")
        { Description = "full fidelity: the calls of the charge path themselves, by fprobe (Linux 6.5, BTF, no lockdown)" };

    public int Run(ParseResult parsed)
    {
        if (!OperatingSystem.IsLinux()) throw new UsageException("record: only Linux can be recorded", ofThisMachine: true);
        string path = parsed.GetValue(context.Options.Out) ?? "record.mtrace";
        string? folder = Path.GetDirectoryName(Path.GetFullPath(path));
        if (folder is not null && !Directory.Exists(folder)) throw new UsageException($"--out: the folder {folder} is not there");
        TimeSpan every = parsed.GetValue(Every) is { } text ? DurationText.Parse("--every", text) : TimeSpan.FromMilliseconds(100);
        return Supervised.Run(context, host => OperatingSystem.IsLinux() ? Record(host, parsed.GetValue(Command)!, path, every, parsed.GetValue(Charges)) : ExitCode.NotHere);
    }

    [SupportedOSPlatform("linux")]
    private int Record(HostChanges host, string[] command, string path, TimeSpan every, bool charges)
    {
        CgroupHost cgroups = CgroupHost.Find();
        OwnDirectory top = host.MakeGroup(cgroups.Parent);
        if (cgroups.V2) top.Write("cgroup.subtree_control", "+memory");
        OwnDirectory group = top.Make("run");
        var files = new CgroupFiles(group, cgroups.V2);
        int cpus = Environment.ProcessorCount;
        OwnDirectory tracing = host.MakeTraceInstance();
        using ChargeProbes? probes = charges ? new ChargeProbes(Path.GetDirectoryName(Path.GetDirectoryName(tracing.Path))!) : null;
        using var trace = new TraceInstance(tracing, cpus, probes?.Events ?? TraceInstance.PagesAndObjects);
        if (charges && cpus > 1 && !File.ReadAllText("/proc/cmdline").Contains("preempt=none", StringComparison.Ordinal))
            context.Error.WriteLine("record --charges: a task that is preempted between probe and stock goes on with another CPU's stock, which a replay cannot know; "
                + "boot with preempt=none");
        var checkpoints = new List<(long TimeNs, CounterValues Values)>();
        trace.Start();
        checkpoints.Add((Now(), Values(files)));
        using Process process = Start(command, group.Path);
        while (!process.WaitForExit(every))
        {
            checkpoints.Add((Now(), Values(files)));
            if (checkpoints.Count < MostCheckpoints) continue;
            for (int i = checkpoints.Count - 2; i > 0; i -= 2) checkpoints.RemoveAt(i);
            every *= 2;
        }
        checkpoints.Add((Now(), Values(files)));
        Thread.Sleep(afterwards);
        checkpoints.Add((Now(), Values(files)));
        IReadOnlyList<RawEvent> raw = trace.Stop();
        TraceFile file = Assemble(raw, trace, probes, checkpoints, group, string.Join(' ', command), cgroups);
        TraceFormat.Write(path, file);
        TraceHeader h = file.Header;
        context.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"record: {path}: {file.Events.Count} events of {raw.Count}, {new FileInfo(path).Length} bytes, {checkpoints.Count} checkpoints, "
            + $"without owner {100 * h.Ownerless:0.00} %, lost {h.Lost}; the command ended with {process.ExitCode}"));
        if (h.Ownerless > ReplayReport.MostUnattributed) context.Error.WriteLine("record: more than 5 % of the events have no owner: no checkpoint of this recording can hold");
        if (ChargeReplay.Refused(file.Events) is > 0 and var refused)
            context.Error.WriteLine($"record --charges: a limit refused {refused} charge(s): a replay of this recording is refused");
        if (h.Lost > 0) context.Error.WriteLine("record: events were lost: a replay of this recording is refused");
        if (context.Environment.Stop.IsCancellationRequested) return context.Environment.StopCode();
        return process.ExitCode == 0 ? ExitCode.Done : ExitCode.Failed;
    }

    [SupportedOSPlatform("linux")]
    private static TraceFile Assemble(IReadOnlyList<RawEvent> raw, TraceInstance trace, ChargeProbes? probes, List<(long TimeNs, CounterValues Values)> checkpoints,
        OwnDirectory group, string command, CgroupHost cgroups)
    {
        var ours = new Dictionary<long, long> { [(long)group.Inode] = 1 };
        var pages = probes is null ? new TraceBuilder(trace.IndexOf, ours) : null;
        var calls = probes is null ? null : new ChargeBuilder(name => trace.IndexOf(probes.Event(name)), ours);
        List<TraceEvent> events = pages?.Build(raw) ?? calls!.Build(raw);
        long begin = Math.Min(checkpoints[0].TimeNs, events.Count > 0 ? events[0].TimeNs : long.MaxValue);
        var all = new List<TraceEvent>((calls?.Groups ?? [(1, 0)]).Select(g => new TraceEvent(TraceKind.Group, 0, 0, g.Group, g.Parent)));
        IEnumerable<TraceEvent> marks = checkpoints.Select(c => new TraceEvent(TraceKind.Checkpoint, 0, c.TimeNs, 1, Values: c.Values));
        all.AddRange(events.Concat(marks).OrderBy(e => e.TimeNs).Select(e => e with { TimeNs = e.TimeNs - begin }));
        var header = new TraceHeader
        {
            Kernel = SystemFacts.KernelRelease, Cgroup = cgroups.Version, Command = command, Source = probes is null ? "tracepoints" : "fprobe", Cpus = Environment.ProcessorCount,
            Recorded = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            Attributed = pages?.Attributed ?? events.Count, Unattributed = pages?.Unattributed ?? calls!.Strays, Lost = trace.Lost,
            Charged = pages is { Charged: >= 0 and var charged } ? charged : null,
        };
        return new TraceFile(header, all);
    }

    private static long Now() => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency)); // CLOCK_MONOTONIC, as the trace's clock

    [SupportedOSPlatform("linux")]
    private static CounterValues Values(CgroupFiles files)
    {
        long Of(string key) => files.Value(key).Value ?? -1;
        return new CounterValues(Of("usage"), Of("peak"), Of("kmem"), Of("anon"), Of("file"));
    }

    /// <summary>A shell joins the group and becomes the command, so that nothing of the command runs outside.</summary>
    private static Process Start(string[] command, string group)
    {
        var info = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        foreach (string argument in (string[])["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"", group, .. command]) info.ArgumentList.Add(argument);
        info.Environment.Remove(Supervised.Variable); // the command may be this program
        try
        {
            return Process.Start(info)!;
        }
        catch (Win32Exception e)
        {
            throw new OsException("execve", e.NativeErrorCode, "cannot start /bin/sh");
        }
    }
}
