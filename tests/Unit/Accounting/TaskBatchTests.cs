// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Xunit;
using BatchedRelease = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>, MemcgNative.Tests.Unit.TaskBatchedRelease,
    MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;
using ListBatched = MemcgNative.Accounting.Controller<
    MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>, MemcgNative.Accounting.OwnerWord,
    MemcgNative.Accounting.ZoneLruLock<MemcgNative.Native.TicketLock>, MemcgNative.Accounting.AtFinalPut,
    MemcgNative.Accounting.MoveToParent, MemcgNative.Accounting.NoKmem>;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// C4, Kame's remark of 2014 taken literally: uncharge_start and uncharge_end around release_pages. An I/O completion that puts a page arrives
/// after the batch was found not empty and before it is read; its own begin makes it empty.
/// </summary>
internal readonly unsafe struct TaskBatchedRelease : IUnchargeDesign
{
    public static string Name => "task batch around release_pages";
    public static void InitCpu(CpuArea* area) => UnchargeBatch.Init(UnchargeBatch.Of(area));
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }
    public static void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }
    public static bool ChargesSwapIn<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => AtFinalPut.ChargesSwapIn<TC>(cpu, page);
    public static void OnSwapCacheDeleted<TC>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) where TC : struct, IMemoryController { }
    public static void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController => AtFinalPut.OnSwapOut<TC>(cpu, page, entry);
    public static bool OnMigratePrepare<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => true;
    public static void OnMigrateEnd<TC>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController { }
    public static void OnMigrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnMigrated<TC>(cpu, old, page);
    public static void OnReplaced<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnReplaced<TC>(cpu, old, page);
    public static void OnBatchBegin(in ThisCpu cpu) { }
    public static void OnBatchEnd<TC>(in ThisCpu cpu) where TC : struct, IMemoryController { }

    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        UnchargeBatch* batch = UnchargeBatch.Of(cpu.Area);
        UnchargeBatch.Begin(batch);
        for (int i = 0; i < n; i++)
        {
            if (!TC.TryClear(cpu, pages[i], UnchargeType.FinalPut, out Memcg* owner, out ClearedCharge charge)) continue;
            MemcgStatCpu.Add(Memcg.OnCpu(cpu, owner), MemcgStatItem.Rss, -charge.Anon);
            MemcgStatCpu.Add(Memcg.OnCpu(cpu, owner), MemcgStatItem.PgpgOut, 1);
            if (!UnchargeBatch.TryAdd(batch, owner, charge)) TC.UnchargeCounters(cpu, owner, charge.Memory, charge.Memsw);
        }
        Guarded<int>.Set(&batch->Depth, Guarded<int>.Get(&batch->Depth) - 1);
        if (GuardedPtr<Memcg>.Get(&batch->Memcg) == null) return;
        Poll.Run(cpu); // interrupted here
        Memcg* memcg = GuardedPtr<Memcg>.Get(&batch->Memcg);
        if (memcg == null) Bug.Fail("uncharge: the batch lost its group to an interrupt (C4)");
        int memory = Guarded<int>.Get(&batch->Memory), memsw = Guarded<int>.Get(&batch->Memsw);
        UnchargeBatch.Init(batch);
        TC.UnchargeCounters(cpu, memcg, memory, memsw);
    }
}

public sealed unsafe class TaskBatchTests
{
    private struct Completion
    {
        public CpuWork Work;
        public Page* Page;
    }

    [Fact]
    public void A_task_batch_around_release_pages_loses_its_group_to_an_io_completion() =>
        Assert.Contains("the batch lost its group", Assert.Throws<BugException>(Run<BatchedRelease>).Message, StringComparison.Ordinal);

    [Fact]
    public void The_list_as_the_batch_does_not() => Run<ListBatched>();

    /// <summary>Eight pages are unmapped while a completion that puts a ninth for the last time is pending on the same CPU.</summary>
    private static void Run<TC>() where TC : struct, IMemoryController
    {
        using var box = new AccountingBox<TC>();
        box.Inhabited();
        box.FaultAll(0, 9);
        box.Quiesce();
        var completion = (Completion*)NativeMemory.AlignedAlloc((nuint)sizeof(Completion), 64);
        try
        {
            completion->Page = Mm.Follow(box.Cpu(), box.Space(), 8);
            CpuWork.Init(&completion->Work, &EndIo<TC>);
            Page* page = completion->Page;
            GuardedPtr<Page>.Set(MmStruct.Entry(box.Space(), 8), null); // zapped elsewhere: the completion has the last reference
            AtomicInt.Add(&page->MapCount, -1);
            PageOps.PutAndTest(page);
            Irq.Raise(box.Cpu().Area, &completion->Work);
            Assert.Equal(8, box.Unmap(0, 8));
            box.AssertBalanced();
        }
        finally
        {
            NativeMemory.AlignedFree(completion);
        }
    }

    private static void EndIo<TC>(in ThisCpu cpu, CpuWork* work) where TC : struct, IMemoryController => Mm.Put<TC>(cpu, ((Completion*)work)->Page);
}
