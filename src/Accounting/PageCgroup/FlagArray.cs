// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its author's terms: a pointer in struct page costs 8 bytes of every page for those who do not use the controller, and an
// object per charge costs an allocation, a free, and the question how long it lives. Allocate all page_cgroups at boot: one lives as long as
// its page, and USED says what "pointer not null" said before.
//
//   unused --commit: lock, group, USED, unlock--> used --uncharge: lock, not USED, unlock--> unused, the group still named
//                                                                                             --next on a list--> nobody's
//   operation   commit  uncharge  move  OwnerOf         L: PCG_LOCK, -: free
//   commit         L       L        L      -
//   uncharge       L       L        L      -
//   OwnerOf from list code: the group of a page that is on a list does not change (3.3), so the list's lock is enough.
//
// (A) group, then USED   pairs with (B) in FlagArray.cs: who sees USED sees the group (A13: the reader's barrier lies between its two loads).
// The group outlives its mention because nobody releases a group whose lists are not empty (MoveToParent).
//
// What differs from Linux: flags live above the low byte, so that the lock can be a bit or a byte; page and node of the 40-byte form are set
// when the page is charged, not at boot.

/// <summary>An array entry per frame with a bit lock in its flags. Linux 2.6.28 to 3.16.</summary>
[PatchSeries("KAMEZAWA Hiroyuki", "2008-10-18", "memcg: allocate all page_cgroup at boot", "merged in 2.6.28 (52d4b9ac0b98); lock gone in 3.17, array gone in 3.19")]
public readonly unsafe struct FlagArray<TEntry, TBit> : IPageCgroupDesign where TEntry : struct, IPageCgroupEntry where TBit : struct, IBitLock
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>PCG_USED: charged.</summary>
    public const long Used = 1 << 8;
    /// <summary>PCG_CACHE: as page cache.</summary>
    public const long Cache = 1 << 9;
    /// <summary>PCG_MIGRATION: unmapped only while it moves.</summary>
    public const long Migrating = 1 << 10;

    /// <inheritdoc/>
    public static string Name => $"FlagArray({TEntry.Name}, {TBit.Name})";
    /// <inheritdoc/>
    public static int MetadataBytes => TEntry.Bytes;
    /// <inheritdoc/>
    /// <remarks>The array does not use the word; it is 0 all the time.</remarks>
    public static bool WordClearAtFree => false;
    /// <inheritdoc/>
    public static bool HasNode => TEntry.NodeOffset != 0;

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }
    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node) { } // zeroed memory: nothing used, no node linked

    [MethodImpl(Inline)]
    private static void* Lookup(in ThisCpu cpu, Page* page) => PageCgroupArray.Lookup(cpu, page, TEntry.Bytes);

    [MethodImpl(Inline)]
    private static void Lock(void* pc)
    {
        Machine.IrqOff();
        TBit.Acquire(TEntry.Flags(pc));
    }

    [MethodImpl(Inline)]
    private static void Unlock(void* pc)
    {
        TBit.Release(TEntry.Flags(pc));
        Machine.IrqOn();
    }

    [MethodImpl(Inline)]
    private static bool Is(void* pc, long bits) => (AtomicLong.Load(TEntry.Flags(pc)) & bits) != 0;

    /// <inheritdoc/>
    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        void* pc = Lookup(cpu, page);
        Lock(pc);
        bool mine = !Is(pc, Used);
        if (mine)
        {
            if (TEntry.NodeOffset != 0) GuardedPtr<Page>.Set(TEntry.PageField(pc), page);
            AtomicPtr<Memcg>.Store(TEntry.Owner(pc), memcg);
            long bits = Used | (anon ? 0 : Cache);
            if (TEntry.NodeOffset != 0) AtomicLong.Store(TEntry.Flags(pc), 1 | bits); // (A) pairs with (B) in FlagArray.cs; 1: the lock, still ours
            else AtomicLong.Or(TEntry.Flags(pc), bits); // (A) again: SetPageCgroupUsed, a locked set_bit; 2.6.28 and 2.6.29 assigned the word
            TLru.OnOwned(cpu, page, memcg);
        }
        Unlock(pc);
        return mine;
    }

    /// <inheritdoc/>
    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        owner = null;
        charge = default;
        void* pc = Lookup(cpu, page);
        if (!Is(pc, Used)) return false;
        Lock(pc);
        bool mine = Is(pc, Used) && !UnchargeRule.Keeps(page, type, Is(pc, Migrating));
        if (mine)
        {
            owner = AtomicPtr<Memcg>.Load(TEntry.Owner(pc));
            charge = ChargeOf(pc);
            TLru.OnDisowned(cpu, page, owner);
            AtomicLong.And(TEntry.Flags(pc), ~(Used | Cache));
        }
        Unlock(pc);
        return mine;
    }

    private static ClearedCharge ChargeOf(void* pc) => new(1, 1, 1, Is(pc, Cache) ? 0 : 1);

    /// <inheritdoc/>
    /// <remarks>mem_cgroup_move_account: one section in which the group changes and the page stays used.</remarks>
    public static bool MoveAccount<TSelf, TLru>(in ThisCpu cpu, Page* page, Memcg* from, Memcg* to, out ClearedCharge charge)
        where TSelf : struct, IPageCgroupDesign where TLru : struct, ILruDesign
    {
        charge = default;
        void* pc = Lookup(cpu, page);
        Lock(pc);
        bool mine = Is(pc, Used) && AtomicPtr<Memcg>.Load(TEntry.Owner(pc)) == from;
        if (mine)
        {
            charge = ChargeOf(pc);
            TLru.OnDisowned(cpu, page, from);
            if (to == null) AtomicLong.And(TEntry.Flags(pc), ~(Used | Cache));
            AtomicPtr<Memcg>.Store(TEntry.Owner(pc), to);
            if (to != null) TLru.OnOwned(cpu, page, to);
        }
        Unlock(pc);
        return mine;
    }

    /// <inheritdoc/>
    /// <remarks>One section: an unmap that comes first finds no mark and uncharges, one that comes later keeps the charge for the end of the migration.</remarks>
    public static bool TryMarkMigrating(in ThisCpu cpu, Page* page, out Memcg* owner)
    {
        void* pc = Lookup(cpu, page);
        Lock(pc);
        bool used = Is(pc, Used);
        owner = AtomicPtr<Memcg>.Load(TEntry.Owner(pc));
        if (used) AtomicLong.Or(TEntry.Flags(pc), Migrating);
        Unlock(pc);
        return used;
    }

    /// <inheritdoc/>
    public static void ClearMigrating(in ThisCpu cpu, Page* page)
    {
        void* pc = Lookup(cpu, page);
        Lock(pc);
        AtomicLong.And(TEntry.Flags(pc), ~Migrating);
        Unlock(pc);
    }

    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
    {
        void* pc = Lookup(cpu, page);
        used = Is(pc, Used);
        return AtomicPtr<Memcg>.Load(TEntry.Owner(pc)); // (B) pairs with (A) in FlagArray.cs
    }

    /// <inheritdoc/>
    /// <remarks>3.3: a page nobody pays for does nothing to keep its former group; on a list it is the root's. Commits of pages that may be added hold the list's lock.</remarks>
    public static Memcg* OwnerAtAdd<TSelf>(in ThisCpu cpu, Page* page) where TSelf : struct, IPageCgroupDesign
    {
        void* pc = Lookup(cpu, page);
        if (Is(pc, Used)) return AtomicPtr<Memcg>.Load(TEntry.Owner(pc)); // (B) pairs with (A) in FlagArray.cs
        AtomicPtr<Memcg>.Store(TEntry.Owner(pc), null);
        return null;
    }

    /// <inheritdoc/>
    public static ListHead* NodeOf(in ThisCpu cpu, Page* page) => TEntry.Node(Lookup(cpu, page));
    /// <inheritdoc/>
    public static Page* PageOfNode(ListHead* node) => GuardedPtr<Page>.Get(TEntry.PageField((byte*)node - TEntry.NodeOffset));
    /// <inheritdoc/>
    public static Memcg* OwnerOfNode(ListHead* node) => AtomicPtr<Memcg>.Load(TEntry.Owner((byte*)node - TEntry.NodeOffset));

    /// <inheritdoc/>
    public static void CheckPage(in ThisCpu cpu, Page* page, ICollection<string> wrong)
    {
        void* pc = Lookup(cpu, page);
        long flags = AtomicLong.Load(TEntry.Flags(pc));
        if ((flags & TBit.Mask) != 0) wrong.Add($"page_cgroup: the lock of page {(nint)page:x} is held");
        if ((flags & Used) != 0 && AtomicPtr<Memcg>.Load(TEntry.Owner(pc)) == null) wrong.Add($"page_cgroup: page {(nint)page:x} is used by nobody");
        if (AtomicLong.Load(&page->Memcg) != 0 && !KmemWord.Has(page)) wrong.Add($"page_cgroup: page {(nint)page:x} has a word, which no array sets");
    }
}
