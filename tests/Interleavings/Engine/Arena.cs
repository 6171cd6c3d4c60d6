// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MemcgNative.Tests.Interleavings;

/// <summary>
/// All shared state of a case, at deterministic offsets. Each execution starts from the state Setup left: what was written is logged by
/// eight-byte word and put back, so that a 20 KiB per-CPU area costs nothing unless touched.
/// </summary>
internal static unsafe class Arena
{
    private const int Words = Limits.ArenaBytes / 8;
    /// <summary>CPU words and buffer counts live in front of everything else, so that the engine's own state is made of locations too.</summary>
    private const int Reserved = 1024;

    private static byte* memory, initial;
    private static int* stamp, dirty;
    private static int dirtyCount, epoch, top, heap;
    private static int* heapTop;
    private static bool starting;

    /// <summary>True while Setup runs: memory is handed out for good.</summary>
    public static bool InSetup => starting;

    public static void Initialise()
    {
        memory = (byte*)NativeMemory.AlignedAlloc(Limits.ArenaBytes, 4096);
        NativeMemory.Clear(memory, Limits.ArenaBytes);
        initial = (byte*)NativeMemory.AllocZeroed(Limits.ArenaBytes);
        stamp = (int*)NativeMemory.AllocZeroed(Words, sizeof(int));
        dirty = (int*)NativeMemory.AllocZeroed(Words, sizeof(int));
        heapTop = (int*)NativeMemory.AllocZeroed(Limits.Cpus, sizeof(int));
    }

    /// <summary>Forgets the last case.</summary>
    public static void BeginSetup()
    {
        Restore();
        NativeMemory.Clear(memory, (nuint)heap);
        Life.Clear(heap + Limits.Cpus * Limits.HeapBytes);
        Names.Clear();
        Life.Born(0, Reserved);
        top = Reserved;
        starting = true;
    }

    /// <summary>Setup is done: this is where every execution starts.</summary>
    public static void EndSetup()
    {
        starting = false;
        heap = (top + 4095) & ~4095;
        if (heap + Limits.Cpus * Limits.HeapBytes > Limits.ArenaBytes)
            throw new InvalidOperationException($"arena: {top} bytes of state leave no room for {Limits.Cpus} heaps of {Limits.HeapBytes} bytes in {Limits.ArenaBytes}");
        Buffer.MemoryCopy(memory, initial, Limits.ArenaBytes, heap);
        Life.EndSetup(heap + Limits.Cpus * Limits.HeapBytes);
        dirtyCount = 0;
        ResetHeaps();
    }

    /// <summary>Puts back the state Setup left.</summary>
    public static void Restore()
    {
        for (int i = 0; i < dirtyCount; i++) ((long*)memory)[dirty[i]] = ((long*)initial)[dirty[i]];
        dirtyCount = 0;
        epoch++;
        Life.Restore();
        ResetHeaps();
    }

    private static void ResetHeaps()
    {
        for (int c = 0; c < Limits.Cpus; c++) heapTop[c] = heap + c * Limits.HeapBytes;
    }

    /// <summary>State for a case: zeroed, alive, named in reports.</summary>
    public static T* New<T>(string name) where T : unmanaged => Array<T>(1, name);

    /// <inheritdoc cref="New{T}"/>
    public static T* Array<T>(int count, string name) where T : unmanaged => (T*)Block(count * sizeof(T), name, typeof(T));

    /// <summary>Bytes for a case, aligned to a power of two.</summary>
    public static void* Block(int bytes, string name, Type? type = null, int align = 16)
    {
        if (!starting) throw new InvalidOperationException("arena: New and Array belong to Setup; a body allocates with Arena.Allocate");
        int at = (top + align - 1) & -align;
        if (at + bytes > Limits.ArenaBytes) throw new InvalidOperationException($"arena: {name} needs {bytes} bytes, {Limits.ArenaBytes - at} of {Limits.ArenaBytes} are left");
        top = at + bytes;
        Names.Add(at, bytes, name, type);
        Life.Born(at, bytes);
        return memory + at;
    }

    /// <summary>kzalloc for a body: memory of the running CPU, never handed out twice in one execution. Null when this allocation is to fail.</summary>
    public static void* Allocate(int bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        int cpu = Run.CurrentCpu;
        if (Faults.NextAllocationFails(cpu)) return null;
        int at = heapTop[cpu];
        heapTop[cpu] = (at + bytes + 15) & ~15;
        if (heapTop[cpu] > heap + (cpu + 1) * Limits.HeapBytes) Run.Fail(Verdict.StepLimit, "the CPU's heap is used up", Sites.Of(file, line));
        Life.Allocate(at, bytes, Sites.Of(file, line));
        return memory + at;
    }

    /// <summary>kfree for a body.</summary>
    public static void Free(void* p, int bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Accesses.OnFree(p, (nuint)bytes, Sites.Of(file, line));

    /// <summary>Where the CPU word of a CPU lives: 0 open, 1 its irq role runs, 2 irqs are off.</summary>
    public static int CpuWord(int cpu) => 64 + cpu * 64;

    /// <summary>Where the number of stores in a CPU's buffer lives.</summary>
    public static int BufferCount(int cpu) => CpuWord(cpu) + 8;

    /// <summary>Offset of p, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int OffsetOf(void* p, int bytes)
    {
        ulong at = (ulong)((byte*)p - memory);
        return at + (uint)bytes <= Limits.ArenaBytes ? (int)at : -1;
    }

    /// <summary>Offset a stored value points at, or -1.</summary>
    public static int PointsAt(long value) => OffsetOf((void*)value, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static long Read(int offset, int size) => Bytes.Read(memory + offset, size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Write(int offset, int size, long v)
    {
        Touch(offset >> 3);
        Bytes.Write(memory + offset, size, v);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Touch(int word)
    {
        if (stamp[word] == epoch) return;
        stamp[word] = epoch;
        dirty[dirtyCount++] = word;
    }

    /// <summary>FNV hash of all the state Setup made.</summary>
    public static ulong Hash()
    {
        ulong h = 14695981039346656037;
        for (int i = Reserved; i < top; i += 4) h = (h ^ *(uint*)(memory + i)) * 1099511628211;
        return h;
    }

    /// <summary>A direct access outside any modelled CPU (Setup, Final): must lie in the arena as well.</summary>
    public static int Direct(void* p, int bytes)
    {
        int at = OffsetOf(p, bytes);
        if (at < 0) Wild((long)p);
        if (!starting && --Run.PlainLeft < 0) throw new InvalidOperationException("a loop in the final check that does not end");
        return at;
    }

    [DoesNotReturn]
    private static void Wild(long p) => throw new InvalidOperationException($"access outside the arena at 0x{p:x}");
}
