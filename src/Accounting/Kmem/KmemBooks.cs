// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>
/// Who pays for which kernel memory, found by looking at every frame, object, objcg and stock (spec 7: I1, I2, I10 to I15). At quiescence.
/// </summary>
public sealed unsafe class KmemBooks
{
    private readonly MemcgTree* tree;
    private readonly long[] bytes;
    private readonly List<string> wrong;
    private readonly Dictionary<nint, long> used = [];
    private readonly Dictionary<nint, long> references = [];

    /// <summary>Empty books; what is wrong goes to the list given.</summary>
    public KmemBooks(MemcgTree* tree, List<string> wrong)
    {
        this.tree = tree;
        this.wrong = wrong;
        bytes = new long[Guarded<int>.Get(&tree->Capacity)];
    }

    /// <summary>Bytes whose owner is the group: whole pages of slabs and blocks, bytes of objects, bytes stocked and left over.</summary>
    public long BytesOf(int id) => bytes[id];

    private void Add(Memcg* owner, long count, string what)
    {
        CssState state = Css.StateOf(&owner->Css);
        if (state is CssState.Free or CssState.Released) wrong.Add($"kmem: {what} belongs to group {Guarded<int>.Get(&owner->Id)}, which is {state}");
        bytes[Guarded<int>.Get(&owner->Id)] += count;
    }

    /// <summary>Designs that charge slabs: each slab of a copy belongs to the copy's owner (I15). handsOver: what a group owns is its parent's once it is offline.</summary>
    public void CountSlabs(in ThisCpu cpu, delegate*<SlabCache*, Memcg*> ofCache, delegate*<long, Memcg*> ofWord, bool handsOver)
    {
        MemMap* map = MemMap.Of(in cpu);
        for (long pfn = 0; pfn < Guarded<long>.Get(&map->Count); pfn++)
        {
            Page* page = MemMap.PageOf(map, new Pfn(pfn));
            long word = AtomicLong.Load(&page->Memcg);
            if (PageOps.Test(page, PageFlags.Slab))
            {
                SlabCache* cache = SlabCache.Of(KmemCacheState.Of(page));
                if (cache == null || SlabCache.RootOf(cache) == null) continue;
                if (word != 0 && ofWord(word) != ofCache(cache)) wrong.Add($"kmem: slab at pfn {pfn} names another owner than its cache (I15)");
                Add(ofCache(cache), MemMap.FrameBytes, $"slab at pfn {pfn}");
            }
            else if ((word & KmemWord.Owner) != 0)
            {
                Add(ofWord(word), Kmalloc.OrderOf(page).Pages << MemMap.FrameShift, $"block at pfn {pfn}");
            }
        }
        if (SlabState.Of(in cpu) == null) return;
        CheckCaches(in cpu, ofCache);
        CheckLists(in cpu, ofCache, handsOver);
    }

    /// <summary>Slots name copies of their id, one each; a group has no second living copy of a root; no offline group has a slot (I14).</summary>
    private void CheckCaches(in ThisCpu cpu, delegate*<SlabCache*, Memcg*> ofCache)
    {
        SlabState* slab = SlabState.Of(in cpu);
        var living = new HashSet<(nint, nint)>();
        for (ListHead* at = IntrusiveList.First(&slab->Caches); at != &slab->Caches; at = IntrusiveList.NextOf(at))
        {
            SlabCache* cache = SlabCache.OfAll(at);
            if (SlabCache.RootOf(cache) is var root && root != null)
            {
                if (Guarded<int>.Get(&cache->Dying) == 0 && !living.Add(((nint)root, (nint)ofCache(cache))))
                    wrong.Add($"kmem: group {Guarded<int>.Get(&ofCache(cache)->Id)} has two living copies of one cache (I14)");
                continue;
            }
            CacheSlots* slots = AtomicPtr<CacheSlots>.Load(&cache->Slots);
            for (int id = 0; slots != null && id < Guarded<int>.Get(&slots->Size); id++)
            {
                SlabCache* child = AtomicPtr<SlabCache>.Load(CacheSlots.At(slots, id));
                if (child == null) continue;
                if (Guarded<int>.Get(&ofCache(child)->Id) != id) wrong.Add($"kmem: slot {id} holds a cache of group {Guarded<int>.Get(&ofCache(child)->Id)} (I14)");
                if (Css.StateOf(&ofCache(child)->Css) == CssState.Offline) wrong.Add($"kmem: offline group {id} still has a cache in its slot (I14)");
            }
        }
    }

    /// <summary>
    /// Every copy is on its root's list and on its owner's (I11, I14); an offline group owns none where copies are handed over (I10), and nobody is
    /// still asked to make one for it (I14).
    /// </summary>
    private void CheckLists(in ThisCpu cpu, delegate*<SlabCache*, Memcg*> ofCache, bool handsOver)
    {
        SlabState* slab = SlabState.Of(in cpu);
        long copies = 0, listed = 0, siblings = 0;
        for (ListHead* at = IntrusiveList.First(&slab->Caches); at != &slab->Caches; at = IntrusiveList.NextOf(at))
            if (SlabCache.RootOf(SlabCache.OfAll(at)) != null) copies++;
            else siblings += IntrusiveList.Walk(&SlabCache.OfAll(at)->Siblings);
        for (ListHead* at = IntrusiveList.First(&slab->Queue); at != &slab->Queue; at = IntrusiveList.NextOf(at))
            if (GuardedPtr<Memcg>.Get(&((CacheRequest*)at)->Memcg) is var asker && Css.StateOf(&asker->Css) == CssState.Offline)
                wrong.Add($"kmem: a copy is still to be made for offline group {Guarded<int>.Get(&asker->Id)} (I14)");
        for (int id = 0; id < bytes.Length; id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            if (Css.StateOf(&memcg->Css) is CssState.Free or CssState.Released) continue;
            if (handsOver && Css.StateOf(&memcg->Css) == CssState.Offline && !IntrusiveList.IsEmpty(&MemcgKmem.Of(memcg)->Caches))
                wrong.Add($"kmem: offline group {id} still owns copies of caches (I10)");
            ListHead* mine = &MemcgKmem.Of(memcg)->Caches;
            listed += IntrusiveList.Walk(mine);
            for (ListHead* at = IntrusiveList.First(mine); at != mine; at = IntrusiveList.NextOf(at))
                if (ofCache(SlabCache.OfMine(at)) != memcg) wrong.Add($"kmem: a cache on the list of group {id} belongs to another (I11)");
        }
        if (copies != siblings || copies != listed) wrong.Add($"kmem: {copies} copies of caches, {siblings} on lists of roots, {listed} on lists of groups (I14)");
    }

    /// <summary>Designs that charge objects: every slot of every vector; stocks; residues; then each owner's bytes must be whole pages (I2, I13).</summary>
    public void CountObjects(in ThisCpu cpu, bool residueInGroup, bool perNode = false)
    {
        MemMap* map = MemMap.Of(in cpu);
        for (long pfn = 0; pfn < Guarded<long>.Get(&map->Count); pfn++)
        {
            Page* page = MemMap.PageOf(map, new Pfn(pfn));
            long word = AtomicLong.Load(&page->Memcg);
            if ((word & KmemWord.Vector) != 0) CountVector(pfn, page, KmemWord.Target<GuardedPtr<Objcg>>(word));
            else if (perNode && word != 0 && (word & KmemWord.Owner) == 0) references[(nint)word] = references.GetValueOrDefault((nint)word) + 1; // a user page
            if ((word & KmemWord.Owner) != 0) CountObject(KmemWord.Target<Objcg>(word), Kmalloc.OrderOf(page).Pages << MemMap.FrameShift, $"block at pfn {pfn}");
        }
        for (int i = 0; i < Guarded<int>.Get(&cpu.Table->Count); i++)
        {
            SlabCpu* own = SlabCpu.Of(CpuTable.Area(cpu.Table, i));
            long owner = AtomicLong.Load(&own->Stocked), stocked = AtomicInt.Load(&own->Bytes);
            if (owner == 0 && stocked != 0) wrong.Add($"kmem: cpu {i} stocks {stocked} bytes of nobody (I3)");
            if (owner == 0) continue;
            if (residueInGroup) Add((Memcg*)owner, stocked, $"stock of cpu {i}");
            else CountObject((Objcg*)owner, stocked, $"stock of cpu {i}");
        }
        for (int id = 0; id < bytes.Length; id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            if (Css.StateOf(&memcg->Css) is CssState.Free or CssState.Released) continue;
            MemcgKmem* kmem = MemcgKmem.Of(memcg);
            bytes[id] += AtomicInt.Load(&kmem->Residue);
            CheckOwned(in cpu, memcg, &kmem->Objcg, &kmem->Owned, residueInGroup);
            for (int node = 0; perNode && node < Guarded<int>.Get(&tree->Nodes); node++)
                CheckOwned(in cpu, memcg, &NodeObjcg.Of(memcg, node)->Active, &NodeObjcg.Of(memcg, node)->Owned, residueInGroup);
        }
    }

    private void CheckOwned(in ThisCpu cpu, Memcg* memcg, AtomicPtr<Objcg>* word, ListHead* owned, bool residueInGroup)
    {
        Objcg* active = AtomicPtr<Objcg>.Load(word);
        if (active != null) CheckObjcg(in cpu, active, memcg, residueInGroup, isActive: true);
        if (active != null && Css.StateOf(&memcg->Css) == CssState.Offline) wrong.Add($"kmem: offline group {Guarded<int>.Get(&memcg->Id)} still hands out its objcg (I10)");
        for (ListHead* at = IntrusiveList.First(owned); at != owned; at = IntrusiveList.NextOf(at))
            if (Objcg.OfList(at) != active) CheckObjcg(in cpu, Objcg.OfList(at), memcg, residueInGroup, isActive: false);
    }

    private void CountVector(long pfn, Page* slab, GuardedPtr<Objcg>* vector)
    {
        KmemCacheState* state = KmemCacheState.Of(slab);
        long owners = 0;
        for (int i = 0; i < Guarded<int>.Get(&state->PerSlab); i++)
        {
            Objcg* objcg = GuardedPtr<Objcg>.Get(vector + i);
            if (objcg == null) continue;
            owners++;
            CountObject(objcg, ObjVector.Cost(state), $"object {i} of the slab at pfn {pfn}");
        }
        if (owners > AtomicLong.Load(&slab->Index)) wrong.Add($"kmem: slab at pfn {pfn} has {owners} owners and {AtomicLong.Load(&slab->Index)} objects out (I15)");
    }

    private void CountObject(Objcg* objcg, long count, string what)
    {
        Add(AtomicPtr<Memcg>.Load(&objcg->Memcg), count, what);
        used[(nint)objcg] = used.GetValueOrDefault((nint)objcg) + count;
        references[(nint)objcg] = references.GetValueOrDefault((nint)objcg) + 1;
    }

    private void CheckObjcg(in ThisCpu cpu, Objcg* objcg, Memcg* memcg, bool residueInGroup, bool isActive)
    {
        int id = Guarded<int>.Get(&memcg->Id);
        if (AtomicPtr<Memcg>.Load(&objcg->Memcg) != memcg) wrong.Add($"kmem: an objcg of group {id} names another owner (I11)");
        long held = PerCpuRef.CountAtRest(in cpu, &objcg->Ref), found = references.GetValueOrDefault((nint)objcg) + (isActive ? 1 : 0);
        if (held != found) wrong.Add($"kmem: an objcg of group {id} has {held} references, {found} holders are found (I13)");
        if (residueInGroup) return;
        long residue = AtomicInt.Load(&objcg->Residue);
        bytes[id] += residue;
        long all = used.GetValueOrDefault((nint)objcg) + residue;
        if (all % MemMap.FrameBytes != 0) wrong.Add($"kmem: {all} bytes are charged through an objcg of group {id}, no multiple of a page (I2)");
    }
}
