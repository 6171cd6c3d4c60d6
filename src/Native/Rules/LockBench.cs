// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.InteropServices;

namespace MemcgNative.Native;

/// <summary>Two locks between canaries, a counter, and per-CPU areas for unpinned threads that stand in for CPUs.</summary>
internal sealed unsafe class LockBench<TLock> : IDisposable where TLock : ILockKind
{
    public const int Cpus = 3;
    private const ulong Canary = 0xa5a5_5a5a_c3c3_3c3c;

    private readonly byte* areas;
    private readonly nint* pointers;
    private readonly CpuTable* table;
    private readonly ulong* words; // canary, lock, canary, lock, canary, counter
    private bool abandoned;

    public LockBench()
    {
        areas = Zeroed(Cpus * CpuArea.Bytes);
        pointers = (nint*)Zeroed(Cpus * sizeof(nint));
        table = (CpuTable*)Zeroed(sizeof(CpuTable));
        words = (ulong*)Zeroed(6 * sizeof(ulong));
        Guarded<int>.Set(&table->Count, Cpus);
        GuardedPtr<Guarded<nint>>.Set(&table->Areas, (Guarded<nint>*)pointers);
        for (int i = 0; i < Cpus; i++)
        {
            var area = (CpuArea*)(areas + i * CpuArea.Bytes);
            pointers[i] = (nint)area;
            Guarded<int>.Set(&area->Index, i);
            Guarded<int>.Set(&area->CpuNumber, i);
            GuardedPtr<CpuTable>.Set(&area->Table, table);
        }
        words[0] = words[2] = words[4] = Canary;
        TLock.Init(Lock);
        TLock.Init(Inner);
    }

    public LockWord* Lock => (LockWord*)(words + 1);

    public LockWord* Inner => (LockWord*)(words + 3);

    public Guarded<long>* Counter => (Guarded<long>*)(words + 5);

    public bool CanariesAlive => words[0] == Canary && words[2] == Canary && words[4] == Canary;

    public ThisCpu Cpu(int index) => new((CpuArea*)pointers[index]);

    public static Thread Start(int cpu, Action<int> body)
    {
        var thread = new Thread(() => body(cpu)) { IsBackground = true, Name = $"cpu{cpu}" };
        thread.Start();
        return thread;
    }

    /// <summary>A thread still spins on this memory: leak it rather than crash.</summary>
    public string Abandon(string why)
    {
        abandoned = true;
        return why;
    }

    public void Dispose()
    {
        if (abandoned) return;
        NativeMemory.AlignedFree(areas);
        NativeMemory.AlignedFree(pointers);
        NativeMemory.AlignedFree(table);
        NativeMemory.AlignedFree(words);
    }

    private static byte* Zeroed(int bytes)
    {
        void* p = NativeMemory.AlignedAlloc((nuint)bytes, 4096);
        NativeMemory.Clear(p, (nuint)bytes);
        return (byte*)p;
    }
}
