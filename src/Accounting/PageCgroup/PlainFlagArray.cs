// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: the page_cgroup lock is crazily expensive, and it is there because pages are uncharged while others
// look at them. With uncharge after the last put nobody looks: the flags are stored plainly. And because the old page of a migration is no
// longer uncharged early, "belongs to" and "carries a charge" come apart: USED names the group, MEM and MEMSW are the charges.
//
//   0 --commit--> USED MEM MEMSW --swap-out--> USED MEM --final put--> 0
//                                \--migrated: the new page has all three--> the mail: USED; 3.17: 0
//
//   operation   commit  clear  move charge  swap-out       X: excluded by page lock, isolation, or the last reference being gone
//   any           X       X         X           X
//   (A) commit happens before the page is reachable (R-C1); (B) every use before the last put, a full-fence RMW (R-C2).
//
// What differs from the mail: statistics follow the charge, so a page without MEM gives none back; counted by USED, as the flags alone would
// suggest, the old and the new page would both be subtracted.

/// <summary>What the old page of a migration keeps.</summary>
public interface IPlainForm
{
    /// <summary>Name users choose it by.</summary>
    static abstract string Name { get; }
    /// <summary>The bits it keeps.</summary>
    static abstract long KeptByMigrated { get; }
}

/// <summary>The mail of 2014-04-30: USED stays, so MEM without USED never happens but USED without MEM does (C-I9).</summary>
public readonly struct PlainAsMailed : IPlainForm
{
    /// <inheritdoc/>
    public static string Name => "mail";
    /// <inheritdoc/>
    public static long KeptByMigrated => 1;
}

/// <summary>3.17: nothing stays.</summary>
public readonly struct Plain317 : IPlainForm
{
    /// <inheritdoc/>
    public static string Name => "3.17";
    /// <inheritdoc/>
    public static long KeptByMigrated => 0;
}

/// <summary>16 bytes per frame, three bits, no lock. Linux 3.17.</summary>
[PatchSeries("Johannes Weiner", "2014-04-30", "mm: memcontrol: rewrite uncharge API", "merged in 3.17 (0a31bc97c80c); bits gone in 3.18, array gone in 3.19")]
public readonly unsafe struct PlainFlagArray<TForm> : IPageCgroupDesign where TForm : struct, IPlainForm
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>PCG_USED: the group is named.</summary>
    public const long Used = 1;
    /// <summary>PCG_MEM: the page holds a memory charge.</summary>
    public const long Mem = 2;
    /// <summary>PCG_MEMSW: the page holds a memory+swap charge.</summary>
    public const long Memsw = 4;

    /// <inheritdoc/>
    public static string Name => "PlainFlagArray(" + TForm.Name + ")";
    /// <inheritdoc/>
    public static int MetadataBytes => PageCgroupEntry16.Bytes;
    /// <inheritdoc/>
    /// <remarks>The array does not use the word; it is 0 all the time.</remarks>
    public static bool WordClearAtFree => false;

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }
    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node) { } // zeroed memory

    [MethodImpl(Inline)]
    private static void* Lookup(in ThisCpu cpu, Page* page) => PageCgroupArray.Lookup(cpu, page, PageCgroupEntry16.Bytes);
    [MethodImpl(Inline)]
    private static long Flags(void* pc) => AtomicLong.Load(PageCgroupEntry16.Flags(pc));
    [MethodImpl(Inline)]
    private static void SetFlags(void* pc, long flags) => AtomicLong.Store(PageCgroupEntry16.Flags(pc), flags);
    [MethodImpl(Inline)]
    private static Memcg* Owner(void* pc) => AtomicPtr<Memcg>.Load(PageCgroupEntry16.Owner(pc));

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        void* pc = Lookup(cpu, page);
        if ((Flags(pc) & Mem) != 0) return false;
        AtomicPtr<Memcg>.Store(PageCgroupEntry16.Owner(pc), memcg);
        SetFlags(pc, Used | Mem | Memsw);
        TLru.OnOwned(cpu, page, memcg);
        return true;
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        void* pc = Lookup(cpu, page);
        long flags = Flags(pc);
        owner = Owner(pc);
        charge = ChargeOf(flags, page);
        if ((flags & Used) == 0) return false; // before anything of the page is touched (C7)
        TLru.OnDisowned(cpu, page, owner);
        SetFlags(pc, 0);
        return (flags & Mem) != 0;
    }

    [MethodImpl(Inline)]
    private static ClearedCharge ChargeOf(long flags, Page* page)
    {
        if ((flags & Mem) == 0) return default;
        return new ClearedCharge(1, (flags & Memsw) != 0 ? 1 : 0, 1, PageMapping.AnonBitOf(page));
    }

    /// <inheritdoc/>
    public static bool MoveCharge<TSelf, TLru>(in ThisCpu cpu, Page* old, Page* page) where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        void* pc = Lookup(cpu, old);
        if ((Flags(pc) & Mem) == 0) return false;
        SetFlags(pc, TForm.KeptByMigrated);
        return Commit<TLru>(cpu, page, Owner(pc), PageMapping.IsAnon(old));
    }

    /// <inheritdoc/>
    /// <remarks>mem_cgroup_swapout: the bit goes, the rest stays until the final put.</remarks>
    public static bool ReleaseMemsw<TSelf, TLru>(in ThisCpu cpu, Page* page, out Memcg* owner, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        void* pc = Lookup(cpu, page);
        long flags = Flags(pc);
        owner = Owner(pc);
        charge = default;
        if ((flags & Mem) == 0) return false;
        if ((flags & Memsw) == 0) Bug.Fail("page_cgroup: swapped out without a memsw charge (page, flags)", (long)page, flags);
        SetFlags(pc, flags & ~Memsw);
        return true;
    }

    /// <inheritdoc/>
    public static bool MoveAccount<TSelf, TLru>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        charge = default;
        void* pc = Lookup(cpu, page);
        long flags = Flags(pc);
        if (Owner(pc) != from || (flags & Used) == 0) return false;
        if ((flags & Mem) != 0) charge = ChargeOf(flags, page);
        if (to == null || (flags & Mem) == 0) SetFlags(pc, 0); // without a charge nothing keeps the group: let it go
        AtomicPtr<Memcg>.Store(PageCgroupEntry16.Owner(pc), (flags & Mem) != 0 ? to : null);
        return (flags & Mem) != 0;
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
    {
        void* pc = Lookup(cpu, page);
        used = (Flags(pc) & Mem) != 0;
        return Owner(pc);
    }

    /// <inheritdoc/>
    /// <remarks>As FlagArray: without USED the page is the root's.</remarks>
    public static Memcg* OwnerAtAdd<TSelf>(in ThisCpu cpu, Page* page) where TSelf : struct, IPageCgroupDesign
    {
        void* pc = Lookup(cpu, page);
        if ((Flags(pc) & Used) == 0) AtomicPtr<Memcg>.Store(PageCgroupEntry16.Owner(pc), null);
        return Owner(pc);
    }

    /// <inheritdoc/>
    public static void CheckPage(in ThisCpu cpu, Page* page, ICollection<string> wrong)
    {
        void* pc = Lookup(cpu, page);
        long flags = Flags(pc);
        if (((flags & Memsw) != 0 && (flags & Mem) == 0) || ((flags & Mem) != 0 && (flags & Used) == 0))
            wrong.Add($"page_cgroup: page {(nint)page:x} has flags {flags}: MEMSW needs MEM, MEM needs USED (C-I9)");
        if ((flags & Used) != 0 && Owner(pc) == null) wrong.Add($"page_cgroup: page {(nint)page:x} is used by nobody");
        if (PageOps.Count(page) == 0 && flags != 0) wrong.Add($"page_cgroup: page {(nint)page:x} is free and has flags {flags} (C-I6)");
        if (AtomicLong.Load(&page->Memcg) != 0 && !KmemWord.Has(page)) wrong.Add($"page_cgroup: page {(nint)page:x} has a word, which no array sets");
    }
}
