// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.Versioning;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>The running kernel, for any scenario: one group of ours for the whole command, tasks started when they are needed.</summary>
[SupportedOSPlatform("linux")]
internal sealed class KernelBackend : IScriptBackend, IDisposable
{
    private readonly Dictionary<int, Stack<KernelTask>> idle = [];
    private readonly bool reuse;
    private OwnDirectory? waiting;
    private int number;

    /// <summary>reuse: a task that exits is emptied and kept for the next one on its CPU, so that hundreds of scenarios start no processes.</summary>
    public KernelBackend(HostChanges changes, bool reuse, CancellationToken stop)
    {
        Host = CgroupHost.Find();
        Top = changes.MakeGroup(Host.Parent);
        if (Host.V2) Top.Write("cgroup.subtree_control", "+memory");
        Stop = stop;
        this.reuse = reuse;
        Release = StockSize.ReleaseOf(SystemFacts.KernelRelease);
        Stock = StockSize.Of(Release);
        RemoveStale(OnDisk());
        Scratch = Path.Combine(OnDisk(), $"memcgnative.{Environment.ProcessId}.{Guid.NewGuid():N}");
        Directory.CreateDirectory(Scratch, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public CgroupHost Host { get; }
    public OwnDirectory Top { get; }
    public CancellationToken Stop { get; }
    public Version Release { get; }
    public StockSize Stock { get; }

    /// <summary>A folder on a file system with a page cache of its own.</summary>
    public string Scratch { get; }

    /// <summary>CPUs whose stocks may hold pages of our groups.</summary>
    public int Cpus { get; } = Environment.ProcessorCount;

    /// <inheritdoc/>
    public string Name => $"kernel {Release} ({Host.Version})";

    public int NextNumber() => ++number;

    /// <inheritdoc/>
    public string? WhyNot(Script script)
    {
        int cpus = Environment.ProcessorCount;
        if (script.Cpus.FirstOrDefault(c => c >= cpus, -1) is var missing and >= 0) return $"this machine has no CPU {missing}";
        if (script.PeakPages * 4096 > GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2) return $"it holds {script.PeakPages} pages at once, more than half of this machine";
        bool limits = script.Steps.Any(s => s.Limits.Any(l => l.Name != "max"));
        if (limits && !Host.V2) return "cgroup v1 has neither min, low nor high";
        foreach ((string what, long amount) in script.Needs)
        {
            switch (what)
            {
                case "protection" or "high" when !Host.V2:
                    return $"cgroup v1 has no memory.{(what == "high" ? "high" : "low")}";
                case "reclaim" when !Host.V2:
                    return "cgroup v1 has no memory.reclaim";
                case "cpus" when amount > cpus:
                    return $"this machine has {cpus} CPU(s)";
                case "nodes" when amount > NodesHere():
                    return $"this machine has {NodesHere()} memory node(s)";
                case "swap" when new FileInfo("/proc/swaps") is { Exists: true } && File.ReadAllLines("/proc/swaps").Length < 2:
                    return "this machine has no swap";
            }
        }
        return null;
    }

    /// <inheritdoc/>
    public string? Differs(Script script) => null;

    /// <inheritdoc/>
    public IScriptMachine Open(Script script) => new KernelMachine(this);

    /// <summary>A task pinned to cpu, in this process's group still.</summary>
    public KernelTask TaskOn(int cpu) => idle.TryGetValue(cpu, out Stack<KernelTask>? tasks) && tasks.TryPop(out KernelTask? task) ? task : KernelTask.Start(cpu);

    /// <summary>The task has come to its end.</summary>
    public void Done(KernelTask task)
    {
        if (!reuse || !task.Alive || !task.Do("reset 0"))
        {
            task.Dispose();
            return;
        }
        (waiting ??= Top.Make("idle")).Write("cgroup.procs", task.Pid.ToString(System.Globalization.CultureInfo.InvariantCulture));
        if (!idle.TryGetValue(task.Cpu, out Stack<KernelTask>? tasks)) idle[task.Cpu] = tasks = [];
        tasks.Push(task);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (KernelTask task in idle.Values.SelectMany(t => t)) task.Dispose();
        if (Directory.Exists(Scratch)) Directory.Delete(Scratch, recursive: true);
    }

    private static int NodesHere() => Directory.Exists("/sys/devices/system/node") ? Directory.GetDirectories("/sys/devices/system/node", "node*").Length : 1;

    /// <summary>Folders of processes that were killed.</summary>
    private static void RemoveStale(string folder)
    {
        foreach (string path in Directory.GetDirectories(folder, "memcgnative.*"))
            if (int.TryParse(Path.GetFileName(path).Split('.')[1], System.Globalization.CultureInfo.InvariantCulture, out int pid) && !Directory.Exists($"/proc/{pid}"))
                Directory.Delete(path, recursive: true);
    }

    /// <summary>tmpfs reads holes without a page; /var/tmp is on a disk nearly everywhere.</summary>
    private static string OnDisk() => Directory.Exists("/var/tmp") ? "/var/tmp" : Path.GetTempPath();
}
