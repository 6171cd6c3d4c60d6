// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

/// <summary>The page_cgroups' part of the books: objects, nodes and pages tell the same number (A-I1), and each is its page's (A-I6).</summary>
/// <remarks>At quiescence only, sinks flushed and callbacks run. A-I5 shows at the end: a group that an object still pins is never freed.</remarks>
internal static unsafe class AuditPageCgroup
{
    /// <summary>Adds a line for each thing that does not agree. charged is what the frames say.</summary>
    public static void Check<TC>(in ThisCpu cpu, MemcgTree* tree, long charged, List<string> wrong) where TC : struct, IMemoryController
    {
        MemMap* map = MemMap.Of(cpu);
        for (long pfn = 0; pfn < Guarded<long>.Get(&map->Count); pfn++)
            if (MemMap.PageOf(map, new Pfn(pfn)) is var page && !KmemWord.Has(page)) TC.PageCgroupCheck(cpu, page, wrong); // a kernel block's word is kmem's
        if (TC.PageCgroupBytes == 0) return;
        long live = LiveObjects(AccountingCpu.PageCgroups(cpu));
        if (live != charged) wrong.Add($"page_cgroup: {live} objects allocated and not freed, {charged} pages are charged");
        if (!TC.LruTwin) return;
        long linked = 0;
        for (int id = 0; id < Guarded<int>.Get(&tree->Capacity); id++)
        {
            Memcg* memcg = MemcgTree.ById(tree, id);
            if (Css.StateOf(&memcg->Css) == CssState.Free) continue;
            for (int node = 0; node < Guarded<int>.Get(&tree->Nodes); node++) linked += TC.LruLinkedNodes(memcg, node);
        }
        if (linked != live) wrong.Add($"page_cgroup: {live} objects allocated and not freed, {linked} on the lists of groups");
    }

    /// <summary>Out of the slabs and on no CPU's stack.</summary>
    private static long LiveObjects(KmemCacheState* cache)
    {
        long live = 0;
        for (int i = 0; i < Guarded<int>.Get(&cache->NrNodes); i++) live += Guarded<long>.Get(&KmemCacheState.Node(cache, i)->NrTaken);
        for (int i = 0; i < Guarded<int>.Get(&cache->NrCpus); i++) live -= Guarded<int>.Get(&KmemCacheState.Cpu(cache, i)->Count);
        return live;
    }
}
