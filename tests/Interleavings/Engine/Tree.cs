// SPDX-License-Identifier: GPL-2.0-only
using System.Numerics;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One choice of an execution.</summary>
internal struct Node
{
    public uint Enabled;
    /// <summary>Agents whose subtrees are to be explored.</summary>
    public uint Backtrack;
    /// <summary>Agents whose subtrees would only repeat what was seen.</summary>
    public uint Sleep;
    public int Chosen;
    /// <summary>Preemptions on the way here.</summary>
    public int Preemptions;
}

/// <summary>The search tree of the exhaustive searches: its current path, walked depth first.</summary>
internal static unsafe class Tree
{
    public static Node* Nodes;
    /// <summary>Nodes at the start of the path that the next execution repeats.</summary>
    public static int Prefix;

    private static int preemptionBound;
    private static bool reduce;

    public static void Initialise() => Nodes = (Node*)NativeMemory.AllocZeroed(Limits.Steps + 2, (nuint)sizeof(Node));

    public static void Begin(bool dpor, int bound)
    {
        (reduce, preemptionBound, Prefix) = (dpor, bound, 0);
    }

    /// <summary>Moves to the next path; false when all are done.</summary>
    public static bool Advance(int depth)
    {
        for (int d = depth - 1; d >= 0; d--)
        {
            Node* n = Nodes + d;
            n->Sleep |= 1u << n->Chosen;
            uint candidates = n->Backtrack & n->Enabled & ~n->Sleep;
            if (candidates == 0) continue;
            n->Chosen = BitOperations.TrailingZeroCount(candidates);
            Prefix = d + 1;
            return true;
        }
        return false;
    }

    /// <summary>The agent to step at this depth, or -1 when everything enabled is asleep.</summary>
    public static int Choose(int depth, uint enabled)
    {
        Node* n = Nodes + depth;
        if (depth < Prefix) return n->Chosen;
        int last = depth == 0 ? -1 : n[-1].Chosen;
        n->Enabled = enabled;
        n->Preemptions = depth == 0 ? 0 : n[-1].Preemptions + (IsPreemption(depth - 1) ? 1 : 0);
        n->Sleep = reduce && depth > 0 ? StillAsleep(depth - 1) : 0;
        uint candidates = enabled & ~n->Sleep;
        if (!reduce && preemptionBound >= 0 && n->Preemptions >= preemptionBound && last >= 0 && last < Run.DrainBase && (enabled >> last & 1) != 0)
            candidates &= 1u << last | ~((1u << Run.DrainBase) - 1);
        if (candidates == 0) return -1;
        n->Chosen = Prefer(candidates, last);
        n->Backtrack = reduce ? 1u << n->Chosen : candidates;
        return n->Chosen;
    }

    /// <summary>Whoever ran last goes on; else the first CPU, or the last where the case says so; store buffers last.</summary>
    private static int Prefer(uint candidates, int last)
    {
        if (last >= 0 && last < Run.DrainBase && (candidates >> last & 1) != 0) return last;
        uint threads = candidates & ((1u << Run.Cpus) - 1);
        if (threads != 0 && Explorer.Case.LastCpuFirst) return BitOperations.Log2(threads);
        return BitOperations.TrailingZeroCount(threads != 0 ? threads : candidates);
    }

    private static bool IsPreemption(int depth)
    {
        if (depth == 0) return false;
        Node* n = Nodes + depth;
        int last = n[-1].Chosen;
        return n->Chosen != last && n->Chosen < Run.DrainBase && (n->Enabled >> last & 1) != 0;
    }

    /// <summary>The sleep set of the child: whoever the step just taken does not disturb.</summary>
    private static uint StillAsleep(int depth)
    {
        Node* n = Nodes + depth;
        uint asleep = n->Sleep & ~(1u << n->Chosen), kept = 0;
        if (Explorer.Defect == EngineDefect.SleepNeverWakes) return asleep;
        for (int a = 0; asleep >> a != 0; a++)
            if ((asleep >> a & 1) != 0 && !Run.Depends(a, Run.Events + depth)) kept |= 1u << a;
        return kept;
    }
}
