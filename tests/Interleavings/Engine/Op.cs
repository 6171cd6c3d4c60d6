// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>The steps an agent can take.</summary>
internal enum OpKind : byte
{
    Load,
    Store,
    /// <summary>Puts a store in the buffer; a step of its own only where somebody could tell (irq roles, process-wide fences).</summary>
    Buffer,
    /// <summary>The oldest store leaves the buffer.</summary>
    Drain,
    Rmw,
    Fence,
    /// <summary>One CPU's share of a process-wide fence: waits until that CPU's buffer is empty.</summary>
    RemoteFence,
    AwaitEqual,
    AwaitNot,
    /// <summary>A lock as one step: waits for A, stores B, full fence.</summary>
    Lock,
    /// <summary>Takes the CPU word: the irq role enters, or the thread switches irqs off. Waits for 0, orders nothing.</summary>
    Take,
    /// <summary>Gives the CPU word back.</summary>
    Give,
}

internal enum RmwKind : byte { CompareExchange, Exchange, Add, Or, And }

/// <summary>How a step touches a location, as far as order matters.</summary>
internal enum Access : byte
{
    None,
    Read,
    /// <summary>An add whose result nobody sees: commutes with its like.</summary>
    Add,
    Write,
}

/// <summary>A step an agent is about to take.</summary>
internal struct Op
{
    public OpKind Kind;
    public RmwKind Rmw;
    public byte Size;
    /// <summary>Mutated to relaxed: publishes or acquires nothing.</summary>
    public bool Relaxed;
    /// <summary>An add whose result nobody sees, where nobody waits.</summary>
    public bool Commutes;
    public int Offset;
    public int Location;
    /// <summary>Location of the CPU word where an irq role could be in the way; 0: none.</summary>
    public int CpuWord;
    /// <summary>Operand: the value stored, added, awaited.</summary>
    public long A;
    /// <summary>Second operand: the value a compare-exchange expects; what a lock stores.</summary>
    public long B;
    public int Site;

    /// <summary>What the step may do to its location, before its outcome is known.</summary>
    public readonly Access Intent => Kind switch
    {
        OpKind.Load or OpKind.AwaitEqual or OpKind.AwaitNot or OpKind.RemoteFence => Access.Read,
        OpKind.Fence => Access.None,
        OpKind.Rmw when Commutes => Explorer.Defect == EngineDefect.AddsCommuteWithLoads ? Access.Read : Access.Add,
        _ => Access.Write,
    };

    /// <summary>True when the step waits for the CPU's own store buffer.</summary>
    public readonly bool NeedsDrainedBuffer => Kind is OpKind.Rmw or OpKind.Fence or OpKind.Lock;
}

/// <summary>A step that was taken.</summary>
internal struct Event
{
    public int Agent;
    public OpKind Kind;
    public RmwKind Rmw;
    public byte Size;
    public Access Access;
    public Access Access2;
    public int Location;
    /// <summary>CPU word read by a thread's step, or buffer count changed by a drain; 0: none.</summary>
    public int Location2;
    public int Offset;
    public int Site;
    /// <summary>This agent's count of steps, from 1.</summary>
    public int Seq;
    /// <summary>Previous event that changed <see cref="Location"/>; -1: none.</summary>
    public int PrevChange;
    public int PrevChange2;
    public long Old;
    public long Value;
    public VectorClock Clock;

    /// <summary>True when the order of the two steps on this location can matter.</summary>
    public static unsafe bool Conflict(int agent, OpKind kind, int location, Access access, Event* e) =>
        location != 0 && ((location == e->Location && Clash(access, e->Access)) || (location == e->Location2 && Clash(access, e->Access2))) && !IsOwnForward(agent, kind, e);

    /// <summary>A CPU reads through its own buffer, so one of its loads and one of its drains come out alike in either order.</summary>
    public static unsafe bool IsOwnForward(int agent, OpKind kind, Event* e) =>
        kind == OpKind.Drain ? IsLoad(e->Kind) && Run.CpuOf(agent) == Run.CpuOf(e->Agent) : e->Kind == OpKind.Drain && IsLoad(kind) && Run.CpuOf(agent) == Run.CpuOf(e->Agent);

    public static bool IsLoad(OpKind kind) => kind is OpKind.Load or OpKind.AwaitEqual or OpKind.AwaitNot;

    public static bool Clash(Access a, Access b) => a != Access.None && b != Access.None && (a != Access.Read || b != Access.Read) && (a != Access.Add || b != Access.Add);
}
