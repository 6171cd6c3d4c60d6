// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// One execution. Agents are the CPUs' threads, then (if the case has any) their irq roles, then (under TSO) their store buffers; an
/// agent's CPU is its number modulo <see cref="Cpus"/>. Every agent runs to its first marked access before the first choice; from then
/// on each node of the tree is one event.
/// </summary>
internal static unsafe partial class Run
{
    private enum State : byte { None, Waiting, Finished }

    public static int Cpus, DrainBase, Agents;
    public static bool Tso, HasIrq, PlainIsMarked;
    /// <summary>A buffered store is a step of its own: an irq role or a process-wide fence could tell.</summary>
    public static bool StoresAreSteps;

    public static Event* Events;
    public static int Depth;
    /// <summary>The agent whose code runs; -1: Setup, Final, the engine itself.</summary>
    public static int Current = -1;
    /// <summary>Whom the hand-over must run next; -1: the execution is over.</summary>
    public static int Next;
    /// <summary>Nobody moves any more: a fault, or everything enabled is asleep.</summary>
    public static bool Stopping;
    public static bool SleepBlocked;

    /// <summary>Accesses that are no steps and are still allowed: a list that a mutant bent into a ring must not be walked for ever.</summary>
    public static int PlainLeft;

    public static Verdict Fault;
    public static string Message = "";
    public static int FaultSite;

    private static Op* pending;
    private static State* state;
    private static int* irqDepth, irqDropped;
    private static VectorClock* clock;
    private static bool starting;
    private static int maxSteps;

    /// <summary>The CPU whose code runs.</summary>
    public static int CurrentCpu => Current < 0 ? 0 : Current % Cpus;

    /// <summary>The CPU an agent belongs to.</summary>
    public static int CpuOf(int agent) => agent < Cpus ? agent : agent >= DrainBase ? agent - DrainBase : agent - Cpus;

    public static void Initialise()
    {
        Events = (Event*)NativeMemory.AllocZeroed(Limits.Steps + 2, (nuint)sizeof(Event));
        pending = (Op*)NativeMemory.AllocZeroed(Limits.Agents, (nuint)sizeof(Op));
        state = (State*)NativeMemory.AllocZeroed(Limits.Agents);
        irqDepth = (int*)NativeMemory.AllocZeroed(Limits.Agents, sizeof(int));
        irqDropped = (int*)NativeMemory.AllocZeroed(Limits.Agents, sizeof(int));
        clock = (VectorClock*)NativeMemory.AlignedAlloc((nuint)(Limits.Agents * sizeof(VectorClock)), 64);
    }

    public static void Configure(Case c, ExploreOptions o)
    {
        Cpus = c.Cpus;
        HasIrq = c.Interrupts > 0;
        PlainIsMarked = c.PlainIsMarked;
        Tso = o.Memory == MemoryModel.TSO;
        DrainBase = HasIrq ? 2 * Cpus : Cpus;
        Agents = DrainBase + (Tso ? Cpus : 0);
        if (Cpus > Limits.Cpus || Agents > Limits.Agents) throw new InvalidOperationException($"{c.Id}: {Cpus} CPUs need {Agents} agents, {Limits.Agents} is the limit");
        StoresAreSteps = Tso && (HasIrq || Explorer.SawProcessWideFence);
        maxSteps = Math.Min(o.MaxSteps, Limits.Steps);
        Fault = Verdict.Exhausted;
        (Message, FaultSite) = ("", 0);
    }

    /// <summary>Runs the case once under the current search.</summary>
    public static void Once(IHandover handover)
    {
        Arena.Restore();
        StoreBuffers.Reset();
        RaceDetector.Reset(Cpus);
        History.Reset();
        Faults.Reset();
        Mutations.Reset();
        NativeMemory.Clear(state, Limits.Agents);
        NativeMemory.Clear(irqDepth, Limits.Agents * sizeof(int));
        NativeMemory.Clear(irqDropped, Limits.Agents * sizeof(int));
        NativeMemory.Clear(clock, (nuint)(Limits.Agents * sizeof(VectorClock)));
        (Depth, Stopping, SleepBlocked, PlainLeft) = (0, false, false, Limits.Plain);
        starting = true;
        handover.Run(DrainBase);
        Current = -1;
    }

    /// <summary>Every agent stands before its first step: the first choice.</summary>
    public static void AllStarted()
    {
        starting = false;
        Next = Pick();
    }

    /// <summary>Called by an agent's code at each marked access: waits for its turn, takes the step, returns the value read.</summary>
    public static long Step(in Op op)
    {
        int agent = Current;
        if (Stopping) Abandon(agent);
        pending[agent] = op;
        if (HasIrq && agent < Cpus && irqDepth[agent] == 0 && op.Kind is not (OpKind.Take or OpKind.Give)) pending[agent].CpuWord = Locations.Of(Arena.CpuWord(agent), 4);
        state[agent] = State.Waiting;
        if (starting)
        {
            Next = -1;
            Explorer.Handover.SwitchFrom(agent);
        }
        else
        {
            int next = Pick();
            if (next != agent)
            {
                Next = next;
                Explorer.Handover.SwitchFrom(agent);
            }
        }
        if (Stopping) Abandon(agent);
        return Do(agent);
    }

    /// <summary>An agent's code came to its end.</summary>
    public static void Finished(int agent)
    {
        state[agent] = State.Finished;
        Next = starting ? -1 : Pick();
    }

    /// <summary>Decides who moves next; store buffers drain on the spot. -1: the execution is over.</summary>
    private static int Pick()
    {
        for (;;)
        {
            if (Stopping) return -1;
            uint enabled = Enabled();
            if (enabled == 0) return -1;
            if (Depth >= maxSteps)
            {
                Record(Verdict.StepLimit, TooManySteps(), 0);
                return -1;
            }
            int a = Explorer.Choose(Depth, enabled);
            if (a < 0)
            {
                SleepBlocked = Stopping = true;
                return -1;
            }
            Depth++;
            if (a < DrainBase) return a;
            Drain(a);
        }
    }

    private static string TooManySteps() => $"more than {maxSteps} steps in one execution";

    private static uint Enabled()
    {
        uint enabled = 0;
        for (int a = 0; a < DrainBase; a++)
            if (state[a] == State.Waiting && CanStep(a)) enabled |= 1u << a;
        if (Tso)
            for (int c = 0; c < Cpus; c++)
                if (!StoreBuffers.IsEmpty(c)) enabled |= 1u << (DrainBase + c);
        return enabled;
    }

    private static bool CanStep(int agent)
    {
        Op* p = pending + agent;
        int cpu = agent < Cpus ? agent : agent - Cpus;
        if (p->CpuWord != 0 && Arena.Read(Arena.CpuWord(cpu), 4) != 0) return false;
        if (p->NeedsDrainedBuffer && Tso && !StoreBuffers.IsEmpty(cpu) && Explorer.Defect != EngineDefect.FenceDoesNotDrain) return false;
        return p->Kind switch
        {
            OpKind.AwaitEqual => StoreBuffers.Read(cpu, p->Offset, p->Size) == p->A,
            OpKind.AwaitNot => StoreBuffers.Read(cpu, p->Offset, p->Size) != p->A,
            OpKind.Lock or OpKind.Take or OpKind.RemoteFence => Arena.Read(p->Offset, p->Size) == p->A,
            _ => true,
        };
    }

    /// <summary>True when the next step of a sleeping agent could come out differently after e.</summary>
    public static bool Depends(int agent, Event* e)
    {
        if (e->Agent == agent) return true;
        if (agent >= DrainBase)
        {
            int c = agent - DrainBase;
            if (StoreBuffers.IsEmpty(c)) return true;
            return Event.Conflict(agent, OpKind.Drain, StoreBuffers.Oldest(c)->Location, Access.Write, e)
                || Event.Conflict(agent, OpKind.Drain, BufferCountLocation(c), Access.Write, e);
        }
        Op* p = pending + agent;
        if (e->Agent == DrainBase + agent % Cpus && p->NeedsDrainedBuffer) return true;
        int location = p->Kind == OpKind.Buffer ? BufferCountLocation(agent % Cpus) : p->Location;
        return Event.Conflict(agent, p->Kind, location, p->Intent, e) || Event.Conflict(agent, p->Kind, p->CpuWord, Access.Read, e);
    }

    /// <summary>An enabled agent whose next step is a fence, or -1.</summary>
    public static int WaitingAtFence(uint enabled)
    {
        for (int a = 0; a < DrainBase; a++)
            if ((enabled >> a & 1) != 0 && pending[a].Kind is (OpKind.Fence or OpKind.RemoteFence)) return a;
        return -1;
    }

    /// <summary>After the last step: whoever still waits, waits for ever.</summary>
    public static bool SomebodyIsBlocked()
    {
        for (int a = 0; a < DrainBase; a++)
            if (state[a] == State.Waiting) return true;
        return false;
    }

    /// <summary>Reverses what blocked the agents that are still waiting.</summary>
    public static void BlockedRaces()
    {
        for (int a = 0; a < DrainBase; a++)
            if (state[a] == State.Waiting) Dpor.BlockedRaces(a, pending + a, Depth, clock + a);
    }

    /// <summary>A hash of who is blocked where, for the differential test.</summary>
    public static ulong BlockedHash()
    {
        ulong h = 0;
        for (int a = 0; a < DrainBase; a++)
            if (state[a] == State.Waiting) h = h * 1000003 + (ulong)(a + 7) * 31 + (ulong)pending[a].Site;
        return h;
    }

    /// <summary>Who waits for whom, and where.</summary>
    public static string DescribeBlocked()
    {
        var parts = new List<string>();
        for (int a = 0; a < DrainBase; a++)
        {
            if (state[a] != State.Waiting) continue;
            Op p = pending[a];
            if (p.CpuWord != 0 && Arena.Read(Arena.CpuWord(a % Cpus), 4) != 0)
            {
                parts.Add($"{AgentName(a)} is under its irq role");
                continue;
            }
            long v = Arena.Read(p.Offset, p.Size);
            string what = p.Kind switch
            {
                OpKind.Lock => $"for the lock {Names.Of(p.Offset, p.Size)} held by {AgentName((int)v - 1)}",
                OpKind.Take when a >= Cpus => $"for irqs on CPU{a % Cpus}",
                OpKind.AwaitEqual => $"until {Names.Of(p.Offset, p.Size)} is {Names.Value(p.A)}, it is {Names.Value(v)}",
                OpKind.AwaitNot => $"until {Names.Of(p.Offset, p.Size)} changes from {Names.Value(p.A)}",
                _ => $"in {p.Kind} of {Names.Of(p.Offset, p.Size)}",
            };
            parts.Add($"{AgentName(a)} waits {what} at {Sites.Name(p.Site)}");
        }
        return string.Join("; ", parts);
    }

    public static string AgentName(int agent) => agent < Cpus ? $"CPU{agent}" : agent < DrainBase ? $"irq of CPU{agent - Cpus}" : $"buffer of CPU{agent - DrainBase}";

    /// <summary>Ends the execution with a fault; does not return to an agent's code.</summary>
    [DoesNotReturn, MethodImpl(MethodImplOptions.NoInlining)]
    public static void Fail(Verdict verdict, string message, int site)
    {
        Record(verdict, message, site);
        if (Current < 0) throw new Native.BugException(message);
        Abandon(Current);
    }

    /// <summary>Notes the first fault of the execution.</summary>
    public static void Record(Verdict verdict, string message, int site)
    {
        if (Fault == Verdict.Exhausted) (Fault, Message, FaultSite) = (verdict, message, site);
        Stopping = true;
    }

    [DoesNotReturn]
    private static void Abandon(int agent)
    {
        Next = -1;
        Explorer.Handover.Abandon(agent);
        throw new InvalidOperationException("an abandoned agent was resumed");
    }
}
