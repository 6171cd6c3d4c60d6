// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;
using Lists = MemcgNative.Accounting.TwinLists<MemcgNative.Accounting.Async, MemcgNative.Native.TestAndSetLock>;
using Lockless = MemcgNative.Accounting.LocklessRcu<MemcgNative.Accounting.Corrected, MemcgNative.Accounting.PrefetchNone>;
using Objects = MemcgNative.Accounting.Controller<MemcgNative.Accounting.PageCounter<MemcgNative.Accounting.PageCounter40>,
    MemcgNative.Accounting.LocklessRcu<MemcgNative.Accounting.Corrected, MemcgNative.Accounting.PrefetchNone>,
    MemcgNative.Accounting.TwinLists<MemcgNative.Accounting.Async, MemcgNative.Native.TestAndSetLock>, MemcgNative.Accounting.AtFinalPut,
    MemcgNative.Accounting.PinPerPage, MemcgNative.Accounting.NoKmem>;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What force_empty does about objects that are obsolete and still linked.</summary>
internal interface IObsoleteRule
{
    static abstract void Between(in ThisCpu cpu);
}

internal readonly struct DrainsObsolete : IObsoleteRule
{
    public static void Between(in ThisCpu cpu) => Lockless.DrainAndWait<Lists>(cpu);
}

/// <summary>A2: a group is emptied whose page was just uncharged: the loop must come to an end, although the object is linked still.</summary>
internal readonly unsafe struct EmptyAgainstUncharge<TRule> : ICase where TRule : struct, IObsoleteRule
{
    private static SimulatedAccounting box;
    private static Memcg* a;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Objects>(2, 3, 1);
        box.ObjectCache(2, Lockless.ObjectBytes, 2);
        a = box.Group<Objects>();
        Lockless.Commit<Lists>(box[0], box.Pages, a, anon: true);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        if (cpu == 1) Lockless.OwnerOf(self, box.Pages, out _);
        else
        {
            Lockless.TryClear<Lists>(self, box.Pages, UnchargeType.Force, out _, out _);
            for (int turn = 0; Lists.Count(a, 0, LruList.InactiveAnon) != 0; turn++)
            {
                if (turn == 3) Bug.Fail("force_empty turns and turns over a page_cgroup that is obsolete");
                TRule.Between(self);
            }
        }
        Rcu.CpuOffline(self);
    }
}

/// <summary>How force_empty pins the page of the object at the tail.</summary>
internal unsafe interface IPinRule
{
    static abstract bool TryGet(Page* page);
}

internal readonly unsafe struct GetsUnlessZero : IPinRule
{
    public static bool TryGet(Page* page) => PageOps.GetUnlessZero(page);
}

/// <summary>A3: the page of an object that is obsolete and linked goes through the allocator while force_empty looks at it.</summary>
internal readonly unsafe struct EmptyAgainstFree<TPin> : ICase where TPin : struct, IPinRule
{
    private static SimulatedAccounting box;
    private static Memcg* a;

    public static int Cpus => 2;

    public static void Setup()
    {
        box = SimulatedAccounting.New<Objects>(2, 3, 1, RcuFlavour.Membarrier);
        box.ObjectCache(2, Lockless.ObjectBytes, 2);
        a = box.Group<Objects>();
        Lockless.Commit<Lists>(box[0], box.Pages, a, anon: true);
        Lockless.TryClear<Lists>(box[0], box.Pages, UnchargeType.Force, out _, out _); // truncated: obsolete, linked, its page still there
    }

    public static void Body(int cpu)
    {
        ThisCpu self = box[cpu];
        Page* page = box.Pages;
        if (cpu == 1)
        {
            if (PageOps.PutAndTest(page)) PageAllocator<NoHook>.Free(self, page);
            Page* again = PageAllocator<NoHook>.Alloc(self, Gfp.Kernel); // refuses a page that has references
            if (again != null && PageOps.PutAndTest(again)) PageAllocator<NoHook>.Free(self, again);
        }
        else if (TPin.TryGet(page) && PageOps.PutAndTest(page)) PageAllocator<NoHook>.Free(self, page);
    }

    public static void Final()
    {
        if (!PageOps.Test(box.Pages, PageFlags.Free) || PageOps.Count(box.Pages) != 0) Bug.Fail("a free page has references, or lost its way", PageOps.Count(box.Pages));
    }
}
