// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// Source-set DPOR: each step is compared with the earlier steps it races with, and the node before each of those learns an agent that
/// would begin the reversed order (Abdulla, Aronis, Jonsson, Sagonas 2014). A waiting step races with the change that its condition
/// would have held before: a release is never reversed with the acquire it enables, the acquire before it is.
/// </summary>
internal static unsafe class Dpor
{
    private const int MaxCandidates = 256;

    private static int* between;
    private static int* candidates;

    public static void Initialise()
    {
        between = (int*)NativeMemory.AllocZeroed(Limits.Steps, sizeof(int));
        candidates = (int*)NativeMemory.AllocZeroed(MaxCandidates, sizeof(int));
    }

    /// <summary>
    /// Finds the races of event i, whose agent's clock does not yet know its locations' history. own is the clock before the step waited
    /// for its buffer: stores of the irq role that it waited for are there only because the irq role came first.
    /// </summary>
    public static void Races(int i, Op* op, VectorClock* clock, VectorClock* own)
    {
        Event* e = Run.Events + i;
        bool waits = Waits(op->Kind);
        if (waits) WaitRaces(i, e, op, History.Of(e->Location), e->Location, clock);
        else if (e->Location != 0) DirectRaces(i, e, History.Of(e->Location), e->Access, clock);
        if (e->Location2 == 0) return;
        if (op->CpuWord != 0) CpuWordRaces(i, e, History.Of(e->Location2), own);
        else DirectRaces(i, e, History.Of(e->Location2), e->Access2, clock);
    }

    /// <summary>The races of a step that is still blocked when everybody else is done.</summary>
    public static void BlockedRaces(int agent, Op* op, int events, VectorClock* clock)
    {
        if (Explorer.Defect == EngineDefect.BlockedAwaitsDoNotRace) return;
        Event e = default;
        e.Agent = agent;
        e.Kind = op->Kind;
        e.Location = op->Location;
        e.Access = op->Intent;
        e.Location2 = op->CpuWord;
        e.Access2 = op->CpuWord != 0 ? Access.Read : Access.None;
        if (Waits(op->Kind)) ChangeRaces(events, &e, op, op->Location, clock);
        if (op->CpuWord != 0) CpuWordRaces(events, &e, History.Of(op->CpuWord), clock);
    }

    private static bool Waits(OpKind kind) => kind is OpKind.AwaitEqual or OpKind.AwaitNot or OpKind.Lock or OpKind.Take or OpKind.RemoteFence;

    /// <summary>Reads, adds and writes that conflict, newest first; one that happens before a newer one is no direct race.</summary>
    private static void DirectRaces(int i, Event* e, History* h, Access access, VectorClock* clock)
    {
        int n = 0;
        for (int w = History.NextChange(h->LastWrite, e->Agent, e->Kind); w >= 0 && n < MaxCandidates / 2;
            w = History.NextChange(History.Older(w), e->Agent, e->Kind))
            candidates[n++] = w;
        if (access != Access.Read && Explorer.Defect != EngineDefect.ReadsDoNotRaceWithWrites) n = Collect(h->Readers & ~History.OwnReaders(e->Agent, e->Kind), h->LastRead, n);
        if (access != Access.Add) n = Collect(h->Adders, h->LastAdd, n);
        if (n == 0) return;
        VectorClock seen = *clock;
        for (; n > 0; n--)
        {
            int newest = 0;
            for (int k = 1; k < n; k++)
                if (candidates[k] > candidates[newest]) newest = k;
            int j = candidates[newest];
            candidates[newest] = candidates[n - 1];
            Event* x = Run.Events + j;
            if (seen.At[x->Agent] >= x->Seq) continue;
            if (x->Agent != e->Agent) Reverse(j, i, e, clock);
            VectorClock.Join(&seen, &x->Clock);
        }
    }

    private static int Collect(uint agents, int* last, int n)
    {
        for (int a = 0; agents >> a != 0; a++)
            if ((agents >> a & 1) != 0) candidates[n++] = last[a];
        return n;
    }

    private static void WaitRaces(int i, Event* e, Op* op, History* h, int location, VectorClock* clock)
    {
        if (e->Access == Access.Write)
        {
            for (int a = 0; h->Readers >> a != 0; a++)
            {
                if ((h->Readers >> a & 1) == 0 || a == e->Agent) continue;
                Event* r = Run.Events + h->LastRead[a];
                if (clock->At[a] < r->Seq) Reverse(h->LastRead[a], i, e, clock);
            }
        }
        ChangeRaces(i, e, op, location, clock);
    }

    /// <summary>Goes back over the changes of a location to one before which the wait would have ended.</summary>
    private static void ChangeRaces(int i, Event* e, Op* op, int location, VectorClock* clock)
    {
        for (int w = History.Of(location)->LastChange; w >= 0;)
        {
            Event* x = Run.Events + w;
            bool first = x->Location == location;
            if (first && Event.IsOwnForward(e->Agent, e->Kind, x))
            {
                w = x->PrevChange;
                continue;
            }
            if (clock->At[x->Agent] >= x->Seq) return; // its own steps too
            if (first && (x->Offset != op->Offset || x->Size != op->Size || Holds(op, x->Old))) // a drain never empties what it waits for
            {
                Reverse(w, i, e, clock);
                return;
            }
            w = first ? x->PrevChange : x->PrevChange2;
        }
    }

    /// <summary>A thread's step waits for its CPU word to be 0: it races with the irq role's entry.</summary>
    private static void CpuWordRaces(int i, Event* e, History* h, VectorClock* clock)
    {
        for (int w = h->LastChange; w >= 0; w = Run.Events[w].PrevChange)
        {
            Event* x = Run.Events + w;
            if (clock->At[x->Agent] >= x->Seq) return;
            if (x->Old != 0) continue;
            Reverse(w, i, e, clock);
            return;
        }
    }

    private static bool Holds(Op* op, long value) => op->Kind == OpKind.AwaitNot ? value != op->A : value == op->A;

    /// <summary>
    /// Event j races with e, at index i: some first step of the events between that do not follow j, then e, must be explored at the node
    /// before j.
    /// </summary>
    private static void Reverse(int j, int i, Event* e, VectorClock* clock)
    {
        Event* x = Run.Events + j;
        Node* node = Tree.Nodes + j;
        uint initials = 0, seen = 0;
        int n = 0;
        for (int k = j + 1; k < i; k++)
        {
            Event* y = Run.Events + k;
            if (y->Clock.At[x->Agent] >= x->Seq) continue;
            uint bit = 1u << y->Agent;
            if ((seen & bit) == 0 && FollowsNone(&y->Clock, n)) initials |= bit;
            seen |= bit;
            between[n++] = k;
        }
        uint own = 1u << e->Agent;
        if ((seen & own) == 0 && FollowsNone(clock, n) && ConflictsWithNone(e, n)) initials |= own;
        if ((initials & node->Backtrack) != 0) return;
        uint add = initials & node->Enabled;
        if (add == 0)
        {
            node->Backtrack |= node->Enabled;
            return;
        }
        add &= ~node->Sleep;
        if (add == 0) return; // one that is asleep has been explored already
        node->Backtrack |= (add & own) != 0 ? own : Explorer.Defect == EngineDefect.OnlyFirstInitial ? 0 : add & (uint)-(int)add;
    }

    private static bool FollowsNone(VectorClock* clock, int n)
    {
        for (int z = 0; z < n; z++)
        {
            Event* u = Run.Events + between[z];
            if (clock->At[u->Agent] >= u->Seq) return false;
        }
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool ConflictsWithNone(Event* e, int n)
    {
        for (int z = 0; z < n; z++)
        {
            Event* u = Run.Events + between[z];
            if (Event.Conflict(e->Agent, e->Kind, e->Location, e->Access, u) || Event.Conflict(e->Agent, e->Kind, e->Location2, e->Access2, u)) return false;
        }
        return true;
    }
}
