// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Runs a case again and again under a search until a schedule breaks it, none is left, or a limit is reached.</summary>
internal static class Explorer
{
    private static readonly Lock one = new();
    private static IHandover? fibers, threads;
    private static bool initialised, again;
    private static Search search;

    // What the engine reads while agents run. Objects here are only touched, never held, on an agent's stack.
    public static Case Case { get; private set; } = null!;
    public static IHandover Handover { get; private set; } = null!;
    public static EngineDefect Defect { get; private set; }
    /// <summary>The reduction is on: events need clocks.</summary>
    public static bool Reducing { get; private set; }
    /// <summary>The case uses membarrier: its stores must be steps.</summary>
    public static bool SawProcessWideFence { get; private set; }

    /// <summary>Explores; one at a time, the simulated machine is one.</summary>
    public static ExploreResult Explore(Case c, ExploreOptions options)
    {
        lock (one)
        {
            Initialise();
            Case = c;
            Handover = options.Threads || !FiberHandover.IsSupported ? threads ??= new ThreadHandover() : fibers ??= new FiberHandover();
            Defect = options.Defect;
            search = options.Search;
            Reducing = search == Search.Dpor;
            SawProcessWideFence = options.Replay is { StoresAreSteps: true };
            Machine.LocksArePrimitive = !c.LocksAsCode;
            RaceDetector.Enabled = options.RaceCheck;
            Life.TrackFresh = c.ChecksUninitialised;
            Mutations.Begin(options.Mutation ?? (c.Mutation is { } m ? SourceSites.Find(m.Site, m.Op) : null));
            Faults.Begin(options.FailAlloc);
            Locations.Clear();
            Arena.BeginSetup();
            c.CallSetup();
            Arena.EndSetup();
            return Loop(options);
        }
    }

    private static ExploreResult Loop(ExploreOptions o)
    {
        long started = Stopwatch.GetTimestamp();
        long executions = 0, asleep = 0, steps = 0;
        int depth = 0;
        Begin(o);
        for (; ; )
        {
            Chooser.Reset(search);
            Run.Once(Handover);
            if (again)
            {
                (executions, asleep, steps, depth) = (0, 0, 0, 0);
                o.FinalStates?.Clear();
                Begin(o);
                continue;
            }
            executions++;
            steps += Run.Depth;
            depth = Math.Max(depth, Run.Depth);
            if (Run.SleepBlocked) asleep++;
            else if (Run.Fault == Verdict.Exhausted) Judge(o);
            if (Run.Fault != Verdict.Exhausted && o.FinalStates is null) return Result(Run.Fault);
            bool more = search switch { Search.Replay => false, Search.Dpor or Search.Dfs => Tree.Advance(Run.Depth), _ => true };
            if (!more) return Result(Verdict.Exhausted);
            if (executions >= o.MaxExecutions || ((executions & 255) == 0 && Stopwatch.GetElapsedTime(started) > o.MaxTime)) return Result(Verdict.LimitReached);
        }

        ExploreResult Result(Verdict verdict)
        {
            var result = new ExploreResult(verdict, executions, asleep, steps, depth, Stopwatch.GetElapsedTime(started));
            if (!result.Failed && search != Search.Replay) return result;
            return result with { Message = Names.Readable(Run.Message), Site = Sites.Name(Run.FaultSite), Schedule = o.Replay ?? Schedule.OfLastExecution(Case.Name, o.Memory),
                Table = Table.OfLastExecution() };
        }
    }

    private static void Begin(ExploreOptions o)
    {
        again = false;
        Run.Configure(Case, o);
        Tree.Begin(Reducing, o.Preemptions);
        Chooser.Begin(o);
    }

    /// <summary>The execution came to its end: is anybody blocked, is the end state right, is anything leaked?</summary>
    private static void Judge(ExploreOptions o)
    {
        bool blocked = Run.SomebodyIsBlocked();
        if (Reducing) Run.BlockedRaces();
        o.FinalStates?.Add(Arena.Hash() * 31 + Run.BlockedHash());
        if (blocked)
        {
            if (o.FinalStates is null) Run.Record(Verdict.Deadlock, Run.DescribeBlocked(), 0);
            return;
        }
        try
        {
            Case.CallFinal();
        }
        catch (BugException e)
        {
            Run.Record(Verdict.Assert, e.Message, 0);
        }
        catch (Exception e) when (e is NullReferenceException or InvalidOperationException)
        {
            Run.Record(Verdict.Exception, $"{e.GetType().Name} in the final check: {e.Message}", 0);
        }
        if (!Case.ChecksLeaks || Run.Fault != Verdict.Exhausted) return;
        int leaked = Life.Leaked(out int site);
        if (leaked >= 0) Run.Record(Verdict.Leak, $"{Names.Of(leaked, 1)}, allocated at {Sites.Name(site)}, is never freed", site);
    }

    /// <summary>Whom the search wants to move at this depth; -1: nobody who is not asleep.</summary>
    public static int Choose(int depth, uint enabled) => search is Search.Dpor or Search.Dfs ? Tree.Choose(depth, enabled) : Chooser.Choose(search, depth, enabled);

    /// <summary>The exploration learnt something about the case that makes what it did so far too coarse or too fine.</summary>
    public static void StartAgain()
    {
        again = true;
        Run.Stopping = true;
    }

    /// <summary>Under TSO a process-wide fence is ordered against stores still in other CPUs' buffers, so stores become steps.</summary>
    public static void MeetProcessWideFence()
    {
        if (Run.StoresAreSteps) return;
        SawProcessWideFence = true;
        StartAgain();
        Run.CheckAlive();
    }

    private static void Initialise()
    {
        if (initialised) return;
        initialised = true;
        Arena.Initialise();
        Life.Initialise();
        Locations.Initialise();
        StoreBuffers.Initialise();
        RaceDetector.Initialise();
        History.Initialise();
        Tree.Initialise();
        Dpor.Initialise();
        Chooser.Initialise();
        Mutations.Initialise();
        Faults.Initialise();
        Run.Initialise();
    }
}
