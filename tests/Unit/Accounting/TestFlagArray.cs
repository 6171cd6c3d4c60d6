// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>
/// The least page_cgroup that early uncharge can stand on: a lock, USED and MIGRATION per page, an owner that stays while the page is on a list.
/// One table for the process, so its tests do not run side by side.
/// </summary>
internal readonly unsafe struct TestFlagArray : IPageCgroupDesign
{
    public const string Collection = "one flag array";
    private const long Lock = 1, Used = 2, Migrating = 4;
    private const int Mask = 0xffff;
    private static readonly nint Table = (nint)NativeMemory.AllocZeroed(Mask + 1, 16);

    private static AtomicLong* Flags(Page* page) => (AtomicLong*)Table + ((nint)page >> Page.Shift & Mask) * 2;
    private static AtomicPtr<Memcg>* Owner(Page* page) => (AtomicPtr<Memcg>*)(Flags(page) + 1);

    public static string Name => "TestFlagArray";
    public static int MetadataBytes => 0;
    public static bool WordClearAtFree => true;
    public static void InitMemcg(Memcg* memcg) { }
    public static void InitCpu(CpuArea* area) { }
    public static void InitNode(AccountingNode* node) => NativeMemory.Clear((void*)Table, (Mask + 1) * 16);

    private static long Acquire(Page* page)
    {
        while (true)
        {
            long was = AtomicLong.FetchOr(Flags(page), Lock);
            if ((was & Lock) == 0) return was;
            AtomicLong.AwaitNot(Flags(page), was); // ended by Release of the holder
        }
    }

    private static void Release(Page* page, long flags) => AtomicLong.Store(Flags(page), flags);

    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        long flags = Acquire(page);
        bool free = (flags & Used) == 0;
        if (free) AtomicPtr<Memcg>.Store(Owner(page), memcg);
        Release(page, flags | Used);
        return free;
    }

    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        long flags = Acquire(page);
        owner = AtomicPtr<Memcg>.Load(Owner(page));
        charge = default;
        bool cleared = (flags & Used) != 0 && !UnchargeRule.Keeps(page, type, (flags & Migrating) != 0);
        if (cleared)
        {
            charge = new ClearedCharge(1, 1, 1, PageMapping.AnonBitOf(page));
            flags &= ~Used;
        }
        Release(page, flags);
        return cleared;
    }

    /// <summary>Off the lists, an owner that no longer pays is forgotten, as mem_cgroup_page_lruvec does: a page put back goes to the root's list and stays there.</summary>
    public static Memcg* OwnerOf(Page* page, out bool used)
    {
        used = (AtomicLong.Load(Flags(page)) & Used) != 0;
        if (used || PageOps.Test(page, PageFlags.Lru) || AtomicPtr<Memcg>.Load(Owner(page)) == null) return AtomicPtr<Memcg>.Load(Owner(page));
        long flags = Acquire(page);
        used = (flags & Used) != 0;
        if (!used && !PageOps.Test(page, PageFlags.Lru)) AtomicPtr<Memcg>.Store(Owner(page), null);
        Memcg* owner = AtomicPtr<Memcg>.Load(Owner(page));
        Release(page, flags);
        return owner;
    }

    public static void SetMigrating(in ThisCpu cpu, Page* page, bool migrating)
    {
        long flags = Acquire(page);
        Release(page, migrating ? flags | Migrating : flags & ~Migrating);
    }
}
