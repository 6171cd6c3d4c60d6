// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A scenario on the running kernel: groups below one of our own, tasks as children of this process.</summary>
[SupportedOSPlatform("linux")]
internal sealed partial class KernelMachine : IScriptMachine
{
    private readonly KernelBackend backend;
    private readonly OwnDirectory top;
    private readonly string name, scratch;
    private readonly Dictionary<string, CgroupFiles> groups = [];
    private readonly Dictionary<string, (KernelTask Task, string Group)> tasks = [];
    private readonly Dictionary<string, string> ends = []; // of tasks that are gone
    private readonly Dictionary<string, KernelRegion> regions = [];
    private readonly HashSet<string> payers = [], handsDown = [];
    private readonly HashSet<string> parents = []; // pay for the structures of their children (5.18), out of a stock of their own
    private readonly Dictionary<string, long> failcntBase = [];
    private readonly long dyingBefore;
    private long sinceQuiet;
    private int nextRegion;
    private bool freedSomething;

    private sealed record KernelRegion(Verb Kind, string Task, int Id, string Path);

    public KernelMachine(KernelBackend backend)
    {
        this.backend = backend;
        name = $"s{backend.NextNumber()}";
        top = backend.Top.Make(name);
        scratch = Path.Combine(backend.Scratch, name);
        Directory.CreateDirectory(scratch);
        dyingBefore = backend.Host.V2 ? 0 : Dying();
    }

    /// <inheritdoc/>
    public string Name => backend.Name;

    /// <inheritdoc/>
    public void Do(ScriptStep s)
    {
        switch (s.Verb)
        {
            case Verb.Needs or Verb.Differs:
                break;
            case Verb.Group:
                MakeGroup(s);
                break;
            case Verb.Remove:
                RemoveGroup(s.Subject);
                break;
            case Verb.Set:
                foreach ((string limit, long pages) in s.Limits) groups[s.Subject].TrySetLimit(limit, pages);
                break;
            case Verb.Empty:
                Empty(groups[s.Subject]);
                break;
            case Verb.Reclaim:
                Reclaim(groups[s.Subject], s.Amount);
                break;
            case Verb.Reset:
                if (s.Object == "failcnt") failcntBase[s.Subject] = groups[s.Subject].Value("failcnt").Value ?? 0;
                else if (!backend.Host.V2) groups[s.Subject].Directory.Write("memory.max_usage_in_bytes", "0");
                break;
            case Verb.Task:
                KernelTask task = backend.TaskOn((int)s.Amount);
                tasks[s.Subject] = (task, s.Object);
                groups[s.Object].Directory.Write("cgroup.procs", task.Pid.ToString(CultureInfo.InvariantCulture));
                payers.Add(s.Object);
                break;
            case Verb.Move:
                groups[s.Object].Directory.Write("cgroup.procs", tasks[s.Subject].Task.Pid.ToString(CultureInfo.InvariantCulture));
                tasks[s.Subject] = (tasks[s.Subject].Task, s.Object);
                payers.Add(s.Object);
                break;
            case Verb.Exit:
                Exit(s.Subject);
                break;
            case Verb.Wait:
                Wait(s);
                break;
            default:
                DoMemory(s);
                break;
        }
    }

    private void MakeGroup(ScriptStep s)
    {
        int slash = s.Subject.LastIndexOf('/');
        string parent = slash < 0 ? "" : s.Subject[..slash];
        OwnDirectory above = parent.Length == 0 ? top : groups[parent].Directory;
        if (parent.Length > 0) parents.Add(parent);
        if (backend.Host.V2 && handsDown.Add(parent)) above.Write("cgroup.subtree_control", "+memory");
        groups[s.Subject] = new CgroupFiles(above.Make(s.Subject[(slash + 1)..]), backend.Host.V2);
        foreach ((string limit, long pages) in s.Limits) groups[s.Subject].TrySetLimit(limit, pages);
    }

    private void RemoveGroup(string path)
    {
        int slash = path.LastIndexOf('/');
        OwnDirectory above = slash < 0 ? top : groups[path[..slash]].Directory;
        // A task that has ended may be on its way out of the group still.
        for (int turn = 0; above.TryRemove(path[(slash + 1)..]) is var errno and not 0; turn++)
        {
            if (errno != 16 || turn == 100) throw new OsException("rmdir", errno, $"cannot remove the group {path} of ours");
            Thread.Sleep(20);
        }
        groups.Remove(path);
        handsDown.Remove(path);
    }

    private void Empty(CgroupFiles group)
    {
        if (!backend.Host.V2) group.Directory.Write("memory.force_empty", "0");
        else Reclaim(group, group.Value("usage").Value ?? 0);
    }

    /// <summary>memory.reclaim gives up with EAGAIN when less could be had.</summary>
    private static void Reclaim(CgroupFiles group, long pages)
    {
        if (pages == 0) return;
        try
        {
            group.Directory.Write("memory.reclaim", (pages * 4096).ToString(CultureInfo.InvariantCulture));
        }
        catch (OsException e) when (e.ErrorNumber == 11)
        {
            // as the selftest: what is left is seen by the expectation behind it
        }
    }

    /// <summary>quiet: the statistics are flushed every two seconds, work items and grace periods take milliseconds.</summary>
    private void Wait(ScriptStep s)
    {
        TimeSpan time = s.Subject == "quiet" ? TimeSpan.FromMilliseconds(2500) : TimeSpan.FromMilliseconds(s.Amount);
        if (backend.Stop.WaitHandle.WaitOne(time)) backend.Stop.ThrowIfCancellationRequested();
        if (s.Subject == "quiet") sinceQuiet = 0;
    }

    private void Exit(string name)
    {
        if (!tasks.Remove(name, out var held)) return;
        foreach ((string region, KernelRegion r) in regions.Where(r => r.Value.Task == name).ToArray())
            if (r.Kind is not (Verb.File or Verb.Dentries)) regions.Remove(region);
        ends[name] = held.Task.End;
        backend.Done(held.Task);
        freedSomething = true;
        sinceQuiet++;
    }

    /// <inheritdoc/>
    public string EndOf(string task) => tasks.TryGetValue(task, out var held) ? held.Task.End : ends[task];

    /// <inheritdoc/>
    public IReadOnlyList<string> Finish() => []; // the kernel keeps its books itself

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (string task in tasks.Keys.ToArray()) Exit(task);
        Directory.Delete(scratch, recursive: true);
        foreach (string path in groups.Keys.OrderByDescending(p => p.Length).ToArray()) RemoveGroup(path);
        backend.Top.TryRemove(name);
    }
}
