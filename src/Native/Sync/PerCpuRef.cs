// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>temporary until the sync branch lands</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 128)]
public unsafe struct PerCpuRef
{
    /// <summary>A</summary>
    [FieldOffset(0)] public AtomicLong Count;
    /// <summary>A</summary>
    [FieldOffset(8)] public AtomicLong Dead;
    /// <summary>I</summary>
    [FieldOffset(16)] public Guarded<nint> Release;
    /// <summary>I</summary>
    [FieldOffset(24)] public Guarded<nint> Confirm;
    /// <summary>x</summary>
    [FieldOffset(32)] public RcuHead Rcu;
    /// <summary>x</summary>
    public static void Init(PerCpuRef* r, AtomicLong* counters, nint stride, int cpus, delegate*<in ThisCpu, PerCpuRef*, void> release)
    { AtomicLong.Init(&r->Count, 1); AtomicLong.Init(&r->Dead, 0); Guarded<nint>.Set(&r->Release, (nint)release); }
    /// <summary>x</summary>
    public static void Get(in ThisCpu cpu, PerCpuRef* r) => AtomicLong.Add(&r->Count, 1);
    /// <summary>x</summary>
    public static void GetMany(in ThisCpu cpu, PerCpuRef* r, long n) => AtomicLong.Add(&r->Count, n);
    /// <summary>x</summary>
    public static bool TryGet(in ThisCpu cpu, PerCpuRef* r)
    {
        long seen = AtomicLong.Load(&r->Count);
        while (seen != 0) { long was = AtomicLong.CompareExchange(&r->Count, seen + 1, seen); if (was == seen) return true; seen = was; }
        return false;
    }
    /// <summary>x</summary>
    public static bool TryGetLive(in ThisCpu cpu, PerCpuRef* r) => AtomicLong.Load(&r->Dead) == 0 && TryGet(cpu, r);
    /// <summary>x</summary>
    public static void Put(in ThisCpu cpu, PerCpuRef* r) => PutMany(cpu, r, 1);
    /// <summary>x</summary>
    public static void PutMany(in ThisCpu cpu, PerCpuRef* r, long n)
    { if (AtomicLong.AddReturn(&r->Count, -n) == 0) ((delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&r->Release))(cpu, r); }
    /// <summary>x</summary>
    public static void KillAndConfirm(in ThisCpu cpu, PerCpuRef* r, delegate*<in ThisCpu, PerCpuRef*, void> confirm)
    { AtomicLong.Store(&r->Dead, 1); Guarded<nint>.Set(&r->Confirm, (nint)confirm); MemcgNative.Native.Rcu.Call(cpu, &r->Rcu, &Killed); }
    private static void Killed(in ThisCpu cpu, RcuHead* h) { var r = (PerCpuRef*)((byte*)h - 32); ((delegate*<in ThisCpu, PerCpuRef*, void>)Guarded<nint>.Get(&r->Confirm))(cpu, r); Put(cpu, r); }
    /// <summary>x</summary>
    public static void Exit(PerCpuRef* r) { }
}
