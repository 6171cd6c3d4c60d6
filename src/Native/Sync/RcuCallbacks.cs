// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;

namespace MemcgNative.Native;

// The update side that does not wait: callbacks, per CPU and in order.
//
//   Call --> Next list --bound to a new grace period at a poll point--> Wait list --it is over--> run, at a poll point of the same CPU
public static unsafe partial class Rcu
{
    /// <summary>Calls function(cpu, head) on this CPU after a grace period. call_rcu; head belongs to RCU until then.</summary>
    /// <remarks>The callback may queue further ones and enter sections; it must not wait (Synchronize, Barrier).</remarks>
    public static void Call(in ThisCpu cpu, RcuHead* head, delegate*<in ThisCpu, RcuHead*, void> function)
    {
        RcuCpu* r = &cpu.Area->Rcu;
        if (AtomicInt.Load(&cpu.Area->Online) == 0) Bug.Fail("rcu: callback queued on an offline cpu, where it would never run", cpu.Index);
        GuardedPtr<RcuHead>.Set(&head->Next, null);
        Guarded<nint>.Set(&head->Function, (nint)function);
        Machine.IrqOff();
        RcuHead* last = GuardedPtr<RcuHead>.Get(&r->NextLast);
        if (last == null) GuardedPtr<RcuHead>.Set(&r->NextFirst, head);
        else GuardedPtr<RcuHead>.Set(&last->Next, head);
        GuardedPtr<RcuHead>.Set(&r->NextLast, head);
        AtomicLong.Store(&r->Queued, AtomicLong.Load(&r->Queued) + 1);
        Machine.IrqOn();
    }

    /// <summary>The poll point's part: bind new callbacks, announce a quiescent state, run what is due.</summary>
    [MethodImpl(Inline)]
    internal static void Quiescent(in ThisCpu cpu)
    {
        CpuArea* a = cpu.Area; // whole paths below: a pointer to a member costs a null check
        bool waiting = GuardedPtr<RcuHead>.Get(&a->Rcu.WaitFirst) != null;
        if (!waiting && GuardedPtr<RcuHead>.Get(&a->Rcu.NextFirst) != null) waiting = Bind(in cpu);
        long started = AtomicLong.Load(&cpu.Table->Rcu.Started); // (Q2) pairs with (Q1) in GracePeriod.cs
        if (started != AtomicLong.Load(&a->Rcu.Seen)) Announce(in cpu, started);
        if (waiting) RunDue(in cpu);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Bind(in ThisCpu cpu)
    {
        RcuCpu* r = &cpu.Area->Rcu;
        if (Guarded<int>.Get(&r->Running) != 0) return false; // a poll within a callback
        Machine.IrqOff();
        GuardedPtr<RcuHead>.Set(&r->WaitFirst, GuardedPtr<RcuHead>.Get(&r->NextFirst));
        GuardedPtr<RcuHead>.Set(&r->NextFirst, null);
        GuardedPtr<RcuHead>.Set(&r->NextLast, null);
        Guarded<long>.Set(&r->WaitFor, GracePeriod.Request(&cpu.Table->Rcu));
        Machine.IrqOn();
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Announce(in ThisCpu cpu, long started)
    {
        AtomicLong.Store(&cpu.Area->Rcu.Seen, started); // release: this CPU's sections are over; (Q3) pairs with (Q4) in GracePeriod.cs
        Machine.Fence(); // Seen against the bell, see Doorbell.cs; once per grace period
        Doorbell.Ring(&cpu.Table->Rcu.Doorbell);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void RunDue(in ThisCpu cpu)
    {
        RcuCpu* r = &cpu.Area->Rcu;
        RcuGlobal* g = &cpu.Table->Rcu;
        if (Guarded<int>.Get(&r->Running) != 0) return;
        long needed = Guarded<long>.Get(&r->WaitFor);
        if (AtomicLong.Load(&g->Completed) < needed) // (C2) pairs with (C1) in GracePeriod.cs
        {
            GracePeriod.AdvanceIfIdle(cpu.Table);
            if (AtomicLong.Load(&g->Completed) < needed) return;
        }

        RcuHead* head = GuardedPtr<RcuHead>.Get(&r->WaitFirst);
        GuardedPtr<RcuHead>.Set(&r->WaitFirst, null);
        Guarded<int>.Set(&r->Running, 1);
        long ran = 0;
        for (RcuHead* next; head != null; head = next, ran++)
        {
            next = GuardedPtr<RcuHead>.Get(&head->Next); // before the call: it usually frees head
            ((delegate*<in ThisCpu, RcuHead*, void>)Guarded<nint>.Get(&head->Function))(in cpu, head);
        }
        Guarded<int>.Set(&r->Running, 0);
        AtomicLong.Store(&r->Run, AtomicLong.Load(&r->Run) + ran); // release: after the callbacks; (B1) pairs with (B2) in RcuWait.cs
        Machine.Fence(); // Run against the bell, see Doorbell.cs; once per batch
        Doorbell.Ring(&g->Doorbell);
    }

    /// <summary>This CPU takes part from now on: it may read, queue and run work, and has to poll.</summary>
    public static void CpuOnline(in ThisCpu cpu)
    {
        if (AtomicInt.Load(&cpu.Area->Online) != 0) Bug.Fail("rcu: cpu brought online twice", cpu.Index);
        AtomicInt.Store(&cpu.Area->Online, 1);
        Machine.Fence(); // (O1) pairs with (O2) in GracePeriod.cs: Online before any load of a section
    }

    /// <summary>
    /// This CPU leaves (hotplug, a parked thread): its work and all its callbacks are run first, then nobody waits for it any more.
    /// Waits for the other CPUs' poll points, not for their leaving; meanwhile it counts as quiescent.
    /// </summary>
    public static void CpuOffline(in ThisCpu cpu)
    {
        CpuArea* a = cpu.Area;
        for (; ; )
        {
            Drain(in cpu);
            AtomicInt.Store(&a->Online, 0); // release: after this CPU's sections
            Machine.Fence(); // (W4) pairs with (W3) in CpuWork.cs; and Online against the bell
            if (AtomicPtr<CpuWork>.Load(&a->Irq) == null && AtomicPtr<CpuWork>.Load(&a->Work) == null) break;
            CpuOnline(in cpu); // a request came in between: its sender may have seen us online
        }
        Doorbell.Ring(&cpu.Table->Rcu.Doorbell);
    }

    /// <summary>
    /// Takes a CPU out whose thread failed in the middle of an operation: its callbacks are dropped (what they would have freed leaks)
    /// and its open sections are forgotten, so that the others can still end.
    /// </summary>
    internal static void Abandon(in ThisCpu cpu)
    {
        RcuCpu* r = &cpu.Area->Rcu;
        GuardedPtr<RcuHead>.Set(&r->NextFirst, null);
        GuardedPtr<RcuHead>.Set(&r->NextLast, null);
        GuardedPtr<RcuHead>.Set(&r->WaitFirst, null);
        Guarded<int>.Set(&r->Running, 0);
        AtomicLong.Store(&r->Reader, 0);
        AtomicLong.Store(&r->Run, AtomicLong.Load(&r->Queued));
        AtomicInt.Store(&cpu.Area->Online, 0);
        Machine.Fence();
        Doorbell.Ring(&cpu.Table->Rcu.Doorbell);
    }
}
