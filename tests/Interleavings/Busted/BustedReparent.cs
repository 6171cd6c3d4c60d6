// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

// The end of a group, wrong in one way each.

/// <summary>The old owner's last reference is put before the new owner can be seen: who has loaded the old one waits for a store that waits for him (D8).</summary>
internal readonly unsafe struct PutThenStore : ISwitchOrder
{
    public static void Switch(in ThisCpu cpu, Objcg* objcg, Memcg* child, Memcg* parent)
    {
        Css.Put(in cpu, &child->Css);
        Rcu.Synchronize(in cpu); // the group is recycled
        AtomicPtr<Memcg>.Store(&objcg->Memcg, parent);
    }
}

/// <summary>6.18: the entry goes first, and whoever looks for the lists goes to the parent's, while the items are still on the child's (G1).</summary>
internal readonly unsafe struct ErasesFirst : IListSwitch
{
    public static void Reparent(in ThisCpu cpu, ListLru* lru, Memcg* memcg)
    {
        AtomicPtr<ListLruMemcg>* entry = ListLru.EntryOf(lru, memcg);
        ListLruMemcg* own = AtomicPtr<ListLruMemcg>.Load(entry);
        ListLru.Erase(in cpu, lru, entry);
        ListLru.SpliceNode(in cpu, lru, 0, ListLruMemcg.On(own, 0), Memcg.ParentOf(memcg));
    }
}

/// <summary>Makes lists for whoever asks, dying or not (G2).</summary>
internal readonly unsafe struct AnyGroup : IListMaker
{
    public static void Prepare(in ThisCpu cpu, ListLru* lru, Memcg* memcg)
    {
        ListLruMemcg* own = ListLru.New(in cpu, 1);
        if (AtomicPtr<ListLruMemcg>.CompareExchange(ListLru.EntryOf(lru, memcg), own, null) != null) Kmalloc.Free(in cpu, own);
    }
}

/// <summary>Counts for the group it was handed, however dead (H7).</summary>
internal readonly unsafe struct ForWhoeverIsNamed : ICounts
{
    public static Memcg* For(Memcg* memcg) => memcg;
}
