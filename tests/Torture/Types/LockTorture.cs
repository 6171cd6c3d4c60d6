// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// Four locks of one kind, taken in order and up to three at once. Under each: an owner word and two counts that must be equal whoever
/// looks. At rest no lock is held and each count is what the CPUs remember. WaitForHolder must outlast the section it waited for.
/// </summary>
internal sealed unsafe class LockTorture<TLock>(string? busted = null) : TortureType where TLock : struct, ILockKind
{
    private const int Locks = 4;
    private const int Acquired = 0, Tried = 1, TryFailed = 2, Nested = 3, WaitedFor = 4, Contended = 5;

    private LockSlot* slots;
    private long[][] mine = [];

    public override string Name => busted ?? "locks." + TLock.Name;
    public override bool Busted => busted is not null;
    public override IReadOnlyList<string> Counters { get; } = ["acquire", "try", "try-failed", "nested", "wait-for-holder", "contended"];
    public override IReadOnlyList<int> BlindSpots { get; } = [Acquired, Tried, TryFailed, Nested, WaitedFor, Contended];

    protected override void SetUp()
    {
        slots = (LockSlot*)NativeMemory.AlignedAlloc(Locks * 256, 256);
        NativeMemory.Clear(slots, Locks * 256);
        for (int i = 0; i < Locks; i++) TLock.Init(&slots[i].Lock);
        mine = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new long[Locks + 16])];
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        int i = w.Random(Locks);
        switch (w.Random(16))
        {
            case 0:
                WaitFor(w, i);
                break;
            case < 4:
                w.Did(Tried, i);
                if (TLock.TryAcquire(cpu, &slots[i].Lock))
                {
                    Section(cpu, w, i);
                    TLock.Release(cpu, &slots[i].Lock);
                }
                else w.Hit(TryFailed);
                break;
            case < 7 when i + 1 < Locks:
                w.Did(Nested, i);
                int j = i + 1 + w.Random(Locks - i - 1);
                Take(cpu, w, i);
                Take(cpu, w, j);
                if (w.OneIn(2)) (i, j) = (j, i); // release in either order
                TLock.Release(cpu, &slots[i].Lock);
                TLock.Release(cpu, &slots[j].Lock);
                break;
            default:
                w.Did(Acquired, i);
                Take(cpu, w, i);
                TLock.Release(cpu, &slots[i].Lock);
                break;
        }
    }

    private void Take(in ThisCpu cpu, Worker w, int i)
    {
        if (TLock.IsHeld(&slots[i].Lock)) w.Hit(Contended);
        TLock.Acquire(cpu, &slots[i].Lock);
        Section(cpu, w, i);
    }

    private void Section(in ThisCpu cpu, Worker w, int i)
    {
        LockSlot* s = slots + i;
        long owner = Guarded<long>.Get(&s->Owner), first = Guarded<long>.Get(&s->First), second = Guarded<long>.Get(&s->Second);
        if (owner != 0) throw new TortureException($"{Name}: lock {i} is cpu {owner - 1}'s and cpu {cpu.Index} is inside");
        if (first != second) throw new TortureException($"{Name}: counts under lock {i} are {first} and {second}");
        Guarded<long>.Set(&s->Owner, cpu.Index + 1);
        AtomicLong.Store(&s->Sections, AtomicLong.Load(&s->Sections) + 1);
        Guarded<long>.Set(&s->First, first + 1);
        Thread.SpinWait(w.Random(w.OneIn(64) ? 200 : 4));
        if (!TLock.IsHeld(&s->Lock)) throw new TortureException($"{Name}: lock {i} is free while cpu {cpu.Index} holds it");
        Guarded<long>.Set(&s->Second, second + 1);
        AtomicLong.Store(&s->Sections, AtomicLong.Load(&s->Sections) + 1);
        if (Guarded<long>.Get(&s->Owner) != cpu.Index + 1) throw new TortureException($"{Name}: cpu {cpu.Index} lost lock {i} while inside");
        Guarded<long>.Set(&s->Owner, 0);
        mine[cpu.Index][i]++;
    }

    private void WaitFor(Worker w, int i)
    {
        w.Did(WaitedFor, i);
        long before = AtomicLong.Load(&slots[i].Sections);
        TLock.WaitForHolder(&slots[i].Lock);
        if ((before & 1) != 0 && AtomicLong.Load(&slots[i].Sections) == before)
            throw new TortureException($"{Name}: the wait for lock {i} ended inside the section it waited for");
    }

    public override void Check(ICollection<string> wrong)
    {
        for (int i = 0; i < Locks; i++)
        {
            long sum = mine.Sum(m => m[i]), count = Guarded<long>.Get(&slots[i].First);
            if (sum != count || count != Guarded<long>.Get(&slots[i].Second)) wrong.Add($"lock {i}: {sum} sections, counted {count} and {Guarded<long>.Get(&slots[i].Second)}");
            if (TLock.IsHeld(&slots[i].Lock)) wrong.Add($"lock {i} is held, yet nobody runs");
        }
    }

    public override void TearDown()
    {
        base.TearDown();
        NativeMemory.AlignedFree(slots);
    }
}

/// <summary>A lock and what it guards. Beside the generic type: those cannot have explicit layout.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct LockSlot
{
    [FieldOffset(0)] public LockWord Lock;
    [FieldOffset(64)] public Guarded<long> First;
    [FieldOffset(72)] public Guarded<long> Owner;
    [FieldOffset(80)] public AtomicLong Sections; // odd inside a section
    [FieldOffset(128)] public Guarded<long> Second;
}
