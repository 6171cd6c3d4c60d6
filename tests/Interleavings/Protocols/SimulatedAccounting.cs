// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>One node, a table of groups, a few pages: what AccountingMemory builds, in the arena. Group 0 is the root.</summary>
internal readonly unsafe struct SimulatedAccounting
{
    private readonly SimulatedCpus cpus;

    private SimulatedAccounting(SimulatedCpus cpus, MemcgTree* tree, Page* pages)
    {
        this.cpus = cpus;
        Tree = tree;
        Pages = pages;
    }

    public MemcgTree* Tree { get; }
    public Page* Pages { get; }
    public Memcg* Root => MemcgTree.Root(Tree);
    public ThisCpu this[int cpu] => cpus[cpu];
    public SimulatedCpus AllCpus => cpus;

    /// <summary>swapEntries above 0: with a device, and memory+swap counted.</summary>
    public static SimulatedAccounting New<TC>(int count, int groups, int pages = 0, RcuFlavour flavour = RcuFlavour.Qsbr, int swapEntries = 0) where TC : struct, IMemoryController
    {
        SimulatedCpus cpus = SimulatedCpus.New(count, flavour);
        MemcgTree* tree = Arena.New<MemcgTree>("tree");
        Page* first = pages == 0 ? null : Arena.Array<Page>(pages, "page");
        SimulatedFrames.Attach(cpus, count, first, pages);
        SimulatedFrames.Swap(tree, swapEntries);
        SimulatedFrames.Cache(tree);
        Guarded<int>.Set(&tree->Capacity, groups);
        Guarded<int>.Set(&tree->Cpus, count);
        Guarded<int>.Set(&tree->Nodes, 1);
        IntrusiveList.Init(&tree->Free);
        Guarded<nint>.Set(&tree->Groups, (nint)Arena.Array<Memcg>(groups, "group"));
        Guarded<nint>.Set(&tree->NodeBases, (nint)Arena.Array<MemcgNode>(groups, "groupnode"));
        Guarded<nint>.Set(&tree->StatBase, (nint)Arena.Array<MemcgStatCpu>(groups * count, "stat"));
        Guarded<nint>.Set(&tree->StatStride, groups * MemcgStatCpu.Bytes);
        AccountingNode* node = Arena.New<AccountingNode>("node");
        Guarded<long>.Set(&node->EndPfn, pages);
        GuardedPtr<MemcgTree>.Set(&node->Tree, tree);
        if (TC.PageMetadataBytes != 0 && pages != 0) GuardedPtr<byte>.Set(&node->PageMetadata, (byte*)Arena.Block(pages * TC.PageMetadataBytes, "page_cgroup",
            TC.PageMetadataBytes == PageCgroupEntry16.Bytes ? typeof(PageCgroupEntry16) : typeof(PageCgroupEntry40)));
        TC.Configure(node, new AccountingPlan());
        TC.InitNode(node);
        Guarded<nint>* nodes = Arena.New<Guarded<nint>>("nodes");
        Guarded<nint>.Set(nodes, (nint)node);
        for (int c = 0; c < count; c++)
        {
            AccountingCpu* own = AccountingCpu.Of(cpus[c]);
            Guarded<nint>.Set(&own->StatBase, Guarded<nint>.Get(&tree->StatBase) + c * groups * MemcgStatCpu.Bytes);
            GuardedPtr<MemcgTree>.Set(&own->Tree, tree);
            GuardedPtr<Guarded<nint>>.Set(&own->Nodes, nodes);
            Guarded<int>.Set(&own->NodeCount, 1);
            IoQueue.Init<TC>(cpus.Area(c));
            LruDrain.Init<TC>(cpus.Area(c));
            TC.InitCpu(cpus.Area(c));
        }
        for (int id = groups - 1; id >= 0; id--)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            Guarded<int>.Set(&memcg->Id, id);
            Guarded<nint>.Set(&memcg->StatOffset, (nint)id * MemcgStatCpu.Bytes);
            Guarded<nint>.Set(&memcg->Tree, (nint)tree);
            if (id != 0) IntrusiveList.Add(&tree->Free, &memcg->Sibling);
        }
        IntrusiveList.Init(&MemcgTree.Root(tree)->Sibling);
        MemcgLife.Init<TC>(tree, MemcgTree.Root(tree), null);
        TC.OnOnline(cpus[0], MemcgTree.Root(tree));
        for (int i = 0; i < pages; i++)
        {
            AtomicInt.Init(&first[i].RefCount, 1);
            AtomicLong.Init(&first[i].Flags, PageFlags.SwapBacked);
        }
        return new SimulatedAccounting(cpus, tree, first);
    }

    /// <summary>A child of the root.</summary>
    public Memcg* Group<TC>() where TC : struct, IMemoryController => MemcgLife.Create<TC>(cpus[0], Root);

    /// <summary>Page i, anonymous or a file's, charged to memcg and on its list, with the reference of its mapping or cache.</summary>
    public Page* Charged<TC>(int i, Memcg* memcg, bool anon = true) where TC : struct, IMemoryController
    {
        Page* page = Pages + i;
        Refusal refused = default;
        if (!Memcg.IsRoot(memcg) && !TC.TryCharge(cpus[0], memcg, 1, ref refused)) Bug.Fail("setup: refused");
        AtomicLong.Init(&page->Mapping, anon ? 1 : 0);
        if (!anon) AtomicLong.Init(&page->Flags, 0);
        if (!TC.Commit(cpus[0], page, memcg, anon)) Bug.Fail("setup: charged already");
        TC.LruAdd(cpus[0], &page, 1);
        return page;
    }

    /// <summary>Page i is free and on top of a CPU's list.</summary>
    public void Spare(int i, int cpu) => SimulatedFrames.Spare(cpus.Area(cpu), Pages + i);

    /// <summary>An address space of a few entries whose faults memcg pays for.</summary>
    public MmStruct* Space(Memcg* memcg, int entries, string name)
    {
        MmStruct* mm = Arena.New<MmStruct>(name);
        MmStruct.Init(mm, entries, (byte*)Arena.Block((int)MmStruct.TableBytes(entries), name + ".table"));
        if (!MemcgLife.Attach(cpus[0], mm, memcg)) Bug.Fail("setup: the group is going away");
        return mm;
    }

    /// <summary>page is mapped at index of mm.</summary>
    public static void Map(Page* page, MmStruct* mm, int index)
    {
        if (PageMapping.IsAnon(page)) PageMapping.SetAnon(page, mm, index);
        AtomicInt.Init(&page->MapCount, AtomicInt.Load(&page->MapCount) + 1);
        GuardedPtr<Page>.Set(MmStruct.Entry(mm, index), page);
    }

    /// <summary>A cache of page_cgroup objects: each CPU has some on its stack and never needs a slab.</summary>
    public void ObjectCache(int count, int bytes, int each)
    {
        var cache = (KmemCacheState*)Arena.Block(sizeof(KmemCacheState), "cache", typeof(KmemCacheState));
        Guarded<int>.Set(&cache->ObjectBytes, bytes);
        nint* table = (nint*)Arena.Block(count * sizeof(nint), "stacks");
        GuardedPtr<nint>.Set(&cache->Cpus, table);
        for (int c = 0; c < count; c++)
        {
            var own = (KmemCpu*)Arena.Block(KmemCpu.Bytes, $"stack{c}", typeof(KmemCpu));
            table[c] = (nint)own;
            Guarded<int>.Set(&own->Count, each);
            Guarded<int>.Set(&own->Limit, KmemCpu.Capacity);
            for (int i = 0; i < each; i++)
            {
                void* o = Arena.Block((bytes + 15) & ~15, $"object{c}.{i}", typeof(PageCgroupObject));
                GuardedPtr<byte>.Set(KmemCpu.Entry(own, i), (byte*)o);
                Machine.OnFree(o, (nuint)bytes);
            }
            Guarded<nint>.Set(&AccountingCpu.Of(cpus[c])->PageCgroupCache, (nint)cache);
        }
    }
}
