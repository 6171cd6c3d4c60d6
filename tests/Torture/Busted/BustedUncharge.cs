// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Torture;

/// <summary>
/// C11: the batch gives back the pages, and with them the references, before it is done with the group. Another CPU puts the last one,
/// the group dies, and the statistics go to a stranger.
/// </summary>
internal readonly unsafe struct BatchWithoutReference : IUnchargeDesign
{
    public static string Name => "batch-without-reference";
    public static void InitCpu(CpuArea* area) { }
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }
    public static void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController { }

    public static bool ChargesSwapIn<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => AtFinalPut.ChargesSwapIn<TC>(cpu, page);
    public static void OnBatchBegin(in ThisCpu cpu) { }
    public static void OnBatchEnd<TC>(in ThisCpu cpu) where TC : struct, IMemoryController { }
    public static void OnMigrateEnd<TC>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController => AtFinalPut.OnMigrateEnd<TC>(cpu, old, page, ok);
    public static bool OnMigratePrepare<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnMigratePrepare<TC>(cpu, old, page);
    public static void OnMigrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnMigrated<TC>(cpu, old, page);
    public static void OnReplaced<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController => AtFinalPut.OnReplaced<TC>(cpu, old, page);
    public static void OnSwapCacheDeleted<TC>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) where TC : struct, IMemoryController => AtFinalPut.OnSwapCacheDeleted<TC>(cpu, page, entry, swapOut);
    public static void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController => AtFinalPut.OnSwapOut<TC>(cpu, page, entry);
    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController
    {
        for (int i = 0; i < n; i++)
        {
            if (!TC.TryClear(cpu, pages[i], UnchargeType.FinalPut, out Memcg* owner, out ClearedCharge charge)) continue;
            if (!Memcg.IsRoot(owner)) TC.UnchargeCounters(cpu, owner, charge.Memory, charge.Memsw);
            Thread.SpinWait(50);
            Thread.Yield(); // interrupted here
            MemcgStatCpu* stat = Memcg.OnCpu(cpu, owner);
            MemcgStatCpu.Add(stat, charge.Anon != 0 ? MemcgStatItem.Rss : MemcgStatItem.Cache, -1);
            MemcgStatCpu.Add(stat, MemcgStatItem.PgpgOut, 1);
        }
    }
}

/// <summary>Excludes nobody: under the zone's LRU lock.</summary>
internal readonly unsafe struct NoLock : ILockKind
{
    public static string Name => "none";
    public static void Init(LockWord* l) => AtomicLong.Init(&l->Whole, 0);
    public static void Acquire(in ThisCpu cpu, LockWord* l) => AtomicInt.Store(&l->Low, 1);
    public static bool TryAcquire(in ThisCpu cpu, LockWord* l) => true;
    public static void Release(in ThisCpu cpu, LockWord* l) => AtomicInt.Store(&l->Low, 0);
    public static bool IsHeld(LockWord* l) => AtomicInt.Load(&l->Low) != 0;
    public static void WaitForHolder(LockWord* l) { }
}
