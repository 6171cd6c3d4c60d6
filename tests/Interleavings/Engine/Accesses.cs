// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// What Machine calls. A marked access becomes a step of the running agent; a plain access is checked and done; outside any agent (Setup,
/// Final) everything is done at once.
/// </summary>
internal static unsafe class Accesses
{
    public static long Load(void* p, int size, int site)
    {
        if (Run.Current < 0) return Arena.Read(Arena.Direct(p, size), size);
        Op op = At(p, size, site, OpKind.Load);
        if (Mutations.Hits(site, MutationOp.LoadRelaxed)) op.Relaxed = true;
        int agent = Run.Current;
        if (Mutations.Hits(site, MutationOp.StaleReread) && Mutations.TryStale(agent, op.Location, out long stale)) return stale;
        long v = Run.Step(op);
        Mutations.Loaded(agent, op.Location, v);
        return v;
    }

    public static void Store(void* p, int size, long v, int site)
    {
        if (Run.Current < 0)
        {
            Arena.Write(Arena.Direct(p, size), size, v);
            return;
        }
        Op op = At(p, size, site, OpKind.Store);
        op.A = v;
        if (Mutations.Hits(site, MutationOp.StoreRelaxed)) op.Relaxed = true;
        if (Mutations.Hits(site, MutationOp.DropStore)) return;
        if (Mutations.Hits(site, MutationOp.DelayStore) && !Mutations.HasDelayed(Run.Current))
        {
            Mutations.Delay(Run.Current, op);
            return;
        }
        Issue(op);
        FlushDelayed();
    }

    private static void Issue(Op op)
    {
        if (!Run.Tso) Run.Step(op);
        else if (Run.StoresAreSteps) Run.Step(op with { Kind = OpKind.Buffer });
        else Run.BufferNow(op);
    }

    /// <summary>A store that a mutation held back goes out now.</summary>
    public static void FlushDelayed()
    {
        if (Mutations.TakeDelayed(Run.Current, out Op store)) Issue(store);
    }

    /// <summary>Returns the old value.</summary>
    public static long Rmw(void* p, int size, RmwKind kind, long a, long expected, bool resultUnused, int site)
    {
        if (Run.Current < 0)
        {
            int at = Arena.Direct(p, size);
            long before = Arena.Read(at, size);
            Arena.Write(at, size, Bytes.Apply(kind, before, a, expected));
            return before;
        }
        Op op = At(p, size, site, OpKind.Rmw);
        (op.Rmw, op.A, op.B) = (kind, a, expected);
        if (resultUnused) op.Commutes = kind == RmwKind.Add && Locations.AddsCommute(op.Location);
        if (Mutations.Hits(site, MutationOp.DropStore)) return Run.Step(op with { Kind = OpKind.Load });
        if (Mutations.Hits(site, MutationOp.SplitRmw))
        {
            long seen = Run.Step(op with { Kind = OpKind.Load });
            if (kind != RmwKind.CompareExchange || seen == expected) Issue(op with { Kind = OpKind.Store, A = Bytes.Apply(kind, seen, a, expected) });
            return seen;
        }
        long old = Run.Step(op);
        FlushDelayed();
        return old;
    }

    public static void Fence(int site)
    {
        if (Run.Current < 0 || Mutations.Hits(site, MutationOp.DropFence)) return;
        if (Run.Tso) Run.Step(new Op { Kind = OpKind.Fence, Site = site });
        else RaceDetector.Fence(Run.CurrentCpu);
    }

    /// <summary>membarrier: every CPU's buffer is empty at some moment of its own between begin and end.</summary>
    public static void ProcessWideFence(int site)
    {
        if (Run.Current < 0 || Mutations.Hits(site, MutationOp.DropFence)) return;
        RaceDetector.Fence(Run.CurrentCpu);
        if (!Run.Tso) return;
        Explorer.MeetProcessWideFence();
        for (int c = 0; c < Run.Cpus; c++)
        {
            int count = Arena.BufferCount(c);
            Run.Step(new Op { Kind = OpKind.RemoteFence, Offset = count, Size = 4, Location = Locations.Of(count, 4), Site = site });
        }
    }

    public static long Await(void* p, int size, OpKind kind, long a, int site)
    {
        if (Run.Current < 0)
        {
            long now = Arena.Read(Arena.Direct(p, size), size);
            if (now == a != (kind == OpKind.AwaitEqual)) throw new InvalidOperationException($"{Sites.Name(site)}: a wait outside any CPU would never end");
            return now;
        }
        Op op = At(p, size, site, kind);
        op.A = a;
        Locations.Await(op.Location);
        if (Mutations.Hits(site, MutationOp.SkipWait)) op.Kind = OpKind.Load;
        if (Mutations.Hits(site, MutationOp.LoadRelaxed)) op.Relaxed = true;
        return Run.Step(op);
    }

    public static long Plain(void* p, int size, int site)
    {
        if (Run.Current < 0) return Arena.Read(Arena.Direct(p, size), size);
        if (Run.PlainIsMarked) return Load(p, size, site);
        Run.CheckAlive();
        if (--Run.PlainLeft < 0) Run.Fail(Verdict.StepLimit, "a loop over plain accesses that does not end", site);
        int offset = Offset(p, size, site), cpu = Run.CurrentCpu;
        if (!Life.Readable(offset, size)) Run.Fail(Life.Fault(offset, size), $"plain read of {Names.Of(offset, size)} by CPU{cpu}: {Life.Describe(offset, size)}", site);
        RaceDetector.PlainRead(cpu, Locations.Of(offset, size), site);
        return StoreBuffers.Read(cpu, offset, size);
    }

    public static void PlainStore(void* p, int size, long v, int site)
    {
        if (Run.Current < 0)
        {
            Arena.Write(Arena.Direct(p, size), size, v);
            return;
        }
        if (Run.PlainIsMarked)
        {
            Store(p, size, v, site);
            return;
        }
        Run.CheckAlive();
        if (!LooksLikeCode(v, size) && Mutations.Hits(site, MutationOp.DropPlainStore)) return;
        int offset = Offset(p, size, site), cpu = Run.CurrentCpu;
        if (!Life.Writable(offset, size)) Run.Fail(Life.Fault(offset, size), $"plain write of {Names.Of(offset, size)} by CPU{cpu}: {Life.Describe(offset, size)}", site);
        int location = Locations.Of(offset, size);
        RaceDetector.PlainWrite(cpu, location, "plain write", site);
        if (Run.Tso && StoreBuffers.Holds(cpu, offset, size)) Run.BufferPlain(cpu, offset, size, v, location, site);
        else Arena.Write(offset, size, v);
    }

    /// <summary>A function pointer: without it the program jumps to nowhere, which no explorer survives and no mutant has to show.</summary>
    private static bool LooksLikeCode(long v, int size) => size == 8 && v > uint.MaxValue && Arena.PointsAt(v) < 0;

    public static void OnAlloc(void* p, nuint bytes, int site)
    {
        int offset = Arena.Direct(p, (int)bytes);
        if (Run.Current < 0)
        {
            Life.Born(offset, (int)bytes);
            return;
        }
        Run.CheckAlive();
        WriteAll(offset, (int)bytes, "allocation", site);
        Life.Allocate(offset, (int)bytes, site);
    }

    public static void OnFree(void* p, nuint bytes, int site)
    {
        int offset = Arena.Direct(p, (int)bytes);
        if (Run.Current >= 0)
        {
            Run.CheckAlive();
            if (Life.IsFreed(offset)) Run.Fail(Verdict.DoubleFree, $"CPU{Run.CurrentCpu} frees {Names.Of(offset, 1)} again", site);
            WriteAll(offset, (int)bytes, "free", site);
            StoreBuffers.OnFree(Run.CurrentCpu, offset, (int)bytes);
        }
        Life.Free(offset, (int)bytes);
    }

    /// <summary>Type-stable recycling: stale readers may still look, so only the life map is asked.</summary>
    public static void OnReuse(void* p, nuint bytes, int site)
    {
        int offset = Arena.Direct(p, (int)bytes);
        if (Run.Current >= 0 && Life.IsFreed(offset)) Run.Fail(Verdict.UseAfterFree, $"CPU{Run.CurrentCpu} recycles {Names.Of(offset, 1)} after it was freed", site);
    }

    public static void Lock(void* p, int site)
    {
        if (Run.Current < 0)
        {
            Arena.Write(Arena.Direct(p, 4), 4, 1);
            return;
        }
        if (Mutations.Hits(site, MutationOp.DropLock)) return;
        Op op = At(p, 4, site, OpKind.Lock);
        op.B = Run.Current + 1;
        Locations.Await(op.Location);
        Run.Step(op);
        FlushDelayed();
    }

    public static bool TryLock(void* p, int site) =>
        Run.Current < 0 ? Rmw(p, 4, RmwKind.CompareExchange, 1, 0, false, site) == 0 : Rmw(p, 4, RmwKind.CompareExchange, Run.Current + 1, 0, false, site) == 0;

    public static void Unlock(void* p, int site)
    {
        if (Run.Current >= 0 && Mutations.Op != MutationOp.DropLock)
        {
            Run.CheckAlive();
            long holder = StoreBuffers.Read(Run.CurrentCpu, Offset(p, 4, site), 4);
            if (holder != Run.Current + 1) Run.Fail(Verdict.Assert,
                $"{Run.AgentName(Run.Current)} releases {Names.Of(Offset(p, 4, site), 4)}, {(holder == 0 ? "which is free" : "held by " + Run.AgentName((int)holder - 1))}", site);
        }
        Store(p, 4, 0, site);
    }

    /// <summary>Every location inside that was ever touched counts as written.</summary>
    private static void WriteAll(int offset, int bytes, string what, int site)
    {
        int last = 0;
        for (int i = offset; i < offset + bytes; i++)
        {
            int l = Locations.Known(i);
            if (l == 0 || l == last) continue;
            RaceDetector.PlainWrite(Run.CurrentCpu, l, what, site);
            last = l;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Op At(void* p, int size, int site, OpKind kind)
    {
        int offset = Offset(p, size, site);
        return new Op { Kind = kind, Size = (byte)size, Offset = offset, Location = Locations.Of(offset, size), Site = site };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Offset(void* p, int size, int site)
    {
        int offset = Arena.OffsetOf(p, size);
        if (offset < 0 || (offset & (size - 1)) != 0) Wild((long)p, size, site);
        return offset;
    }

    private static void Wild(long p, int size, int site) => Run.Fail(Verdict.WildAccess,
        $"CPU{Run.CurrentCpu} touches {size} bytes at 0x{p:x}, which is no aligned address of the arena", site);
}
