// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;

namespace MemcgNative.Bench;

/// <summary>What tasks do, and what the kernel shows of it.</summary>
internal sealed partial class KernelMachine
{
    private void DoMemory(ScriptStep s)
    {
        sinceQuiet++;
        if (s.Verb == Verb.Free)
        {
            Free(s.Subject);
            return;
        }
        if (s.Verb is Verb.Touch or Verb.Migrate)
        {
            if (!regions.TryGetValue(s.Subject, out KernelRegion? old) || !tasks.TryGetValue(old.Task, out var owner)) return; // its task was killed
            owner.Task.Do(s.Verb == Verb.Touch ? $"touch {old.Id} {s.Amount}" : $"node {old.Id} {s.Amount}");
            return;
        }
        KernelTask task = tasks[s.Subject].Task;
        var region = new KernelRegion(s.Verb, s.Subject, NewId(), Path.Combine(scratch, s.Object));
        regions[s.Object] = region;
        switch (s.Verb)
        {
            case Verb.Map:
                task.Do(string.Create(CultureInfo.InvariantCulture, $"map {region.Id} {s.Amount}"));
                break;
            case Verb.Anon:
                if (task.Do(string.Create(CultureInfo.InvariantCulture, $"map {region.Id} {s.Amount}"))) task.Do($"touch {region.Id} {s.Amount}");
                break;
            case Verb.Shm:
                task.Do($"shm {region.Id} {s.Amount}");
                break;
            case Verb.File:
                using (FileStream file = File.Create(region.Path)) file.SetLength(s.Amount * 4096);
                task.Do($"file {region.Id} {s.Amount} {region.Path}");
                break;
            case Verb.Pipes:
                task.Do($"pipes {region.Id} {s.Amount} {s.Second}");
                break;
            default:
                Directory.CreateDirectory(region.Path);
                task.Do($"dentries {region.Id} {s.Amount} {region.Path}");
                break;
        }
    }

    /// <summary>A number that no region of this scenario has now.</summary>
    private int NewId()
    {
        do nextRegion = (nextRegion + 1) % KernelTaskMain.MostRegions;
        while (regions.Values.Any(r => r.Id == nextRegion));
        return nextRegion;
    }

    private void Free(string name)
    {
        if (!regions.Remove(name, out KernelRegion? region)) return;
        freedSomething = true;
        if (tasks.TryGetValue(region.Task, out var owner)) owner.Task.Do($"free {region.Id}");
        if (region.Kind == Verb.File) File.Delete(region.Path); // the page cache goes with the last name and descriptor
        if (region.Kind == Verb.Dentries) Directory.Delete(region.Path); // and the negative dentries with their directory
    }

    /// <inheritdoc/>
    public Reading Read(string group, string key)
    {
        if (key == "dying") return WaitForDead();
        (long? value, string why) = groups[group].Value(key);
        if (value is not { } v) return Reading.None(why.Length > 0 ? why : $"cgroup {backend.Host.Version} does not show {key}");
        if (key == "failcnt") v -= failcntBase.GetValueOrDefault(group);
        if (backend.Host.V2 && IsStatistic(key)) v -= ChildrenOf(group).Sum(c => c.Value(key).Value ?? 0); // v2 shows the whole subtree
        bool Below(string p) => p == group || p.StartsWith(group + "/", StringComparison.Ordinal);
        int paying = payers.Count(Below), stocked = payers.Union(parents).Count(Below);
        return key switch
        {
            "usage" or "peak" => Counter(v, group, paying, stocked),
            "kmem" => new Reading(v, 0, backend.Stock.Slack(backend.Cpus, stocked) + OwnKernelPages(paying),
                $"{backend.Stock.Words(backend.Cpus, stocked)}, tasks' own {OwnKernelPages(paying)}"),
            _ => IsStatistic(key) || key is "pgpgin" or "pgpgout" ? Statistic(v, paying) : Reading.Exact(v),
        };
    }

    private static bool IsStatistic(string key) => key is "anon" or "file" or "shmem" || key.StartsWith("numa.", StringComparison.Ordinal);

    private IEnumerable<CgroupFiles> ChildrenOf(string group) =>
        groups.Where(g => g.Key.StartsWith(group + "/", StringComparison.Ordinal) && !g.Key.AsSpan(group.Length + 1).Contains('/')).Select(g => g.Value);

    /// <summary>The counter is exact but for stocks; beside the scenario's pages it holds the kernel's and the runtime's own of each task.</summary>
    private Reading Counter(long value, string group, int paying, int stocked)
    {
        long stock = backend.Stock.Slack(backend.Cpus, stocked), kernel = groups[group].Value("kmem").Value ?? 0;
        long vectors = freedSomething ? (long)backend.Stock.Vector * backend.Cpus : 0;
        string why = $"{backend.Stock.Words(backend.Cpus, stocked)}, kernel memory now {kernel}, runtime {RuntimePages} x {paying} task group(s)"
            + (vectors > 0 ? $", page vectors {backend.Stock.Vector} x {backend.Cpus}" : "");
        return new Reading(value, 0, stock + kernel + vectors + (long)RuntimePages * paying, why);
    }

    /// <summary>Statistics lag by up to 64 updates of each CPU until they are flushed.</summary>
    private Reading Statistic(long value, int paying)
    {
        long lag = sinceQuiet == 0 ? 0 : 64L * Environment.ProcessorCount, vectors = freedSomething ? (long)backend.Stock.Vector * backend.Cpus : 0;
        string why = string.Join(", ", ((string[])[lag == 0 ? "" : $"lag 64 x {Environment.ProcessorCount}", $"runtime {RuntimePages} x {paying} task group(s)",
            vectors == 0 ? "" : $"page vectors {backend.Stock.Vector} x {backend.Cpus}"]).Where(w => w.Length > 0));
        return new Reading(value, lag, lag + vectors + (long)RuntimePages * paying, why);
    }

    /// <summary>Stack and heap pages that the task's own runtime may touch in a group it is moved to.</summary>
    private const int RuntimePages = 16;

    /// <summary>Page tables, stacks, fds of a task: as seen, about 40 pages.</summary>
    private static long OwnKernelPages(int paying) => 64L * paying;

    /// <summary>Groups that are gone as directories and not yet freed. Freed after grace periods and by work items, so it waits for up to 3 s.</summary>
    private Reading WaitForDead()
    {
        long dying = Dying() - dyingBefore;
        for (int turn = 0; turn < 30 && dying > 0; turn++)
        {
            Thread.Sleep(100);
            dying = Math.Min(dying, Dying() - dyingBefore);
        }
        return Reading.Exact(Math.Max(0, dying));
    }

    /// <summary>v2 says it of our own subtree; v1 of the whole hierarchy, from which the directories are taken.</summary>
    private long Dying()
    {
        if (backend.Host.V2)
            return long.Parse(top.Read("cgroup.stat").Split('\n').First(l => l.StartsWith("nr_dying_descendants ", StringComparison.Ordinal))
                .Split(' ')[1], CultureInfo.InvariantCulture);
        string line = File.ReadLines("/proc/cgroups").First(l => l.StartsWith("memory\t", StringComparison.Ordinal));
        long all = long.Parse(line.Split('\t')[2], CultureInfo.InvariantCulture);
        return all - 1 - Directory.EnumerateDirectories(backend.Host.Mount, "*", SearchOption.AllDirectories).LongCount();
    }
}
