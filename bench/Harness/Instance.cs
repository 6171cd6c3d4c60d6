// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// A machine under test: pinned CPUs, proved memory, an allocator, a tree of groups. What depends on the designs is in the subclass, which
/// Matrix makes; from here on nobody knows which designs they are.
/// </summary>
internal abstract unsafe class Instance : IDisposable
{
    private readonly List<Lane> lanes = [];
    private bool closed;
    private (Lane? Lane, int Threads) last;
    private List<LruLockTotals> locksBefore = [];

    protected Instance(InstancePlan plan)
    {
        Plan = plan;
        Memory = new PlacedMemory(plan.Topology, plan.Mem, plan.Pages, plan.Place);
        try
        {
            Nodes = plan.Nodes();
            (CpuId, NodeId)[] cpus = [.. plan.Cpus.Select(c => (c, plan.Topology.Cpu(c).Node))];
            Cpus = new PerCpu(cpus, plan.Rcu, (bytes, node) => (nint)Memory.Map([new MemoryPart((bytes + 4095) & ~(nuint)4095, node)], MemoryUse.PerCpu), static (_, _) => { });
            Allocator = new PhysicalMemory(new MemoryPlan(Nodes) { Distance = (a, b) => plan.Topology.Distance(a, b) }, Memory);
            Allocator.Attach(Cpus.Table);
        }
        catch
        {
            Memory.Dispose();
            throw;
        }
    }

    public InstancePlan Plan { get; }
    public PlacedMemory Memory { get; }
    public IReadOnlyList<NodeSpec> Nodes { get; }
    public PerCpu Cpus { get; }
    public PhysicalMemory Allocator { get; }

    /// <summary>The pinned threads; there from <see cref="Start"/> on.</summary>
    public CpuGang Gang { get; private set; } = null!;

    /// <summary>The six answers in words.</summary>
    public abstract string Designs { get; }

    /// <summary>Where the frames were found before the first batch.</summary>
    public Placement Before { get; private set; } = null!;

    /// <summary>Whether they are as asked.</summary>
    public PlacementVerdict Verdict { get; private set; }

    /// <summary>What the user is told when not.</summary>
    public string? Reason { get; private set; }

    /// <summary>Pins the threads, makes the groups, proves the placement.</summary>
    /// <exception cref="OsException">A CPU cannot be pinned to, or the frames are not where they were asked for.</exception>
    public void Start()
    {
        Gang = new CpuGang(Cpus, ThreadAffinity.Pinner);
        Build();
        Before = Memory.ProveFrames(out PlacementVerdict verdict, out string? reason);
        (Verdict, Reason) = (verdict, reason);
        if (verdict == PlacementVerdict.Differs) throw new OsException("move_pages", 0, reason!);
    }

    /// <summary>A workload on this machine, prepared on every CPU. shares: another mix of list work than the workload's own.</summary>
    public Lane Open(string workload, ListShares? shares = null)
    {
        MemoryPart[] parts = [.. Enumerable.Range(0, Cpus.Count).Select(i => new MemoryPart(WorkerState.Bytes, Plan.Topology.Cpu(Cpus.Cpu(i)).Node))];
        var states = (WorkerState*)Memory.Map(parts, MemoryUse.Process);
        for (int i = 0; i < Cpus.Count; i++)
        {
            states[i].Pages = (Page**)((byte*)(states + i) + WorkerState.SlotsOffset);
            states[i].Memcg = LeafOf(i);
        }
        Lane lane = Bind(workload, shares, states);
        Gang.Run(lane.Code.Prepare, states);
        lanes.Add(lane);
        return lane;
    }

    /// <summary>
    /// Before a batch of a lane on so many CPUs. Under a limit the pages and stocks that the batch before left with other CPUs or another
    /// workload would be missing from this one's room, so they are given back; without a limit nobody feels them.
    /// </summary>
    public void Enter(Lane lane, int threads)
    {
        (Lane? before, int stay) = (last.Lane, last.Lane == lane ? threads : 0);
        if (Plan.Shape.LimitBytes is not null && before is not null && stay < last.Threads) Retire(before, stay, last.Threads);
        last = (lane, threads);
    }

    /// <summary>What is measured of list locks begins here.</summary>
    public void MarkLocks() => locksBefore = ReadLocks();

    /// <summary>The list locks that were taken since <see cref="MarkLocks"/>, the busiest first. A group's place is used again by the next: its locks count on.</summary>
    public IReadOnlyList<LruLockTotals> LocksSince()
    {
        Dictionary<string, LruLockTotals> before = locksBefore.ToDictionary(l => l.Name);
        return [.. ReadLocks().Select(l => before.TryGetValue(l.Name, out LruLockTotals? was) ? l.Plus(was, -1) : l).Where(l => l.Acquired > 0).OrderByDescending(l => l.Acquired)];
    }

    /// <summary>Ends every workload, empties and removes every group, drains every CPU, and compares all books. Once; the machine is of no use afterwards.</summary>
    public Books Close()
    {
        closed = true;
        DyingModel dying = ExplainDying(); // while what workloads keep is still alive
        foreach (Lane lane in lanes) Gang.Run(lane.Code.Finish, lane.States);
        return CloseBooks(dying);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Gang?.Dispose();
        if (Gang is { Stuck: > 0 }) return; // they still use the memory
        foreach (Lane lane in lanes) lane.Dispose();
        if (!closed) lanes.Clear();
        Memory.Dispose();
    }

    /// <summary>Groups and whatever else the designs need.</summary>
    protected abstract void Build();

    /// <summary>The code of a workload for these designs, and its address spaces.</summary>
    protected abstract Lane Bind(string workload, ListShares? shares, WorkerState* states);

    /// <summary>The group CPU index belongs to.</summary>
    protected abstract Memcg* LeafOf(int index);

    /// <summary>Every list lock there ever was, by name; between batches.</summary>
    protected abstract List<LruLockTotals> ReadLocks();

    /// <summary>CPUs from up to before to give back what a workload left with them; their next batch of it begins as after <see cref="Open"/>.</summary>
    protected abstract void Retire(Lane lane, int from, int to);

    /// <summary>The groups that workloads have removed and something still holds.</summary>
    protected abstract DyingModel ExplainDying();

    /// <summary>Groups removed and not freed at this moment; what waits for a grace period included.</summary>
    public abstract int DyingNow { get; }

    /// <summary>See <see cref="Close"/>.</summary>
    protected abstract Books CloseBooks(DyingModel dyingGroups);
}

/// <summary>Where the frames were found at one moment, and whether that is as asked.</summary>
internal sealed record Proof(Placement Found, PlacementVerdict Verdict, string? Reason,
    IReadOnlyDictionary<MemoryUse, IReadOnlyDictionary<int, long>> Metadata)
{
    /// <summary>The line of a proof made after the run, or null when it does not differ.</summary>
    public string? Differs => Verdict == PlacementVerdict.Differs ? $"after the run: {Reason!.Replace(" Not measured.", "", StringComparison.Ordinal)}" : null;
}

/// <summary>What the books said at the end.</summary>
/// <param name="Before">With all groups alive and all pages given back.</param>
/// <param name="DyingGroups">Groups that were removed and held when the workloads ended, before these gave back what they kept.</param>
/// <param name="Wrong">Everything that does not balance, then and after all groups were removed.</param>
internal sealed record Books(Balance Before, DyingModel DyingGroups, IReadOnlyList<string> Wrong)
{
    public bool Balanced => Wrong.Count == 0;

    /// <summary>The list locks of the measured time.</summary>
    public IReadOnlyList<LruLockTotals> Locks { get; init; } = [];

    /// <summary>The books of two machines one after the other.</summary>
    public static Books operator +(Books a, Books b) => new(a.Before with
    {
        Charged = a.Before.Charged + b.Before.Charged,
        Uncharged = a.Before.Uncharged + b.Before.Uncharged,
        Resident = a.Before.Resident + b.Before.Resident,
        Stocked = a.Before.Stocked + b.Before.Stocked,
        OnLists = a.Before.OnLists + b.Before.OnLists,
    }, a.DyingGroups + b.DyingGroups, [.. a.Wrong, .. b.Wrong])
    {
        Locks = [.. a.Locks.Concat(b.Locks).GroupBy(l => l.Name).Select(g => LruLockTotals.Sum(g.Key, g)).OrderByDescending(l => l.Acquired)],
    };
}
