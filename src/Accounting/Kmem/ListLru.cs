// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using MemcgNative.Allocator;
using MemcgNative.Native;
using ItemLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

/// <summary>A group's items on one node. Linux: struct list_lru_one, 6.13: a lock of its own.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe struct ListLruOne
{
    /// <summary>Bytes of one: a line.</summary>
    public const int Bytes = 64;

    /// <summary>Guards the list and the count; a leaf, but for the parent's taken inside a child's at offline.</summary>
    [FieldOffset(0)] public LockWord Lock;
    /// <summary>L: least recently added first.</summary>
    [FieldOffset(16)] public ListHead List;
    /// <summary>L: its length; <see cref="Dead"/> when the items have become the parent's. Shrinkers read it without the lock.</summary>
    [FieldOffset(32)] public AtomicLong NrItems;

    /// <summary>LONG_MIN: whoever has locked this one asks the parent.</summary>
    public const long Dead = long.MinValue;
}

/// <summary>A group's items, followed by one <see cref="ListLruOne"/> per node. Linux: struct list_lru_memcg.</summary>
[SharedState, StructLayout(LayoutKind.Explicit, Size = Header)]
public unsafe struct ListLruMemcg
{
    /// <summary>Bytes before the first node's.</summary>
    public const int Header = 64;

    /// <summary>The deferred free.</summary>
    [FieldOffset(0)] public RcuHead Rcu;

    /// <summary>The items on node.</summary>
    public static ListLruOne* On(ListLruMemcg* own, int node) => (ListLruOne*)((byte*)own + Header + node * ListLruOne.Bytes);
}

/// <summary>What a shrinker says about an item. Linux: enum lru_status.</summary>
public enum LruVerdict
{
    /// <summary>Taken: off the list, the visitor's.</summary>
    Removed,
    /// <summary>In use: to the end of the list.</summary>
    Rotate,
    /// <summary>Not now: it stays where it is.</summary>
    Skip,
}

/// <summary>A shrinker's look at an item, under the list's lock.</summary>
public unsafe interface ILruVisitor
{
    /// <summary>What becomes of it.</summary>
    LruVerdict Visit(in ThisCpu cpu, ListHead* item);
}

// The problem: a shrinker that is asked to make room in one group must find that group's idle objects, so they are listed per group and node.
// When the group goes, its lists become its parent's, before its objects do: an object's owner says on whose list it is.
//
//   no entry --first object that wants one (online only, ancestors first)--> living --offline: joined to the parent's--> dead --erased, RCU--> freed
//
//   operation    add, del     walk     prepare    reparent
//   reparent     item lock    item lock  table      table       table: the lock under which entries are made and erased
//
// (L1) reparent marks the child dead before it erases its entry; (L2) whoever locks a list looks whether it is dead and then asks the parent.
// 4.0 to 6.18 erased first: a deleter then went to the parent's lock while the item was still linked to the child's (G1).

/// <summary>Idle objects per group and node. Linux: struct list_lru, mm/list_lru.c, form of 6.13 with the order of June 2026 (G1).</summary>
[PatchSeries("Glauber Costa, Vladimir Davydov", "2015-02", "list_lru: per-memcg lists; reparenting (2788cf0c401c)", "merged in 4.0; a lock per list 6.13")]
[SharedState, StructLayout(LayoutKind.Explicit, Size = Bytes)]
public unsafe partial struct ListLru
{
    /// <summary>Bytes before the per-node totals.</summary>
    public const int Bytes = 128;

    /// <summary>L: slab mutex: on the list of all, for offline to walk.</summary>
    [FieldOffset(0)] public ListHead All;
    /// <summary>I: memory nodes.</summary>
    [FieldOffset(16)] public Guarded<int> Nodes;
    /// <summary>I: ids the table has room for.</summary>
    [FieldOffset(20)] public Guarded<int> Capacity;
    /// <summary>I: AtomicPtr&lt;ListLruMemcg&gt; per group id (R: under <see cref="TableLock"/>); null = ask the parent. Linux: an xarray.</summary>
    [FieldOffset(24)] public Guarded<nint> Table;
    /// <summary>Guards making and erasing of entries; irqs off, because lookups come from the irq role too.</summary>
    [FieldOffset(64)] public LockWord TableLock;

    /// <summary>A: items of all groups on a node; these follow the struct, a line each.</summary>
    private static AtomicLong* Total(ListLru* lru, int node) => (AtomicLong*)((byte*)lru + Bytes + node * 64);

    internal static AtomicPtr<ListLruMemcg>* EntryOf(ListLru* lru, Memcg* memcg) => (AtomicPtr<ListLruMemcg>*)Guarded<nint>.Get(&lru->Table) + Guarded<int>.Get(&memcg->Id);

    /// <summary>list_lru_init_memcg: with the root's lists; null when there is no memory. Ended by <see cref="Destroy"/>.</summary>
    public static ListLru* Create(in ThisCpu cpu, MemcgTree* tree)
    {
        int nodes = Guarded<int>.Get(&tree->Nodes), capacity = Guarded<int>.Get(&tree->Capacity);
        var lru = (ListLru*)Kmalloc.AllocZeroed(in cpu, Bytes + nodes * 64);
        void* table = lru == null ? null : Kmalloc.AllocZeroed(in cpu, capacity * sizeof(nint));
        if (table == null)
        {
            Kmalloc.Free(in cpu, lru);
            return null;
        }
        Guarded<int>.Set(&lru->Nodes, nodes);
        Guarded<int>.Set(&lru->Capacity, capacity);
        Guarded<nint>.Set(&lru->Table, (nint)table);
        ItemLock.Init(&lru->TableLock);
        ListLruMemcg* root = New(in cpu, nodes);
        if (root == null)
        {
            Kmalloc.Free(in cpu, table);
            Kmalloc.Free(in cpu, lru);
            return null;
        }
        AtomicPtr<ListLruMemcg>.Store(EntryOf(lru, MemcgTree.Root(tree)), root);
        SlabState* slab = SlabState.Of(in cpu);
        ItemLock.Acquire(in cpu, &slab->Mutex);
        IntrusiveList.AddTail(&slab->ListLrus, &lru->All);
        ItemLock.Release(in cpu, &slab->Mutex);
        return lru;
    }

    /// <summary>list_lru_destroy: nobody uses it any more, it is empty.</summary>
    public static void Destroy(in ThisCpu cpu, ListLru* lru)
    {
        SlabState* slab = SlabState.Of(in cpu);
        ItemLock.Acquire(in cpu, &slab->Mutex);
        IntrusiveList.Remove(&lru->All);
        ItemLock.Release(in cpu, &slab->Mutex);
        var table = (AtomicPtr<ListLruMemcg>*)Guarded<nint>.Get(&lru->Table);
        for (int id = 0; id < Guarded<int>.Get(&lru->Capacity); id++) Kmalloc.Free(in cpu, AtomicPtr<ListLruMemcg>.Load(table + id));
        Kmalloc.Free(in cpu, table);
        Kmalloc.Free(in cpu, lru);
    }

    internal static ListLruMemcg* New(in ThisCpu cpu, int nodes)
    {
        var own = (ListLruMemcg*)Kmalloc.Alloc(in cpu, ListLruMemcg.Header + nodes * ListLruOne.Bytes);
        for (int node = 0; own != null && node < nodes; node++)
        {
            ListLruOne* one = ListLruMemcg.On(own, node);
            ItemLock.Init(&one->Lock);
            IntrusiveList.Init(&one->List);
            AtomicLong.Init(&one->NrItems, 0);
        }
        return own;
    }

    /// <summary>
    /// memcg_list_lru_alloc: memcg and its ancestors have lists from now on, ancestors first; false when there is no memory. A dying group gets
    /// none, because nobody would empty them (G2): the mark is set a grace period before offline, and looked at under the table's lock.
    /// </summary>
    public static bool Prepare(in ThisCpu cpu, ListLru* lru, Memcg* memcg)
    {
        while (Missing(lru, memcg) is var missing && missing != null)
        {
            ListLruMemcg* own = New(in cpu, Guarded<int>.Get(&lru->Nodes));
            if (own == null) return false;
            AtomicPtr<ListLruMemcg>* entry = EntryOf(lru, missing);
            Machine.IrqOff();
            ItemLock.Acquire(in cpu, &lru->TableLock);
            bool online = Css.StateOf(&missing->Css) == CssState.Online, mine = online && AtomicPtr<ListLruMemcg>.Load(entry) == null;
            if (mine) AtomicPtr<ListLruMemcg>.Store(entry, own);
            ItemLock.Release(in cpu, &lru->TableLock);
            Machine.IrqOn();
            if (!mine) Kmalloc.Free(in cpu, own);
            if (!online) return true; // its items are an ancestor's
        }
        return true;
    }

    private static Memcg* Missing(ListLru* lru, Memcg* memcg)
    {
        Memcg* missing = null;
        for (; !Memcg.IsRoot(memcg); memcg = Memcg.ParentOf(memcg))
            if (AtomicPtr<ListLruMemcg>.Load(EntryOf(lru, memcg)) == null) missing = memcg;
        return missing;
    }

    /// <summary>lock_list_lru_of_memcg: the living lists nearest to memcg, locked; the caller is inside RCU.</summary>
    internal static ListLruOne* Lock(in ThisCpu cpu, ListLru* lru, int node, Memcg* memcg)
    {
        for (; ; memcg = Memcg.ParentOf(memcg)) // (L2) pairs with (L1) in ListLru.Life.cs; the root's are never dead
        {
            ListLruMemcg* own = AtomicPtr<ListLruMemcg>.Load(EntryOf(lru, memcg));
            if (own == null) continue;
            ListLruOne* one = ListLruMemcg.On(own, node);
            ItemLock.Acquire(in cpu, &one->Lock);
            if (AtomicLong.Load(&one->NrItems) != ListLruOne.Dead) return one;
            ItemLock.Release(in cpu, &one->Lock);
        }
    }

    /// <summary>
    /// list_lru_add_obj: obj's item goes to the end of its owner's list. The caller owns the object, so nobody else adds or deletes it; the group was
    /// prepared before the first of its objects was added, so an entry never appears between an add and its delete.
    /// </summary>
    public static void Add<TC>(in ThisCpu cpu, ListLru* lru, void* obj, ListHead* item) where TC : struct, IMemoryController =>
        Link<TC>(in cpu, lru, obj, item, add: true);

    /// <summary>list_lru_del_obj: off the list it is on, whoever owns it by now.</summary>
    public static void Delete<TC>(in ThisCpu cpu, ListLru* lru, void* obj, ListHead* item) where TC : struct, IMemoryController =>
        Link<TC>(in cpu, lru, obj, item, add: false);

    private static void Link<TC>(in ThisCpu cpu, ListLru* lru, void* obj, ListHead* item, bool add) where TC : struct, IMemoryController
    {
        Page* slab = MemMap.PageOfAddress(MemMap.Of(in cpu), obj);
        int node = PageOps.NodeIndex(slab);
        Native.Rcu.ReadLock(in cpu);
        Memcg* memcg = TC.KmemOwnerOfObject(in cpu, slab, obj);
        if (memcg == null) memcg = MemcgTree.Root(GuardedPtr<MemcgTree>.Get(&AccountingCpu.Of(in cpu)->Tree));
        LinkTo(in cpu, lru, node, memcg, item, add);
        Native.Rcu.ReadUnlock(in cpu);
    }

    /// <summary>The same for an item whose owner is known; the caller is inside RCU.</summary>
    internal static void LinkTo(in ThisCpu cpu, ListLru* lru, int node, Memcg* memcg, ListHead* item, bool add)
    {
        ListLruOne* one = Lock(in cpu, lru, node, memcg);
        if (add) IntrusiveList.AddTail(&one->List, item);
        else IntrusiveList.Remove(item);
        Count(one, add ? 1 : -1);
        ItemLock.Release(in cpu, &one->Lock);
        AtomicLong.Add(Total(lru, node), add ? 1 : -1);
    }

    private static void Count(ListLruOne* one, long by)
    {
        long now = AtomicLong.Load(&one->NrItems) + by;
        if (now < 0) Bug.Fail("list_lru: list shorter than what is taken off it, length after", now);
        AtomicLong.Store(&one->NrItems, now);
    }

    /// <summary>list_lru_count_one: items of memcg's own list on node; stale at once.</summary>
    public static long CountOf(ListLru* lru, int node, Memcg* memcg)
    {
        ListLruMemcg* own = AtomicPtr<ListLruMemcg>.Load(EntryOf(lru, memcg));
        return own == null ? 0 : Math.Max(0, AtomicLong.Load(&ListLruMemcg.On(own, node)->NrItems));
    }

    /// <summary>list_lru_walk_one: shows up to max items of memcg's own list to the visitor; returns how many it took. A group without a list has none.</summary>
    public static long Walk<TVisitor>(in ThisCpu cpu, ListLru* lru, int node, Memcg* memcg, long max, ref TVisitor visitor) where TVisitor : struct, ILruVisitor
    {
        long taken = 0;
        Native.Rcu.ReadLock(in cpu);
        if (AtomicPtr<ListLruMemcg>.Load(EntryOf(lru, memcg)) != null)
        {
            ListLruOne* one = Lock(in cpu, lru, node, memcg);
            ListHead* next;
            for (ListHead* at = IntrusiveList.First(&one->List); at != &one->List && max > 0; at = next, max--)
            {
                next = IntrusiveList.NextOf(at);
                LruVerdict verdict = visitor.Visit(in cpu, at);
                if (verdict == LruVerdict.Rotate) IntrusiveList.MoveTail(&one->List, at);
                if (verdict != LruVerdict.Removed) continue;
                IntrusiveList.Remove(at);
                taken++;
            }
            Count(one, -taken);
            ItemLock.Release(in cpu, &one->Lock);
            AtomicLong.Add(Total(lru, node), -taken);
        }
        Native.Rcu.ReadUnlock(in cpu);
        return taken;
    }
}
