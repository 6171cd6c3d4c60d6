// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

/// <summary>How schedules are chosen.</summary>
internal enum Search
{
    /// <summary>Source-set partial-order reduction with sleep sets: one execution per equivalence class, few more.</summary>
    Dpor,
    /// <summary>Every schedule, or every schedule with at most a given number of preemptions.</summary>
    Dfs,
    /// <summary>Random priorities with d - 1 change points.</summary>
    Pct,
    /// <summary>Uniform choice at each step.</summary>
    Random,
    /// <summary>One given schedule.</summary>
    Replay,
}

/// <summary>What a store is. TSO also covers arm64 as .NET compiles marked accesses.</summary>
internal enum MemoryModel
{
    /// <summary>Sequential consistency: a store is seen at once.</summary>
    SC,
    /// <summary>Total store order: a store waits in its CPU's FIFO buffer.</summary>
    TSO,
}

/// <summary>How an exploration ended.</summary>
internal enum Verdict
{
    Exhausted, LimitReached, Assert, DataRace, UseAfterFree, DoubleFree, WildAccess, Uninitialised, Leak, Deadlock, StepLimit, Exception,
}

/// <summary>The n-th allocation (from 1) of a CPU fails.</summary>
internal readonly record struct FailNth(int Cpu, int Nth);

/// <summary>What to explore with.</summary>
internal sealed record ExploreOptions
{
    public Search Search { get; init; } = Search.Dpor;
    public MemoryModel Memory { get; init; } = MemoryModel.SC;
    /// <summary>Preemptions allowed in <see cref="Search.Dfs"/>; -1: any number.</summary>
    public int Preemptions { get; init; } = -1;
    /// <summary>PCT's d; 0 cycles through 2..6, because the races of the mails need up to three preemptions.</summary>
    public int PctDepth { get; init; }
    public ulong Seed { get; init; } = 1;
    public long MaxExecutions { get; init; } = long.MaxValue;
    public int MaxSteps { get; init; } = 2000;
    public TimeSpan MaxTime { get; init; } = TimeSpan.MaxValue;
    public FailNth? FailAlloc { get; init; }
    public SiteMutation? Mutation { get; init; }
    public Schedule? Replay { get; init; }
    /// <summary>Fibers where the machine has them, else threads; identical counts.</summary>
    public bool Threads { get; init; }
    /// <summary>False: races on plain accesses are not reported (litmus shapes and random programs race by intention).</summary>
    public bool RaceCheck { get; init; } = true;
    /// <summary>Collect the hash of every final state and go on after a failure: the explorer's own differential test.</summary>
    public HashSet<ulong>? FinalStates { get; init; }
    /// <summary>A defect of the engine to switch on; the self-checks must notice.</summary>
    public EngineDefect Defect { get; init; }
}

/// <summary>What came out.</summary>
internal sealed record ExploreResult(Verdict Verdict, long Executions, long SleepBlocked, long Steps, int Depth, TimeSpan Time)
{
    public bool Failed => Verdict > Verdict.LimitReached;
    /// <summary>What is wrong, with values and names.</summary>
    public string Message { get; init; } = "";
    /// <summary>The failing step as file:line.</summary>
    public string Site { get; init; } = "";
    /// <summary>Replays the failure in one execution.</summary>
    public Schedule? Schedule { get; init; }
    /// <summary>The failing execution, one column per CPU.</summary>
    public string Table { get; init; } = "";
}

/// <summary>Defects of the engine that lose executions or bend the memory model; each must be killed by a self-check.</summary>
internal enum EngineDefect
{
    None, FailedCasIsNoRead, BlockedAwaitsDoNotRace, SleepNeverWakes, ReadsDoNotRaceWithWrites, FenceDoesNotDrain, NoForwarding, DrainLifo, AddsCommuteWithLoads,
        AddsCommuteUnderWaits, OnlyFirstInitial, WaitedForIrqStoresHideTheIrq,
}
