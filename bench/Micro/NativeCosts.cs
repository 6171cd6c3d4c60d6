// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;
using BenchmarkDotNet.Attributes;
using MemcgNative.Native;

namespace MemcgNative.Bench.Micro;

/// <summary>What one access to a cell, one lock round trip and one list move cost a single thread on warm lines.</summary>
public unsafe class NativeCosts
{
    private CpuArea* area;
    private CpuTable* table;
    private nint* areas;
    private LockWord* word;
    private ListHead* head;

    /// <summary>One CPU's area and its table, a lock and a list with one node, each on lines of its own.</summary>
    [GlobalSetup]
    public void Setup()
    {
        area = (CpuArea*)Zeroed(CpuArea.Bytes);
        table = (CpuTable*)Zeroed(sizeof(CpuTable));
        areas = (nint*)Zeroed(sizeof(nint));
        word = (LockWord*)Zeroed(sizeof(LockWord));
        head = (ListHead*)Zeroed(2 * sizeof(ListHead));
        areas[0] = (nint)area;
        Guarded<int>.Set(&table->Count, 1);
        GuardedPtr<Guarded<nint>>.Set(&table->Areas, (Guarded<nint>*)areas);
        GuardedPtr<CpuTable>.Set(&area->Table, table);
        IntrusiveList.Init(head);
        IntrusiveList.Add(head, head + 1);
    }

    /// <summary>Gives all of it back.</summary>
    [GlobalCleanup]
    public void Cleanup()
    {
        NativeMemory.AlignedFree(area);
        NativeMemory.AlignedFree(table);
        NativeMemory.AlignedFree(areas);
        NativeMemory.AlignedFree(word);
        NativeMemory.AlignedFree(head);
    }

    /// <summary>The floor: one plain load.</summary>
    [Benchmark(Baseline = true)]
    public int GuardedGet() => Guarded<int>.Get(&area->Index);

    /// <summary>One acquire load.</summary>
    [Benchmark]
    public long AtomicLoad() => AtomicLong.Load(&word->Whole);

    /// <summary>prefetchw through its stub; less <see cref="StubAlone"/> it is what Linux pays.</summary>
    [Benchmark]
    public void PrefetchForWriting() => PrefetchWriteStub.Line(word);

    /// <summary>The call of a stub that only returns.</summary>
    [Benchmark]
    public void StubAlone() => PrefetchWriteStub.Nothing(word);

    /// <summary>One locked add whose result nobody reads.</summary>
    [Benchmark]
    public void AtomicAdd() => AtomicLong.Add(&area->Rcu.Queued, 1);

    /// <summary>One compare-exchange loop that succeeds at once.</summary>
    [Benchmark]
    public int FetchOr() => AtomicInt.FetchOr(&area->Online, 4);

    /// <summary>A full fence.</summary>
    [Benchmark]
    public void Fence() => Machine.Fence();

    /// <summary>An uncontended test-and-set lock, taken and released.</summary>
    [Benchmark]
    public void TestAndSetRoundTrip()
    {
        var cpu = new ThisCpu(area);
        TestAndSetLock.Acquire(cpu, word);
        TestAndSetLock.Release(cpu, word);
    }

    /// <summary>A node moved to the back of its list.</summary>
    [Benchmark]
    public void ListMoveTail() => IntrusiveList.MoveTail(head, head + 1);

    private static void* Zeroed(int bytes)
    {
        void* p = NativeMemory.AlignedAlloc((nuint)bytes, 4096);
        NativeMemory.Clear(p, (nuint)bytes);
        return p;
    }
}
