// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>Groups that were removed while an object of theirs lived: how many are left, why, and what that costs.</summary>
/// <param name="Model">The design.</param>
/// <param name="Groups">Groups removed.</param>
/// <param name="Objects">Objects each left.</param>
/// <param name="DyingGroups">Groups left, and by what each is held first.</param>
/// <param name="Caches">Copies of caches left.</param>
/// <param name="GroupBytes">Bytes of the dying groups themselves, per-node and per-CPU parts included.</param>
/// <param name="FrameBytes">Frames taken since before the groups were made: objects with their slabs, caches, counted pointers.</param>
/// <param name="AfterFree">Dying groups when the objects are freed.</param>
/// <param name="FrameBytesAfterFree">Frames then.</param>
/// <param name="Example">One of the dying groups, with its references.</param>
internal sealed record DyingReport(string Model, int Groups, int Objects, DyingModel DyingGroups, int Caches, long GroupBytes, long FrameBytes, long AfterFree,
    long FrameBytesAfterFree, string? Example);

/// <summary>`dying`: create, fill, remove; free later.</summary>
internal sealed unsafe class DyingLab(InstancePlan plan, int groups, int objects) : KmemLab<DyingReport>(plan)
{
    private const int ObjectBytes = 192;

    protected override DyingReport Experiment<TC>(KmemBench<TC> bench)
    {
        var held = new List<nint>();
        nint cache = 0;
        bench.Do((in ThisCpu cpu) => cache = (nint)bench.Cache(in cpu, "dentry", ObjectBytes));
        long before = bench.Frames();
        bench.Do((in ThisCpu cpu) =>
        {
            for (int i = 0; i < groups; i++)
            {
                Memcg* memcg = bench.Group(in cpu, i);
                KmemBench<TC>.Warm(in cpu, (SlabCache*)cache, memcg);
                for (int n = 0; n < objects; n++) held.Add((nint)KmemBench<TC>.Object(in cpu, (SlabCache*)cache, memcg));
                KmemBench<TC>.Remove(in cpu, memcg);
                Poll.Run(in cpu);
            }
        });
        bench.Settle();
        long frames = bench.Frames() - before, copies = bench.Caches.Count(c => c.Owner is not null || c.Name.Contains('(', StringComparison.Ordinal));
        IReadOnlyList<DyingGroup> zombies = bench.Zombies();
        bench.Free(held);
        bench.Settle();
        long after = bench.Dying, framesAfter = bench.Frames() - before;
        bench.Destroy([cache]);
        return new DyingReport(Plan.Model.ToString(), groups, objects, new DyingModel(zombies.Count, DyingGroups.Breakdown(zombies)), (int)copies,
            zombies.Count * bench.GroupBytes, frames * 4096, after, framesAfter * 4096, zombies.Count == 0 ? null : zombies[0].ToString());
    }
}
