// SPDX-License-Identifier: GPL-2.0-only
using System.Numerics;

namespace MemcgNative.Tests.Interleavings;

/// <summary>The searches that walk no tree: random, PCT, replay. Native state only: it runs on agents' stacks.</summary>
internal static unsafe class Chooser
{
    private const int MaxDepth = 64;

    private static ulong state;
    private static int pctDepth, changes, lowest;
    private static long execution;
    private static int longest;
    private static int* priority, changeAt;

    // A schedule as agents, resolved before the execution starts.
    private static int* script;
    private static int scriptSteps, scriptAt;
    /// <summary>A schedule found under SC runs under TSO with every store drained at once and fences for free.</summary>
    private static bool eager;

    public static void Initialise()
    {
        priority = (int*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(Limits.Agents, sizeof(int));
        changeAt = (int*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(MaxDepth, sizeof(int));
        script = (int*)System.Runtime.InteropServices.NativeMemory.AllocZeroed(Limits.Steps, sizeof(int));
    }

    public static void Begin(ExploreOptions o)
    {
        state = o.Seed * 0x9E3779B97F4A7C15 + 1;
        pctDepth = o.PctDepth;
        (execution, longest) = (0, 1);
        if (o.Replay is not { } replay) return;
        eager = replay.Memory == MemoryModel.SC && Run.Tso;
        if (eager) Run.StoresAreSteps = true;
        scriptSteps = replay.Steps.Count;
        for (int i = 0; i < scriptSteps; i++) script[i] = replay.Agent(i);
    }

    /// <summary>A new execution begins.</summary>
    public static void Reset(Search search)
    {
        scriptAt = 0;
        if (search != Search.Pct) return;
        longest = Math.Max(longest, Run.Depth);
        for (int i = 0; i < Limits.Agents; i++) priority[i] = MaxDepth + i;
        for (int i = Run.Agents - 1; i > 0; i--)
        {
            int j = (int)(Random() % (ulong)(i + 1));
            (priority[i], priority[j]) = (priority[j], priority[i]);
        }
        changes = Math.Min((pctDepth > 0 ? pctDepth : 2 + (int)(execution++ % 5)) - 1, MaxDepth);
        for (int i = 0; i < changes; i++) changeAt[i] = 1 + (int)(Random() % (ulong)longest);
        lowest = MaxDepth - 1;
    }

    /// <summary>The agent to step, -1 when a schedule does not fit.</summary>
    public static int Choose(Search search, int depth, uint enabled)
    {
        int a = search switch { Search.Random => AtRandom(enabled), Search.Pct => ByPriority(depth, enabled), _ => ByScript(depth, enabled) };
        if (a >= 0) (Tree.Nodes[depth].Chosen, Tree.Nodes[depth].Enabled) = (a, enabled);
        return a;
    }

    private static int AtRandom(uint enabled)
    {
        int skip = (int)(Random() % (ulong)BitOperations.PopCount(enabled));
        while (skip-- > 0) enabled &= enabled - 1;
        return BitOperations.TrailingZeroCount(enabled);
    }

    private static int ByPriority(int depth, uint enabled)
    {
        if (depth > 4 * longest + 100) return AtRandom(enabled); // a fair tail: nobody may starve the CPU that would end a retry loop
        for (int i = 0; i < changes; i++)
            if (changeAt[i] == depth) priority[Highest(enabled)] = lowest--;
        return Highest(enabled);
    }

    private static int Highest(uint enabled)
    {
        int best = -1;
        for (int a = 0; enabled >> a != 0; a++)
            if ((enabled >> a & 1) != 0 && (best < 0 || priority[a] > priority[best])) best = a;
        return best;
    }

    private static int ByScript(int depth, uint enabled)
    {
        if (eager)
        {
            uint drains = enabled & ~((1u << Run.DrainBase) - 1);
            if (drains != 0) return BitOperations.TrailingZeroCount(drains);
            int fence = Run.WaitingAtFence(enabled);
            if (fence >= 0) return fence;
        }
        if (scriptAt >= scriptSteps) return BitOperations.TrailingZeroCount(enabled);
        int a = script[scriptAt++];
        if (a >= 0 && (enabled >> a & 1) != 0) return a;
        Run.Record(Verdict.Exception, $"the schedule does not fit: step {scriptAt} is not possible here", 0);
        return -1;
    }

    private static ulong Random()
    {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
}
