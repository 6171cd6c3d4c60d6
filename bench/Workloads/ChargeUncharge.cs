// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Charge and uncharge of one page with nothing around it: try_charge, commit of the owner, and at the end of each 32 the uncharge of all
/// 32, at the last unmap or at the last put as the model has it. Served by the stock where the model has one.
/// </summary>
internal readonly unsafe struct ChargeUncharge<TC> : IWorkload<TC> where TC : struct, IMemoryController
{
    /// <inheritdoc/>
    public static int Unit => Mm.Batch;

    /// <inheritdoc/>
    public static void Prepare(in ThisCpu cpu, WorkerState* w)
    {
        for (int i = 0; i < Mm.Batch; i++)
        {
            w->Pages[i] = PageAllocator<NoHook>.Alloc(in cpu, Gfp.Kernel);
            if (w->Pages[i] == null) Bug.Fail("charge-uncharge: no page for the worker", i);
            PageMapping.SetAnon(w->Pages[i], w->Mm, i);
        }
    }

    /// <inheritdoc/>
    public static void Run(in ThisCpu cpu, WorkerState* w, long ops)
    {
        for (; ops > 0; ops -= Mm.Batch) Batch(in cpu, w, w->Pages, w->Memcg);
    }

    [MethodImpl(MethodImplOptions.NoInlining)] // a small loop of its own: inside the timing frame its locals would live on the stack
    private static void Batch(in ThisCpu cpu, WorkerState* w, Page** pages, Memcg* memcg)
    {
        for (Page** at = pages, end = pages + Mm.Batch; at < end; at++)
        {
            if (Charging.TryCharge<TC>(in cpu, memcg, 1, Gfp.Kernel)) Charging.Commit<TC>(in cpu, *at, memcg, anon: true);
            else w->Failed++;
        }
        TC.OnBatchBegin(in cpu);
        for (Page** at = pages, end = pages + Mm.Batch; at < end; at++) TC.OnUnmap(in cpu, *at); // where early designs uncharge, and late ones do nothing
        TC.OnBatchEnd(in cpu);
        TC.OnFinalPut(in cpu, pages, Mm.Batch);
    }

    /// <inheritdoc/>
    public static void Finish(in ThisCpu cpu, WorkerState* w)
    {
        for (int i = 0; i < Mm.Batch; i++)
        {
            AtomicInt.Store(&w->Pages[i]->RefCount, 0);
            PageAllocator<NoHook>.Free(in cpu, w->Pages[i]);
        }
    }
}
