// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;

namespace MemcgNative.Bench;

/// <summary>A task of a scenario: an address space that is faulted by one CPU.</summary>
internal sealed unsafe class PortTask(string name, int cpu, MmStruct* space, string group)
{
    public string Name { get; } = name;
    public int Cpu { get; } = cpu;
    public MmStruct* Space { get; } = space;
    public string Group { get; set; } = group;
    public bool Alive { get; set; } = true;
    public string End { get; set; } = "ok";
}

/// <summary>Something a task has allocated under a name.</summary>
internal sealed unsafe class PortRegion(Verb kind, PortTask task)
{
    public Verb Kind { get; } = kind;
    public PortTask Task { get; } = task;

    /// <summary>First entry of the task's address space (map, anon).</summary>
    public long First { get; init; }

    /// <summary>Entries it has.</summary>
    public long Count { get; init; }

    /// <summary>Entries touched so far.</summary>
    public long Touched { get; set; }

    /// <summary>Its file (file, shm).</summary>
    public FileSpace* File { get; init; }

    /// <summary>Kernel objects, or the pages of a tmpfs file, which without swap nothing can take away.</summary>
    public List<nint> Held { get; } = [];
}

/// <summary>Which entries of an address space are taken: first fit, so that a loop of map and free needs no more than one round of it.</summary>
internal sealed class EntryMap
{
    private readonly List<(long First, long Count)> taken = [];

    /// <summary>Entries an address space must have for what was ever asked.</summary>
    public long High { get; private set; }

    public long Take(long count)
    {
        long at = 0;
        int i = 0;
        for (; i < taken.Count && at + count > taken[i].First; i++) at = taken[i].First + taken[i].Count;
        taken.Insert(i, (at, count));
        High = Math.Max(High, at + count);
        return at;
    }

    public void Give(long first) => taken.RemoveAll(t => t.First == first);
}
