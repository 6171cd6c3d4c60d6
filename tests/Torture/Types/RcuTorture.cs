// SPDX-License-Identifier: GPL-2.0-only
using System.Globalization;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>What may be wrong with RCU or with a reader.</summary>
internal enum RcuBug
{
    /// <summary>Nothing.</summary>
    None,
    /// <summary>An element ages without a grace period.</summary>
    NoGracePeriod,
    /// <summary>A reader enters no section.</summary>
    UnprotectedReader,
}

/// <summary>
/// Each CPU publishes an element and replaces it; what was replaced gets one step older with each grace period. A reader that leaves
/// its section must not hold an element older than 1 (removed meanwhile). Linux: kernel/rcu/rcutorture.c, rtort_pipe_count.
/// </summary>
internal sealed unsafe class RcuTorture(RcuFlavour flavour, RcuBug bug = RcuBug.None, string? busted = null) : TortureType
{
    private const int Elements = 32, FreeAge = 4;
    private const long Alive = 0x5a5a5a5a, Dead = 0x6b6b6b6b;
    private const int Read = 0, NestedRead = 1, Call = 2, Synchronize = 3, Barrier = 4, NoElement = 5, Removed = 6;

    [StructLayout(LayoutKind.Explicit, Size = 128)]
    private struct Element
    {
        [FieldOffset(0)] public RcuHead Head;
        [FieldOffset(16)] public Guarded<nint> Own;
        [FieldOffset(24)] public GuardedPtr<byte> NextFree;
        [FieldOffset(64)] public AtomicInt Age;
        [FieldOffset(72)] public AtomicLong Magic;
    }

    /// <summary>A CPU's: the published element (own line), its free elements, calls made and callbacks run.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Own
    {
        [FieldOffset(0)] public AtomicPtr<Element> Current;
        [FieldOffset(128)] public GuardedPtr<Element> Free;
        [FieldOffset(136)] public Guarded<long> Calls;
        [FieldOffset(144)] public Guarded<long> Ran;
        [FieldOffset(152)] public Guarded<long> FreeCount;
    }

    private Own* owns;
    private Element* elements;
    private long[][] pipe = [];

    public override string Name => busted ?? (flavour == RcuFlavour.Qsbr ? "rcu.qsbr" : "rcu.membarrier");
    public override bool Busted => busted is not null;
    public override RcuFlavour? Wants => flavour;
    public override IReadOnlyList<string> Counters { get; } = ["read", "read-nested", "call_rcu", "synchronize_rcu", "rcu_barrier", "no-element", "seen-removed"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Read, NestedRead, Call, Synchronize, Barrier, Removed];
    public override string Statistics => "pipe " + string.Join(' ', Enumerable.Range(0, FreeAge + 1).Select(a => pipe.Sum(p => p[a]).ToString(CultureInfo.InvariantCulture)));

    protected override void SetUp()
    {
        int cpus = Cpus.Count;
        owns = (Own*)NativeMemory.AlignedAlloc((nuint)(cpus * sizeof(Own)), 256);
        NativeMemory.Clear(owns, (nuint)(cpus * sizeof(Own)));
        nuint bytes = (nuint)(cpus * Elements * sizeof(Element));
        elements = (Element*)NativeMemory.AlignedAlloc(bytes, 256);
        NativeMemory.Clear(elements, bytes);
        pipe = [.. Enumerable.Range(0, cpus).Select(_ => new long[FreeAge + 16])];
        for (int i = 0; i < cpus * Elements; i++)
        {
            Guarded<nint>.Set(&elements[i].Own, (nint)(owns + i / Elements));
            AtomicLong.Init(&elements[i].Magic, Dead);
            Give(owns + i / Elements, elements + i);
        }
        for (int i = 0; i < cpus; i++) AtomicPtr<Element>.Init(&owns[i].Current, Take(owns + i));
    }

    private static void Give(Own* own, Element* e)
    {
        GuardedPtr<byte>.Set(&e->NextFree, (byte*)GuardedPtr<Element>.Get(&own->Free));
        GuardedPtr<Element>.Set(&own->Free, e);
        Guarded<long>.Set(&own->FreeCount, Guarded<long>.Get(&own->FreeCount) + 1);
    }

    private static Element* Take(Own* own)
    {
        Element* e = GuardedPtr<Element>.Get(&own->Free);
        if (e == null) return null;
        GuardedPtr<Element>.Set(&own->Free, (Element*)GuardedPtr<byte>.Get(&e->NextFree));
        Guarded<long>.Set(&own->FreeCount, Guarded<long>.Get(&own->FreeCount) - 1);
        AtomicInt.Store(&e->Age, 0);
        AtomicLong.Store(&e->Magic, Alive);
        return e;
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        switch (w.Random(4096))
        {
            case < 2:
                w.Did(Barrier);
                long made = Guarded<long>.Get(&owns[cpu.Index].Calls);
                Rcu.Barrier(cpu);
                if (Guarded<long>.Get(&owns[cpu.Index].Ran) < made) throw new TortureException($"rcu_barrier returned, {Guarded<long>.Get(&owns[cpu.Index].Ran)} of {made} callbacks have run");
                break;
            case < 10:
                Replace(cpu, w, wait: true);
                break;
            case < 400:
                Replace(cpu, w, wait: false);
                break;
            case < 900:
                w.Did(NestedRead);
                Rcu.ReadLock(cpu);
                Look(cpu, w);
                Look(cpu, w);
                Rcu.ReadUnlock(cpu);
                break;
            default:
                w.Did(Read);
                Look(cpu, w);
                break;
        }
    }

    private void Look(in ThisCpu cpu, Worker w)
    {
        bool section = bug != RcuBug.UnprotectedReader;
        if (section) Rcu.ReadLock(cpu);
        Element* e = AtomicPtr<Element>.Load(&owns[w.Random(Cpus.Count)].Current);
        for (int i = w.Random(4); i >= 0; i--) Check(e);
        if (w.OneIn(512)) Thread.Yield(); // preempted inside
        else if (w.OneIn(32)) Thread.SpinWait(w.Random(100));
        Check(e);
        int age = AtomicInt.Load(&e->Age);
        if (section) Rcu.ReadUnlock(cpu);
        pipe[cpu.Index][Math.Min(age, FreeAge)]++;
        if (age == 1) w.Hit(Removed);
        if (age > 1) throw new TortureException($"{Name}: a reader held an element through {age - 1} grace periods");
    }

    private void Check(Element* e)
    {
        long magic = AtomicLong.Load(&e->Magic);
        if (magic != Alive) throw new TortureException($"{Name}: a reader found a freed element, magic {magic:x}, age {AtomicInt.Load(&e->Age)}");
    }

    private void Replace(in ThisCpu cpu, Worker w, bool wait)
    {
        Own* own = owns + cpu.Index;
        Element* e = Take(own);
        if (e == null)
        {
            w.Hit(NoElement);
            Poll.Run(cpu);
            return;
        }
        w.Did(wait ? Synchronize : Call, (long)e);
        Element* old = AtomicPtr<Element>.Exchange(&own->Current, e);
        AtomicInt.Store(&old->Age, 1);
        if (bug == RcuBug.NoGracePeriod) AtomicInt.Store(&old->Age, 2);
        if (wait)
        {
            Rcu.Synchronize(cpu);
            AtomicInt.Store(&old->Age, AtomicInt.Load(&old->Age) + 1);
        }
        Queue(cpu, old);
    }

    private static void Queue(in ThisCpu cpu, Element* e)
    {
        var own = (Own*)Guarded<nint>.Get(&e->Own);
        Guarded<long>.Set(&own->Calls, Guarded<long>.Get(&own->Calls) + 1);
        Rcu.Call(cpu, &e->Head, &Aged);
    }

    private static void Aged(in ThisCpu cpu, RcuHead* head)
    {
        var e = (Element*)head;
        var own = (Own*)Guarded<nint>.Get(&e->Own);
        Guarded<long>.Set(&own->Ran, Guarded<long>.Get(&own->Ran) + 1);
        int age = AtomicInt.Load(&e->Age) + 1;
        AtomicInt.Store(&e->Age, age);
        if (age < FreeAge)
        {
            Queue(cpu, e);
            return;
        }
        AtomicLong.Store(&e->Magic, Dead);
        Give(own, e);
    }

    public override void Check(ICollection<string> wrong)
    {
        for (int i = 0; i < Cpus.Count; i++)
        {
            long free = Guarded<long>.Get(&owns[i].FreeCount);
            if (free != Elements - 1) wrong.Add($"cpu {i}: {free} elements are free, one is published, and there are {Elements}: callbacks are missing");
            if (AtomicLong.Load(&Cpus.Area(i)->Rcu.Queued) != AtomicLong.Load(&Cpus.Area(i)->Rcu.Run)) wrong.Add($"cpu {i} went offline with callbacks");
        }
    }

    public override void TearDown()
    {
        base.TearDown();
        NativeMemory.AlignedFree(owns);
        NativeMemory.AlignedFree(elements);
    }
}
