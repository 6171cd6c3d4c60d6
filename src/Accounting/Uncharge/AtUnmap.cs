// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem as it stood before 2014: a page is charged before its mapping is set, so what it is (anonymous, file, swap) is known only to
// the code that is about to take it away. Every such place therefore says what it is doing, and the page's type decides whether that was
// the last use: hooks in unmap, in page-cache removal, in swap-cache removal, and around migration.
//
//   anonymous   charged --last unmap--> uncharged
//   swap cache  charged --last unmap--> charged --left the swap cache, entry unused--> uncharged
//                                               \--left the swap cache, entry in use--> memsw stays with the entry
//   file        charged --last unmap--> charged --left the page cache--> uncharged
//   migrating   charged --last unmap--> charged (marked) --end--> the survivor is charged if it is mapped
//
//   operation    against another unmap, commit, mark: the PageCgroup axis' own critical section, in which mapcount is looked at again.
//                The direction of a swap-cache removal is guessed by the caller under the swap lock (C2).
//
// What differs from Linux: nothing is ever "given back silently" by the page_cgroup; a commit that finds the page used returns false.

/// <summary>Which hooks an era of early uncharge has.</summary>
public interface IEarlyForm
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>An unmapped page in the swap cache stays charged until it leaves (2.6.29), so that the memsw part can follow the entry.</summary>
    static abstract bool DefersSwapCache { get; }
    /// <summary>The copy is charged in full beside the original (up to 3.5); else it is committed without touching the counters.</summary>
    static abstract bool MigrationCharges { get; }
    /// <summary>An anonymous original is marked, and stays charged while nobody maps it (2.6.35).</summary>
    static abstract bool MigrationMarks { get; }
    /// <summary>Uncharges of one group between begin and end are subtracted in one go (2.6.33).</summary>
    static abstract bool Batches { get; }
    /// <summary>See <see cref="IUnchargeDesign.CountsPageState"/>.</summary>
    static abstract bool CountsPageState { get; }
}

/// <summary>2.6.27: no swap accounting, no batch; a failed migration leaves the page uncharged and in use (C1).</summary>
public readonly struct Early2627 : IEarlyForm
{
    /// <inheritdoc/>
    public static string Name => "2.6.27";
    /// <inheritdoc/>
    public static bool DefersSwapCache => false;
    /// <inheritdoc/>
    public static bool MigrationCharges => true;
    /// <inheritdoc/>
    public static bool MigrationMarks => false;
    /// <inheritdoc/>
    public static bool Batches => false;
    /// <inheritdoc/>
    public static bool CountsPageState => false;
}

/// <summary>2.6.29: memory+swap.</summary>
public readonly struct Early2629 : IEarlyForm
{
    /// <inheritdoc/>
    public static string Name => "2.6.29";
    /// <inheritdoc/>
    public static bool DefersSwapCache => true;
    /// <inheritdoc/>
    public static bool MigrationCharges => true;
    /// <inheritdoc/>
    public static bool MigrationMarks => false;
    /// <inheritdoc/>
    public static bool Batches => false;
    /// <inheritdoc/>
    public static bool CountsPageState => false;
}

/// <summary>2.6.35 to 3.5: task batch; a page that migrates is marked, and its copy charged as well, so a group at its limit has to make room first (C1).</summary>
public readonly struct Early33 : IEarlyForm
{
    /// <inheritdoc/>
    public static string Name => "3.3";
    /// <inheritdoc/>
    public static bool DefersSwapCache => true;
    /// <inheritdoc/>
    public static bool MigrationCharges => true;
    /// <inheritdoc/>
    public static bool MigrationMarks => true;
    /// <inheritdoc/>
    public static bool Batches => true;
    /// <inheritdoc/>
    public static bool CountsPageState => true;
}

/// <summary>3.6 to 3.16: the same without the second charge. Linux: 0030f535a5cf.</summary>
public readonly struct Early36 : IEarlyForm
{
    /// <inheritdoc/>
    public static string Name => "3.6";
    /// <inheritdoc/>
    public static bool DefersSwapCache => true;
    /// <inheritdoc/>
    public static bool MigrationCharges => false;
    /// <inheritdoc/>
    public static bool MigrationMarks => true;
    /// <inheritdoc/>
    public static bool Batches => true;
    /// <inheritdoc/>
    public static bool CountsPageState => true;
}

/// <summary>Uncharge where the type of the page is known. Linux: __mem_cgroup_uncharge_common and its wrappers, mm/memcontrol.c 2.6.27 to 3.16.</summary>
[PatchSeries("KAMEZAWA Hiroyuki", "2008-12", "memcg: mem+swap controller core; coalesce uncharge during unmap/truncate",
    "merged in 2.6.29 (8c7c6e34a125) and 2.6.33 (569b846df54f); replaced in 3.17")]
public readonly unsafe struct AtUnmap<TForm> : IUnchargeDesign where TForm : struct, IEarlyForm
{
    /// <inheritdoc/>
    public static string Name => "AtUnmap(" + TForm.Name + ")";
    /// <inheritdoc/>
    public static bool CountsPageState => TForm.CountsPageState;

    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) => UnchargeBatch.Init(UnchargeBatch.Of(area));

    /// <inheritdoc/>
    public static void OnUnmap<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController
    {
        if (!PageMapping.IsAnon(page) && PageMapping.FileOf(page) != null) return; // page cache: when it leaves the cache
        if (TForm.DefersSwapCache && PageOps.Test(page, PageFlags.SwapCache)) return; // when it leaves the swap cache
        Uncharge<TC>(cpu, page, UnchargeType.Mapped);
    }

    /// <inheritdoc/>
    public static void OnCacheRemoved<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => Uncharge<TC>(cpu, page, UnchargeType.Cache);

    /// <inheritdoc/>
    /// <remarks>Nothing is left to do: every way out of use has had its hook.</remarks>
    public static void OnFinalPut<TC>(in ThisCpu cpu, Page** pages, int n) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    /// <remarks>Always; a commit that finds the page charged gives the charge back (columns C and D of the swap-in table).</remarks>
    public static bool ChargesSwapIn<TC>(in ThisCpu cpu, Page* page) where TC : struct, IMemoryController => true;

    /// <inheritdoc/>
    public static void OnSwapCacheDeleted<TC>(in ThisCpu cpu, Page* page, SwapEntry entry, bool swapOut) where TC : struct, IMemoryController
    {
        if (!TForm.DefersSwapCache) return; // uncharged at the last unmap already
        if (!swapOut)
        {
            Uncharge<TC>(cpu, page, UnchargeType.Drop);
            return;
        }
        if (!TC.TryClear(cpu, page, UnchargeType.SwapOut, out Memcg* owner, out ClearedCharge charge)) return;
        if (Guarded<int>.Get(&Memcg.TreeOf(owner)->SwapAccounting) != 0)
        {
            SwapRecord.Charge<TC>(cpu, SwapDevice.Of(cpu), entry, owner);
            charge = charge with { Memsw = 0 }; // the entry's now
        }
        GiveBack<TC>(cpu, owner, charge);
    }

    /// <inheritdoc/>
    public static void OnSwapOut<TC>(in ThisCpu cpu, Page* page, SwapEntry entry) where TC : struct, IMemoryController { }

    /// <summary>Whose charge old carries. The mark is set in the same section; where there is none, an unmap may take the charge at once.</summary>
    private static bool Pays<TC>(in ThisCpu cpu, Page* old, bool anon, out Memcg* owner) where TC : struct, IMemoryController
    {
        if (TForm.MigrationMarks && anon) return TC.TryMarkMigrating(cpu, old, out owner);
        owner = TC.OwnerOf(cpu, old, out bool used); // file: stable, the page lock keeps the page in its file, isolation keeps movers away (C10)
        return used;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Up to 3.5 the copy has a charge of its own; getting it may wait, and without a mark nothing keeps the charge of old, and with it the group:
    /// a reference does until then. Since 3.6 one charge pays for both frames, and an unmap may take it before the end is done with the other:
    /// the reference stays until the end. False also when the group has no reference left: it is being emptied for the last time.
    /// </remarks>
    public static bool OnMigratePrepare<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController
    {
        bool anon = PageMapping.IsAnon(old);
        Rcu.ReadLock(cpu);
        bool used = Pays<TC>(cpu, old, anon, out Memcg* owner);
        bool held = used && Css.TryGet(cpu, &owner->Css); // put below, or by OnMigrateEnd
        Rcu.ReadUnlock(cpu);
        bool paid = held && (!TForm.MigrationCharges || Charging.TryCharge<TC>(cpu, owner, 1, Gfp.Kernel));
        if (paid) CommitCopy<TC>(cpu, page, owner, anon);
        else if (used && anon && TForm.MigrationMarks) EndMark<TC>(cpu, old, old);
        if (held && TForm.MigrationCharges) Css.Put(cpu, &owner->Css);
        return paid || !used; // unmapped meanwhile: nobody pays for the copy either
    }

    /// <summary>What stays in use may have been zapped for the last time while the mark kept it charged.</summary>
    private static void EndMark<TC>(in ThisCpu cpu, Page* old, Page* used) where TC : struct, IMemoryController
    {
        if (TForm.MigrationMarks) TC.ClearMigrating(cpu, old);
        if (AtomicInt.Load(&used->MapCount) == 0) OnUnmap<TC>(cpu, used);
    }

    private static void CommitCopy<TC>(in ThisCpu cpu, Page* page, Memcg* owner, bool anon) where TC : struct, IMemoryController
    {
        if (!TC.Commit(cpu, page, owner, anon)) Bug.Fail("uncharge: the target of a migration is charged already (page)", (long)page);
    }

    /// <inheritdoc/>
    public static void OnMigrateEnd<TC>(in ThisCpu cpu, Page* old, Page* page, bool ok) where TC : struct, IMemoryController
    {
        Page* used = ok ? page : old, unused = ok ? old : page;
        bool anon = PageMapping.IsAnon(old);
        if (TC.TryClear(cpu, unused, UnchargeType.Force, out Memcg* owner, out ClearedCharge charge))
        {
            // Counted as what the page was: the copy of a migration that failed has no mapping to say so.
            charge = new ClearedCharge(TForm.MigrationCharges ? charge.Memory : 0, TForm.MigrationCharges ? charge.Memsw : 0, 1, anon ? 1 : 0);
            GiveBack<TC>(cpu, owner, charge);
            if (!TForm.MigrationCharges) Css.Put(cpu, &owner->Css); // got by OnMigratePrepare
        }
        if (anon) EndMark<TC>(cpu, old, used); // up to 3.5 Linux cleared the mark before it uncharged the unused page; the look at the survivor comes after both
    }

    /// <inheritdoc/>
    public static void OnMigrated<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController { }

    /// <inheritdoc/>
    public static void OnReplaced<TC>(in ThisCpu cpu, Page* old, Page* page) where TC : struct, IMemoryController
    {
        TC.OwnerOf(cpu, page, out bool used);
        if (used) Uncharge<TC>(cpu, old, UnchargeType.Cache); // page cache that replaces page cache keeps its own charge (C8)
        else TC.MoveCharge(cpu, old, page, lrucare: true);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnBatchBegin(in ThisCpu cpu)
    {
        if (TForm.Batches) UnchargeBatch.Begin(UnchargeBatch.Of(cpu.Area));
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void OnBatchEnd<TC>(in ThisCpu cpu) where TC : struct, IMemoryController
    {
        if (TForm.Batches) UnchargeBatch.End<TC>(cpu, UnchargeBatch.Of(cpu.Area));
    }

    private static void Uncharge<TC>(in ThisCpu cpu, Page* page, UnchargeType type) where TC : struct, IMemoryController
    {
        if (TC.TryClear(cpu, page, type, out Memcg* owner, out ClearedCharge charge)) GiveBack<TC>(cpu, owner, charge);
    }

    /// <summary>Statistics now, counters now or at the end of the batch.</summary>
    private static void GiveBack<TC>(in ThisCpu cpu, Memcg* owner, in ClearedCharge charge) where TC : struct, IMemoryController
    {
        MemcgStatCpu* stat = Memcg.OnCpu(cpu, owner);
        MemcgStatCpu.Add(stat, MemcgStatItem.Rss, -charge.Anon);
        MemcgStatCpu.Add(stat, MemcgStatItem.Cache, charge.Anon - charge.Pages);
        MemcgStatCpu.Add(stat, MemcgStatItem.PgpgOut, charge.Pages);
        SoftLimit.Check(cpu, charge.Pages);
        if ((charge.Memory | charge.Memsw) == 0 || Memcg.IsRoot(owner)) return;
        if (TForm.Batches && UnchargeBatch.TryAdd(UnchargeBatch.Of(cpu.Area), owner, charge)) return;
        TC.UnchargeCounters(cpu, owner, charge.Memory, charge.Memsw);
    }
}

/// <summary>
/// Uncharges that wait for the end of an unmap, a truncation or a reclaim run. Linux: struct memcg_batch_info in task_struct, 2.6.33 to 3.16;
/// one task per CPU here. The group needs no reference: what is not yet subtracted keeps it alive.
/// </summary>
/// <remarks>Never touched from the irq role: a second begin would forget the first one's group (C4).</remarks>
[SharedState, StructLayout(LayoutKind.Explicit, Size = 64)]
internal unsafe struct UnchargeBatch
{
    /// <summary>C: nesting.</summary>
    [FieldOffset(0)] public Guarded<int> Depth;
    /// <summary>C: pages to take off memory.</summary>
    [FieldOffset(4)] public Guarded<int> Memory;
    /// <summary>C: and off memory+swap.</summary>
    [FieldOffset(8)] public Guarded<int> Memsw;
    /// <summary>C: the one group remembered.</summary>
    [FieldOffset(16)] public GuardedPtr<Memcg> Memcg;

    public static UnchargeBatch* Of(CpuArea* area) => (UnchargeBatch*)((byte*)area + CpuArea.AxesOffset + 3 * CpuArea.AxisBytes);

    public static void Init(UnchargeBatch* b)
    {
        Guarded<int>.Set(&b->Depth, 0);
        Forget(b);
    }

    private static void Forget(UnchargeBatch* b)
    {
        Guarded<int>.Set(&b->Memory, 0);
        Guarded<int>.Set(&b->Memsw, 0);
        GuardedPtr<Memcg>.Set(&b->Memcg, null);
    }

    public static void Begin(UnchargeBatch* b)
    {
        int depth = Guarded<int>.Get(&b->Depth);
        if (depth == 0) Forget(b);
        Guarded<int>.Set(&b->Depth, depth + 1);
    }

    /// <summary>False outside a batch and for a second group: subtract at once.</summary>
    public static bool TryAdd(UnchargeBatch* b, Memcg* memcg, in ClearedCharge charge)
    {
        if (Guarded<int>.Get(&b->Depth) == 0) return false;
        Memcg* kept = GuardedPtr<Memcg>.Get(&b->Memcg);
        if (kept == null) GuardedPtr<Memcg>.Set(&b->Memcg, memcg);
        else if (kept != memcg) return false;
        Guarded<int>.Set(&b->Memory, Guarded<int>.Get(&b->Memory) + charge.Memory);
        Guarded<int>.Set(&b->Memsw, Guarded<int>.Get(&b->Memsw) + charge.Memsw);
        return true;
    }

    public static void End<TC>(in ThisCpu cpu, UnchargeBatch* b) where TC : struct, IMemoryController
    {
        int depth = Guarded<int>.Get(&b->Depth) - 1;
        if (depth < 0) Bug.Fail("uncharge: batch ended more often than begun");
        Guarded<int>.Set(&b->Depth, depth);
        Memcg* memcg = GuardedPtr<Memcg>.Get(&b->Memcg);
        if (depth != 0 || memcg == null) return;
        int memory = Guarded<int>.Get(&b->Memory), memsw = Guarded<int>.Get(&b->Memsw);
        Forget(b);
        TC.UnchargeCounters(cpu, memcg, memory, memsw);
    }
}
