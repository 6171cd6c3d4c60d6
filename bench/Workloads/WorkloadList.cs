// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>A workload as users name it.</summary>
/// <param name="Name">As typed.</param>
/// <param name="What">One line for `memcgnative list workloads`.</param>
/// <param name="Operation">What one operation is.</param>
/// <param name="TwinFile">Source of its C twin under bench/twins, if there is one.</param>
/// <param name="Shares">The kinds of list work it is made of, if it is; their locks are reported.</param>
/// <param name="GroupsBeside">Groups it makes beside those of --depth and --groups; a worker's share is rounded up.</param>
internal sealed record WorkloadInfo(string Name, string What, string Operation, string? TwinFile, ListShares? Shares = null, int GroupsBeside = 0);

/// <summary>The workloads there are.</summary>
internal static class WorkloadList
{
    public static IReadOnlyList<WorkloadInfo> All { get; } =
    [
        new("fault", "a page's whole life: allocate, charge, map, LRU, touch, unmap, final put", "one page from fault to final put; 1 in 32 carries the release of 32", null),
        new("charge-uncharge", "charge and uncharge alone, served by the stock where there is one", "one page charged, committed, uncharged in a gather of 32", "charge.c"),
        new("reader", "lock-free reads of who pays for pages, against charges and uncharges of the same pages",
            "one page asked for its group; every 256th operation charges or uncharges a page instead", null),
        new("alloc-free", "order-0 pages off and onto the per-CPU list", "one page taken and given back, 16 at a time", "pcp.c"),
        new("file-read", "a sparse file through the page cache, truncated 32 pages at a time", "one page read in; 1 in 32 carries the truncation of 32", null),
        new("truncate", "a sparse file read in and truncated 256 pages at once", "one page read in; 1 in 256 carries the truncation of 256", null),
        new("exit-storm", "256 pages faulted in, then unmapped and freed at once", "one fault; 1 in 256 carries the exit of 256 pages", null),
        new("fault-root", "fault, by tasks of the root group, which is not charged", "one page from fault to final put; 1 in 32 carries the release of 32", null),
        new("exit-storm-root", "exit-storm, by tasks of the root group", "one fault; 1 in 256 carries the exit of 256 pages", null),
        new("swap-storm", "256 dirty pages swapped out and in again", "one touch; 1 in 256 carries two rounds of reclaim", null),
        new("migrate", "mapped pages moved to other frames", "one page isolated, unmapped, copied, mapped", null),
        new("lru-churn", "every kind of list work in the shares of --share", "one step of list work", null, ListShares.Default),
        new("lru-add", "pages onto lists through per-CPU pagevecs and off by release_pages", "one page added; 1 in 32 carries the release of 32", null,
            ListShares.Only(ListWorkKind.Add)),
        new("lru-isolate", "reclaim's batches of 32", "32 pages isolated from the tail and put back", null, ListShares.Only(ListWorkKind.Isolate)),
        new("lru-walk", "lumpy reclaim and compaction: pages by frame number, whosever they are", "64 frames looked at, up to 32 pages isolated and put back", null,
            ListShares.Only(ListWorkKind.Walk)),
        new("lru-rotate", "the end of writeback", "14 pages written and rotated", null, ListShares.Only(ListWorkKind.Rotate)),
        new("lru-activate", "activation", "14 pages activated; 32 deactivated when most are active", null, ListShares.Only(ListWorkKind.Activate)),
        new("lru-move", "move_account between a group and its child", "one page moved", null, ListShares.Only(ListWorkKind.Move)),
        new("lru-groups", "groups made and removed", "one group made, one removed", null, ListShares.Only(ListWorkKind.Group)),
        new(Lumpy, "pages of many groups isolated by frame number, put back after their group was removed",
            "one group made, filled with 32 pages, walked, removed; what the walk took is put back", null),
        new("many-memcgs", "288 groups dealt out to the threads, 32 pages faulted in each in turn",
            "one fault; 1 in 32 carries the change to another group and 32 unmaps", null, GroupsBeside: 288),
        new("shared-limit", "all threads in one group at its limit: refused charges, reclaim, drained stocks",
            "one touch in a ring of 256 pages under a limit of 192", null, GroupsBeside: 1),
        new("dentries", "kernel objects that outlive their group", "one object of 192 bytes allocated, one freed; 1 in 4096 carries the change to another group", null),
        new("offline-with-kmem", "groups removed while their objects live", "one group made, filled with --objects (32), removed; as many older objects freed", null),
        new("dentry-reclaim", "idle kernel objects under reclaim: listed, rotated, taken off; lists of removed groups become their parent's",
            "one object allocated and listed; 1 in 32 carries a shrinker's rounds, 1 in 4096 the change to another group", null),
        new("kmalloc-32", "the smallest accounted allocation", "one object of 32 bytes allocated and freed", null),
        new("remote-free", "kernel objects allocated on one CPU and freed on the next", "one object allocated, one of the neighbour's freed", null),
        new("cache-churn", "caches created and destroyed", "one cache made, used once, destroyed", null),
        new("pipes", "short-lived kernel pages", "one charged page taken and given back, 16 at a time", null),
    ];

    /// <summary>The walker whose groups die.</summary>
    public const string Lumpy = "lumpy";

    /// <summary>The workloads whose locks are reported.</summary>
    public static bool IsListWork(string name) => name == Lumpy || Find(name).Shares is not null;

    /// <summary>What a sweep without a name runs: the page, the charge and the frame alone, so that it stays under a minute.</summary>
    public static IReadOnlyList<string> Swept { get; } = ["fault", "charge-uncharge", "alloc-free"];

    /// <exception cref="UsageException">Not a workload.</exception>
    public static WorkloadInfo Find(string name) => All.FirstOrDefault(w => w.Name == name)
        ?? throw new UsageException($"'{name}' is not a workload{Nearest.Hint(name, All.Select(w => w.Name))} Known: {string.Join(", ", All.Select(w => w.Name))}");
}
