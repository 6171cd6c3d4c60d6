// SPDX-License-Identifier: GPL-2.0-only
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using System.Runtime.Intrinsics.Arm;

namespace MemcgNative.Native;

/// <summary>
/// The hardware, as the rest of the source may see it: the only file that names Interlocked, Volatile, fences, pause, prefetch and the
/// process-wide barrier. tests/Interleavings compiles the same sources with a class of the same name in which each member is a scheduling point.
/// </summary>
/// <remarks>
/// Order: Load acquires, Store releases, every read-modify-write is a full fence. On x64 that is what Linux gets; on arm64 it is
/// stronger than Linux's relaxed forms, and no figure measured there may hide it.
/// <para>file and line name the access in the explorer's reports; they are constants here and leave no trace in the code.</para>
/// </remarks>
public static unsafe class Machine
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Polls after which a waiter gives its CPU away: the holder may have been descheduled, which no kernel spinlock has to fear.</summary>
    private const int PollsBeforeYield = 2048;

    /// <summary>True in the explorer, where a lock is one blocking step unless the lock itself is under test. A constant here.</summary>
    public static bool LocksArePrimitive { [MethodImpl(Inline)] get => false; }

    // Marked accesses. Cells are their only callers.

    /// <summary>Acquire load.</summary>
    [MethodImpl(Inline)] public static byte Load(byte* p, string file, int line) => Volatile.Read(ref *p);

    /// <inheritdoc cref="Load(byte*, string, int)"/>
    [MethodImpl(Inline)] public static int Load(int* p, string file, int line) => Volatile.Read(ref *p);

    /// <inheritdoc cref="Load(byte*, string, int)"/>
    [MethodImpl(Inline)] public static long Load(long* p, string file, int line) => Volatile.Read(ref *p);

    /// <summary>Release store.</summary>
    [MethodImpl(Inline)] public static void Store(byte* p, byte v, string file, int line) => Volatile.Write(ref *p, v);

    /// <inheritdoc cref="Store(byte*, byte, string, int)"/>
    [MethodImpl(Inline)] public static void Store(int* p, int v, string file, int line) => Volatile.Write(ref *p, v);

    /// <inheritdoc cref="Store(byte*, byte, string, int)"/>
    [MethodImpl(Inline)] public static void Store(long* p, long v, string file, int line) => Volatile.Write(ref *p, v);

    /// <summary>Stores v and returns the old value; full fence.</summary>
    [MethodImpl(Inline)] public static byte Exchange(byte* p, byte v, string file, int line) => Interlocked.Exchange(ref *p, v);

    /// <inheritdoc cref="Exchange(byte*, byte, string, int)"/>
    [MethodImpl(Inline)] public static int Exchange(int* p, int v, string file, int line) => Interlocked.Exchange(ref *p, v);

    /// <inheritdoc cref="Exchange(byte*, byte, string, int)"/>
    [MethodImpl(Inline)] public static long Exchange(long* p, long v, string file, int line) => Interlocked.Exchange(ref *p, v);

    /// <summary>Stores v if *p equals expected; returns what was there; full fence.</summary>
    [MethodImpl(Inline)] public static int CompareExchange(int* p, int v, int expected, string file, int line) => Interlocked.CompareExchange(ref *p, v, expected);

    /// <inheritdoc cref="CompareExchange(int*, int, int, string, int)"/>
    [MethodImpl(Inline)] public static long CompareExchange(long* p, long v, long expected, string file, int line) => Interlocked.CompareExchange(ref *p, v, expected);

    /// <summary>Adds and returns the new value; full fence (atomic_add_return).</summary>
    [MethodImpl(Inline)] public static int AddReturn(int* p, int v, string file, int line) => Interlocked.Add(ref *p, v);

    /// <inheritdoc cref="AddReturn(int*, int, string, int)"/>
    [MethodImpl(Inline)] public static long AddReturn(long* p, long v, string file, int line) => Interlocked.Add(ref *p, v);

    /// <summary>Adds, result unused: one locked add on x64, and the explorer lets two of them commute.</summary>
    [MethodImpl(Inline)] public static void Add(int* p, int v, string file, int line) => Interlocked.Add(ref *p, v);

    /// <inheritdoc cref="Add(int*, int, string, int)"/>
    [MethodImpl(Inline)] public static void Add(long* p, long v, string file, int line) => Interlocked.Add(ref *p, v);

    /// <summary>Sets bits and returns the old value. On x64 a compare-exchange loop, never lock bts: dearer than Linux under contention.</summary>
    [MethodImpl(Inline)] public static int FetchOr(int* p, int v, string file, int line) => Interlocked.Or(ref *p, v);

    /// <inheritdoc cref="FetchOr(int*, int, string, int)"/>
    [MethodImpl(Inline)] public static long FetchOr(long* p, long v, string file, int line) => Interlocked.Or(ref *p, v);

    /// <summary>Masks bits and returns the old value. As <see cref="FetchOr(int*, int, string, int)"/>.</summary>
    [MethodImpl(Inline)] public static int FetchAnd(int* p, int v, string file, int line) => Interlocked.And(ref *p, v);

    /// <inheritdoc cref="FetchAnd(int*, int, string, int)"/>
    [MethodImpl(Inline)] public static long FetchAnd(long* p, long v, string file, int line) => Interlocked.And(ref *p, v);

    /// <summary>Sets bits, result unused: one lock or.</summary>
    [MethodImpl(Inline)] public static void Or(int* p, int v, string file, int line) => Interlocked.Or(ref *p, v);

    /// <inheritdoc cref="Or(int*, int, string, int)"/>
    [MethodImpl(Inline)] public static void Or(long* p, long v, string file, int line) => Interlocked.Or(ref *p, v);

    /// <summary>Masks bits, result unused: one lock and.</summary>
    [MethodImpl(Inline)] public static void And(int* p, int v, string file, int line) => Interlocked.And(ref *p, v);

    /// <inheritdoc cref="And(int*, int, string, int)"/>
    [MethodImpl(Inline)] public static void And(long* p, long v, string file, int line) => Interlocked.And(ref *p, v);

    // Plain accesses to guarded data: race-checked by the explorer, one mov here.

    /// <summary>Plain load of data that a lock or exclusivity guards.</summary>
    [MethodImpl(Inline)] public static T Plain<T>(T* p, string file, int line) where T : unmanaged => *p;

    /// <summary>Plain store of data that a lock or exclusivity guards.</summary>
    [MethodImpl(Inline)] public static void PlainStore<T>(T* p, T v, string file, int line) where T : unmanaged => *p = v;

    // Waiting. A loop that ends only when another CPU acts is written with these, so that the explorer can block instead of spinning.

    /// <summary>Waits until *p equals want; acquire. The caller says who ends the wait.</summary>
    [MethodImpl(Inline)]
    public static void AwaitEqual(int* p, int want, string file, int line)
    {
        if (Volatile.Read(ref *p) != want) AwaitEqualSlow(p, want);
    }

    /// <summary>Waits while *p equals seen and returns what replaced it; acquire. The caller says who ends the wait.</summary>
    [MethodImpl(Inline)]
    public static int AwaitNot(int* p, int seen, string file, int line)
    {
        int v = Volatile.Read(ref *p);
        return v != seen ? v : AwaitNotSlow(p, seen);
    }

    /// <inheritdoc cref="AwaitNot(int*, int, string, int)"/>
    [MethodImpl(Inline)]
    public static long AwaitNot(long* p, long seen, string file, int line)
    {
        long v = Volatile.Read(ref *p);
        return v != seen ? v : AwaitNotSlow(p, seen);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AwaitEqualSlow(int* p, int want)
    {
        for (int polls = 0; Volatile.Read(ref *p) != want; polls++) Relax(polls);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int AwaitNotSlow(int* p, int seen)
    {
        int v;
        for (int polls = 0; (v = Volatile.Read(ref *p)) == seen; polls++) Relax(polls);
        return v;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static long AwaitNotSlow(long* p, long seen)
    {
        long v;
        for (int polls = 0; (v = Volatile.Read(ref *p)) == seen; polls++) Relax(polls);
        return v;
    }

    /// <summary>One turn of a waiting loop: pause, and after <see cref="PollsBeforeYield"/> turns yield, in case the other side is descheduled.</summary>
    [MethodImpl(Inline)]
    private static void Relax(int polls)
    {
        if (polls < PollsBeforeYield) Pause();
        else Thread.Yield();
    }

    // Locks as one blocking step: the explorer's business, unreachable here.

    /// <summary>Explorer only.</summary>
    public static void AcquirePrimitive(void* cell, string file, int line) => throw new NotSupportedException("a primitive lock exists only in the explorer");

    /// <summary>Explorer only.</summary>
    public static bool TryAcquirePrimitive(void* cell, string file, int line) => throw new NotSupportedException("a primitive lock exists only in the explorer");

    /// <summary>Explorer only.</summary>
    public static void ReleasePrimitive(void* cell, string file, int line) => throw new NotSupportedException("a primitive lock exists only in the explorer");

    /// <summary>Explorer only.</summary>
    public static void AwaitUnheldPrimitive(void* cell, string file, int line) => throw new NotSupportedException("a primitive lock exists only in the explorer");

    /// <summary>Full fence (smp_mb): lock or [rsp] on x64.</summary>
    [MethodImpl(Inline)]
    public static void Fence([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Interlocked.MemoryBarrier();

    /// <summary>A full fence on every CPU that runs a thread of this process (membarrier, FlushProcessWriteBuffers); microseconds.</summary>
    [MethodImpl(Inline)]
    public static void HeavyFence([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) => Interlocked.MemoryBarrierProcessWide();

    /// <summary>cpu_relax.</summary>
    [MethodImpl(Inline)]
    public static void Pause()
    {
        if (X86Base.IsSupported) X86Base.Pause();
        else if (ArmBase.IsSupported) ArmBase.Yield();
    }

    /// <summary>Read prefetch into all levels; nothing where the CPU has none to offer. prefetchw is not exposed by the runtime.</summary>
    [MethodImpl(Inline)]
    public static void Prefetch(void* p)
    {
        if (Sse.IsSupported) Sse.Prefetch0(p);
    }

    // The CPU's nested "irq" role. Production runs it at poll points, which never lie inside a section: nothing to do here.

    /// <summary>local_irq_disable: until <see cref="IrqOn"/> the nested role must not run. Free here, checked in the explorer.</summary>
    [MethodImpl(Inline)] public static void IrqOff([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }

    /// <summary>local_irq_enable; ends <see cref="IrqOff"/>.</summary>
    [MethodImpl(Inline)] public static void IrqOn([CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }

    // Life of memory: empty here, the explorer's arena checks every access against it.

    /// <summary>bytes at p now belong to whoever called the allocator.</summary>
    [MethodImpl(Inline)] public static void OnAlloc(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }

    /// <summary>bytes at p were given back: an access from now on is a use after free.</summary>
    [MethodImpl(Inline)] public static void OnFree(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }

    /// <summary>The object at p starts a new life in place, without passing through free (type-stable recycling).</summary>
    [MethodImpl(Inline)] public static void OnReuse(void* p, nuint bytes, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) { }
}
