// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// `cleanup`: undoes what runs left behind that ended together with their supervisor (SIGKILL of both). Exit 1 when something is left, with
/// a line that says what to do. After a power cut nothing of it is there: then the journals are deleted.
/// </summary>
internal sealed class CleanupCommand(CommandContext context)
{
    private static readonly string[] hierarchies = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

    public int Run(bool dryRun, string? rehearse)
    {
        if (!OperatingSystem.IsLinux()) throw new UsageException("only Linux has groups, pools and tracing to clean up", ofThisMachine: true);
        if (rehearse is null) return Journals(dryRun);
        TimeSpan time = DurationText.Parse("--rehearse", rehearse);
        return Supervised.Run(context, host => OperatingSystem.IsLinux() ? Rehearse(host, time) : ExitCode.NotHere);
    }

    /// <summary>What can be changed here, and that it goes again: kill it at any moment and look.</summary>
    [SupportedOSPlatform("linux")]
    private int Rehearse(HostChanges host, TimeSpan time)
    {
        string hierarchy = Array.Find(hierarchies, d => File.Exists(d + "/cgroup.procs")) ?? "/sys/fs/cgroup";
        int made = Attempt("group", () => host.MakeGroup(hierarchy).Make("a").Make("b").Path)
            + Attempt("trace", () => host.MakeTraceInstance().Path)
            + Attempt("pool", () =>
            {
                if (HugePages.Pools(PageKind.Parse("2M")) is not [HugePagePool pool, ..]) throw new UsageException("this kernel has no pools of huge pages");
                return $"{HugePages.PoolPath(pool.Node, pool.Kind)}: {host.RaisePool(pool, pool.FreePages + 2)} free";
            });
        context.Environment.Stop.WaitHandle.WaitOne(time);
        if (context.Environment.Stop.IsCancellationRequested) return context.Environment.StopCode();
        return made > 0 ? ExitCode.Done : ExitCode.NotHere;
    }

    private int Attempt(string what, Func<string> change)
    {
        try
        {
            context.Error.WriteLine($"made     {what}: {change()}"); // at once: stdout is printed at the end
            return 1;
        }
        catch (Exception e) when (e is OsException or UsageException)
        {
            context.Error.WriteLine($"not here {what}: {e.Message}");
            return 0;
        }
    }

    [SupportedOSPlatform("linux")]
    private int Journals(bool dryRun)
    {
        int done = 0, left = 0;
        foreach (string path in UndoJournal.All())
        {
            List<UndoLine> lines = UndoJournal.Read(path);
            if (UndoJournal.IsLive(path, lines))
            {
                context.Out.WriteLine($"running  {path}: process {lines[0].Pid} will undo it");
                continue;
            }
            foreach (UndoLine line in Enumerable.Reverse(lines).DistinctBy(l => l.Path))
                context.Out.WriteLine($"{(dryRun ? "would   " : "undo    ")} {(line.Kind == UndoKind.Pool ? $"{line.Path} = {line.Old}" : $"rmdir {line.Path}")}");
            if (dryRun) continue;
            List<string> refusals = UndoJournal.UndoFile(path, killDescendants: false);
            foreach (string refusal in refusals) context.Error.WriteLine($"memcgnative: {refusal}");
            left += refusals.Count;
            done++;
        }
        if (done + left == 0 && !dryRun) context.Out.WriteLine($"nothing to clean up in {UndoJournal.Directory}");
        return left > 0 ? ExitCode.Failed : ExitCode.Done;
    }
}
