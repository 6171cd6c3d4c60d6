// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>How a reference count is killed: the seam for the busted twin.</summary>
internal unsafe interface IRefKill
{
    static abstract void Kill(in ThisCpu cpu, PerCpuRef* r, delegate*<in ThisCpu, PerCpuRef*, void> confirm);
}

/// <summary>As it is.</summary>
internal readonly unsafe struct RealKill : IRefKill
{
    public static void Kill(in ThisCpu cpu, PerCpuRef* r, delegate*<in ThisCpu, PerCpuRef*, void> confirm) => PerCpuRef.Kill(cpu, r, confirm);
}

/// <summary>
/// Objects that live while somebody refers to them: looked up under RCU, referenced on one CPU, put on another, killed by a third.
/// Beside each count stands one word that every holder adds to: it must be 0 at the release, and there is exactly one release per life.
/// </summary>
internal sealed unsafe class PercpuRefTorture<TKill>(string? busted = null) : TortureType where TKill : struct, IRefKill
{
    private const int Slots = 4, Objects = 64, Held = 24;
    private const int TryGet = 0, TryGetLive = 1, GetMany = 2, Put = 3, Handed = 4, Kill = 5, Born = 6, Refused = 7, PutElsewhere = 8;

    private RefObject* objects;
    private AtomicPtr<RefObject>* slots;
    private AtomicPtr<RefObject>* handOver;
    private byte* counters;
    private nint[][] bags = [];
    private int[] bag = [];

    public override string Name => busted ?? "percpuref";
    public override bool Busted => busted is not null;
    public override IReadOnlyList<string> Counters { get; } = ["tryget", "tryget-live", "get-many", "put", "hand-over", "kill", "born", "refused", "put-elsewhere"];
    public override IReadOnlyList<int> BlindSpots { get; } = [TryGet, TryGetLive, GetMany, Put, Handed, Kill, Born, Refused, PutElsewhere];

    protected override void SetUp()
    {
        nuint each = PerCpuRef.BytesFor(Cpus.Count);
        objects = (RefObject*)Zeroed(Objects * (nuint)sizeof(RefObject));
        counters = (byte*)Zeroed(Objects * each);
        slots = (AtomicPtr<RefObject>*)Zeroed(Slots * 8 + 512);
        handOver = slots + Slots;
        for (int i = 0; i < Objects; i++) Guarded<nint>.Set(&objects[i].Counters, (nint)(counters + (nuint)i * each));
        bags = [.. Enumerable.Range(0, Cpus.Count).Select(_ => new nint[Held + 16])];
        bag = new int[Cpus.Count * 32];
    }

    private static void* Zeroed(nuint bytes)
    {
        void* p = NativeMemory.AlignedAlloc(bytes, 256);
        NativeMemory.Clear(p, bytes);
        return p;
    }

    public override void Step(in ThisCpu cpu, Worker w)
    {
        int slot = w.Random(Slots);
        switch (w.Random(64))
        {
            case 0:
                KillSlot(cpu, w, slot);
                break;
            case < 4:
                Bear(cpu, w, slot);
                break;
            case < 12:
                Exchange(cpu, w);
                break;
            case < 36:
                PutOne(cpu, w);
                break;
            default:
                GetOne(cpu, w, slot);
                break;
        }
    }

    private void GetOne(in ThisCpu cpu, Worker w, int slot)
    {
        if (bag[cpu.Index * 32] >= Held - 3) return;
        bool live = w.OneIn(2);
        Rcu.ReadLock(cpu);
        RefObject* o = AtomicPtr<RefObject>.Load(slots + slot);
        bool got = o != null && (live ? PerCpuRef.TryGetLive(cpu, &o->Ref) : PerCpuRef.TryGet(cpu, &o->Ref));
        if (got) AtomicLong.Add(&o->Holders, 1);
        Rcu.ReadUnlock(cpu);
        w.Did(live ? TryGetLive : TryGet, (long)o, got ? 1 : 0);
        if (!got)
        {
            w.Hit(Refused);
            return;
        }
        Keep(cpu, o);
        if (!w.OneIn(4)) return;
        w.Did(GetMany, (long)o);
        AtomicLong.Add(&o->Holders, 2);
        PerCpuRef.GetMany(cpu, &o->Ref, 2);
        Keep(cpu, o);
        Keep(cpu, o);
    }

    private void Keep(in ThisCpu cpu, RefObject* o) => bags[cpu.Index][bag[cpu.Index * 32]++] = (nint)o;

    private void PutOne(in ThisCpu cpu, Worker w)
    {
        ref int n = ref bag[cpu.Index * 32];
        if (n == 0) return;
        int at = w.Random(n);
        var o = (RefObject*)bags[cpu.Index][at];
        bags[cpu.Index][at] = bags[cpu.Index][--n];
        w.Did(Put, (long)o);
        Drop(cpu, o);
    }

    private void Drop(in ThisCpu cpu, RefObject* o)
    {
        if (AtomicInt.Load(&o->Alive) == 0) throw new TortureException($"{Name}: an object was released while a reference was held");
        AtomicLong.Add(&o->Holders, -1);
        PerCpuRef.Put(cpu, &o->Ref);
    }

    /// <summary>Leaves a reference for another CPU, or puts one that was left.</summary>
    private void Exchange(in ThisCpu cpu, Worker w)
    {
        ref int n = ref bag[cpu.Index * 32];
        RefObject* mine = n == 0 ? null : (RefObject*)bags[cpu.Index][--n];
        RefObject* other = AtomicPtr<RefObject>.Exchange(handOver + w.Random(8), mine);
        w.Did(Handed, (long)mine, (long)other);
        if (other == null) return;
        w.Hit(PutElsewhere);
        Drop(cpu, other);
    }

    private void KillSlot(in ThisCpu cpu, Worker w, int slot)
    {
        // One section over look-up, kill and removal: the object cannot start a new life in between, nor be freed while it is in a slot.
        using var read = new RcuReadGuard(cpu);
        RefObject* o = AtomicPtr<RefObject>.Load(slots + slot);
        if (o == null) return;
        bool removeFirst = w.OneIn(2); // else TryGetLive meets dying objects
        if (removeFirst && AtomicPtr<RefObject>.CompareExchange(slots + slot, null, o) != o) return;
        if (AtomicInt.CompareExchange(&o->InUse, 2, 1) != 1) return; // another CPU kills it
        w.Did(Kill, (long)o);
        TKill.Kill(cpu, &o->Ref, &OnConfirm);
        if (!removeFirst) AtomicPtr<RefObject>.CompareExchange(slots + slot, null, o);
    }

    private static void OnConfirm(in ThisCpu cpu, PerCpuRef* r) => AtomicInt.Store(&((RefObject*)r)->Confirmed, 1);

    private static void OnRelease(in ThisCpu cpu, PerCpuRef* r)
    {
        var o = (RefObject*)r;
        long holders = AtomicLong.Load(&o->Holders);
        if (holders != 0) throw new TortureException($"percpuref: released while {holders} references are held");
        if (AtomicInt.AddReturn(&o->Releases, 1) != 1) throw new TortureException("percpuref: released twice");
        if (AtomicInt.Load(&o->Confirmed) == 0) throw new TortureException("percpuref: released before the kill was confirmed");
        AtomicInt.Store(&o->Alive, 0);
        Rcu.Call(cpu, &o->Free, &OnFree);
    }

    private static void OnFree(in ThisCpu cpu, RcuHead* head)
    {
        var o = (RefObject*)((byte*)head - 64);
        PerCpuRef.Exit(&o->Ref);
        AtomicInt.Store(&o->InUse, 0);
    }

    private void Bear(in ThisCpu cpu, Worker w, int slot)
    {
        if (AtomicPtr<RefObject>.Load(slots + slot) != null) return;
        RefObject* o = objects + w.Random(Objects);
        if (AtomicInt.CompareExchange(&o->InUse, 3, 0) != 0) return;
        w.Did(Born, (long)o);
        void* own = (void*)Guarded<nint>.Get(&o->Counters);
        NativeMemory.Clear(own, PerCpuRef.BytesFor(Cpus.Count));
        AtomicInt.Store(&o->Releases, 0);
        AtomicInt.Store(&o->Confirmed, 0);
        AtomicInt.Store(&o->Alive, 1);
        PerCpuRef.Init(&o->Ref, own, &OnRelease);
        AtomicInt.Store(&o->InUse, 1);
        if (AtomicPtr<RefObject>.CompareExchange(slots + slot, o, null) == null) return;
        if (AtomicInt.CompareExchange(&o->InUse, 2, 1) == 1) TKill.Kill(cpu, &o->Ref, &OnConfirm); // somebody else was first: it dies at once
    }

    public override void Check(ICollection<string> wrong)
    {
        var held = new Dictionary<nint, long>();
        for (int c = 0; c < Cpus.Count; c++)
            for (int i = 0; i < bag[c * 32]; i++) held[bags[c][i]] = held.GetValueOrDefault(bags[c][i]) + 1;
        for (int i = 0; i < 8; i++)
            if (AtomicPtr<RefObject>.Load(handOver + i) is var o && o != null) held[(nint)o] = held.GetValueOrDefault((nint)o) + 1;
        for (int i = 0; i < Objects; i++)
        {
            long expected = held.GetValueOrDefault((nint)(objects + i)), holders = AtomicLong.Load(&objects[i].Holders);
            if (expected != holders) wrong.Add($"object {i}: {expected} references are held, {holders} were counted");
            if (PerCpuRef.IsZero(&objects[i].Ref) != (AtomicInt.Load(&objects[i].Alive) == 0) && AtomicInt.Load(&objects[i].InUse) != 0) wrong.Add($"object {i}: zero, yet not released");
        }
    }

    public override void Finish(ICollection<string> wrong)
    {
        AsCpu(0, (in ThisCpu cpu) =>
        {
            for (int c = 0; c < Cpus.Count; c++)
                while (bag[c * 32] > 0) Drop(cpu, (RefObject*)bags[c][--bag[c * 32]]);
            for (int i = 0; i < 8; i++)
                if (AtomicPtr<RefObject>.Exchange(handOver + i, null) is var o && o != null) Drop(cpu, o);
            for (int i = 0; i < Slots; i++)
            {
                RefObject* o = AtomicPtr<RefObject>.Exchange(slots + i, null);
                if (o != null && AtomicInt.CompareExchange(&o->InUse, 2, 1) == 1) TKill.Kill(cpu, &o->Ref, &OnConfirm);
            }
            Rcu.Barrier(cpu);
            Rcu.Barrier(cpu);
        });
        AsCpu(0, (in ThisCpu cpu) => Rcu.Barrier(cpu));
        for (int i = 0; i < Objects; i++)
            if (AtomicInt.Load(&objects[i].InUse) != 0) wrong.Add($"object {i} was never released: {AtomicLong.Load(&objects[i].Holders)} holders");
    }

    public override void TearDown()
    {
        base.TearDown();
        NativeMemory.AlignedFree(objects);
        NativeMemory.AlignedFree(counters);
        NativeMemory.AlignedFree(slots);
    }
}

/// <summary>A referenced object; its count comes first, so that a reference's address is the object's.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct RefObject
{
    [FieldOffset(0)] public PerCpuRef Ref;
    [FieldOffset(64)] public RcuHead Free;
    [FieldOffset(80)] public Guarded<nint> Counters;
    [FieldOffset(88)] public AtomicInt Releases;
    [FieldOffset(92)] public AtomicInt Confirmed;
    [FieldOffset(128)] public AtomicLong Holders;
    [FieldOffset(136)] public AtomicInt Alive;
    [FieldOffset(192)] public AtomicInt InUse; // 1 from birth until the memory may be used again
}
