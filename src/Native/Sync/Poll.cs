// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

/// <summary>
/// The point between two operations where a pinned thread is nothing but its CPU: the nested irq role runs, then the work other CPUs
/// asked for, then RCU hears that no reader is active here and runs the callbacks that are due.
/// </summary>
public static unsafe class Poll
{
    /// <summary>Serves this CPU. Not inside a read-side section (that is a bug: the section was never closed), not inside IrqOff.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run(in ThisCpu cpu)
    {
        Serve(in cpu);
        // A reader of the membarrier flavour leaves its section without a word; sleepers learn of it here. No fence between the two:
        // a ring missed because the leaving store was still buffered is made good by the next poll, or by going offline.
        if (Guarded<int>.Get(&cpu.Table->RcuFlavour) == (int)RcuFlavour.Membarrier) Doorbell.Ring(&cpu.Table->Rcu.Doorbell);
    }

    /// <summary>The same for a CPU that waits: rings only for events, so that it does not wake itself.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Serve(in ThisCpu cpu)
    {
        CpuArea* a = cpu.Area;
        long depth = Rcu.Nesting(in cpu);
        if (depth != 0) Bug.Fail("rcu: poll point inside a read-side section, nesting depth", depth);
        if (AtomicPtr<CpuWork>.Load(&a->Irq) != null) RunSlow(in cpu, &a->Irq);
        if (AtomicPtr<CpuWork>.Load(&a->Work) != null) RunSlow(in cpu, &a->Work);
        Rcu.Quiescent(in cpu);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RunSlow(in ThisCpu cpu, AtomicPtr<CpuWork>* list) => CpuWork.RunAll(in cpu, list);
}

/// <summary>The CPU's nested role: end of writeback, completion of I/O. It runs first at the poll point, so never inside an IrqOff section.</summary>
public static unsafe class Irq
{
    /// <summary>Makes target run w in its irq role. False: w was raised already and has not begun.</summary>
    public static bool Raise(CpuArea* target, CpuWork* w) => CpuWork.Push(target, &target->Irq, w);
}
