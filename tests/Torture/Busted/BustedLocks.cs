// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>Once in 4,096 it forgets to wait.</summary>
internal readonly unsafe struct ForgetfulLock : ILockKind
{
    [ThreadStatic] private static int calls;

    public static string Name => "forgetful";
    public static void Init(LockWord* l) => TestAndSetLock.Init(l);

    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        if ((++calls & 4095) == 0) AtomicInt.Store(&l->Low, 1);
        else TestAndSetLock.Acquire(cpu, l);
    }

    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.TryAcquire(cpu, l);
    public static void Release(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Release(cpu, l);
    public static bool IsHeld(LockWord* l) => TestAndSetLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TestAndSetLock.WaitForHolder(l);
}

/// <summary>Looks and takes in two steps.</summary>
internal readonly unsafe struct TwoStepLock : ILockKind
{
    public static string Name => "two-step";
    public static void Init(LockWord* l) => TestAndSetLock.Init(l);

    public static void Acquire(in ThisCpu cpu, LockWord* l)
    {
        AtomicInt.AwaitEqual(&l->Low, 0);
        AtomicInt.Store(&l->Low, 1);
    }

    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TestAndSetLock.TryAcquire(cpu, l);
    public static void Release(in ThisCpu cpu, LockWord* l) => TestAndSetLock.Release(cpu, l);
    public static bool IsHeld(LockWord* l) => TestAndSetLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TestAndSetLock.WaitForHolder(l);
}

/// <summary>Once in 65,536 it forgets to let go: the watchdog's case.</summary>
internal readonly unsafe struct ClingingLock : ILockKind
{
    [ThreadStatic] private static int calls;

    public static string Name => "clinging";
    public static void Init(LockWord* l) => TicketLock.Init(l);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => TicketLock.Acquire(cpu, l);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TicketLock.TryAcquire(cpu, l);

    public static void Release(in ThisCpu cpu, LockWord* l)
    {
        if ((++calls & 65535) != 0) TicketLock.Release(cpu, l);
    }

    public static bool IsHeld(LockWord* l) => TicketLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) => TicketLock.WaitForHolder(l);
}

/// <summary>Does not wait for the holder: what 2012's book switch did in its first form.</summary>
internal readonly unsafe struct ImpatientLock : ILockKind
{
    public static string Name => "impatient";
    public static void Init(LockWord* l) => TicketLock.Init(l);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => TicketLock.Acquire(cpu, l);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => TicketLock.TryAcquire(cpu, l);
    public static void Release(in ThisCpu cpu, LockWord* l) => TicketLock.Release(cpu, l);
    public static bool IsHeld(LockWord* l) => TicketLock.IsHeld(l);
    public static void WaitForHolder(LockWord* l) { }
}

/// <summary>Writes the whole word back when it frees its bit: what others added meanwhile is lost (non-atomic flags).</summary>
internal readonly unsafe struct OverwritingBitLock : IBitLock
{
    public static string Name => "overwriting";
    public static long Mask => BitLock.Mask;
    public static void Acquire(AtomicLong* word) => BitLock.Acquire(word);
    public static bool TryAcquire(AtomicLong* word) => BitLock.TryAcquire(word);
    public static void Release(AtomicLong* word) => AtomicLong.Store(word, AtomicLong.Load(word) & ~1L);
    public static bool IsHeld(AtomicLong* word) => BitLock.IsHeld(word);
}

/// <summary>Reads the per-CPU counts at the kill, not a grace period later.</summary>
internal readonly unsafe struct EarlyKill : IRefKill
{
    public static void Kill(in ThisCpu cpu, PerCpuRef* r, delegate*<in ThisCpu, PerCpuRef*, void> confirm)
    {
        long counters = AtomicLong.FetchOr(&r->CountersAndMode, 3) & ~3L, sum = 0;
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
            sum += Guarded<long>.Get((Guarded<long>*)(counters + i * Guarded<long>.Get(&r->Stride)));
        AtomicLong.Add(&r->Count, sum - long.MinValue);
        confirm(cpu, r);
        PerCpuRef.Put(cpu, r);
    }
}
