// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>Work one CPU asks another to do at its poll point. Linux: struct work_struct with schedule_work_on, and struct irq_work.</summary>
[SharedState, StructLayout(LayoutKind.Sequential)]
public unsafe struct CpuWork
{
    /// <summary>O: next older request; written by the pusher before it publishes.</summary>
    public AtomicPtr<CpuWork> Next;
    /// <summary>I: delegate*&lt;in ThisCpu, CpuWork*, void&gt;.</summary>
    public Guarded<nint> Function;
    /// <summary>A: 1 from the request until the owner begins to run it (Linux: WORK_STRUCT_PENDING).</summary>
    public AtomicInt Pending;

    /// <summary>Makes w idle, to call function when it is queued.</summary>
    public static void Init(CpuWork* w, delegate*<in ThisCpu, CpuWork*, void> function)
    {
        AtomicPtr<CpuWork>.Init(&w->Next, null);
        Guarded<nint>.Set(&w->Function, (nint)function);
        AtomicInt.Init(&w->Pending, 0);
    }

    /// <summary>
    /// Asks target to run w at its next poll point. False: w was pending already, and the run to come sees what the caller stored
    /// before. An offline target runs it when it is back; a target seen online after this call runs it before it leaves.
    /// </summary>
    public static bool Queue(CpuArea* target, CpuWork* w) => Push(target, &target->Work, w);

    internal static bool Push(CpuArea* target, AtomicPtr<CpuWork>* list, CpuWork* w)
    {
        if (AtomicInt.Exchange(&w->Pending, 1) != 0) return false; // (W1) pairs with (W2) in CpuWork.cs
        CpuWork* head = AtomicPtr<CpuWork>.Load(list);
        for (CpuWork* seen; ; head = seen)
        {
            AtomicPtr<CpuWork>.Init(&w->Next, head);
            seen = AtomicPtr<CpuWork>.CompareExchange(list, w, head); // publishes w; (W3) pairs with (W4) in RcuCallbacks.cs
            if (seen == head) break;
        }
        Doorbell.Ring(&GuardedPtr<CpuTable>.Get(&target->Table)->Rcu.Doorbell);
        return true;
    }

    /// <summary>Runs everything on list, oldest first.</summary>
    internal static void RunAll(in ThisCpu cpu, AtomicPtr<CpuWork>* list)
    {
        CpuWork* newestFirst = AtomicPtr<CpuWork>.Exchange(list, null), oldestFirst = null;
        while (newestFirst != null)
        {
            CpuWork* next = AtomicPtr<CpuWork>.Load(&newestFirst->Next);
            AtomicPtr<CpuWork>.Init(&newestFirst->Next, oldestFirst);
            oldestFirst = newestFirst;
            newestFirst = next;
        }
        while (oldestFirst != null)
        {
            CpuWork* w = oldestFirst;
            oldestFirst = AtomicPtr<CpuWork>.Load(&w->Next); // before Pending falls: afterwards a pusher may rewrite it
            var function = (delegate*<in ThisCpu, CpuWork*, void>)Guarded<nint>.Get(&w->Function);
            // (W2) pairs with (W1) in CpuWork.cs: a full fence, because a pusher that still sees 1 counts on function's loads coming after.
            AtomicInt.Exchange(&w->Pending, 0);
            function(in cpu, w);
        }
    }
}
