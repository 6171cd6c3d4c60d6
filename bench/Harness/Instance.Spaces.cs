// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

// Address spaces of a lane's workers, and the groups that some workloads want beside those of the shape.
internal sealed unsafe partial class Instance<TC>
{
    private readonly List<nint> spaces = [];
    private readonly List<nint> groupsOfWorkloads = [];

    /// <summary>A sparse file and one space for each worker, or as many as many-memcgs deals out; attached to the groups they pay from.</summary>
    private void MakeSpaces(string workload, WorkerState* states)
    {
        bool many = workload == "many-memcgs";
        int each = many ? (ManyMemcgs<TC>.Groups + Cpus.Count - 1) / Cpus.Count : 1, entries = many ? Mm.Batch : WorkerState.PageSlots;
        long stride = (sizeof(MmStruct) + MmStruct.TableBytes(entries) + CacheLine.Apart - 1) & -CacheLine.Apart;
        long bytes = (FileSpace.Bytes + each * stride + MemMap.FrameBytes - 1) & -MemMap.FrameBytes;
        byte* memory = Memory.Map([.. Enumerable.Range(0, Cpus.Count).Select(i => new MemoryPart((nuint)bytes, Plan.Topology.Cpu(Cpus.Cpu(i)).Node))], MemoryUse.Process);
        int first = spaces.Count;
        for (int i = 0; i < Cpus.Count; i++)
        {
            states[i].File = (FileSpace*)(memory + i * bytes);
            FileSpace.Init(states[i].File);
            states[i].Mm = (MmStruct*)(states[i].File + 1);
            (states[i].Spaces, states[i].SpaceStride) = (each, stride);
            for (int s = 0; s < each; s++)
            {
                MmStruct* mm = WorkerState.Space(states + i, s);
                MmStruct.Init(mm, entries, (byte*)(mm + 1));
                spaces.Add((nint)mm);
            }
        }
        Gang.Do((in ThisCpu cpu) =>
        {
            Memcg* limited = workload == "shared-limit" ? CreateBeside(in cpu, SharedLimit<TC>.LimitPages) : null;
            for (int i = first; i < spaces.Count; i++)
            {
                Memcg* payer = limited != null ? limited : many ? CreateBeside(in cpu, null)
                    : workload.EndsWith("-root", StringComparison.Ordinal) ? accounting.Root : LeafOf(i - first);
                if (!MemcgLife.Attach(in cpu, (MmStruct*)spaces[i], payer)) Bug.Fail("a new group refuses its task", i);
            }
        }, 1);
    }

    /// <summary>A group right below the root, beside the groups of the shape.</summary>
    private Memcg* CreateBeside(in ThisCpu cpu, long? limitPages)
    {
        Memcg* memcg = Create(in cpu, accounting.Root);
        if (limitPages is { } pages && !TC.TrySetLimit(memcg, CounterKind.Memory, pages)) Bug.Fail("a new group refuses its limit", pages);
        groupsOfWorkloads.Add((nint)memcg);
        return memcg;
    }
}
