// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A scenario on the port. Groups, tasks and limits are here; what tasks allocate is in PortMachine.Memory.cs.</summary>
internal sealed unsafe partial class PortMachine<TC> : IScriptMachine where TC : struct, IMemoryController
{
    private const int FruitlessRounds = 5;
    private readonly PortCore<TC> core;
    private readonly StockSize stock;
    private readonly Dictionary<int, int> cpuIndex;
    private readonly Dictionary<string, nint> groups = [];
    private readonly Dictionary<string, PortTask> tasks = [];
    private readonly Dictionary<string, PortRegion> regions = [];
    private readonly Dictionary<string, EntryMap> entries = [];
    private readonly Dictionary<string, long> spaceSizes;
    private readonly Dictionary<string, long> killed = [];
    private readonly Dictionary<string, long> failcntBase = [];
    private readonly HashSet<string> payers = [];
    private readonly Stack<nint> spareFiles = [];
    private bool freedSomething;

    public PortMachine(Script script, Model model)
    {
        Name = $"port {model}";
        stock = StockSize.Of(model);
        int nodes = (int)script.Needs.Where(n => n.What == "nodes").Select(n => n.Amount).DefaultIfEmpty(1).Max();
        cpuIndex = script.Cpus.Select((cpu, i) => (cpu, i)).ToDictionary(c => c.cpu, c => c.i);
        spaceSizes = SpaceSizes(script);
        bool kmem = script.Steps.Any(s => s.Verb is Verb.Pipes or Verb.Dentries);
        core = new PortCore<TC>(Math.Max(1, cpuIndex.Count), nodes, script.PeakPages + script.PeakPages / 16 + 2048,
            new AccountingPlan(MaxGroups: Math.Min(60_000, script.Groups + 2), PageCacheBuckets: 1 << 12), kmem);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public void Do(ScriptStep s)
    {
        switch (s.Verb)
        {
            case Verb.Needs or Verb.Differs:
                break;
            case Verb.Group:
                Memcg* made = MemcgLife.Create<TC>(core.Cpu(0), Parent(s.Subject));
                if (made == null) Bug.Fail($"scenario line {s.Line}: the table of groups is full");
                groups[s.Subject] = (nint)made;
                foreach ((string _, long pages) in s.Limits) SetMax(made, pages);
                break;
            case Verb.Remove:
                if (!core.Remove(0, Group(s.Subject))) Bug.Fail($"scenario line {s.Line}: the group cannot be removed");
                groups.Remove(s.Subject);
                payers.Remove(s.Subject);
                break;
            case Verb.Set:
                SetMax(Group(s.Subject), s.Limits[0].Pages);
                break;
            case Verb.Empty:
                Shrink(Group(s.Subject), long.MaxValue);
                core.Drain(Group(s.Subject));
                break;
            case Verb.Reclaim:
                Shrink(Group(s.Subject), s.Amount);
                break;
            case Verb.Reset:
                failcntBase[s.Subject] = TC.FailCount(Group(s.Subject), CounterKind.Memory);
                break;
            case Verb.Task:
                StartTask(s);
                break;
            case Verb.Move:
                PortTask mover = tasks[s.Subject];
                mover.End = MemcgLife.Attach(core.Cpu(mover.Cpu), mover.Space, Group(s.Object)) ? "ok" : "busy";
                mover.Group = s.Object;
                break;
            case Verb.Exit:
                Exit(tasks[s.Subject]);
                break;
            case Verb.Wait:
                core.Settle();
                if (s.Subject == "quiet") core.Quiet();
                break;
            default:
                DoMemory(s);
                break;
        }
    }

    private Memcg* Group(string path) => (Memcg*)groups[path];

    private Memcg* Parent(string path)
    {
        int slash = path.LastIndexOf('/');
        return slash < 0 ? core.Accounting.Root : Group(path[..slash]);
    }

    /// <summary>memory.limit_in_bytes: reclaims until usage fits, or leaves the limit as it was (EBUSY).</summary>
    private void SetMax(Memcg* memcg, long pages)
    {
        long limit = pages == long.MaxValue ? PageCounter<PageCounter40>.Unlimited : pages;
        for (int fruitless = 0; !TC.TrySetLimit(memcg, CounterKind.Memory, limit) && fruitless < FruitlessRounds;)
        {
            core.Drain(memcg);
            if (TC.TrySetLimit(memcg, CounterKind.Memory, limit)) return;
            if (Reclaim.Shrink<TC>(core.Cpu(0), memcg, TC.Usage(memcg, CounterKind.Memory) - pages) == 0) fruitless++;
        }
    }

    private void Shrink(Memcg* memcg, long wanted)
    {
        core.Quiet();
        for (int fruitless = 0; wanted > 0 && fruitless < FruitlessRounds;)
        {
            long freed = Reclaim.Shrink<TC>(core.Cpu(0), memcg, Math.Min(wanted, 1024));
            wanted -= freed;
            if (freed == 0) fruitless++;
        }
    }

    private void StartTask(ScriptStep s)
    {
        int cpu = cpuIndex[(int)s.Amount];
        var task = new PortTask(s.Subject, cpu, core.Space(Math.Max(1, spaceSizes.GetValueOrDefault(s.Subject))), s.Object);
        tasks[s.Subject] = task;
        entries[s.Subject] = new EntryMap();
        if (!MemcgLife.Attach(core.Cpu(cpu), task.Space, Group(s.Object))) Bug.Fail($"scenario line {s.Line}: the group takes no task");
    }

    private void Exit(PortTask task)
    {
        foreach ((string name, PortRegion region) in regions.Where(r => r.Value.Task == task).ToArray())
            if (region.Kind is not (Verb.File or Verb.Dentries)) FreeRegion(name);
        if (task.Alive) MemcgLife.Detach(core.Cpu(task.Cpu), task.Space);
        task.Alive = false;
        core.Settle();
    }

    /// <summary>
    /// The group is full and nothing can be reclaimed: the task below it with most memory is killed (oom_kill). True when another one was,
    /// so that the caller may try again.
    /// </summary>
    private bool KillFor(PortTask asking)
    {
        string full = FullAncestor(asking.Group);
        PortTask victim = tasks.Values.Where(t => t.Alive && (t.Group == full || t.Group.StartsWith(full + "/", StringComparison.Ordinal)))
            .OrderByDescending(Held).ThenBy(t => t == asking ? 0 : 1).First();
        killed[victim.Group] = killed.GetValueOrDefault(victim.Group) + 1;
        Exit(victim);
        victim.End = "killed";
        return victim != asking;
    }

    private long Held(PortTask task) => regions.Values.Where(r => r.Task == task).Sum(r => r.Kind == Verb.Shm ? r.Held.Count : r.Touched);

    private string FullAncestor(string path)
    {
        for (string at = path; ; at = at[..at.LastIndexOf('/')])
        {
            Memcg* memcg = Group(at);
            if (TC.Usage(memcg, CounterKind.Memory) >= TC.Limit(memcg, CounterKind.Memory) || !at.Contains('/', StringComparison.Ordinal)) return at;
        }
    }

    /// <inheritdoc/>
    public string EndOf(string task) => tasks[task].End;

    /// <inheritdoc/>
    public IReadOnlyList<string> Finish() => core.Books();

    /// <inheritdoc/>
    public void Dispose() => core.Dispose();
}
