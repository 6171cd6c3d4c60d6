// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>What an episode runs under; the same seed and parameters make the same choices, though not the same schedule.</summary>
/// <param name="Cpus">One entry per worker; an entry may repeat a CPU.</param>
/// <param name="Flavour">How grace periods are found.</param>
/// <param name="Seed">Of all random choices.</param>
internal sealed record Setting(IReadOnlyList<(CpuId Cpu, NodeId Node)> Cpus, RcuFlavour Flavour, ulong Seed);

/// <summary>One subject of torture: what it needs, one random operation, and what must hold when nothing runs.</summary>
internal abstract class TortureType
{
    /// <summary>What --type takes.</summary>
    public abstract string Name { get; }

    /// <summary>Names of counts; an operation is named by its index.</summary>
    public abstract IReadOnlyList<string> Counters { get; }

    /// <summary>Indices of counts that must not be zero at the end: what was never seen was not tested.</summary>
    public abstract IReadOnlyList<int> BlindSpots { get; }

    /// <summary>True for a type with a planted bug, which must fail.</summary>
    public virtual bool Busted => false;

    /// <summary>Share of the time when all types run.</summary>
    public virtual int Weight => 1;

    /// <summary>True when the type's memory comes from the page allocator, so that failures can be injected.</summary>
    public virtual bool Allocates => false;

    /// <summary>The flavour of RCU this type needs; null = any.</summary>
    public virtual RcuFlavour? Wants => null;

    /// <summary>More about this episode for its statistics line: the model.</summary>
    public virtual string Detail => "";

    /// <summary>The areas the workers are.</summary>
    public PerCpu Cpus { get; private set; } = null!;

    /// <summary>The episode's parameters.</summary>
    public Setting Setting { get; private set; } = null!;

    public void Begin(Setting setting)
    {
        Setting = setting;
        Cpus = new PerCpu(setting.Cpus, setting.Flavour);
        SetUp();
    }

    /// <summary>Makes the state; CPUs are offline.</summary>
    protected abstract void SetUp();

    /// <summary>One random operation of a worker. Throws when something is wrong.</summary>
    public abstract void Step(in ThisCpu cpu, Worker w);

    /// <summary>The CPU is about to leave: what it holds for itself goes back.</summary>
    public virtual void Leave(in ThisCpu cpu) { }

    /// <summary>All workers are parked and offline: adds a line for each thing that is wrong.</summary>
    public abstract void Check(ICollection<string> wrong);

    /// <summary>The end: everything goes back, and what must then be zero is.</summary>
    public virtual void Finish(ICollection<string> wrong) { }

    /// <summary>Frees what <see cref="SetUp"/> made; not called after a failure.</summary>
    public virtual void TearDown() => Cpus.Dispose();

    /// <summary>The histogram or the like that belongs into the statistics line.</summary>
    public virtual string Statistics => "";

    /// <summary>The values of the pipe-age histogram, where a type has one.</summary>
    protected void AsCpu(int i, CpuAction action)
    {
        ThisCpu cpu = Cpus.Witness(i);
        Rcu.CpuOnline(cpu);
        action(cpu);
        Rcu.CpuOffline(cpu);
    }

    /// <summary>Something to do as a CPU that nobody else plays.</summary>
    protected delegate void CpuAction(in ThisCpu cpu);
}
