// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Native;

// The update side that waits. A CPU that waits here is quiescent and goes on serving its own irq role, work and callbacks; so two CPUs
// in Synchronize, or one in each of Synchronize and Barrier, or one waiting for the other's work, cannot wait for each other.
public static unsafe partial class Rcu
{
    /// <summary>Returns after a grace period: sections that were open at the call are closed. synchronize_rcu. Callbacks may still be queued (race A7).</summary>
    public static void Synchronize(in ThisCpu cpu)
    {
        MayWait(in cpu);
        RcuGlobal* g = &cpu.Table->Rcu;
        WaitUntil(in cpu, &g->Completed, GracePeriod.Request(g));
    }

    /// <summary>Returns when all callbacks queued before the call, on any CPU, have run. rcu_barrier. Implies no grace period when none is queued.</summary>
    public static void Barrier(in ThisCpu cpu)
    {
        MayWait(in cpu);
        CpuTable* t = cpu.Table;
        for (int i = 0; i < Guarded<int>.Get(&t->Count); i++)
        {
            RcuCpu* r = &CpuTable.Area(t, i)->Rcu;
            WaitUntil(in cpu, &r->Run, AtomicLong.Load(&r->Queued)); // an offline CPU has none: it ran them before it left
        }
    }

    /// <summary>Runs this CPU's irq role, work and callbacks to the last, those that they queue included.</summary>
    private static void Drain(in ThisCpu cpu)
    {
        RcuCpu* r = &cpu.Area->Rcu;
        do
        {
            Poll.Serve(in cpu);
            WaitUntil(in cpu, &r->Run, AtomicLong.Load(&r->Queued));
        } while (AtomicLong.Load(&r->Run) != AtomicLong.Load(&r->Queued));
    }

    /// <summary>Serves this CPU until *word reaches goal. Ended by the CPU that advances word, which rings; meanwhile by anyone who asks something of this CPU.</summary>
    private static void WaitUntil(in ThisCpu cpu, AtomicLong* word, long goal)
    {
        CpuTable* t = cpu.Table;
        RcuGlobal* g = &t->Rcu;
        while (AtomicLong.Load(word) < goal) // (B2) pairs with (B1) in RcuCallbacks.cs; (C2) pairs with (C1) in GracePeriod.cs
        {
            long armed = Doorbell.Arm(&g->Doorbell);
            Poll.Serve(in cpu);
            if (AtomicLong.Load(&g->Completed) != AtomicLong.Load(&g->Started)) GracePeriod.Advance(t);
            if (AtomicLong.Load(word) < goal) AtomicLong.AwaitNot(&g->Doorbell, armed); // ended by Ring; a descheduled CPU that has to poll prolongs it
        }
    }

    private static void MayWait(in ThisCpu cpu)
    {
        CpuArea* a = cpu.Area;
        long depth = Nesting(in cpu);
        if (depth != 0) Bug.Fail("rcu: waiting for a grace period inside a read-side section, nesting depth", depth);
        if (Guarded<int>.Get(&a->Rcu.Running) != 0) Bug.Fail("rcu: waiting for a grace period inside a callback");
        if (AtomicInt.Load(&a->Online) == 0) Bug.Fail("rcu: waiting on an offline cpu", cpu.Index);
    }
}
