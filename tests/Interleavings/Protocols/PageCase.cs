// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>Two groups, an address space of the first, and four pages: one that is in use, two fresh ones, and one that CPU0 can allocate.</summary>
internal unsafe struct PageWorld
{
    public SimulatedAccounting Box;
    public Memcg* A, B;
    public Page* Page, Fresh, Other;
    public MmStruct* Mm, Child;
    public FileSpace* File;
    public AtomicInt* Result;
    public int Cpus;
    public readonly SwapDevice* Swap => (SwapDevice*)Guarded<nint>.Get(&Box.Tree->Swap);
}

/// <summary>What CPUs do to a page and its charge, written against the controller, so that every combination of answers can run it.</summary>
internal unsafe interface IPageScript
{
    static virtual int Cpus => 2;
    static virtual int Interrupts => 0;
    static virtual bool PlainIsMarked => false;
    static virtual int SwapEntries => 0;
    /// <summary>A is B's child; else both are the root's.</summary>
    static virtual bool Nested => false;
    static virtual RcuFlavour Flavour => RcuFlavour.Qsbr;
    /// <summary>Somebody waits for a grace period or has queued a callback: a CPU that is done announces it and runs its own.</summary>
    static virtual bool Leaves => false;
    static abstract void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController;
    static abstract void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController;
    static virtual void Irq<TC>(in ThisCpu cpu, in PageWorld w) where TC : struct, IMemoryController { }
    static virtual void Final<TC>(in PageWorld w) where TC : struct, IMemoryController { }
}

/// <summary>The same script with more CPUs in its last role.</summary>
internal readonly unsafe struct Wide<T, TCpus> : IPageScript where T : struct, IPageScript where TCpus : struct, ISize
{
    public static int Cpus => TCpus.N;
    public static int SwapEntries => T.SwapEntries;
    public static bool Nested => T.Nested;
    public static bool Leaves => T.Leaves;
    public static RcuFlavour Flavour => T.Flavour;
    public static void Setup<TC>(ref PageWorld w) where TC : struct, IMemoryController => T.Setup<TC>(ref w);
    public static void Body<TC>(in ThisCpu cpu, int index, in PageWorld w) where TC : struct, IMemoryController => T.Body<TC>(cpu, index, w);
    public static void Final<TC>(in PageWorld w) where TC : struct, IMemoryController => T.Final<TC>(w);
}

/// <summary>A script under one controller. At rest every counter, statistic and list agrees with a recount of the pages.</summary>
internal readonly unsafe struct PageCase<TC, TScript> : ICase where TC : struct, IMemoryController where TScript : struct, IPageScript
{
    public const int Groups = 4, Frames = 4;

    private static PageWorld w;

    public static int Cpus => TScript.Cpus;
    public static int Interrupts => TScript.Interrupts;
    public static bool PlainIsMarked => TScript.PlainIsMarked;

    public static void Setup()
    {
        w = new PageWorld { Cpus = Cpus, Box = SimulatedAccounting.New<TC>(Cpus, Groups, Frames, TScript.Flavour, TScript.SwapEntries) };
        if (TC.PageCgroupBytes != 0) w.Box.ObjectCache(Cpus, TC.PageCgroupBytes, 3);
        w.B = w.Box.Group<TC>();
        w.A = TScript.Nested ? MemcgLife.Create<TC>(w.Box[0], w.B) : w.Box.Group<TC>();
        w.Page = w.Box.Pages;
        w.Fresh = w.Page + 1;
        w.Other = w.Page + 2;
        w.Box.Spare(3, 0);
        w.File = Arena.New<FileSpace>("file");
        FileSpace.Init(w.File);
        w.Result = Arena.Array<AtomicInt>(4, "result");
        TScript.Setup<TC>(ref w);
    }

    public static void Body(int cpu)
    {
        TScript.Body<TC>(w.Box[cpu], cpu, w);
        if (TScript.Leaves) Rcu.CpuOffline(w.Box[cpu]);
    }

    public static void Irq(int cpu) => TScript.Irq<TC>(w.Box[cpu], w);

    public static void Final()
    {
        AccountingCheck.Run<TC>(w.Box, Groups, Frames);
        long cached = 0;
        for (int i = 0; i < Frames; i++)
            if (PageMapping.FileOf(w.Page + i) == w.File && PageCache.Find(w.Box[0], w.File, AtomicLong.Load(&w.Page[i].Index)) == w.Page + i) cached++;
        if (cached != AtomicLong.Load(&w.File->Pages)) Bug.Fail("pages of the file, and as counted", cached, AtomicLong.Load(&w.File->Pages));
        TScript.Final<TC>(w);
    }
}
