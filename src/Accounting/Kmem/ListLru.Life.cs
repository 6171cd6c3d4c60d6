// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;
using ItemLock = MemcgNative.Native.TestAndSetLock;

namespace MemcgNative.Accounting;

public unsafe partial struct ListLru
{
    /// <summary>memcg_reparent_list_lrus: every list of the group becomes its parent's. Once, at offline, children before parents.</summary>
    internal static void ReparentAll(in ThisCpu cpu, Memcg* memcg)
    {
        SlabState* slab = SlabState.Of(in cpu);
        if (slab == null) return;
        ItemLock.Acquire(in cpu, &slab->Mutex);
        for (ListHead* at = IntrusiveList.First(&slab->ListLrus); at != &slab->ListLrus; at = IntrusiveList.NextOf(at)) Reparent(in cpu, (ListLru*)at, memcg);
        ItemLock.Release(in cpu, &slab->Mutex);
    }

    /// <summary>Splice, mark dead, erase last (G1). The nearest ancestor has lists, because entries are made from the root downwards.</summary>
    internal static void Reparent(in ThisCpu cpu, ListLru* lru, Memcg* memcg)
    {
        AtomicPtr<ListLruMemcg>* entry = EntryOf(lru, memcg);
        ListLruMemcg* own = AtomicPtr<ListLruMemcg>.Load(entry);
        if (own == null) return;
        for (int node = 0; node < Guarded<int>.Get(&lru->Nodes); node++) SpliceNode(in cpu, lru, node, ListLruMemcg.On(own, node), Memcg.ParentOf(memcg));
        Erase(in cpu, lru, entry);
    }

    internal static void SpliceNode(in ThisCpu cpu, ListLru* lru, int node, ListLruOne* child, Memcg* parent)
    {
        Machine.IrqOff();
        ItemLock.Acquire(in cpu, &child->Lock);
        ListLruOne* to = Lock(in cpu, lru, node, parent);
        IntrusiveList.SpliceTail(&to->List, &child->List);
        Count(to, AtomicLong.Load(&child->NrItems));
        AtomicLong.Store(&child->NrItems, ListLruOne.Dead); // (L1) pairs with (L2) in ListLru.cs
        ItemLock.Release(in cpu, &to->Lock);
        ItemLock.Release(in cpu, &child->Lock);
        Machine.IrqOn();
    }

    internal static void Erase(in ThisCpu cpu, ListLru* lru, AtomicPtr<ListLruMemcg>* entry)
    {
        Machine.IrqOff(); // without, an interrupt's lookup deadlocks on the table (spec 3.7)
        ItemLock.Acquire(in cpu, &lru->TableLock);
        ListLruMemcg* own = AtomicPtr<ListLruMemcg>.Load(entry);
        AtomicPtr<ListLruMemcg>.Store(entry, null);
        ItemLock.Release(in cpu, &lru->TableLock);
        Machine.IrqOn();
        if (own != null) Native.Rcu.Call(in cpu, &own->Rcu, &FreeEntry);
    }

    private static void FreeEntry(in ThisCpu cpu, RcuHead* head) => Kmalloc.Free(in cpu, head); // Rcu is its first field

    /// <summary>Adds a line for each thing wrong at quiescence (I22): counts and walks, entries of groups that are gone, totals.</summary>
    internal static void Check(in ThisCpu cpu, MemcgTree* tree, ICollection<string> wrong)
    {
        SlabState* slab = SlabState.Of(in cpu);
        if (slab == null) return;
        for (ListHead* at = IntrusiveList.First(&slab->ListLrus); at != &slab->ListLrus; at = IntrusiveList.NextOf(at))
            for (int node = 0; node < Guarded<int>.Get(&((ListLru*)at)->Nodes); node++) CheckNode((ListLru*)at, node, tree, wrong);
    }

    private static void CheckNode(ListLru* lru, int node, MemcgTree* tree, ICollection<string> wrong)
    {
        long sum = 0;
        for (int id = 0; id < Guarded<int>.Get(&lru->Capacity); id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            ListLruMemcg* own = AtomicPtr<ListLruMemcg>.Load(EntryOf(lru, memcg));
            if (own == null) continue;
            CssState state = Css.StateOf(&memcg->Css);
            if (state is not (CssState.Online or CssState.Dying)) wrong.Add($"list_lru: group {id} is {state} and still has lists (I22)");
            ListLruOne* one = ListLruMemcg.On(own, node);
            long items = AtomicLong.Load(&one->NrItems), walk = IntrusiveList.Walk(&one->List);
            if (items != walk) wrong.Add($"list_lru: group {id} node {node}: count {items}, walk {walk} (I22)");
            sum += items;
        }
        if (sum != AtomicLong.Load(Total(lru, node))) wrong.Add($"list_lru: node {node}: total {AtomicLong.Load(Total(lru, node))}, the groups have {sum} (I22)");
    }
}
