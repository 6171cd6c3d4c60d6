// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// Small programs with one fault each: every verdict of the explorer must be reachable.

internal unsafe struct Cell2
{
    public AtomicLong Marked;
    public Guarded<long> Plain;
}

/// <summary>Two words and two locks; what goes wrong is the type argument's.</summary>
internal interface IFault
{
    static abstract Verdict Verdict { get; }
    static abstract unsafe void Body(int cpu, Cell2* cell, LockWord* locks);
    static virtual unsafe void Irq(int cpu, Cell2* cell, LockWord* locks) { }
    static virtual int Interrupts => 0;
}

internal readonly unsafe struct FaultCase<T> : ICase where T : struct, IFault
{
    private static Cell2* cell;
    private static LockWord* locks;

    public static int Cpus => 2;
    public static int Interrupts => T.Interrupts;
    public static bool ChecksLeaks => true;
    public static bool ChecksUninitialised => true;

    public static void Setup()
    {
        cell = Arena.New<Cell2>("cell");
        locks = Arena.Array<LockWord>(2, "lock");
    }

    public static void Body(int cpu) => T.Body(cpu, cell, locks);
    public static void Irq(int cpu) => T.Irq(cpu, cell, locks);
}

internal readonly unsafe struct UnorderedPlainStores : IFault
{
    public static Verdict Verdict => Verdict.DataRace;
    public static void Body(int cpu, Cell2* cell, LockWord* locks) => Guarded<long>.Set(&cell->Plain, cpu);
}

/// <summary>In the first schedule the free comes late enough, but nothing orders it after the load.</summary>
internal readonly unsafe struct FreeWithoutOrder : IFault
{
    public static Verdict Verdict => Verdict.DataRace;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        if (cpu == 0) AtomicLong.Load(&cell->Marked);
        else
        {
            AtomicLong.Load(&locks->Whole);
            Machine.OnFree(cell, (nuint)sizeof(Cell2));
        }
    }
}

internal readonly unsafe struct AccessAfterFree : IFault
{
    public static Verdict Verdict => Verdict.UseAfterFree;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        if (cpu != 0) return;
        Machine.OnFree(cell, (nuint)sizeof(Cell2));
        AtomicLong.Load(&cell->Marked);
    }
}

internal readonly unsafe struct FreeTwice : IFault
{
    public static Verdict Verdict => Verdict.DoubleFree;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        LockModel.Acquire(locks);
        Machine.OnFree(cell, (nuint)sizeof(Cell2));
        LockModel.Release(locks);
    }
}

/// <summary>Memory that is not the arena's. (Unmapped memory ends the process: taking a cell's address touches it.)</summary>
internal readonly unsafe struct WildPointer : IFault
{
    public static Verdict Verdict => Verdict.WildAccess;
    private static readonly AtomicLong* elsewhere = (AtomicLong*)NativeMemory.AllocZeroed(8);
    public static void Body(int cpu, Cell2* cell, LockWord* locks) => AtomicLong.Load(elsewhere);
}

internal readonly unsafe struct NeverFreed : IFault
{
    public static Verdict Verdict => Verdict.Leak;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        long* p = (long*)Arena.Allocate(8);
        if (cpu == 0) Arena.Free(p, 8);
    }
}

internal readonly unsafe struct NeverWritten : IFault
{
    public static Verdict Verdict => Verdict.Uninitialised;
    public static void Body(int cpu, Cell2* cell, LockWord* locks) => AtomicLong.Load((AtomicLong*)Arena.Allocate(8));
}

/// <summary>A15's shape: two locks in two orders.</summary>
internal readonly unsafe struct TwoOrders : IFault
{
    public static Verdict Verdict => Verdict.Deadlock;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        LockModel.Acquire(locks + cpu);
        LockModel.Acquire(locks + 1 - cpu);
        LockModel.Release(locks + 1 - cpu);
        LockModel.Release(locks + cpu);
    }
}

/// <summary>The interrupt wants the lock its own CPU holds.</summary>
internal readonly unsafe struct LockedUnderIrq : IFault
{
    public static Verdict Verdict => Verdict.Deadlock;
    public static int Interrupts => 1;
    public static void Body(int cpu, Cell2* cell, LockWord* locks) => Irq(cpu, cell, locks);
    public static void Irq(int cpu, Cell2* cell, LockWord* locks)
    {
        LockModel.Acquire(locks + cpu);
        LockModel.Release(locks + cpu);
    }
}

/// <summary>The same with irqs off around the section: nothing is wrong.</summary>
internal readonly unsafe struct LockedWithIrqsOff : IFault
{
    public static Verdict Verdict => Verdict.Exhausted;
    public static int Interrupts => 1;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        Machine.IrqOff();
        Irq(cpu, cell, locks);
        Machine.IrqOn();
    }
    public static void Irq(int cpu, Cell2* cell, LockWord* locks)
    {
        LockModel.Acquire(locks + cpu);
        LockModel.Release(locks + cpu);
    }
}

/// <summary>A load and a store are not one step for the CPU's own interrupt either.</summary>
internal readonly unsafe struct TornByIrq : IFault
{
    public static Verdict Verdict => Verdict.Assert;
    public static int Interrupts => 1;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        if (cpu != 0) return;
        long v = AtomicLong.Load(&cell->Marked);
        AtomicLong.Store(&cell->Marked, v + 1);
        if (AtomicLong.Load(&cell->Marked) < v + 1) Bug.Fail("went backwards");
        AtomicLong.Store(&cell->Marked, 100);
        if (AtomicLong.Load(&cell->Marked) != 100) Bug.Fail("the irq came in between");
    }
    public static void Irq(int cpu, Cell2* cell, LockWord* locks)
    {
        if (cpu == 0) AtomicLong.Store(&cell->Marked, AtomicLong.Load(&cell->Marked) + 1);
    }
}

internal readonly unsafe struct ReleasesWhatItDoesNotHold : IFault
{
    public static Verdict Verdict => Verdict.Assert;
    public static void Body(int cpu, Cell2* cell, LockWord* locks) => LockModel.Release(locks);
}

internal readonly unsafe struct NeverEnds : IFault
{
    public static Verdict Verdict => Verdict.StepLimit;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        while (AtomicLong.Load(&cell->Marked) == 0) { } // on purpose: no Await
    }
}

internal readonly unsafe struct NullDereference : IFault
{
    public static Verdict Verdict => Verdict.Exception;
    public static void Body(int cpu, Cell2* cell, LockWord* locks)
    {
        AtomicLong.Load(&cell->Marked);
        int* p = (int*)AtomicLong.Load(&cell->Marked);
        *p = 1;
    }
}
