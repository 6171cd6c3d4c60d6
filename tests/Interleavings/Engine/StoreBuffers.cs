// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>A store on its way to memory.</summary>
internal struct BufferedStore
{
    public int Offset;
    public int Location;
    public int Site;
    public byte Size;
    /// <summary>The CPU that issued it has freed the place since: whoever gets the memory next gets it after this store.</summary>
    public bool BeforeFree;
    public long Value;
    /// <summary>What the store publishes when it reaches memory.</summary>
    public CpuClock Publishes;
    /// <summary>The step that issued it.</summary>
    public VectorClock Issued;
}

/// <summary>TSO: one FIFO store buffer per CPU; its thread and its irq role share it and read through it.</summary>
internal static unsafe class StoreBuffers
{
    private static BufferedStore* stores;
    private static int* count;

    public static void Initialise()
    {
        stores = (BufferedStore*)NativeMemory.AllocZeroed(Limits.Cpus * Limits.Buffered, (nuint)sizeof(BufferedStore));
        count = (int*)NativeMemory.AllocZeroed(Limits.Cpus, sizeof(int));
    }

    public static void Reset() => NativeMemory.Clear(count, Limits.Cpus * sizeof(int));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsEmpty(int cpu) => count[cpu] == 0;

    public static int Count(int cpu) => count[cpu];

    /// <summary>A place for one more store, or null when the model's buffer is full.</summary>
    public static BufferedStore* Push(int cpu) => count[cpu] == Limits.Buffered ? null : stores + cpu * Limits.Buffered + count[cpu]++;

    /// <summary>The CPU frees these bytes: what it has on its way there is not a use after free.</summary>
    public static void OnFree(int cpu, int offset, int bytes)
    {
        BufferedStore* s = stores + cpu * Limits.Buffered;
        for (int i = 0; i < count[cpu]; i++)
            if (Overlap(s + i, offset, bytes)) s[i].BeforeFree = true;
    }

    public static BufferedStore* Oldest(int cpu) => stores + cpu * Limits.Buffered + (Explorer.Defect == EngineDefect.DrainLifo ? count[cpu] - 1 : 0);

    public static BufferedStore Pop(int cpu)
    {
        BufferedStore* at = Oldest(cpu);
        BufferedStore s = *at;
        count[cpu]--;
        for (BufferedStore* end = stores + cpu * Limits.Buffered + count[cpu]; at < end; at++) *at = at[1];
        return s;
    }

    /// <summary>True when a store of this CPU to any of these bytes is on its way.</summary>
    public static bool Holds(int cpu, int offset, int size)
    {
        BufferedStore* s = stores + cpu * Limits.Buffered;
        for (int i = 0; i < count[cpu]; i++)
            if (Overlap(s + i, offset, size)) return true;
        return false;
    }

    /// <summary>What this CPU reads: memory, seen through its own stores. A store that covers a part is forwarded for that part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Read(int cpu, int offset, int size) => count[cpu] == 0 ? Arena.Read(offset, size) : ReadThrough(cpu, offset, size);

    private static long ReadThrough(int cpu, int offset, int size)
    {
        long value = Arena.Read(offset, size);
        if (Explorer.Defect == EngineDefect.NoForwarding) return value;
        BufferedStore* s = stores + cpu * Limits.Buffered;
        byte* bytes = (byte*)&value;
        for (int i = 0; i < count[cpu]; i++, s++)
        {
            if (!Overlap(s, offset, size)) continue;
            byte* from = (byte*)&s->Value;
            for (int b = 0; b < s->Size; b++)
                if ((uint)(s->Offset + b - offset) < (uint)size) bytes[s->Offset + b - offset] = from[b];
        }
        return Bytes.Cut(value, size);
    }

    private static bool Overlap(BufferedStore* s, int offset, int size) => s->Offset < offset + size && offset < s->Offset + s->Size;
}
