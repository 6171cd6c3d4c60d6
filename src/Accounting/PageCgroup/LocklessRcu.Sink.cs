// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// Patches 2 and 3: what becomes of an obsolete object. 16 of a CPU go through RCU as one; the callback takes a list's lock once per run of
// objects on it.
public readonly unsafe partial struct LocklessRcu<TForm, TPrefetch>
{
    /// <summary>Objects a CPU collects before it frees them (patch 2).</summary>
    public const int Batch = 16;

    private static PageCgroupSink* SinkOf(CpuArea* area) => (PageCgroupSink*)((byte*)area + PageCgroupSink.Offset);

    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area)
    {
        Guarded<nint>.Set(&SinkOf(area)->First, PageCgroupObject.SinkEnd);
        AtomicInt.Init(&SinkOf(area)->Count, 0);
    }

    /// <inheritdoc/>
    public static void InitReaper<TLru>(CpuArea* area) where TLru : struct, ILruDesign => CpuWork.Init(&SinkOf(area)->Work, &FlushOnOwner<TLru>);

    /// <summary>One more obsolete object of this CPU. Twice the same one is a Bug (A-I4).</summary>
    private static void Push<TLru>(in ThisCpu cpu, PageCgroupObject* pc) where TLru : struct, ILruDesign
    {
        PageCgroupSink* sink = SinkOf(cpu.Area);
        if (Guarded<nint>.Get(&pc->Next) != 0) Bug.Fail("page_cgroup: uncharged twice (object, flags)", (long)pc, AtomicLong.Load(&pc->Flags));
        Guarded<nint>.Set(&pc->Next, Guarded<nint>.Get(&sink->First));
        Guarded<nint>.Set(&sink->First, (nint)pc);
        int count = AtomicInt.Load(&sink->Count) + 1;
        AtomicInt.Store(&sink->Count, count);
        if (count >= Batch) Flush<TLru>(cpu);
    }

    /// <summary>Sends this CPU's sink through RCU. As posted, a sink for which no work item can be had stays and grows (A17).</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Flush<TLru>(in ThisCpu cpu) where TLru : struct, ILruDesign
    {
        PageCgroupSink* sink = SinkOf(cpu.Area);
        nint first = Guarded<nint>.Get(&sink->First);
        if (first == PageCgroupObject.SinkEnd) return;
        if (TForm.EmbedsRcuHead) Rcu.Call(cpu, &((PageCgroupObject*)first)->Rcu, &ReapEmbedded<TLru>);
        else
        {
            var item = (SinkItem*)PageCgroupObject.Alloc(cpu); // the slab's object is large enough for the item's 24 bytes
            if (item == null) return;
            Guarded<nint>.Set(&item->First, first);
            Rcu.Call(cpu, &item->Rcu, &ReapItem<TLru>);
        }
        Guarded<nint>.Set(&sink->First, PageCgroupObject.SinkEnd);
        AtomicInt.Store(&sink->Count, 0);
    }

    private static void FlushOnOwner<TLru>(in ThisCpu cpu, CpuWork* work) where TLru : struct, ILruDesign => Flush<TLru>(cpu);

    /// <inheritdoc/>
    public static void Reap<TLru>(in ThisCpu cpu) where TLru : struct, ILruDesign
    {
        Flush<TLru>(cpu);
        CpuTable* table = cpu.Table;
        for (int i = 0; i < Guarded<int>.Get(&table->Count); i++)
        {
            CpuArea* area = CpuTable.Area(table, i);
            if (area != cpu.Area && AtomicInt.Load(&SinkOf(area)->Count) != 0) CpuWork.Queue(area, &SinkOf(area)->Work);
        }
    }

    /// <summary>force_empty's drain: when it returns, what was obsolete at the call on this CPU is unlinked and free; as posted, only a grace period is over (A7).</summary>
    public static void DrainAndWait<TLru>(in ThisCpu cpu) where TLru : struct, ILruDesign
    {
        Reap<TLru>(cpu);
        if (TForm.DrainsWithBarrier) Rcu.Barrier(cpu);
        else Rcu.Synchronize(cpu);
    }

    private static void ReapEmbedded<TLru>(in ThisCpu cpu, RcuHead* head) where TLru : struct, ILruDesign =>
        Reaped<TLru>(cpu, (nint)((byte*)head - PageCgroupObject.RcuOffset));

    private static void ReapItem<TLru>(in ThisCpu cpu, RcuHead* head) where TLru : struct, ILruDesign
    {
        nint first = Guarded<nint>.Get(&((SinkItem*)head)->First);
        PageCgroupObject.Free(cpu, (PageCgroupObject*)head);
        Reaped<TLru>(cpu, first);
    }

    /// <summary>The grace period is over: off the lists, 16 at a time, then the group's references and the objects go.</summary>
    private static void Reaped<TLru>(in ThisCpu cpu, nint first) where TLru : struct, ILruDesign
    {
        ListHead** nodes = stackalloc ListHead*[Batch];
        while (first != PageCgroupObject.SinkEnd)
        {
            int n = 0;
            for (; first != PageCgroupObject.SinkEnd && n < Batch; n++)
            {
                var pc = (PageCgroupObject*)first;
                nodes[n] = &pc->Lru;
                first = Guarded<nint>.Get(&pc->Next);
                Machine.Prefetch((void*)first);
            }
            TLru.OnNodesDisowned<LocklessRcu<TForm, TPrefetch>>(cpu, nodes, n);
            for (int i = 0; i < n; i++)
            {
                var pc = (PageCgroupObject*)nodes[i];
                Memcg* memcg = GuardedPtr<Memcg>.Get(&pc->Memcg);
                PageCgroupObject.Free(cpu, pc);
                Css.Put(cpu, &memcg->Css); // got by TryClear; the group may go with it
            }
        }
    }
}

/// <summary>The obsolete objects of a CPU, newest first, at the front of the PageCgroup axis' per-CPU range; the request to flush them on a line of its own.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct PageCgroupSink
{
    /// <summary>Where it lies in the CPU's area.</summary>
    public const int Offset = CpuArea.AxesOffset + CpuArea.AxisBytes;

    /// <summary>C: first object, or the end mark.</summary>
    [FieldOffset(0)] public Guarded<nint> First;
    /// <summary>O: objects in it; read by whoever asks for a flush.</summary>
    [FieldOffset(8)] public AtomicInt Count;
    /// <summary>A: pending while a flush is asked for.</summary>
    [FieldOffset(128)] public CpuWork Work;
}

/// <summary>The posting's work item: 24 bytes.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 24)]
internal struct SinkItem
{
    /// <summary>C: first, so that the head's address is the item's.</summary>
    [FieldOffset(0)] public RcuHead Rcu;
    /// <summary>C: the sink it carries.</summary>
    [FieldOffset(16)] public Guarded<nint> First;
}
