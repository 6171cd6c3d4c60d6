// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Interleavings;

// Taking a step: what it does to memory, to the program's own order (RaceDetector) and to the reduction's (History, Dpor).
internal static unsafe partial class Run
{
    private static long Do(int agent)
    {
        Op* p = pending + agent;
        int cpu = agent < Cpus ? agent : agent - Cpus;
        state[agent] = State.None;
        switch (p->Kind)
        {
            case OpKind.Load:
            case OpKind.AwaitEqual:
            case OpKind.AwaitNot:
                {
                    long v = StoreBuffers.Read(cpu, p->Offset, p->Size);
                    Enter(agent, p, Access.Read, v, v);
                    CheckRead(cpu, p);
                    RaceDetector.Read(cpu, p->Location, p->Relaxed, p->Site, Tso && StoreBuffers.Holds(cpu, p->Offset, p->Size));
                    return v;
                }
            case OpKind.Store:
                {
                    Enter(agent, p, Access.Write, Arena.Read(p->Offset, p->Size), p->A);
                    CheckWrite(cpu, p);
                    RaceDetector.Write(cpu, p->Location, p->Site);
                    CpuClock publishes;
                    RaceDetector.Release(cpu, p->Relaxed, &publishes);
                    RaceDetector.Publish(p->Location, &publishes);
                    Arena.Write(p->Offset, p->Size, p->A);
                    return 0;
                }
            case OpKind.Buffer:
                {
                    int count = Arena.BufferCount(cpu), n = StoreBuffers.Count(cpu);
                    Op issue = *p;
                    (issue.Offset, issue.Size, issue.Location) = (count, 4, BufferCountLocation(cpu));
                    Enter(agent, &issue, Access.Write, n, n + 1);
                    Arena.Write(count, 4, n + 1);
                    Buffer(cpu, p, clock + agent);
                    return 0;
                }
            case OpKind.Rmw:
            case OpKind.Lock:
                return DoRmw(agent, cpu, p);
            case OpKind.Fence:
                Enter(agent, p, Access.None, 0, 0);
                RaceDetector.Fence(cpu);
                return 0;
            case OpKind.RemoteFence:
                Enter(agent, p, Access.Read, 0, 0);
                return 0;
            default: // Take, Give: the engine's own word, orders nothing in the program
                {
                    Enter(agent, p, Access.Write, Arena.Read(p->Offset, p->Size), p->B);
                    Arena.Write(p->Offset, p->Size, p->B);
                    return 0;
                }
        }
    }

    private static long DoRmw(int agent, int cpu, Op* p)
    {
        long old = Arena.Read(p->Offset, p->Size);
        bool writes = p->Kind == OpKind.Lock || p->Rmw != RmwKind.CompareExchange || old == p->B;
        long value = p->Kind == OpKind.Lock ? p->B : Bytes.Cut(Bytes.Apply(p->Rmw, old, p->A, p->B), p->Size);
        Access access = p->Commutes ? p->Intent : writes ? Access.Write : Explorer.Defect == EngineDefect.FailedCasIsNoRead ? Access.None : Access.Read;
        Enter(agent, p, access, old, value);
        CheckWrite(cpu, p);
        // An add whose result is unused publishes but acquires nothing: two of them commute in every respect.
        if (!p->Commutes) RaceDetector.Read(cpu, p->Location, false, p->Site);
        RaceDetector.Fence(cpu);
        if (!writes) return old;
        Arena.Write(p->Offset, p->Size, value);
        RaceDetector.Write(cpu, p->Location, p->Site);
        RaceDetector.PublishToo(cpu, p->Location);
        return old;
    }

    /// <summary>A store goes into the CPU's buffer.</summary>
    private static void Buffer(int cpu, Op* p, VectorClock* issued)
    {
        CheckWrite(cpu, p);
        RaceDetector.Write(cpu, p->Location, p->Site);
        BufferedStore* s = StoreBuffers.Push(cpu);
        if (s == null) Fail(Verdict.StepLimit, $"more than {Limits.Buffered} stores in the buffer of CPU{cpu}", p->Site);
        (s->Offset, s->Size, s->Location, s->Value, s->Site, s->BeforeFree) = (p->Offset, p->Size, p->Location, p->A, p->Site, false);
        RaceDetector.Release(cpu, p->Relaxed, &s->Publishes);
        s->Issued = *issued;
    }

    /// <summary>Under TSO, a store that is no step of its own.</summary>
    public static void BufferNow(in Op op)
    {
        if (Stopping) Abandon(Current);
        Op p = op;
        Buffer(CurrentCpu, &p, clock + Current);
    }

    /// <summary>A plain store to bytes that a marked store of the same CPU has not reached yet queues behind it.</summary>
    public static void BufferPlain(int cpu, int offset, int size, long v, int location, int site)
    {
        BufferedStore* s = StoreBuffers.Push(cpu);
        if (s == null) Fail(Verdict.StepLimit, $"more than {Limits.Buffered} stores in the buffer of CPU{cpu}", site);
        (s->Offset, s->Size, s->Location, s->Value, s->Site, s->BeforeFree) = (offset, (byte)size, location, v, site, false);
        RaceDetector.Release(cpu, true, &s->Publishes);
        s->Issued = clock[Current];
    }

    /// <summary>Only a process-wide fence looks at the number of buffered stores; 0 where there is none.</summary>
    private static int BufferCountLocation(int cpu) => Explorer.SawProcessWideFence ? Locations.Of(Arena.BufferCount(cpu), 4) : 0;

    private static void Drain(int agent)
    {
        int cpu = agent - DrainBase;
        BufferedStore s = StoreBuffers.Pop(cpu);
        VectorClock.Join(clock + agent, &s.Issued);
        var p = new Op { Kind = OpKind.Drain, Offset = s.Offset, Size = s.Size, Location = s.Location, Site = s.Site };
        Enter(agent, &p, Access.Write, Arena.Read(s.Offset, s.Size), s.Value);
        if (StoresAreSteps) Arena.Write(Arena.BufferCount(cpu), 4, StoreBuffers.Count(cpu));
        if (Life.IsFreed(s.Offset) && !s.BeforeFree)
        {
            Record(Verdict.UseAfterFree, $"a store of CPU{cpu} reaches freed {Names.Of(s.Offset, s.Size)}", s.Site);
            return;
        }
        Arena.Write(s.Offset, s.Size, s.Value);
        RaceDetector.Publish(s.Location, &s.Publishes);
    }

    /// <summary>Enters the event of the node just chosen: its races, its place in the order.</summary>
    private static void Enter(int agent, Op* p, Access access, long old, long value)
    {
        int i = Depth - 1;
        Event* e = Events + i;
        (e->Agent, e->Kind, e->Rmw, e->Size, e->Access, e->Location, e->Offset, e->Site) = (agent, p->Kind, p->Rmw, p->Size, access, p->Location, p->Offset, p->Site);
        (e->Old, e->Value, e->Location2, e->Access2) = (old, value, 0, Access.None);
        if (!Explorer.Reducing) return;
        if (p->CpuWord != 0) (e->Location2, e->Access2) = (p->CpuWord, Access.Read);
        else if (p->Kind == OpKind.Drain) (e->Location2, e->Access2) = (BufferCountLocation(agent - DrainBase), Access.Write);
        VectorClock* c = clock + agent;
        VectorClock own = *c;
        if (Tso && p->NeedsDrainedBuffer) VectorClock.Join(c, clock + DrainBase + CpuOf(agent)); // after the last drain it waited for
        if (i >= Tree.Prefix - 1) Dpor.Races(i, p, c, Explorer.Defect == EngineDefect.WaitedForIrqStoresHideTheIrq ? c : &own);
        if (e->Location != 0 && access != Access.None)
        {
            History* h = History.Of(e->Location);
            History.Join(h, agent, p->Kind, access, c);
            e->PrevChange = History.Enter(h, i, agent, p->Kind, access);
        }
        if (e->Location2 != 0)
        {
            History* h = History.Of(e->Location2);
            History.Join(h, agent, p->Kind, e->Access2, c);
            e->PrevChange2 = History.Enter(h, i, agent, p->Kind, e->Access2);
        }
        e->Seq = ++c->At[agent];
        e->Clock = *c;
    }

    private static void CheckRead(int cpu, Op* p)
    {
        if (!Life.Readable(p->Offset, p->Size)) FailLife(cpu, p);
    }

    private static void CheckWrite(int cpu, Op* p)
    {
        if (!Life.Writable(p->Offset, p->Size)) FailLife(cpu, p);
    }

    private static void FailLife(int cpu, Op* p) => Fail(Life.Fault(p->Offset, p->Size),
        $"{p->Kind} of {Names.Of(p->Offset, p->Size)} by CPU{cpu}: {Life.Describe(p->Offset, p->Size)}", p->Site);
}
