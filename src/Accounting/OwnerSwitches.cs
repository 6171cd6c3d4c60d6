// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Accounting;

// The three things that happen to an owner under ILruDesign.Rehome.

/// <summary>A new charge, statistics included (commit with lrucare).</summary>
internal unsafe struct CommitSwitch<TC> : IOwnerSwitch where TC : struct, IMemoryController
{
    public Memcg* Memcg;
    public bool Anon;
    public bool Done;

    public void Run(in ThisCpu cpu, Page* page) => Done = TC.Commit(cpu, page, Memcg, Anon);
}

/// <summary>The page gives its charge away; Owner is null when it had none.</summary>
internal unsafe struct TakeSwitch<TPc, TLru> : IOwnerSwitch where TPc : struct, IPageCgroupDesign where TLru : struct, ILruDesign
{
    public Memcg* Owner;

    public void Run(in ThisCpu cpu, Page* page)
    {
        if (!TPc.TryClear<TLru>(cpu, page, UnchargeType.Force, out Owner, out _)) Owner = null;
    }
}

/// <summary>The page receives a charge that another one gave away.</summary>
internal unsafe struct GiveSwitch<TPc, TLru> : IOwnerSwitch where TPc : struct, IPageCgroupDesign where TLru : struct, ILruDesign
{
    public Memcg* Owner;
    public bool Anon;

    public void Run(in ThisCpu cpu, Page* page)
    {
        if (!TPc.Commit<TLru>(cpu, page, Owner, Anon)) Bug.Fail("page_cgroup: a page that takes over a charge has one already (page)", (long)page);
    }
}
