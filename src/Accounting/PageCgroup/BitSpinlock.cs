// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The problem, in its authors' terms: a page must know its group, and struct page has one word to spare. It points to a page_cgroup that
// exists while the page is charged; bit 0 of the word is a lock, so that the pointer, the object and its place on the group's list change
// together. Two users of a page may both charge it: the second finds an object under the lock and undoes everything.
//
//   0 --commit: lock, store, link, unlock--> object --uncharge: lock, unlink, clear, unlock--> 0, then the object is freed
//
//   operation    commit  uncharge  move_lists  OwnerOf          L: excluded by the bit lock, T: tried, gives up
//   commit          L       L          T          L
//   uncharge        L       L          T          L
//   OwnerOf         L       L          T          L          page_get_page_cgroup under the lock: the object may be freed behind its reader
//
// Lock order: bit lock, then the zone info's lock. Who moves a page between lists holds the zone's lock and only tries the bit lock; the
// group's list is then stale, and the scanner puts it right.
//
// What differs from Linux: irqs are off while the lock is held, because the end of writeback asks for the owner here (A15). The object is
// allocated inside commit, from the reserves, because a charge has two halves here; if there is none, the page stays uncharged and its charge
// is given back. With the byte encoding the pointer sits above the low byte.

/// <summary>A slab object per charged page behind a word whose low end is a spinlock. Linux 2.6.25 to 2.6.27.</summary>
[PatchSeries("Balbir Singh, Hugh Dickins", "2008-02", "Memory controller: accounting setup; memcg: lock_page_cgroup and page_cgroup ref", 
    "merged in 2.6.25 (8a9f3ccd2474, 7e924aafa4b0); replaced in 2.6.28")]
public readonly unsafe struct BitSpinlock<TBit> : IPageCgroupDesign where TBit : struct, IBitLock
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <inheritdoc/>
    public static string Name => "BitSpinlock(" + TBit.Name + ")";
    /// <inheritdoc/>
    public static int MetadataBytes => 0;
    /// <inheritdoc/>
    public static bool WordClearAtFree => true;
    /// <inheritdoc/>
    public static int ObjectBytes => PageCgroupObject.BaselineBytes;
    /// <inheritdoc/>
    public static bool HasNode => true;
    /// <inheritdoc/>
    public static bool OwnerNeedsReference => true;
    /// <inheritdoc/>
    public static bool ChargesInsertedPages => true;

    /// <inheritdoc/>
    public static void InitMemcg(Memcg* memcg) { }
    /// <inheritdoc/>
    public static void InitCpu(CpuArea* area) { }
    /// <inheritdoc/>
    public static void InitNode(AccountingNode* node) { }

    /// <summary>An object's address leaves the lock's bits free: it is aligned for one bit; for a byte it is shifted (a user address has at most 56 bits).</summary>
    private static int Shift { [MethodImpl(Inline)] get => TBit.Mask == 1 ? 0 : 8; }

    [MethodImpl(Inline)]
    private static PageCgroupObject* Decode(long word) => (PageCgroupObject*)((word & ~TBit.Mask) >> Shift);

    /// <summary>Stores pc and keeps the lock, which the caller holds.</summary>
    [MethodImpl(Inline)]
    private static void StoreLocked(Page* page, PageCgroupObject* pc) => AtomicLong.Store(&page->Memcg, (long)pc << Shift | 1);

    [MethodImpl(Inline)]
    private static void Lock(Page* page)
    {
        Machine.IrqOff();
        TBit.Acquire(&page->Memcg);
    }

    [MethodImpl(Inline)]
    private static void Unlock(Page* page)
    {
        TBit.Release(&page->Memcg);
        Machine.IrqOn();
    }

    /// <inheritdoc/>
    public static bool Commit<TLru>(in ThisCpu cpu, Page* page, Memcg* memcg, bool anon) where TLru : struct, ILruDesign
    {
        PageCgroupObject* pc = PageCgroupObject.Alloc(cpu);
        if (pc == null) return false;
        PageCgroupObject.Init(pc, page, memcg, anon);
        Lock(page);
        if (Decode(AtomicLong.Load(&page->Memcg)) != null) return Undo(cpu, page, pc);
        StoreLocked(page, pc);
        TLru.OnOwned(cpu, page, memcg);
        TLru.OnNodeOwned<BitSpinlock<TBit>>(cpu, &pc->Lru);
        Unlock(page);
        return true;
    }

    /// <summary>Another thread has attached an object: ours goes, its charge stands.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool Undo(in ThisCpu cpu, Page* page, PageCgroupObject* pc)
    {
        Unlock(page);
        PageCgroupObject.Free(cpu, pc);
        return false;
    }

    /// <inheritdoc/>
    public static bool TryClear<TLru>(in ThisCpu cpu, Page* page, UnchargeType type, out Memcg* owner, out ClearedCharge charge) where TLru : struct, ILruDesign
    {
        owner = null;
        charge = default;
        Lock(page);
        PageCgroupObject* pc = Decode(AtomicLong.Load(&page->Memcg));
        if (pc == null || Keeps(pc, page, type))
        {
            Unlock(page);
            return false;
        }
        owner = GuardedPtr<Memcg>.Get(&pc->Memcg);
        charge = ChargeOf(pc);
        ListHead* node = &pc->Lru;
        TLru.OnNodesDisowned<BitSpinlock<TBit>>(cpu, &node, 1);
        TLru.OnDisowned(cpu, page, owner);
        StoreLocked(page, null);
        Unlock(page);
        PageCgroupObject.Free(cpu, pc);
        return true;
    }

    /// <summary>uncharge_common's dispatch: an unmap ends neither page cache nor a page that is mapped again.</summary>
    private static bool Keeps(PageCgroupObject* pc, Page* page, UnchargeType type) =>
        (type == UnchargeType.Mapped && (AtomicLong.Load(&pc->Flags) & PageCgroupObject.Cache) != 0) || UnchargeRule.Keeps(page, type, migrating: false);

    private static ClearedCharge ChargeOf(PageCgroupObject* pc) => new(1, 1, 1, (AtomicLong.Load(&pc->Flags) & PageCgroupObject.Cache) != 0 ? 0 : 1);

    /// <inheritdoc/>
    public static Memcg* OwnerOf(in ThisCpu cpu, Page* page, out bool used)
    {
        Lock(page);
        PageCgroupObject* pc = Decode(AtomicLong.Load(&page->Memcg));
        Memcg* owner = pc == null ? null : GuardedPtr<Memcg>.Get(&pc->Memcg);
        Unlock(page);
        used = owner != null;
        return owner;
    }

    /// <inheritdoc/>
    public static ListHead* TryEnter(in ThisCpu cpu, Page* page)
    {
        if (!TBit.TryAcquire(&page->Memcg)) return null;
        PageCgroupObject* pc = Decode(AtomicLong.Load(&page->Memcg));
        if (pc != null) return &pc->Lru;
        TBit.Release(&page->Memcg);
        return null;
    }

    /// <inheritdoc/>
    public static void Leave(in ThisCpu cpu, Page* page) => TBit.Release(&page->Memcg);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Page* PageOfNode(ListHead* node) => GuardedPtr<Page>.Get(&((PageCgroupObject*)node)->Page);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static Memcg* OwnerOfNode(ListHead* node) => GuardedPtr<Memcg>.Get(&((PageCgroupObject*)node)->Memcg);
    /// <inheritdoc/>
    [MethodImpl(Inline)]
    public static LruList ListOfNode(ListHead* node) => PageCgroupObject.ListOf((PageCgroupObject*)node);
    /// <inheritdoc/>
    public static void SetListOfNode(ListHead* node, LruList list) => PageCgroupObject.SetListPlain((PageCgroupObject*)node, list);

    /// <inheritdoc/>
    public static void CheckPage(in ThisCpu cpu, Page* page, ICollection<string> wrong)
    {
        long word = AtomicLong.Load(&page->Memcg);
        if ((word & TBit.Mask) != 0) wrong.Add($"page_cgroup: the lock of page {(nint)page:x} is held");
        PageCgroupObject* pc = Decode(word);
        if (pc != null && GuardedPtr<Page>.Get(&pc->Page) != page) wrong.Add($"page_cgroup: that of page {(nint)page:x} names page {(nint)GuardedPtr<Page>.Get(&pc->Page):x}");
    }
}
