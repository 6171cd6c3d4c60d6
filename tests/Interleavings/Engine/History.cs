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

    /// <summary>Orders clock after everything a step of this kind depends on.</summary>
    public static void Join(History* h, Access access, VectorClock* clock)
    {
        if (h->LastWrite >= 0) VectorClock.Join(clock, &Run.Events[h->LastWrite].Clock);
        if (access != Access.Read) Join(h->Readers, h->LastRead, clock);
        if (access != Access.Add) Join(h->Adders, h->LastAdd, clock);
    }

    private static void Join(uint agents, int* last, VectorClock* clock)
    {
        for (int a = 0; agents >> a != 0; a++)
            if ((agents >> a & 1) != 0) VectorClock.Join(clock, &Run.Events[last[a]].Clock);
    }

    /// <summary>Enters event i; returns the change before it.</summary>
    public static int Enter(History* h, int i, int agent, Access access)
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
            h->Readers = h->Adders = 0;
        }
        return before;
    }
}
