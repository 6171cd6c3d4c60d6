// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// What was done to each location in this execution, as far as the order of a further step depends on it: the last write, and each
/// agent's last read and last commuting add since.
/// </summary>
internal unsafe struct History
{
    private int epoch;
    public int LastWrite;
    /// <summary>Last event that changed the location, write or add; older ones hang on Event.PrevChange.</summary>
    public int LastChange;
    public uint Readers, Adders;
    public fixed int LastRead[Limits.Agents];
    public fixed int LastAdd[Limits.Agents];

    private static History* all;
    private static int now;

    public static void Initialise() => all = (History*)NativeMemory.AllocZeroed(Limits.Locations, (nuint)sizeof(History));

    public static void Reset() => now++;

    public static History* Of(int location)
    {
        History* h = all + location;
        if (h->epoch == now) return h;
        h->epoch = now;
        h->LastWrite = h->LastChange = -1;
        h->Readers = h->Adders = 0;
        return h;
    }

    /// <summary>Orders clock after everything the step depends on.</summary>
    public static void Join(History* h, int agent, OpKind kind, Access access, VectorClock* clock)
    {
        for (int w = NextChange(h->LastWrite, agent, kind); w >= 0; w = NextChange(Older(w), agent, kind)) VectorClock.Join(clock, &Run.Events[w].Clock);
        if (access != Access.Read) Join(h->Readers & ~OwnReaders(agent, kind), h->LastRead, clock);
        if (access != Access.Add) Join(h->Adders, h->LastAdd, clock);
    }

    private static void Join(uint agents, int* last, VectorClock* clock)
    {
        for (int a = 0; agents >> a != 0; a++)
            if ((agents >> a & 1) != 0) VectorClock.Join(clock, &Run.Events[last[a]].Clock);
    }

    /// <summary>
    /// The newest change at or before w that a step is ordered after. A load passes over its own CPU's drains; behind one of those lie
    /// adds of others, which <see cref="Adders"/> has forgotten, and the write before.
    /// </summary>
    public static int NextChange(int w, int agent, OpKind kind)
    {
        while (w >= 0 && Event.IsOwnForward(agent, kind, Run.Events + w)) w = Run.Events[w].PrevChange;
        return w;
    }

    /// <summary>Where to look after w: nowhere once a write has been met, since what is older comes before it.</summary>
    public static int Older(int w) => Run.Events[w].Access == Access.Add ? Run.Events[w].PrevChange : -1;

    /// <summary>The readers a drain is not ordered after: its own CPU's.</summary>
    public static uint OwnReaders(int agent, OpKind kind) => kind != OpKind.Drain ? 0 : 1u << Run.CpuOf(agent) | (Run.HasIrq ? 1u << (Run.CpuOf(agent) + Run.Cpus) : 0);

    /// <summary>Enters event i; returns the change before it.</summary>
    public static int Enter(History* h, int i, int agent, OpKind kind, Access access)
    {
        int before = h->LastChange;
        if (access == Access.Read)
        {
            h->LastRead[agent] = i;
            h->Readers |= 1u << agent;
        }
        else if (access == Access.Add)
        {
            h->LastAdd[agent] = i;
            h->Adders |= 1u << agent;
            h->LastChange = i;
        }
        else
        {
            h->LastWrite = h->LastChange = i;
            h->Readers &= OwnReaders(agent, kind); // a later write must still come after them
            h->Adders = 0;
        }
        return before;
    }
}
