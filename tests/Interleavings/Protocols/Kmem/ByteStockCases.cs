// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Accounting;
using MemcgNative.Allocator;
using MemcgNative.Native;

namespace MemcgNative.Tests.Interleavings;

/// <summary>What the byte stocks of all CPUs work on: an owner's residue, its references, the pages charged through it.</summary>
internal struct BytesOf
{
    public AtomicInt Residue, References, Pages;
}

/// <summary>The null answer for whoever owns stocked bytes: a charge is one add, so that the stock is what is explored.</summary>
internal readonly unsafe struct PlainBytes : IByteOwner
{
    private static BytesOf* Own(long owner) => (BytesOf*)owner;

    public static long Of(in ThisCpu cpu, Objcg* objcg) => (long)objcg;
    public static void Done(in ThisCpu cpu, long owner) { }
    public static void Hold(in ThisCpu cpu, long owner) => AtomicInt.Add(&Own(owner)->References, 1);
    public static void Drop(in ThisCpu cpu, long owner) => AtomicInt.Add(&Own(owner)->References, -1);
    public static AtomicInt* Residue(long owner) => &Own(owner)->Residue;
    public static Memcg* Group(long owner) => null;

    public static bool TryCharge(in ThisCpu cpu, long owner, int pages, Gfp gfp)
    {
        AtomicInt.Add(&Own(owner)->Pages, pages);
        return true;
    }

    public static void Uncharge(in ThisCpu cpu, long owner, int pages) => AtomicInt.Add(&Own(owner)->Pages, -pages);
    public static int PagesFor(int bytes) => (bytes + MemMap.FrameBytes - 1) >> MemMap.FrameShift;
    public static int Most => MemMap.FrameBytes;
}

/// <summary>How a stock's rest goes to its owner.</summary>
internal unsafe interface IByteDrain
{
    static abstract void Drain(in ThisCpu cpu, BytesOf* owner);
}

internal readonly unsafe struct AddsTheRest : IByteDrain
{
    public static void Drain(in ThisCpu cpu, BytesOf* owner) => ByteStock.Drain<PlainBytes>(cpu, null);
}

/// <summary>E8, I2: objects charged on one CPU and freed on another; at the end what is left of the owner is whole pages, as many as are charged.</summary>
internal readonly unsafe struct BytesOnCpus<TDrain, TExpects, TCpus> : ICase where TDrain : struct, IByteDrain where TExpects : struct, ISize where TCpus : struct, ISize
{
    private const int ObjectBytes = 100;
    private static SimulatedCpus cpus;
    private static BytesOf* owner;
    private static AtomicInt* objects;

    public static int Cpus => TCpus.N;

    public static void Setup()
    {
        cpus = SimulatedCpus.New(Cpus);
        owner = Arena.New<BytesOf>("owner");
        objects = Arena.New<AtomicInt>("objects");
        for (int c = 0; c < Cpus; c++) ByteStock.Init(cpus.Area(c), &ByteStock.DrainOnOwner<PlainBytes>);
    }

    public static void Body(int cpu)
    {
        ThisCpu self = cpus[cpu];
        ByteStock.TryCharge<PlainBytes>(self, (long)owner, ObjectBytes, Gfp.Kernel);
        if (TExpects.N > 0 && AtomicInt.Load(&owner->Pages) > TExpects.N) Bug.Fail("pages charged for 200 bytes", AtomicInt.Load(&owner->Pages));
        if (AtomicInt.AddReturn(objects, 1) == Cpus) // the last one frees all, on its CPU
            for (int i = 0; i < Cpus; i++) ByteStock.Refill<PlainBytes>(self, (long)owner, ObjectBytes, mayUncharge: true);
        TDrain.Drain(self, owner);
    }

    public static void Final()
    {
        int residue = AtomicInt.Load(&owner->Residue), pages = AtomicInt.Load(&owner->Pages);
        if (residue != pages << MemMap.FrameShift) Bug.Fail("bytes left, and pages charged (I2)", residue, pages);
        if (AtomicInt.Load(&owner->References) != 0) Bug.Fail("references left", AtomicInt.Load(&owner->References));
    }
}

internal readonly struct N0Pages : ISize { public static int N => 0; }

/// <summary>F13 (2026): the stock is keyed by group while a group has an objcg per node: bytes of one are merged into the other's.</summary>
internal readonly unsafe struct StockKeyedByGroup : IRace<TwoObjcgs>
{
    private const int Page = 4096;

    public static void Setup(TwoObjcgs* s)
    {
        AtomicInt.Init(&s->Stocked, Page - 100); // of objcg 0, whose object has 100 bytes
        AtomicInt.Init(&s->Charged1, Page);
        AtomicInt.Init(&s->Residue1, Page - 100); // objcg 1: an object of 100 bytes too
    }

    public static void Run<TGuard>(in ThisCpu cpu, TwoObjcgs* s) where TGuard : struct, IGuard
    {
        if (cpu.Index == 1)
        {
            AtomicInt.Add(TGuard.On ? &s->Residue1 : &s->Stocked, 100); // the object of objcg 1 is freed: to its own, or to what the stock has of its group
            return;
        }
        AtomicInt.Add(&s->Stocked, 100);
    }

    public static void Final(TwoObjcgs* s)
    {
        if (AtomicInt.Load(&s->Residue1) % Page != 0) Bug.Fail("released with a part of a page", AtomicInt.Load(&s->Residue1));
    }
}

internal struct TwoObjcgs
{
    public AtomicInt Stocked, Charged1, Residue1;
}

internal static class ByteStockCases
{
    public static IReadOnlyList<Case> All { get; } =
    [
        Case.Of<BytesOnCpus<AddsTheRest, N0Pages, N2>>("E8", "byte-stock", "2c"),
        Case.Of<BytesOnCpus<AddsTheRest, N0Pages, N3>>("E8", "byte-stock", "3c"),
        Case.Of<BytesOnCpus<AddsTheRest, N0Pages, N4>>("E8", "byte-stock", "4c", heavy: true),
        Case.Of<BytesOnCpus<StoresTheRest, N0Pages, N2>>("E8", "busted-store-residue", "2c", Expect.Broken),
        Case.Of<BytesOnCpus<AddsTheRest, N1, N2>>("F12", "accepted-a-page-too-many", "2c", Expect.Broken),
        .. Guards.Of<StockKeyedByGroup, TwoObjcgs>("F13", "residue-per-objcg", "2f"),
    ];
}
