// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A workload as users name it.</summary>
/// <param name="Name">As typed.</param>
/// <param name="What">One line for `memcgnative list workloads`.</param>
/// <param name="Operation">What one operation is.</param>
/// <param name="TwinFile">Source of its C twin under bench/twins, if there is one.</param>
/// <param name="ByName">Not part of a sweep of everything: says something only under a model with an answer on the kmem axis.</param>
internal sealed record WorkloadInfo(string Name, string What, string Operation, string? TwinFile, bool ByName = false);

/// <summary>The workloads there are.</summary>
internal static class WorkloadList
{
    public static IReadOnlyList<WorkloadInfo> All { get; } =
    [
        new("fault", "a page's whole life: allocate, charge, map, LRU, touch, unmap, final put", "one page from fault to final put; 1 in 32 carries the release of 32", null),
        new("charge-uncharge", "charge and uncharge alone, served by the stock where there is one", "one page charged, committed, uncharged in a gather of 32", "charge.c"),
        new("alloc-free", "order-0 pages off and onto the per-CPU list", "one page taken and given back, 16 at a time", "pcp.c"),
        new("dentries", "kernel objects that outlive their group", "one object of 192 bytes allocated, one freed; 1 in 4096 carries the change to another group", null, ByName: true),
        new("offline-with-kmem", "groups removed while their objects live", "one group made, filled with 32 objects, removed; 32 older objects freed", null, ByName: true),
        new("remote-free", "kernel objects allocated on one CPU and freed on the next", "one object allocated, one of the neighbour's freed", null, ByName: true),
        new("cache-churn", "caches created and destroyed", "one cache made, used once, destroyed", null, ByName: true),
        new("pipes", "short-lived kernel pages", "one charged page taken and given back, 16 at a time", null, ByName: true),
    ];

    /// <exception cref="UsageException">Not a workload.</exception>
    public static WorkloadInfo Find(string name) => All.FirstOrDefault(w => w.Name == name)
        ?? throw new UsageException($"'{name}' is not a workload{Nearest.Hint(name, All.Select(w => w.Name))} Known: {string.Join(", ", All.Select(w => w.Name))}");
}
